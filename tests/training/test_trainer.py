"""What the cells show is what is trained: edits are trained, told, and kept apart; what is finished is loaded."""

import copy
import json
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from own_processes import run_process
from tiny_training import make_trainer, same_bits
from torch import nn

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.evaluation.predict import predict_splits
from emotion_utils.evaluation.robustness import measure_robustness
from emotion_utils.model_table import MODELS
from emotion_utils.models.card import load_model
from emotion_utils.report.model_notebook import train_ablations, train_further_seeds
from emotion_utils.run import Run
from emotion_utils.sources.source import source_of
from emotion_utils.stages import Inputs, forget, stages_of
from emotion_utils.store.batches import open_split, prepare_images
from emotion_utils.training import one_process
from emotion_utils.training import trainer as module
from emotion_utils.training.model_folder import hold_model
from emotion_utils.training.trainer import Trainer, new_model, train_model

MODEL = "r18_scratch_emotion"


@pytest.fixture
def run(tmp_path):
    """A prepared run of 36 synthetic faces of 32 px; its scratch model trains for one epoch of two steps."""
    settings = ["models=[r18_scratch_emotion]", "synthetic_images=36", "epochs=1", "max_steps_per_epoch=2"]
    run = Run.create(tmp_path / "run", resolve_config("smoke", [*settings, "min_images_per_class=3"]))
    source = source_of(run.config)
    manifest, audit = audit_images(source)
    manifest, division = divide_images(manifest, run.config)
    run.write("manifest", manifest)
    run.write("audit", audit | division)
    prepare_images(run, source, manifest)
    return run


def make(run, *, net=None, recipe=None, train_set=None, retrain=False):
    """A Trainer of what the settings say, but for what is given."""
    return Trainer(
        net or new_model(run, MODEL), train_set or open_split(run, "train"), open_split(run, "val"),
        recipe or run.config.recipes[MODEL], run=run, model=MODEL, retrain=retrain,
    )  # fmt: skip


def folders(run):
    return sorted(path.name for path in (run.root / "models" / MODEL).iterdir() if path.is_dir())


def test_unedited_training_is_the_commands_and_lies_in_the_models_folder(run, tmp_path):
    trainer = make(run)
    history = trainer.fit()
    card = run.read("model_card", MODEL)
    assert card["training"]["edits"] == []
    assert same_bits(load_model(run.model_dir(MODEL))[0].state_dict(), trainer.net.state_dict())
    assert folders(run) == []
    again = Run(tmp_path / "again", run.config)
    again.write("facts", run.facts)
    again.write("manifest", run.read("manifest"))
    again.write("audit", run.read("audit"))
    assert train_model(again, MODEL)["val_loss"].tolist() == history["val_loss"].tolist()
    assert again.read("model_card", MODEL)["sha256"] == card["sha256"]


def test_finished_model_is_loaded_and_nothing_is_written(run, capsys):
    make(run).fit()
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    capsys.readouterr()
    trainer = make(run)
    history = trainer.fit()
    assert "loaded" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before
    assert history.equals(run.read("history", MODEL))
    assert same_bits(load_model(run.model_dir(MODEL))[0].state_dict(), trainer.net.state_dict())


def test_another_head_is_trained_beside_the_model_and_comes_back_from_its_folder(run, capsys):
    make(run).fit()
    before = run.read("model_card", MODEL)["sha256"]
    net = new_model(run, MODEL)
    net.network.fc = nn.Sequential(nn.Linear(512, 8), nn.GELU(), nn.Linear(8, 3))
    trainer = make(run, net=net)
    trainer.fit()
    assert "fc edited" in capsys.readouterr().out
    (folder,) = folders(run)
    assert folder.startswith("edited-")
    assert run.read("model_card", MODEL)["sha256"] == before
    loaded, card = load_model(trainer.folder)
    assert card["training"]["edits"] == ["network: fc edited in the notebook"]
    assert isinstance(loaded.network.fc[1], nn.GELU)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.eval()(images), trainer.net.eval()(images))


