"""The tables of the report and of the model notebooks, as HTML. No torch."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emotion_utils.evaluation.metrics import SUMMARY_ROWS, count_correct
from emotion_utils.evaluation.statistics import ALPHA, LEVEL, wilson_interval
from emotion_utils.events import COLUMNS, event_lines
from emotion_utils.history import best_epoch
from emotion_utils.progress import format_duration
from emotion_utils.published.study import published_models, published_table, read_published
from emotion_utils.report.exhibits import Shown, html_table, report_key, safe, safe_model, show_table
from emotion_utils.report.results import Results

ROWS_PER_PAGE = 36
MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


# -- for the model notebooks -----------------------------------------------------------------------


def show_history(history: pd.DataFrame) -> Shown:
    """Epochs of one model: what was trained, losses, accuracies and time, the best epoch in bold."""
    best = best_epoch(history["val_acc"])
    rows = []
    for row in history.itertuples():
        cells = [str(row.epoch), safe(row.phase), *(rate(value) for value in _epoch_figures(row)), f"{row.seconds:.1f}"]
        rows.append([f"<strong>{cell}</strong>" for cell in cells] if row.epoch == best else cells)
    head = ("Epoch", "Trained", "tr loss", "val loss", "tr acc", "val acc", "Seconds")
    return Shown(html_table(head, [rows], words=(0, 1)))


def show_phases(phases: pd.DataFrame) -> Shown:
    """What each phase trained and how long it took (`schedule.phase_table` with a history)."""
    rows = [
        [
            safe(row.phase),
            f"{row.first_epoch} to {row.last_epoch}",
            f"{row.trainable_parameters:,}",
            f"{row.seconds:,.1f}",
        ]
        for row in phases.itertuples()
    ]
    return Shown(html_table(("Trained", "Epochs", "Parameters", "Seconds"), [rows]))


def show_events(events: list[dict[str, Any]]) -> Shown:
    """What training foresaw and what it had to deal with, a line each."""
    lines = [line for event in events for line in event_lines(event)]
    return Shown(f"<ul>{''.join(f'<li>{safe(line)}</li>' for line in lines)}</ul>")


def show_search(found: tuple[pd.DataFrame, dict[str, Any]] | None, shown: int = 8) -> Shown:
    """The best trials of a search, what it cost, and how much of the best is luck; a hint where there was none."""
    if found is None:
        return Shown("<p>No search so far: <code>emotion search MODEL --run DIR</code> makes one.</p>")
    trials, summary = found
    best = trials[trials["state"] == "complete"].sort_values("val_acc", ascending=False, kind="stable").head(shown)
    rows = [
        [f"{row.lr:g}", f"{row.weight_decay:g}", f"{row.augment_strength:g}", rate(row.val_acc), f"{row.seconds:,.0f}"]
        for row in best.itertuples()
    ]
    head = ("Learning rate", "Weight decay", "Augmentation, times", "Best val acc", "Seconds")
    cost = (
        f"<p>{summary['trials']} trials took {format_duration(summary['seconds'])}. "
        f"The best of them looks better than it is: {rate(summary['val_acc'])} on the images that chose it, "
        f"about {rate(summary['corrected_val_acc'])} on people who had no part in the choice.</p>"
    )
    return Shown(html_table(head, [rows], words=()) + cost)


def show_classification(table: pd.DataFrame) -> Shown:
    """One classification table (`metrics.classification_table`) with four decimals, as the study prints it."""
    return Shown(_classification_html(table))


def rate(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else MISSING


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _epoch_figures(row: tuple) -> tuple[float, float, float, float]:
    return row.train_loss, row.val_loss, row.train_acc, row.val_acc


def _classification_html(table: pd.DataFrame) -> str:
    classes, averages = [], []
    for name, row in table.iterrows():
        support = f"{int(row['support']):,}"
        figures = [rate(row[column], 4) for column in ("precision", "recall", "f1-score")]
        if name == "accuracy" and name in SUMMARY_ROWS and math.isnan(row["precision"]):
            averages.append(["Accuracy", f'<td colspan="4">{figures[2]} ({support} samples)</td>'])
        elif len(classes) < len(table) - len(SUMMARY_ROWS):
            classes.append([safe(name), *figures, support])
        else:
            averages.append([str(name).capitalize(), *figures, support])
    head = ("Class", "Precision", "Recall", "F1-score", "Support")
    return html_table(head, [classes, averages], css="compact")


# -- main text -------------------------------------------------------------------------------------


def epochs_table(results: Results) -> Shown:
    """Training and validation accuracy of each epoch and model, the best validation accuracy marked (the study's
    Table 1)."""
    groups = []
    for model, history in results.histories.items():
        best, size = best_epoch(history["val_acc"]), len(history)
        highest = rate(history["val_acc"].max())
        rows = []
        for row in history.itertuples():
            epoch = f"<td>{row.epoch}</td>"  # the first cell of a row whose model stands further up
            val = f'<strong class="best">{rate(row.val_acc)}</strong>' if row.epoch == best else rate(row.val_acc)
            rows.append([epoch, rate(row.train_acc), val])
        name = f'<th class="word" scope="rowgroup" rowspan="{size}">{safe_model(results, model)}</th>'
        rows[0] = [name, *rows[0], f'<td rowspan="{size}"><strong>{highest}</strong></td>']
        groups.append(rows)
    table = html_table(("Model", "Epoch", "tr", "val", "Best val"), groups, css="epochs")
    caption = (
        "Epoch-wise training (tr) and validation (val) accuracy. The best validation accuracy of each model is marked; "
        "it chose the weights that the later sections test."
    )
    rows = sum(map(len, groups))
    return show_table(results, "tbl-epochs", table, caption, may_break=rows > ROWS_PER_PAGE)


def report_tables(results: Results) -> Shown:
    """The classification report of each model on the test split."""
    shown = Shown("")
    for model, table in results.reports.items():
        caption = f"Classification report: {safe_model(results, model)}, test split."
        shown += show_table(results, report_key(model), _classification_html(table), caption)
    return Shown(f'<div class="side-by-side">{shown.html}</div>')


def metrics_table(results: Results) -> Shown:
    """Accuracy and macro averages of each model, with their intervals."""
    rows = []
    for model, table in results.tests.items():
        correct, macro = count_correct(table), results.reports[model].loc["macro avg"]
        cells = [
            f"{correct:,} of {len(table):,}",
            with_interval(correct / len(table), wilson_interval(correct, len(table))),
        ]
        for column in ("precision", "recall", "f1-score"):
            cells.append(with_interval(macro[column], results.macro[model].loc[column]))
        rows.append([safe_model(results, model), *cells])
    head = ("Model", "Right", "Accuracy", "Macro precision", "Macro recall", "Macro F1")
    note = (
        f"In brackets: {LEVEL:.0%} intervals, Wilson's for the accuracy, bootstrap over test images for the averages."
    )
    caption = "Metrics of each model on the test split."
    return show_table(results, "tbl-metrics", html_table(head, [rows]), caption, note)


def pairs_table(results: Results) -> Shown:
    """Each pair of models: who was right where the other was not, and whether it can be chance. Empty for one model."""
    if results.pairs.empty:
        return Shown("")
    rows = []
    for pair in results.pairs.itertuples():
        names = (safe_model(results, pair.model_a), safe_model(results, pair.model_b))
        figures = (f"{pair.only_a:,}", f"{pair.only_b:,}", f"{100 * pair.difference:+.1f}".replace("-", MINUS))
        finding = "differ" if pair.p_holm <= ALPHA else "undecided"
        rows.append([*names, *figures, p_value(pair.p_value), p_value(pair.p_holm), finding])
    head = ("A", "B", "only A right", "only B right", f"A {MINUS} B, points", "p", "p, Holm", "Finding")
    table = html_table(head, [rows], words=(0, 1, len(head) - 1))
    caption = "Pairs of models on the same test images."
    note = f"Exact McNemar test, adjusted by Holm for all pairs; they differ where the adjusted p is {ALPHA:g} or less."
    return show_table(results, "tbl-pairs", table, caption, note)


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def published_comparison(results: Results) -> Shown:
    """The study's figures and this run's, side by side, for each model of the study."""
    published = read_published()
    rows = []
    for model in published_models(published):
        theirs = _three_figures(published["table_1"][model]["best_val"], published_table(published, model))
        ours, name = [MISSING] * 3, safe(model)
        if model in results.models:
            ours = _three_figures(results.histories[model]["val_acc"].max(), results.reports[model])
            name = safe_model(results, model)
        rows.append([name, *(cell for pair in zip(theirs, ours, strict=True) for cell in pair)])
    head = ("Model", "Best val, study", "this run", "Accuracy, study", "this run", "Macro F1, study", "this run")
    caption = "The published figures beside those of this run, on different images."
    return show_table(results, "tbl-published", html_table(head, [rows]), caption)


def _three_figures(best_val: float, table: pd.DataFrame) -> list[str]:
    """Best validation accuracy, test accuracy and macro F1, with the decimals of the study."""
    return [rate(best_val), rate(table.at["accuracy", "f1-score"], 4), rate(table.at["macro avg", "f1-score"], 4)]


def events_table(results: Results) -> Shown:
    """What training had to deal with, counted per model."""
    rows = []
    for model, history in results.histories.items():
        found = [event["kind"] for event in results.events[model]]
        speed = history["images_per_second"].mean()
        row = [safe_model(results, model), str(len(history)), f"{history['seconds'].sum():,.0f}", f"{speed:,.0f}"]
        rows.append([*row, *(str(found.count(kind)) for kind in COLUMNS)])
    head = ("Model", "Epochs", "Seconds", "Images per second", *COLUMNS.values())
    return show_table(results, "tbl-events", html_table(head, [rows]), "Training, in time and in trouble.")


def with_interval(value: float, interval: tuple[float, float] | pd.Series) -> str:
    low, high = interval
    return f'{value:.4f}<br><span class="interval">[{low:.3f}, {high:.3f}]</span>'
