"""Comparison with the published study: its figures beside those of this run. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from emotion_utils.published.study import published_models, published_table, read_published
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.model_tables import RATES
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Figures, frame_of


def write_published(results: Results) -> Prose:
    prose = Prose(results, "published")
    published = read_published()
    theirs = {model: published_table(published, model) for model in published_models(published)}
    figures = [float(table.at["accuracy", "f1-score"]) for table in theirs.values()]
    tested = int(next(iter(theirs.values())).at["accuracy", "support"])
    prose.say(
        "The study reports test accuracies of {accuracies:pct} for {models}, on {tested:count} images.",
        accuracies=figures, models=list(theirs),  # plain names: no proxy stands behind them there
        tested=tested, metric="published accuracy",
    )  # fmt: skip
    if set(results.class_names) != set(published["classes"]):
        prose.say(
            "It distinguishes {k:words} classes ({classes}), this run {ours:words}.", k=len(published["classes"]),
            classes=[Label(name) for name in published["classes"]], ours=len(results.class_names),
        )  # fmt: skip
    weights = " and other pretrained weights" if results.proxies else ""
    prose.say(
        f"This run uses other images{weights}; {{table}} therefore sets the figures side by side without a verdict, as "
        "a difference between its columns may come from the images as well as from the models.",
        table=Ref("tbl-published"),
    )
    return prose


def published_comparison(results: Results) -> Shown:
    """The study's figures and this run's, side by side, for each model of the study."""
    published = read_published()
    rows = []
    for model in published_models(published):
        theirs = _three_figures(published["table_1"][model]["best_val"], published_table(published, model))
        ours: list[Figures | None] = [None] * 3
        if model in results.models:
            ours = _three_figures(results.histories[model]["val_acc"].max(), results.reports[model])
        rows.append([_name(results, model), *_side_by_side(theirs, ours)])
    columns = ["Model", *_in_both(("Best val", "Accuracy", "Macro F1"))]
    frame = frame_of(rows, columns)
    caption = "The published figures and those of this run, on different images."
    return show_table(results, "tbl-published", frame, caption)


def published_cells(results: Results) -> Shown:
    """Every cell of the study's classification reports beside this run's, where this run has the model and class."""
    published = read_published()
    rows, models = [], []
    for model in published_models(published):
        theirs, ours = published_table(published, model), results.reports.get(model)
        for name, figures in theirs.iterrows():
            here = ours.loc[name] if ours is not None and name in ours.index else {}
            cells = _side_by_side([figures[key] for key in RATES], [here.get(key) for key in RATES])
            support = here.get("support")
            rows.append([name, *cells, int(figures["support"]), None if support is None else int(support)])
            models.append(_name(results, model))
    columns = ["Class", *_in_both((*RATES.values(), "Support"))]
    frame = frame_of(rows, columns)
    caption = "The study's classification reports and those of this run, cell by cell, on different images."
    return show_table(
        results, "tbl-published-cells", frame, caption, may_break=True, decimals=4, groups=models, headings=True
    )


def _three_figures(best_val: float, table: pd.DataFrame) -> list[Figures]:
    """Best validation accuracy, test accuracy and macro F1, with the decimals of the study."""
    tested = (table.at["accuracy", "f1-score"], table.at["macro avg", "f1-score"])
    return [Figures(f"{best_val:.3f}"), *(Figures(f"{value:.4f}") for value in tested)]


def _name(results: Results, model: str) -> str:
    return Model(model) if model in results.models else model


def _in_both(titles: tuple[str, ...]) -> Iterator[str]:
    for title in titles:
        yield from (f"{title}, study", f"{title}, this run")


def _side_by_side(theirs: list[Any], ours: list[Any]) -> list[Any]:
    return [cell for pair in zip(theirs, ours, strict=True) for cell in pair]
