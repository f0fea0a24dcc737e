"""A model that is there: loaded, trained anew, with further seeds, with one setting changed, of a changed file."""

import os
import signal

import pytest
import torch
from own_processes import run_process
from prepared_run import MODEL, folders, make
from torch import nn

from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.evaluation.predict import predict_splits
from emotion_utils.evaluation.robustness import measure_robustness
from emotion_utils.model_table import MODELS
from emotion_utils.models.card import load_model
from emotion_utils.report.model_notebook import train_ablations, train_further_seeds
from emotion_utils.run import Run
from emotion_utils.stages import Inputs, forget, stages_of
from emotion_utils.store.batches import open_split
from emotion_utils.training import one_process
from emotion_utils.training.model_folder import hold_model
from emotion_utils.training.trainer import Trainer, new_model, train_model


def test_a_trained_network_is_loaded_again_and_not_trained_on(run):
    trainer = make(run)
    history = trainer.fit()
    assert make(run, net=trainer.net).fit().equals(history)
    assert folders(run) == []
    with pytest.raises(InputError, match="run the cell that builds it"):
        make(run, net=trainer.net, retrain=True).fit()


def test_a_model_with_changes_is_kept_when_its_stage_runs_again(run):
    trainer = make(run, recipe=run.recipe(MODEL, lr=0.5))
    trainer.fit()
    stage = next(stage for stage in stages_of(run.config) if stage.model == MODEL)
    said = []
    assert not forget(run, stage, Inputs("another", "another"), said.append)
    kept = run.variant(f"edited-{trainer.fingerprint.name}")
    assert load_model(kept.model_dir(MODEL))[1]["training"]["edits"]
    assert str(kept.model_dir(MODEL)) in said[0]
    assert not run.path("model_card", MODEL).exists()


@pytest.mark.slow
def test_second_training_of_a_model_is_refused_and_changes_nothing(run):
    with hold_model(run.model_dir(MODEL)):
        before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
        with pytest.raises(EmotionError, match=rf"another process is working on .*process {os.getpid()} on") as refused:
            make(run).fit()
        assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before
    assert "\n" not in str(refused.value)
    make(run).fit()


@pytest.mark.slow
def test_model_that_another_process_has_finished_meanwhile_is_not_written_over(run, monkeypatch):
    make(run).fit()
    card = run.read("model_card", MODEL)
    trainer = make(run, recipe=run.recipe(MODEL, lr=0.5))
    monkeypatch.setattr(Trainer, "_choose_folder", lambda self: (self.run, False))
    monkeypatch.setattr(Trainer, "_holds_model", lambda self, run: False)
    with pytest.raises(EmotionError, match="another process has finished a model there meanwhile"):
        trainer.fit()
    assert run.read("model_card", MODEL) == card


def retrain(root, kill_at):
    """Trains the model of a run anew, with another rate; killed when an epoch ends, or before its files are moved."""
    run = Run.open(root)
    places = {"epoch": (one_process.EpochLoop, "_close_epoch"), "move": (one_process, "replace_model"), "": (run, "")}
    setattr(*places[kill_at], lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
    make(run, recipe=run.recipe(MODEL, lr=0.5), retrain=True).fit()


@pytest.mark.slow
def test_killed_retraining_leaves_the_old_model_until_the_new_one_is_whole(run):
    make(run).fit()
    folder, old = run.model_dir(MODEL), run.read("model_card", MODEL)["sha256"]
    (folder / "predictions.csv").write_text("of the old one")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    assert run_process(retrain, run.root, "epoch") == -signal.SIGKILL
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}
    assert after == before
    assert load_model(folder)[1]["sha256"] == old
    assert run_process(retrain, run.root, "move") == -signal.SIGKILL
    assert load_model(folder)[1]["sha256"] == old
    trainer = make(run, recipe=run.recipe(MODEL, lr=0.5))
    trainer.fit()  # it is finished: all that is left to do is to put it in its place
    assert load_model(folder)[1]["sha256"] != old
    assert (trainer.folder, folders(run)) == (folder, [])
    assert not (folder / "predictions.csv").exists()


@pytest.mark.slow
def test_further_seeds_of_an_edited_network_are_refused_and_those_of_an_edited_recipe_share_it(run):
    run = Run(run.root, run.config.model_copy(update={"seeds": 2}))
    net = new_model(run, MODEL)
    net.network.fc = nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 3))
    trainer = make(run, net=net)
    trainer.fit()
    with pytest.raises(InputError, match="edited in this notebook, so that it has no other seed"):
        train_further_seeds(trainer, lambda *names, **options: None)
    assert folders(run) == []
    trainer = make(
        run, recipe=run.recipe(MODEL, dropout=0.5), net=new_model(run, MODEL, run.recipe(MODEL, dropout=0.5))
    )
    trainer.fit()
    train_further_seeds(trainer, lambda *names, **options: None)
    (seed,) = trainer.run.replicas()
    cards = [each.read("model_card", MODEL) for each in (trainer.run, seed)]
    assert cards[0]["training"]["edits"] == cards[1]["training"]["edits"] != []
    assert cards[0]["sha256"] != cards[1]["sha256"]