@pytest.mark.parametrize("edit", ["recipe", "weights", "data", "settings"])
def test_every_edit_is_trained_and_named(run, edit):
    net, recipe, train_set = new_model(run, MODEL), run.config.recipes[MODEL], open_split(run, "train")
    if edit == "recipe":
        recipe, expected = (
            recipe.model_copy(update={"lr": 0.5}),
            "recipes.r18_scratch_emotion.lr: 0.5 in place of 0.001",
        )
    elif edit == "weights":
        for parameter in net.parameters():
            parameter.data.zero_()
        expected = "network: its weights edited in the notebook"
    elif edit == "data":
        train_set = replace(train_set, rows=train_set.rows[:10], labels=train_set.labels[:10], ids=train_set.ids[:10])
        expected = f"data: 10 training and {len(open_split(run, 'val'))} validation images, edited"
    else:
        run = Run(run.root, run.config.model_copy(update={"batch_size": 8}))
        expected = "batch_size: 8 in place of 16"
    trainer = make(run, net=net, recipe=recipe, train_set=train_set)
    history = trainer.fit()
    assert run.read("model_card", MODEL)["training"]["edits"] == [expected]
    if edit == "recipe":
        assert history["lr"].max() > 0.1
    if edit == "weights":  # without weights there is no gradient but that of the last bias
        assert trainer.net.network.conv1.weight.abs().max() == 0


def test_retrain_replaces_the_model_and_what_was_said_of_it(run):
    make(run).fit()
    (run.model_dir(MODEL) / "predictions.csv").write_text("of the old one")
    recipe = run.config.recipes[MODEL].model_copy(update={"lr": 0.01})
    make(run, recipe=recipe, retrain=True).fit()
    assert folders(run) == []
    assert not (run.model_dir(MODEL) / "predictions.csv").exists()
    assert run.read("model_card", MODEL)["training"]["recipe_used"]["lr"] == 0.01


