"""Distillation: an image's target comes from models that have not learned it; else it is refused, or told."""

import numpy as np
import pandas as pd
import pytest
import torch
from prepared_run import prepare

from emotion_utils.config import change_config, resolve_config
from emotion_utils.devices import CPU
from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_split, predict_splits
from emotion_utils.models.card import load_model
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split
from emotion_utils.training.folds import divide_run
from emotion_utils.training.teacher import add_teachers, answer, find_learned, mix_targets
from emotion_utils.training.trainer import train_model

MODEL = "tiny_emotion"
SETTINGS = (f"models=[{MODEL}]", "synthetic_images=60", "epochs=1", "max_steps_per_epoch=2", "min_images_per_class=3")
FOLDS = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A prepared run, with a teacher for each fold of its training images."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("teachers")
        patch.setenv("EMOTION_CACHE_DIR", str(folder / "cache"))
        run = prepare(folder / "run", [*SETTINGS, "views=2"])
        for each in divide_run(run, MODEL, FOLDS):
            train_model(each, MODEL)
            predict_splits(each, MODEL)
        yield run


@pytest.fixture(autouse=True)
def cache(run, monkeypatch):
    monkeypatch.setenv("EMOTION_CACHE_DIR", str(run.root.with_name("cache")))


def fold_runs(run):
    return [Run.open(run.root.with_name("run-folds") / f"fold-{fold + 1}") for fold in range(FOLDS)]


def teachers(run):
    return [str(each.model_dir(MODEL)) for each in fold_runs(run)]


def recipe_of(run, **changes):
    return change_config(run.config, recipes={MODEL: changes}).recipes[MODEL]


def distil(run, **changes):
    recipe = recipe_of(run, **changes)
    return add_teachers(open_split(run, "train"), recipe, run, MODEL, CPU)


def test_every_training_image_is_outside_of_one_teachers_training(run):
    manifest = run.read("manifest").set_index("id")
    folds = [each.read("manifest").set_index("id") for each in fold_runs(run)]
    train = manifest.index[manifest["split"] == "train"]
    left_out = [set(fold.index[fold["split"] == "test"]) for fold in folds]
    assert set.union(*left_out) == set(train)
    assert sum(map(len, left_out)) == len(train)
    for fold, outside in zip(folds, left_out, strict=True):
        assert set(fold.index[fold["split"] == "train"]) == set(train) - outside
        assert (fold["split"] == "val").equals(manifest["split"] == "val")
        assert (fold.loc[manifest["split"] == "test", "split"] == "").all()
        persons = fold[fold["group"] != ""].groupby("group")["split"].agg(set)
        assert not [splits for splits in persons if {"train", "test"} <= splits]


def test_targets_are_half_the_label_and_half_what_the_one_teacher_says_that_did_not_learn_it(run):
    taught, facts = distil(run, teacher=teachers(run))
    names = list(taught.class_names)
    told = pd.concat([each.read("predictions", MODEL) for each in fold_runs(run)])
    probs = told[told["split"] == "test"].set_index("id").loc[taught.ids, names].to_numpy()
    assert set(told["views"]) == {2}
    expected = (np.eye(len(names))[taught.labels] + probs) / 2
    assert taught.targets.numpy() == pytest.approx(expected, abs=1e-5)
    assert (facts["seen"], facts["images"], facts["test_seen"]) == (0, len(taught), 0)
    assert sum(each["images"] for each in facts["models"]) == len(taught)


def test_images_that_every_teacher_learned_are_refused_or_allowed_and_counted(run):
    one = teachers(run)[:1]
    learned = (fold_runs(run)[0].read("manifest")["split"] == "train").sum()
    with pytest.raises(InputError, match=rf"{learned} of the .* learned by every teacher.*teacher_seen=allow"):
        distil(run, teacher=one)
    _, facts = distil(run, teacher=one, teacher_seen="allow")
    assert facts["seen"] == learned
    assert facts["models"][0]["images"] == facts["images"]


def test_model_json_says_who_taught_and_other_teachers_are_another_training(run, tmp_path):
    config = change_config(
        run.config, recipes={MODEL: {"teacher": teachers(run), "teacher_weight": 0.75, "mixup": 0.2}}
    )
    student = Run.create(tmp_path / "student", config)
    for name in ("manifest", "audit"):
        student.write(name, run.read(name))
    train_model(student, MODEL)
    facts = student.read("model_card", MODEL)["training"]
    assert [each["folder"] for each in facts["teacher"]["models"]] == teachers(run)
    assert facts["teacher"]["weight"] == facts["recipe_used"]["teacher_weight"] == 0.75
    plain = run.variant("plain")
    train_model(plain, MODEL)
    assert plain.read("model_card", MODEL)["training"]["recipe"] != facts["recipe"]
    assert set(find_learned(student.model_dir(MODEL)).splits) >= set(open_split(run, "train").ids)


def test_what_a_teacher_started_from_has_taught_it_too(run, tmp_path):
    first, second = fold_runs(run)
    config = change_config(second.config, recipes={MODEL: {"weights": teachers(run)[0]}})
    later = Run.create(tmp_path / "later", config)
    for name in ("manifest", "audit"):
        later.write(name, second.read(name))
    train_model(later, MODEL)
    assert set(find_learned(later.model_dir(MODEL)).splits) >= {*open_split(first, "train").ids}


def test_teacher_is_given_images_of_its_own_size(run, tmp_path):
    large = prepare(tmp_path / "large", [*SETTINGS, "image_size_px=48"])
    train_model(large, MODEL)
    net, card = load_model(large.model_dir(MODEL))
    train_set = open_split(run, "train")
    found = answer(net, card, train_set.take(20), run, large.model_dir(MODEL)).numpy()
    expected = predict_split(large, net, "train").set_index("id").loc[train_set.ids[:20], list(train_set.class_names)]
    assert found == pytest.approx(expected.to_numpy(), abs=1e-5)


def test_temperature_is_a_root_of_the_probabilities_and_votes_keep_their_share(run):
    train_set = open_split(run, "train").take(1)
    probs = torch.tensor([[0.64, 0.32, 0.04]], dtype=torch.float64)
    votes = train_set.labels.new_tensor([[0, 1, 0]]).float()
    given = type(train_set)(
        train_set.images, train_set.rows, train_set.labels, train_set.ids, train_set.class_names, votes
    )
    roots = probs.sqrt() / probs.sqrt().sum()
    expected = (0.7 * votes + 0.3 * roots).float()
    assert torch.allclose(mix_targets(given, probs, weight=0.3, temperature=2.0), expected)


def test_folder_without_a_model_and_class_that_a_teacher_does_not_know_are_one_line(run, tmp_path):
    with pytest.raises(InputError, match="not the folder of a trained model"):
        distil(run, teacher=str(tmp_path))
    net, card = load_model(teachers(run)[0])
    card = card | {"class_names": ["angry", "happy", "bored"]}
    with pytest.raises(InputError, match="cannot teach sad: it knows angry, happy, bored"):
        answer(net, card, open_split(run, "train"), run, tmp_path)


@pytest.mark.parametrize("value", ["3", "[/a, 3]", "[/a, /a]"])
def test_teachers_that_are_no_folders_are_one_line(value):
    with pytest.raises(InputError, match=r"recipes.tiny_emotion.teacher: .*folder"):
        resolve_config("smoke", [*SETTINGS, f"recipes.tiny_emotion.teacher={value}"])
