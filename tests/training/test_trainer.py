"""What the cells show is what is trained: edits are trained, told, and kept apart; what is finished is loaded."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from prepared_run import MODEL, folders, make
from tiny_training import make_trainer, same_bits
from torch import nn

from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_splits
from emotion_utils.evaluation.robustness import measure_robustness
from emotion_utils.models.card import load_model
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split
from emotion_utils.training import trainer as module
from emotion_utils.training.trainer import new_model, train_model


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "edit", ["recipe", "data", *(pytest.param(edit, marks=pytest.mark.slow) for edit in ("weights", "settings"))]
)
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_stored_robustness_is_read_only_if_it_is_this_models_and_whole(run):
    make(run).fit()
    made = measure_robustness(run, MODEL)
    assert measure_robustness(run, MODEL).equals(made)
    assert len(run.read("test_openings")) == 1
    for damaged in (made.assign(weights_sha256="0" * 12), made.drop(columns="weights_sha256"), made.iloc[:-1]):
        run.write("robustness", damaged, MODEL)
        assert measure_robustness(run, MODEL).equals(made)
    assert len(run.read("test_openings")) == 4
