"""What the trainings of a model left, read and checked: that they are of one run, and alike but for what they vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.ablation import ablation_folder, leave_out
from emotion_utils.config import RunConfig
from emotion_utils.errors import EmotionError
from emotion_utils.evaluation.metrics import classification_table, count_correct
from emotion_utils.printable import shell_word
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run

SAME_RATE = 1e-9
# How far the validation of the best epoch may be from the stored predictions: another device rounds differently.
VAL_SLACK, VAL_SLACK_IMAGES = 0.02, 2
# What the card of an ablation names as changed.
CHANGED = {
    "augmentation": "augment", "pretraining": "recipes.{model}.weights", "unfreezing": "recipes.{model}.phases"
}  # fmt: skip


def read_seeds(run: Run, models: list[str], manifest: pd.DataFrame, classes: tuple) -> dict[str, pd.DataFrame]:
    """For each model a row per training: `seed`, `accuracy` and `macro_f1` on test, `best_val`."""
    tables = {}
    for model in models:
        rows, first = [], run.read("model_card", model)
        for each in [run, *run.replicas()]:
            predictions, history = each.read("predictions", model), each.read("history", model)
            card = each.read("model_card", model)
            check_model(each, model, manifest, predictions, card, classes)
            check_history(each, model, history, predictions, card)
            if _trained_as(card) != _trained_as(first):
                raise EmotionError(
                    f"{each.model_dir(model)}: trained with another network, recipe or data than the first seed: "
                    f"run `emotion train {model} --run {shell_word(run.root)}`, which trains all seeds alike"
                )
            f1 = classification_table(split_rows(predictions, "test"), classes)["f1-score"]
            right, macro = f1.iloc[len(classes) : len(classes) + 2]  # by place: a class may be called accuracy
            rows.append((each.config.seed, right, macro, history["val_acc"].max()))
        tables[model] = pd.DataFrame(rows, columns=["seed", "accuracy", "macro_f1", "best_val"])
    return tables


def _trained_as(card: Mapping[str, Any]) -> dict[str, Any]:
    """All that trainings from several seeds share: of the network its design, as its weights follow from the seed."""
    training = card.get("training", {})
    return {"design": card["design"], **{name: training.get(name) for name in ("recipe_used", "data", "edits")}}


@dataclass(frozen=True)
class Ablation:
    """A model with and without a part of its training, from the same seeds.

    `correct` and `correct_without`, int (trainings, N): whether each training classified each test image correctly;
    `epochs`: of the first training with the part and without it; `is_same_network`: both have the same layers.
    """

    model: str
    part: str
    correct: np.ndarray
    correct_without: np.ndarray
    epochs: tuple[int, int]
    is_same_network: bool


def ablated_parts(run_config: RunConfig, model: str, card: Mapping[str, Any]) -> list[str]:
    """Of the parts that the settings leave out, those that the training of `model` has."""
    pretrained = card["provenance"]["kind"] != "random"
    return [
        part for part in run_config.ablate if leave_out(run_config, model, part, is_pretrained=pretrained) is not None
    ]


def read_ablations(run: Run, models: list[str], manifest: pd.DataFrame, classes: tuple) -> list[Ablation]:
    """Of all models, in the order of the settings. Raises EmotionError where one differs in more than its part."""
    found = []
    for model in models:
        card, with_it = run.read("model_card", model), [run, *run.replicas()]
        for part in ablated_parts(run.config, model, card):
            first = run.variant(ablation_folder(part))
            without = [first, *first.replicas()]
            for each in without:
                own = each.read("model_card", model)
                predictions, history = each.read("predictions", model), each.read("history", model)
                _check_without(each, model, part, own, card)
                check_model(each, model, manifest, predictions, own, classes)
                check_history(each, model, history, predictions, own)
            epochs = (len(run.read("history", model)), len(first.read("history", model)))
            is_same = first.read("model_card", model)["design"] == card["design"]
            found.append(Ablation(model, part, _correct(with_it, model), _correct(without, model), epochs, is_same))
    return found


def _correct(runs: list[Run], model: str) -> np.ndarray:
    tests = [split_rows(run.read("predictions", model), "test") for run in runs]
    return np.array([(test["label"] == test["predicted"]).to_numpy(int) for test in tests])


def _check_without(run: Run, model: str, part: str, card: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    """Raises EmotionError where more or other settings differ from those of the model than leaving `part` out takes."""
    ours, theirs = card.get("training", {}), whole.get("training", {})
    lines = set(ours.get("edits", [])) ^ set(theirs.get("edits", []))
    changed = {line.partition(":")[0] for line in lines}
    if changed != {CHANGED[part].format(model=model)} or ours.get("data") != theirs.get("data"):
        raise EmotionError(
            f"{run.model_dir(model)}: differs from the model in more than {part}: run `emotion train {model} --run "
            f"{shell_word(run.root)}`, which trains all of them alike"
        )


def split_rows(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    return predictions[predictions["split"] == split].sort_values("id", ignore_index=True)


def check_model(
    run: Run, model: str, manifest: pd.DataFrame, predictions: pd.DataFrame, card: Mapping[str, Any], classes: tuple
) -> None:
    """Raises EmotionError where predictions, manifest and model.json are not of one run."""
    path = run.path("predictions", model)
    if tuple(card["class_names"]) != classes:
        raise EmotionError(
            f"{run.model_dir(model) / 'model.json'}: classes {', '.join(card['class_names'])}, but the data have "
            f"{', '.join(classes)}: train {model} again"
        )
    columns = ["id", "split", "label"]
    held_out = manifest[(manifest["status"] == "kept") & manifest["split"].isin(["val", "test"])]
    expected = held_out[columns].sort_values("id", ignore_index=True)
    found = predictions[columns].sort_values("id", ignore_index=True)
    if len(found) != len(expected):
        raise EmotionError(
            f"{path}: {len(found)} images, but the manifest has {len(expected)} in val and test: train {model} again"
        )
    if not found.equals(expected.astype(found.dtypes)):
        row = int((found.to_numpy() != expected.to_numpy()).any(axis=1).argmax())
        raise EmotionError(
            f"{path}: image {found['id'][row]} is not in val or test with that label in the manifest: "
            f"train {model} again"
        )
    for split in ("val", "test"):
        if not (found["split"] == split).any():
            raise EmotionError(f"{path}: no {split} image, so nothing can be reported: prepare the data again")


def used_recipe(config: RunConfig, model: str, card: Mapping[str, Any]) -> Recipe:
    """The recipe of `config`, or the one that the model's card says was used."""
    used = card.get("training", {}).get("recipe_used")
    return Recipe.model_validate(used) if used else config.recipes[model]


