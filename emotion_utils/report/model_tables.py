"""The tables of the model notebooks. No torch."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emotion_utils.evaluation.metrics import SUMMARY_ROWS
from emotion_utils.events import event_lines
from emotion_utils.history import best_epoch
from emotion_utils.progress import format_duration
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.names import safe
from emotion_utils.report.tables import Best, Figures, table_html

RATES = {"precision": "Precision", "recall": "Recall", "f1-score": "F1-score"}


def show_history(history: pd.DataFrame) -> Shown:
    """The epochs of one model: what was trained, losses, accuracies and time; the best epoch is marked."""
    best = best_epoch(history["val_acc"])
    val_acc = [Best(value) if row == best else value for row, value in enumerate(history["val_acc"], start=1)]
    frame = pd.DataFrame({
        "Epoch": history["epoch"], "Trained": history["phase"], "tr loss": history["train_loss"],
        "val loss": history["val_loss"], "tr acc": history["train_acc"],
        "val acc": pd.Series(val_acc, dtype=object), "Seconds": history["seconds"],
    })  # fmt: skip
    return Shown(table_html(frame, formats={"Seconds": ".1f"}))


def show_phases(phases: pd.DataFrame) -> Shown:
    """What each phase trained and how long it took (`schedule.phase_table` with a history)."""
    epochs = [Figures(f"{row.first_epoch} to {row.last_epoch}") for row in phases.itertuples()]
    frame = pd.DataFrame({
        "Trained": phases["phase"], "Epochs": epochs, "Parameters": phases["trainable_parameters"],
        "Seconds": phases["seconds"],
    })  # fmt: skip
    return Shown(table_html(frame, formats={"Seconds": ",.1f"}))


def show_events(events: list[dict[str, Any]]) -> Shown:
    """What training expected and what it had to deal with, a line each."""
    lines = [line for event in events for line in event_lines(event)]
    return Shown(f"<ul>{''.join(f'<li>{safe(line)}</li>' for line in lines)}</ul>")


def show_search(found: tuple[pd.DataFrame, dict[str, Any]] | None, shown: int = 8) -> Shown:
    """The best trials of a search, what it cost, and how much of the best is luck; a hint where there was none."""
    if found is None:
        return Shown("<p>No search for settings was made; <code>emotion search MODEL --run DIR</code> makes one.</p>")
    trials, summary = found
    best = trials[trials["state"] == "complete"].sort_values("val_acc", ascending=False, kind="stable").head(shown)
    titles = {
        "lr": "Learning rate", "weight_decay": "Weight decay", "augment_strength": "Augmentation, times",
        "val_acc": "Best val acc", "seconds": "Seconds",
    }  # fmt: skip
    formats = dict.fromkeys(("Learning rate", "Weight decay", "Augmentation, times"), "g") | {"Seconds": ",.0f"}
    cost = (
        f"<p>{summary['trials']} trials took {format_duration(summary['seconds'])}. The accuracy of the best one is "
        f"biased upwards: {summary['val_acc']:.3f} on the images that chose it, about "
        f"{summary['corrected_val_acc']:.3f} on people who had no part in the choice.</p>"
    )
    return Shown(table_html(best[list(titles)].rename(columns=titles), formats=formats) + cost)


def show_classification(table: pd.DataFrame) -> Shown:
    """One classification table (`metrics.classification_table`) with four decimals, as the study prints it."""
    return Shown(classification_html(table))


def classification_html(table: pd.DataFrame) -> str:
    """The same as a <table>: a row for each class, then accuracy and averages."""
    classes = len(table) - len(SUMMARY_ROWS)
    names = [*table.index[:classes], *(name.capitalize() for name in SUMMARY_ROWS)]
    frame = pd.DataFrame({"Class": names} | {title: table[name].to_numpy() for name, title in RATES.items()})
    frame["Support"] = table["support"].to_numpy()
    return table_html(frame, decimals=4, groups=[row < classes for row in range(len(table))], css="compact")