@pytest.mark.slow
def test_ablation_is_trained_beside_the_model_with_one_setting_changed(run):
    run = Run(run.root, run.config.model_copy(update={"ablate": ("augmentation", "pretraining")}))
    run.write("facts", run.facts | {"config": run.config.model_dump(mode="json")})
    trainer = make(run, recipe=run.recipe(MODEL, lr=0.5), retrain=True)
    trainer.fit()
    train_ablations(trainer, lambda *names, **options: None)
    assert folders(run) == ["without-augmentation"]  # this model starts from random weights
    whole, without = (each.read("model_card", MODEL) for each in (run, run.variant("without-augmentation")))
    (changed,) = set(without["training"]["edits"]) ^ set(whole["training"]["edits"])
    assert changed.startswith("augment: ")
    assert without["sha256"] != whole["sha256"]
    assert run.variant("without-augmentation").path("predictions", MODEL).exists()


def test_class_of_ones_own_in_the_disguise_of_a_layer_is_refused(run):
    net = new_model(run, MODEL)
    noisy = type("ReLU", (nn.ReLU,), {"forward": lambda self, x: x.relu() + self.training * torch.randn_like(x)})
    net.network.layer1[0].relu = noisy(inplace=True)  # in evaluation it is the same
    with pytest.raises(InputError, match=r"layer1\.0\.relu \(ReLU\) was edited in a way"):
        make(run, net=net)


OWN_FILE = """
from torch import nn
from emotion_utils.model_table import Architecture, ModelSpec, register_model
def squash(features):
    return features.relu()
class Net(nn.Sequential):
    def forward(self, images):
        return self[1](squash(self[0](images)).mean((2, 3)))
def build(num_classes, dropout):
    return Net(nn.Conv2d(3, 4, 3), nn.Linear(4, num_classes))
recipe = {"lr": 0.25, "phases": [{"epoch": 1, "train_from": "body"}]}
groups = {"body": ("0",), "head": ("1",)}
register_model(ModelSpec("my_net", Architecture("my_net", "small", build, groups), recipe))
"""


def test_model_of_a_file_that_changed_is_trained_again_by_command_and_notebook(run, tmp_path, capsys):
    file = tmp_path / "my_net.py"
    file.write_text(OWN_FILE)
    config = resolve_config("smoke", [f"modules=[{file}]", "models=[my_net]", "epochs=1", "max_steps_per_epoch=2"])
    run = Run(run.root, config)
    run.write("facts", {"config": config.model_dump(mode="json"), "stages": {}})

    def sha256():
        train_model(run, "my_net")
        return run.read("model_card", "my_net")["sha256"]

    try:
        first = sha256()
        assert sha256() == first
        file.write_text(OWN_FILE.replace("relu", "tanh"))
        second = sha256()
        assert second != first
        assert "stays until the new one is finished" in capsys.readouterr().out
        file.write_text(OWN_FILE)
        sets = open_split(run, "train"), open_split(run, "val")
        trainer = Trainer(new_model(run, "my_net"), *sets, config.recipes["my_net"], run=run, model="my_net")
        trainer.fit()
        assert trainer.folder.name.startswith("edited-")
        assert run.read("model_card", "my_net")["sha256"] == second
    finally:
        del MODELS["my_net"]


@pytest.mark.slow
def test_the_stem_of_the_recipe_is_what_is_trained_and_found_again(run):
    recipe = run.config.recipes[MODEL].model_copy(update={"stem": "small"})
    with pytest.raises(InputError, match="built as a ResNet18, and the recipe asks for stem=small: change the recipe"):
        make(run, recipe=recipe)
    trainer = make(run, net=new_model(run, MODEL, recipe), recipe=recipe)
    trainer.fit()
    net, card = load_model(trainer.folder)
    assert card["design"]["architecture"] == "resnet18_small_stem"
    assert card["training"]["recipe_used"]["stem"] == "small"
    again = make(trainer.run, net=new_model(run, MODEL, recipe), recipe=recipe)
    again.fit()
    assert all(torch.equal(again.net.state_dict()[name], value) for name, value in net.state_dict().items())
    assert len(predict_splits(trainer.run, MODEL)) > 0
    assert len(measure_robustness(trainer.run, MODEL)) > 0


def test_a_model_trained_with_views_predicts_with_them_and_its_test_images_are_opened_once(run):
    run = Run.create(run.root.parent / "views", run.config.model_copy(update={"views": 10}))
    for name in ("manifest", "audit"):
        run.write(name, Run.open(run.root.parent / "run").read(name))
    train_model(run, MODEL)
    card = run.read("model_card", MODEL)
    assert card["views"]["used"] == 10
    first = predict_splits(run, MODEL)
    assert set(first["views"]) == {10}
    val = first[first["split"] == "val"]
    assert card["views"]["val_correct"]["10"] == (val["label"] == val["predicted"]).sum()
    opened = len(run.read("test_openings"))
    again = predict_splits(run, MODEL)
    assert len(run.read("test_openings")) == opened
    assert again["predicted"].tolist() == first["predicted"].tolist()