def test_model_without_a_record_is_neither_loaded_nor_replaced(run):
    make(run).fit()
    card = run.read("model_card", MODEL)
    del card["training"]
    run.model_dir(MODEL).joinpath("model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="earlier version"):
        make(run).fit()


class OwnBlock(nn.Module):
    def forward(self, features):
        return features


def test_layer_that_no_folder_can_hold_is_refused_before_training(run):
    net = new_model(run, MODEL)
    net.network.relu = OwnBlock()
    with pytest.raises(InputError, match=r"relu \(OwnBlock\) was edited in a way .* \(docs/own_network.md\)"):
        make(run, net=net)
    net = new_model(run, MODEL)
    net.network.forward = lambda images: images.mean((1, 2, 3))
    with pytest.raises(InputError, match="own_network"):
        make(run, net=net)


def test_network_of_other_classes_is_refused_before_training(run):
    net = new_model(run, MODEL)
    net.network.fc = nn.Linear(512, 7)
    with pytest.raises(InputError, match=r"shape \(2, 7\) for 2 images; \(2, 3\) are needed"):
        make(run, net=net)


def test_interrupted_training_of_another_recipe_is_not_gone_on_with(run):
    before = make(run)
    other = make(run, recipe=run.config.recipes[MODEL].model_copy(update={"lr": 0.02}))
    assert before.fingerprint.recipe != other.fingerprint.recipe
    assert before.fingerprint.network == other.fingerprint.network


def test_fingerprint_sees_weights_layers_code_and_pixels(run):
    net = new_model(run, MODEL)
    original = module.network_sha256(net)
    assert module.network_sha256(copy.deepcopy(net)) == original
    net.network.layer4[0].relu = nn.ReLU()
    assert module.network_sha256(net) != original  # it was in place before
    train, val = open_split(run, "train"), open_split(run, "val")
    inverted = replace(train, images=255 - train.images[:])
    assert module.data_sha256(train, val) != module.data_sha256(inverted, val)


def test_the_first_step_that_notebooks_compare_takes_images_of_the_full_size(run):
    growing = run.recipe(MODEL, progressive_resizing=[{"epoch": 1, "size_px": 16}, {"epoch": 2, "size_px": 32}])
    batch = open_split(run, "train").batch(np.arange(6))
    plain, grown = (make(run, recipe=recipe).first_step(batch).state for recipe in (run.recipe(MODEL), growing))
    assert same_bits(plain, grown)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_that_are_no_class_are_refused_before_the_training(run, label):
    train_set = open_split(run, "train")
    with pytest.raises(InputError, match=r"labels of .*: the classes are 0 to 2"):
        make(run, train_set=replace(train_set, labels=torch.full((len(train_set),), label)))


def test_vggface_with_its_own_head_cannot_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ensure_proxies", lambda *args, **kwargs: None)
    monkeypatch.setattr(module, "network_sha256", lambda net: "")
    net = SimpleNamespace(design={"full_head": True})
    monkeypatch.setattr(module, "build_model", lambda *args, **kwargs: net)
    monkeypatch.setattr(Run, "class_names", lambda run: ("happy", "sad"))
    monkeypatch.setattr(Run, "taught_classes", lambda run: ("happy", "sad"))
    growing = [{"epoch": 1, "size_px": 16}, {"epoch": 2, "size_px": 32}]
    assert new_model(make_trainer(tmp_path).run, "r18_pre_emotion") is net
    with pytest.raises(InputError, match="progressive_resizing"):
        new_model(make_trainer(tmp_path, size_px=32, progressive_resizing=growing).run, "r18_pre_emotion")


def test_the_command_loads_what_the_settings_say_and_replaces_anything_else(run):
    recipe = run.config.recipes[MODEL].model_copy(update={"lr": 0.01})
    make(run, recipe=recipe).fit()
    train_model(run, MODEL)
    card = run.read("model_card", MODEL)
    assert card["training"]["edits"] == []
    before = (run.model_dir(MODEL) / "history.csv").read_bytes()
    train_model(run, MODEL)
    assert (run.model_dir(MODEL) / "history.csv").read_bytes() == before
    assert folders(run) == []


def test_recipe_decides_how_the_network_is_built(run):
    recipe = run.recipe(MODEL, dropout=0.5)
    assert new_model(run, MODEL, recipe).design["dropout"] == 0.5
    with pytest.raises(InputError, match=r"built with dropout 0\.0, and the recipe says 0\.5"):
        make(run, recipe=recipe)


def hook(net):
    net.network.layer4.register_forward_hook(lambda module, inputs, outputs: -outputs)


def buffer(net):
    net.mean.fill_(5.0)


def hidden_argument(net):
    net.network.maxpool = nn.AvgPool2d(3, 2, 1, count_include_pad=False)


def shared_layer(net):
    net.network.layer1[1] = net.network.layer1[0]


def frozen_layer(net):
    net.network.layer1.requires_grad_(False)


@pytest.mark.parametrize("edit", [hook, buffer, hidden_argument, shared_layer, frozen_layer])
def test_what_a_folder_would_hold_otherwise_is_refused(run, edit):
    net = new_model(run, MODEL)
    nn.init.normal_(net.network.fc[1].weight, generator=torch.Generator().manual_seed(0))
    edit(net)
    with pytest.raises(InputError, match=r"computes other than|stands in two places|frozen by hand"):
        make(run, net=net)


def test_edit_between_the_trainer_and_fit_is_trained_and_named(run):
    trainer = make(run)
    before = trainer.fingerprint
    with torch.no_grad():
        trainer.net.network.fc[1].weight.mul_(0.5)
    trainer.fit()
    assert trainer.fingerprint.network != before.network
    assert run.read("model_card", MODEL)["training"]["edits"] == ["network: its weights edited in the notebook"]


def test_stored_predictions_are_read_only_if_they_are_this_models(run):
    make(run).fit()
    made = predict_splits(run, MODEL)
    assert predict_splits(run, MODEL).equals(made)
    assert len(run.read("test_openings")) == 1
    path = run.model_dir(MODEL) / "predictions.csv"
    for damaged in (made.iloc[:3], made.assign(angry=made["sad"], sad=made["angry"]), made.iloc[:-1]):
        damaged.to_csv(path, index=False)
        assert predict_splits(run, MODEL).equals(made)
    assert len(run.read("test_openings")) == 4


def test_fixed_number_of_threads_is_used_and_recorded(run):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run.config = run.config.model_copy(update={"threads": 1})
        make(run).fit()
        assert [event["threads"] for event in run.read("events", MODEL) if event["kind"] == "started"] == [1]
    finally:
        torch.set_num_threads(before)


def test_look_at_the_test_images_that_was_killed_and_begun_again_is_one(run, monkeypatch):
    make(run).fit()
    with monkeypatch.context() as killed:
        killed.setattr(Run, "write", lambda *arguments: raise_(KeyboardInterrupt))
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                predict_splits(run, MODEL)
    predict_splits(run, MODEL)
    assert len(run.read("test_openings")) == 1


def raise_(error):
    raise error


def test_stored_robustness_is_read_only_if_it_is_this_models_and_whole(run):
    make(run).fit()
    made = measure_robustness(run, MODEL)
    assert measure_robustness(run, MODEL).equals(made)
    assert len(run.read("test_openings")) == 1
    for damaged in (made.assign(weights_sha256="0" * 12), made.drop(columns="weights_sha256"), made.iloc[:-1]):
        run.write("robustness", damaged, MODEL)
        assert measure_robustness(run, MODEL).equals(made)
    assert len(run.read("test_openings")) == 4


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


def test_second_training_of_a_model_is_refused_and_changes_nothing(run):
    with hold_model(run.model_dir(MODEL)):
        before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
        with pytest.raises(EmotionError, match=rf"another process is working on .*process {os.getpid()} on") as refused:
            make(run).fit()
        assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before
    assert "\n" not in str(refused.value)
    make(run).fit()


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
