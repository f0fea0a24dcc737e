"""Classes that only teach, and votes as targets, from folders of files to a trained model."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from face_files import encode, make_image, write_folder

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.auxiliary import separate
from emotion_utils.audit.splits import divide_images
from emotion_utils.audit.training_images import find_training_images
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_splits
from emotion_utils.models.card import load_model
from emotion_utils.run import Run
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.source import source_of
from emotion_utils.store.batches import open_split, prepare_images
from emotion_utils.training.distributed import ALONE
from emotion_utils.training.epochs import EpochLoop
from emotion_utils.training.fingerprint import data_sha256
from emotion_utils.training.trainer import Trainer, new_model

MODEL = "r18_scratch_emotion"
TAUGHT = ("happy", "angry", "fear", "surprise")


def prepare(tmp_path, *settings, name="run", copies=()):
    files = {f"{name}/{number:02d}.png": encode(make_image(100 * place + number, 36))
             for place, name in enumerate(TAUGHT) for number in range(12)}  # fmt: skip
    for path in copies:  # the pixels of another file
        files[f"{path[:-4]}_copy.bmp"] = encode(decode_rgb(files[path]), "BMP")
    data = write_folder(tmp_path / "data", files)
    settings = [
        "models=[r18_scratch_emotion]",
        "epochs=1",
        "max_steps_per_epoch=2",
        "auxiliary_classes=true",
        *settings,
    ]
    config = resolve_config("smoke", settings, data=str(data), classes=("happy", "angry"))
    run = Run.create(tmp_path / name, config)
    source = source_of(config)
    manifest, audit = audit_images(source)
    images, division = divide_images(manifest, config, source.auxiliary)
    manifest, auxiliary = separate(images, source.auxiliary)
    run.write("manifest", manifest)
    run.write("auxiliary", auxiliary)
    run.write("audit", audit | division)
    prepare_images(run, source, manifest)
    return run


def train(run, train_set=None):
    trainer = Trainer(
        new_model(run, MODEL), train_set or open_split(run, "train"), open_split(run, "val"),
        run.config.recipes[MODEL], run=run, model=MODEL,
    )  # fmt: skip
    trainer.fit()
    return trainer


@pytest.mark.parametrize("store", ["local", "shards"])
def test_all_classes_teach_and_the_asked_ones_are_answered(tmp_path, store):
    run = prepare(tmp_path, f"store={store}")
    train_set, val_set = open_split(run, "train"), open_split(run, "val")
    assert train_set.class_names == TAUGHT
    assert val_set.class_names == TAUGHT[:2]
    assert torch.bincount(train_set.labels)[2:].tolist() == [12, 12]
    net = train(run).net
    images = torch.rand(3, 3, 32, 32)
    shapes = [net.train()(images).shape, net.eval()(images).shape, net.eval().all_logits(images).shape]
    assert shapes == [(3, 4), (3, 2), (3, 4)]
    loaded, card = load_model(run.model_dir(MODEL))
    assert (card["class_names"], card["auxiliary_classes"]) == (list(TAUGHT[:2]), list(TAUGHT[2:]))
    with torch.no_grad():
        asked = loaded(images).softmax(1)
        taught = loaded.all_logits(images).softmax(1)[:, :2]
    torch.testing.assert_close(asked, taught / taught.sum(1, keepdim=True))
    predictions = predict_splits(run, MODEL)
    assert set(predictions["predicted"]) <= {"happy", "angry"}
    assert {"fear", "surprise"}.isdisjoint(predictions.columns)
    seen = find_training_images(run.model_dir(MODEL)).splits
    assert set(run.read("auxiliary")["id"]) <= {name for name, split in seen.items() if split == "train"}


@pytest.mark.parametrize("balance", ["none", "sampler", "class_weights"])
def test_auxiliary_classes_teach_in_their_share_of_the_epochs(tmp_path, balance):
    run = prepare(tmp_path, "epochs=4", "batch_size=8", f"balance={balance}", "max_steps_per_epoch=null")
    train_set, recipe = open_split(run, "train"), run.config.recipes[MODEL].model_copy()
    recipe.auxiliary_until = 0.5
    loop = EpochLoop(new_model(run, MODEL), train_set, open_split(run, "val"), recipe, run, MODEL, ALONE)
    for loop.epoch in range(1, 5):
        seen = torch.bincount(torch.cat([batch.labels for batch in loop._batches()]), minlength=4)
        assert seen.sum() == len(train_set)
        assert bool(seen[2:].all()) == (loop.epoch <= 2)
        assert seen[2:].any() == (loop.epoch <= 2)
        if balance == "sampler" and loop.epoch > 2:
            assert abs(seen[0] - seen[1]) <= 1


def test_copies_of_what_taught_were_seen_too(tmp_path):
    run = prepare(tmp_path, copies=("angry/03.png", "fear/03.png"))  # in the same row of both tables
    images = pd.concat([run.read("manifest"), run.read("auxiliary")]).set_index("path")
    seen = find_training_images(run.model_dir(MODEL)).splits
    for path in ("angry/03", "fear/03"):
        assert images["reason"][f"{path}_copy.bmp"].startswith("same pixels")
        assert seen[images["id"][f"{path}_copy.bmp"]] == seen[images["id"][f"{path}.png"]]


def test_a_network_for_the_asked_classes_alone_is_refused(tmp_path):
    run = prepare(tmp_path)
    net = new_model(run, MODEL)
    net.network.fc = torch.nn.Linear(512, 2)
    with pytest.raises(InputError, match=r"\(2, 4\) are needed, a logit for each of happy, angry, fear, surprise"):
        Trainer(net, open_split(run, "train"), open_split(run, "val"), run.config.recipes[MODEL], run=run, model=MODEL)


@pytest.mark.slow
def test_targets_decide_the_loss_and_are_part_of_the_fingerprint(tmp_path):
    run = prepare(tmp_path)
    train_set, val_set = open_split(run, "train"), open_split(run, "val")
    targets = torch.eye(4)[train_set.labels]
    same, mixed = replace(train_set, targets=targets), replace(train_set, targets=(targets + 0.25) / 2)
    assert len({data_sha256(data, val_set) for data in (train_set, same, mixed)}) == 3
    batch = mixed.batch(np.array([3, 0, 7]))
    assert torch.equal(batch.targets, mixed.targets[[3, 0, 7]])
    assert mixed.take(5).targets.shape == (5, 4)
    weights = {}
    for name, data in (("labels", train_set), ("same", same), ("mixed", mixed)):
        variant = run.variant(f"edited-{name}")
        weights[name] = train(variant, data).net.network.fc[-1].weight.detach()
    torch.testing.assert_close(weights["labels"], weights["same"])
    assert not torch.allclose(weights["labels"], weights["mixed"])
    assert json.loads((run.root / "data/audit.json").read_text())["auxiliary"]["classes"] == {
        "fear": 12,
        "surprise": 12,
    }


@pytest.mark.parametrize(("seed", "are_seen"), [pytest.param(0, False, marks=pytest.mark.slow), (1, True)])
def test_a_start_from_an_earlier_run_tells_which_test_images_it_has_seen(tmp_path, seed, are_seen):
    first = prepare(tmp_path)
    train(first)
    model = "r18_pre_emotion"
    settings = (f"recipes.{model}.weights={first.model_dir(MODEL)}", f"models=[{model}]", f"seed={seed}")
    second = prepare(tmp_path, *settings, name="second")  # another seed: another split of the same images
    Trainer(
        new_model(second, model), open_split(second, "train"), open_split(second, "val"),
        second.config.recipes[model], run=second, model=model,
    ).fit()  # fmt: skip
    start = second.read("model_card", model)["training"]["start"]
    before, now = (each.read("manifest").set_index("split")["id"] for each in (first, second))
    seen = set(now["test"]) & {*before["train"], *before["val"]}
    assert start["test_seen"] == len(seen)
    assert bool(seen) == are_seen
    assert start["test_images"] == len(now["test"])
    assert (start["run"], start["unknown"]) == ("run", "")
    assert start["images"] == len(before["train"]) + len(before["val"]) + 24  # those that only teach
