"""What the model notebooks show alike: how a training went, and its results on the test images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from emotion_utils.ablation import ablated_runs
from emotion_utils.errors import InputError
from emotion_utils.evaluation.metrics import classification_table, confusion
from emotion_utils.evaluation.predict import predict_splits
from emotion_utils.figures.corruptions import name_condition, sum_classes
from emotion_utils.figures.results import plot_curves, plot_matrix
from emotion_utils.figures.style import figure_svg
from emotion_utils.models.network import EmotionNet
from emotion_utils.progress import Progress
from emotion_utils.recipe import Recipe
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.model_tables import show_classification, show_events, show_history, show_phases, show_search
from emotion_utils.report.tables import frame_of, table_html
from emotion_utils.run import Run
from emotion_utils.training.schedule import phase_table
from emotion_utils.training.trainer import Trainer, new_model


def _as_text(value: Any) -> str:
    """A setting as it is written; of a list of steps, what holds from which epoch on."""
    if isinstance(value, list):
        steps = [f"from epoch {step['epoch']}: {step.get('train_from') or step.get('size_px')}" for step in value]
        return ", ".join(steps) or "none"
    return "null" if value is None else str(value)


def show_recipe(recipe: Recipe) -> Shown:
    """Every setting of a recipe, its value, and what it means."""
    meanings = {name: field.description or "" for name, field in type(recipe).model_fields.items()}
    values = recipe.model_dump(mode="json")
    rows = [(name, _as_text(value), meanings[name].replace("`", "")) for name, value in values.items()]
    return Shown(table_html(frame_of(rows, ["Setting", "Value", "Meaning"]), css="long"))


def tabulate_phases(net: EmotionNet, recipe: Recipe, epochs: int) -> pd.DataFrame:
    """A column per phase: its epochs, trainable and frozen parameters, and the full learning rate of each group."""
    table = phase_table(net.depth_groups, recipe, epochs).set_index("phase")
    first, last = table["first_epoch"].astype(str), table["last_epoch"].astype(str)
    spans = first.where(first == last, first + " to " + last)
    counts = table[["trainable_parameters", "frozen_parameters"]].map("{:,}".format)
    rates = table.filter(like="lr_").map(lambda rate: f"{rate:.3g}" if rate else "frozen")
    shown = pd.concat([spans.rename("epochs"), counts, rates], axis=1).T
    return shown.rename(index=lambda name: name.replace("_parameters", " parameters").replace("lr_", "learning rate, "))


def show_training(trainer: Trainer) -> Shown:
    """The history, its curves, the time of each phase, the events, and the last search if there was one."""
    run, model, history = trainer.run, trainer.model, trainer.history
    phases = phase_table(trainer.net.depth_groups, trainer.recipe, len(history), history)
    curves = figure_svg(plot_curves({model: history}, {model: model}), "curves", "Loss and accuracy after each epoch")
    way = show_history(history) + Shown(curves) + show_phases(phases)
    return way + show_events(run.read("events", model)) + show_search(run.read_search(model))


def show_test_results(trainer: Trainer, predictions: pd.DataFrame) -> Shown:
    """The classification report and the confusion matrix of the test images."""
    test, classes = predictions[predictions["split"] == "test"], trainer.run.class_names()
    weights = Shown(f"<p>Weights: {trainer.net.provenance['sentence']}.</p>")
    matrix = Shown(figure_svg(plot_matrix(confusion(test, classes), trainer.model), "confusion", "Confusion matrix"))
    return weights + show_classification(classification_table(test, classes)) + matrix


def summarise_robustness(table: pd.DataFrame) -> Shown:
    """Test images, correct predictions and accuracy (0-1) of each kind and severity of corruption."""
    sums = sum_classes(table, ["kind", "amount"])
    rows = [
        (*name_condition(*condition), count, correct, correct / count)
        for condition, count, correct in sums.itertuples(name=None)
    ]
    frame = frame_of(rows, ["Corruption", "Severity", "Images", "Correct", "Accuracy"])
    return Shown(table_html(frame, groups=frame["Corruption"], merge=("Corruption",)))


def train_further_seeds(trainer: Trainer, bar: Callable[..., Progress | None]) -> None:
    """Trains and predicts with the recipe of `trainer` from each further seed of the run, in folders of their own.

    Raises InputError where the network was edited by hand: what it was built from says nothing of another seed.
    """
    _train_likewise(trainer, _with_recipe(trainer).replicas(), "has no other seed", bar)


def train_ablations(trainer: Trainer, bar: Callable[..., Progress | None]) -> None:
    """Trains and predicts, from each seed, without each part that the setting `ablate` names, in folders of their own.

    Raises InputError where the network was edited by hand: what it was built from may differ in more than one part.
    """
    runs = [each for first in ablated_runs(_with_recipe(trainer), trainer.model) for each in (first, *first.replicas())]
    _train_likewise(trainer, runs, "cannot be built again for an ablation", bar)


def _with_recipe(trainer: Trainer) -> Run:
    """The run of `trainer` with its recipe in the settings; a notebook may have changed it."""
    run = trainer.run
    recipes = run.config.recipes | {trainer.model: trainer.recipe}
    return Run(run.root, run.config.model_copy(update={"recipes": recipes}), run.model_folder)


def _train_likewise(trainer: Trainer, runs: list[Run], refusal: str, bar: Callable[..., Progress | None]) -> None:
    if runs and trainer.is_edited:
        raise InputError(
            f"the network was edited in this notebook, so that it {refusal}: leave this cell out, or write the network "
            "as a file (docs/own_network.md)"
        )
    for run in runs:
        recipe = run.config.recipes[trainer.model]
        other = Trainer(
            new_model(run, trainer.model, recipe), trainer.train_set, trainer.val_set, recipe, run=run,
            model=trainer.model, retrain=trainer.retrain,
        )  # fmt: skip
        other.fit(bar(f"{run.title(trainer.model)}, seed {run.config.seed}", unit="step"))
        predict_splits(other.run, trainer.model)