def check_history(
    run: Run, model: str, history: pd.DataFrame, predictions: pd.DataFrame, card: Mapping[str, Any]
) -> None:
    """Raises EmotionError where the epochs are not those of the model that predicted."""
    path, epochs = run.path("history", model), used_recipe(run.config, model, card).epochs or run.config.epochs
    if not 1 <= len(history) <= epochs:
        raise EmotionError(f"{path}: {len(history)} epochs, but the run has {epochs}: train {model} again")
    for part in ("train", "val"):
        columns = [f"{part}_acc", f"{part}_correct", f"{part}_count"]
        if set(columns) <= set(history.columns):
            rate, correct, count = (history[column] for column in columns)
            wrong = (rate - correct / count).abs() > SAME_RATE
            if wrong.any():
                raise EmotionError(
                    f"{path}, row {int(wrong.idxmax()) + 2}: {columns[0]} is not {columns[1]} of {columns[2]}"
                )
    val = predictions[predictions["split"] == "val"]
    best, found = history["val_acc"].max(), count_correct(val) / len(val)
    alone, together = view_accuracies(card) or (found, found)
    if max(abs(best - alone), abs(together - found)) > max(VAL_SLACK, VAL_SLACK_IMAGES / len(val)):
        raise EmotionError(
            f"{path}: the best val_acc is {best:.4f}, but predictions.csv beside it has {found:.4f} right in val; they "
            f"are not of one training: train {model} again"
        )


def view_accuracies(card: Mapping[str, Any]) -> tuple[float, float] | None:
    """Validation accuracy with one view of each image, and with those that the model answers with; None if with one."""
    views = card.get("views")
    return views and tuple(views["val_correct"][count] / views["val_count"] for count in ("1", str(views["used"])))
