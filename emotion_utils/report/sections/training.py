"""Training and validation accuracy: the table of epochs, the curves, and what they show of each model. No torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from emotion_utils.evaluation.statistics import wilson_interval
from emotion_utils.figures.results import CURVES, plot_curves, read_places
from emotion_utils.figures.style import figure_svg
from emotion_utils.history import best_epoch
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.exhibits import Shown, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.metrics import is_most_frequent, majority
from emotion_utils.report.tables import Best

NEAR = 0.01  # of accuracy: this close to the best epoch counts as having arrived
NO_LOSS = 1e-9  # a loss below is zero but for rounding, and nothing is so many times larger
LEAST_RISE = 0.01  # of the lowest validation loss: a rise that is named
LOSS_RISE = 0.05  # likewise: one that is more than noise
RISING_EPOCHS = 3  # so many in a row above that rise are called overfitting; fewer may be chance


# -- table and figure ------------------------------------------------------------------------------


def epochs_table(results: Results) -> Shown:
    """Training and validation accuracy of each epoch and model, the best epoch marked (the study's Table 1)."""
    frames = []
    for model, history in results.histories.items():
        best, val = best_epoch(history["val_acc"]), history["val_acc"]
        frames.append(pd.DataFrame({
            "Model": Model(model), "Epoch": history["epoch"], "tr": history["train_acc"],
            "val": [Best(value) if epoch == best else value for epoch, value in enumerate(val, start=1)],
            "Best val": val.max(),
        }, dtype=object))  # fmt: skip
    frame = pd.concat(frames)
    caption = (
        "Training (tr) and validation (val) accuracy per epoch. The best validation accuracy of each model is marked; "
        "it selected the weights that are tested below."
    )
    return show_table(
        results, "tbl-epochs", frame, caption, may_break=True, groups=frame["Model"],
        merge=("Model", "Best val"), css="epochs",
    )  # fmt: skip


def curves_figure(results: Results) -> Shown:
    """Loss and accuracy by epoch of all models."""
    labels = {model: results.label(model) for model in results.models}
    panels = []
    for kind, (title, train, val) in CURVES.items():
        lasts = {labels[model]: history.iloc[-1] for model, history in results.histories.items()}
        ends = "; ".join(
            f"{name} {last[train]:.3f} in training, {last[val]:.3f} in validation" for name, last in lasts.items()
        )
        alt = f"Lines of {title.lower()} by epoch, at the end: {ends}."
        figure = plot_curves(results.histories, labels, [kind])
        svg = figure_svg(figure, f"curves-{kind}", alt)
        places = json.dumps(read_places(figure, results.histories, kind, labels))
        panels.append(f'<div class="curve" data-curve="{escape(places)}">{svg}</div>')
    caption = (
        "Loss and accuracy by epoch. The weights of the epoch with the best validation accuracy, which is ringed, were "
        "kept."
    )
    return show_figure(results, "fig-curves", panels, caption, columns=2, width_px=400)


# -- sentences -------------------------------------------------------------------------------------


def write_curves(results: Results) -> Prose:
    prose = Prose(results, "accuracy analysis")
    held_out = results.kept[results.kept["split"] == "val"]
    label, share = majority(held_out["label"])
    for model, history in results.histories.items():
        prose.item()
        curve = read_curve(history)
        if curve is None:
            prose.say("{model} has no epoch with finite losses and accuracies.", model=Model(model))
        elif curve.epochs == 1:
            prose.say(
                "{model} was trained for one epoch and reached {best:pct} in validation, {train:pct} in training.",
                model=Model(model), best=curve.best, train=curve.train_last, metric="accuracy",
            )  # fmt: skip
        else:
            _say_course(prose, model, curve, len(held_out))
        if curve is not None and curve.best <= share:
            constant = "{label}" if is_most_frequent(held_out["label"], label) else "one class"
            prose.say(
                f"It never exceeds {{share:pct}}, the accuracy of always predicting {constant}.", share=share,
                label=Label(label), best=curve.best, comparison="not above guessing",
            )  # fmt: skip
    prose.paragraph()
    prose.say(
        "One of the {count:count} validation images is worth {step:points}; differences of that size in {table} and "
        "{figure} mean little.",
        count=len(held_out), step=1 / len(held_out), table=Ref("tbl-epochs"), figure=Ref("fig-curves"),
    )  # fmt: skip
    return prose


def _say_course(prose: Prose, model: str, curve: Curve, count: int) -> None:
    """The validation accuracy, measured on `count` images, from the first epoch over the best to the last."""
    values = {"model": Model(model), "first": curve.first, "best": curve.best, "epoch": curve.best_epoch}
    if curve.best_epoch == curve.first_epoch:
        prose.say(
            "{model} has its best validation accuracy, {best:pct}, at the start, in epoch {epoch:count}; no later "
            "epoch improves on it.", metric="validation accuracy", **values,
        )  # fmt: skip
    else:
        course = "rises from {first:pct} in epoch {start:count} to its best, {best:pct}, in epoch {epoch:count}"
        if _overlap(curve.first, curve.best, count):
            course = (
                "is {first:pct} in epoch {start:count} and at its best, {best:pct}, in epoch {epoch:count}; the "
                "difference is within their intervals"
            )
        prose.say(
            f"The validation accuracy of {{model}} {course}.", start=curve.first_epoch, metric="validation accuracy",
            **values,
        )  # fmt: skip
        if curve.arrived_epoch < curve.best_epoch:
            prose.say(
                "It first comes within {near:points} of that in epoch {arrived:count}.", near=NEAR,
                arrived=curve.arrived_epoch,
            )  # fmt: skip
    if curve.best_epoch == curve.last_epoch:
        prose.say("That is the last epoch, so longer training might have improved it.")
    elif curve.lowest_after == curve.best:
        prose.say("It stays there to the end.")
    else:
        within = ", all within the interval of its best" if _overlap(curve.lowest_after, curve.best, count) else ""
        prose.say(
            f"After that it is lower by up to {{drop:points}} and ends at {{last:pct}}{within}.",
            drop=curve.best - curve.lowest_after, last=curve.last,
        )  # fmt: skip
    _say_gap(prose, model, curve)


def _say_gap(prose: Prose, model: str, curve: Curve) -> None:
    """Training beside validation at the end, as far as they are of the same classes, and overfitting."""
    gap = curve.train_last - curve.last
    asked, recipe = len(prose.results.class_names), prose.results.recipe(model)
    learned, planned = asked + len(prose.results.auxiliary), recipe.epochs or prose.results.config.epochs
    if learned > asked and recipe.teaches_auxiliary(curve.last_epoch, planned):
        prose.say(
            "The final training accuracy, {train:pct}, is that of {all:count} classes, with the auxiliary ones, and "
            "does not compare with the validation accuracy, of {asked:count}.",
            train=curve.train_last, all=learned, asked=asked,
        )  # fmt: skip
        _say_divergence(prose, curve)
        return
    if learned > asked and recipe.teaches_auxiliary(1, planned):
        last = max(epoch for epoch in range(1, curve.last_epoch) if recipe.teaches_auxiliary(epoch, planned))
        prose.say(
            "Up to epoch {epoch:count} its training accuracy is that of {all:count} classes, with the auxiliary ones, "
            "and afterwards that of {asked:count}: it rises there for that reason too.",
            epoch=last, all=learned, asked=asked,
        )  # fmt: skip
    if gap > 0:
        prose.say(
            "The final training accuracy is {train:pct}, {gap:points} above the validation accuracy.",
            train=curve.train_last, gap=gap,
        )  # fmt: skip
    else:
        prose.say(
            "The final training accuracy is {train:pct}, no higher than the validation accuracy, which is usual where "
            "only the training images are augmented.", train=curve.train_last,
        )  # fmt: skip
    _say_divergence(prose, curve)


def _say_divergence(prose: Prose, curve: Curve) -> None:
    if curve.diverges:
        meaning = "which is overfitting" if curve.overfits else "too little or too briefly to call it overfitting"
        prose.say(
            "The validation loss is lowest in epoch {low:count} and {rise:pct0} higher at the end while the training "
            f"loss falls, {meaning}.", low=curve.loss_low_epoch, rise=curve.loss_rise,
        )  # fmt: skip


def _overlap(one: float, other: float, count: int) -> bool:
    """Whether the intervals of two accuracies on `count` images each overlap."""
    low, high = sorted((one, other))
    return wilson_interval(round(low * count), count)[1] >= wilson_interval(round(high * count), count)[0]


# -- what a history shows --------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """What a history shows; epochs are 1-based, rates 0-1. Epochs with a figure that is not finite are left out."""

    epochs: int
    first_epoch: int
    last_epoch: int
    first: float
    best: float
    best_epoch: int
    arrived_epoch: int  # the first epoch within NEAR of the best
    last: float
    lowest_after: float  # of the epochs after the best one; the best itself where there are none
    train_last: float
    loss_low_epoch: int
    loss_rise: float  # from the lowest validation loss to the last, as a share of the lowest
    stays_up: bool  # each of the last RISING_EPOCHS has a validation loss that exceeds the lowest by LOSS_RISE
    train_loss_falls: bool  # from that epoch to the last

    @property
    def diverges(self) -> bool:
        """The last validation loss exceeds the lowest by LEAST_RISE, and the training loss has fallen since."""
        return self.loss_rise >= LEAST_RISE and self.train_loss_falls and self.loss_low_epoch < self.last_epoch

    @property
    def overfits(self) -> bool:
        """It does so by LOSS_RISE over several epochs."""
        return self.diverges and self.stays_up


def read_curve(history: pd.DataFrame) -> Curve | None:
    """None where no epoch is finite throughout."""
    columns = ["train_loss", "train_acc", "val_loss", "val_acc"]
    finite = history[np.isfinite(history[columns]).all(axis=1)].reset_index(drop=True)
    if finite.empty:
        return None
    val, loss, epoch = finite["val_acc"], finite["val_loss"], finite["epoch"]
    best, low = best_epoch(val) - 1, int(loss.idxmin())
    risen = loss[low + 1 :].tail(RISING_EPOCHS) > (1 + LOSS_RISE) * loss[low]
    return Curve(
        epochs=len(history),
        first_epoch=int(epoch.iloc[0]),
        last_epoch=int(epoch.iloc[-1]),
        first=float(val.iloc[0]),
        best=float(val[best]),
        best_epoch=int(epoch[best]),
        arrived_epoch=int(epoch[(val >= val[best] - NEAR).idxmax()]),
        last=float(val.iloc[-1]),
        lowest_after=float(val.iloc[best:].min()),
        train_last=float(finite["train_acc"].iloc[-1]),
        loss_low_epoch=int(epoch[low]),
        loss_rise=float(loss.iloc[-1] / loss[low] - 1) if loss[low] > NO_LOSS else 0.0,
        stays_up=len(risen) == RISING_EPOCHS and bool(risen.all()),
        train_loss_falls=bool(finite["train_loss"].iloc[-1] < finite["train_loss"][low]),
    )
