"""The study's printed tables: cell by cell beside this run, and whether they agree with themselves. No torch."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from emotion_utils.published.audit import audit_results
from emotion_utils.published.finding import Finding, say_range
from emotion_utils.published.integer_counts import compatible_matrices
from emotion_utils.published.study import published_models, published_results, published_table, read_published
from emotion_utils.report.claims import Ref
from emotion_utils.report.exhibits import Shown, html_table, safe, safe_model, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import MISSING, rate

CHECKS = {
    "f1": "F1 follows from precision and recall",
    "recall": "Recall is a whole number of the images of its class",
    "precision": "Precision is a whole number of right ones out of whole predictions",
    "support": "The numbers of images agree",
    "accuracy": "Accuracy follows from the recalls",
    "average": "Macro and weighted averages follow from the classes",
    "matrix": "A confusion matrix of whole numbers gives all figures at once",
    "best": "The best validation accuracy is the highest of the epochs",
}  # the checks that have an answer; what else is found, follows from them
COLUMNS = ("precision", "recall", "f1-score")


@cache
def study_findings() -> tuple[Finding, ...]:
    """What the audit says of the study's own tables."""
    return tuple(audit_results(published_results()))


def tell_audit(results: Results) -> Prose:
    """Do the published tables agree with themselves, and what do they say of the images behind them?"""
    prose = Prose(results, "audit of the published tables")
    checked = [finding for finding in study_findings() if finding.ok is not None]
    agree = sum(bool(finding.ok) for finding in checked)
    values = {"agree": agree, "count": len(checked), "table": Ref("tbl-audit")}
    if agree == len(checked):
        prose.say("All {count:count} checks of the published figures against each other agree ({table}).", **values)
    else:
        prose.say("Of {count:count} checks of the published figures, {agree:count} agree ({table}):", **values)
    prose.say(
        "{table} shows how many images each model can have taken for what: the figures leave few confusion matrices "
        "possible, and what these share is known although the study prints none.", table=Ref("tbl-matrices"),
    )  # fmt: skip
    for finding in study_findings():
        if finding.ok is not True:
            prose.item()
            where = "" if finding.place.startswith("all ") else "{place}: "
            prose.say(
                f"{where}{{sentence}}", sentence=finding.sentence, place=finding.place, printed=finding.printed,
                recomputed=finding.recomputed, metric=finding.check, comparison="audit",
            )  # fmt: skip
    return prose


def audit_tables(results: Results) -> Shown:
    """The checks by kind, and the confusion matrices that the published reports allow."""
    rows = []
    for check, title in CHECKS.items():
        answers = [finding.ok for finding in study_findings() if finding.check == check and finding.ok is not None]
        rows.append([title, str(len(answers)), str(sum(answers))])
    table = html_table(("Check", "Times", "Agree"), [rows])
    caption = "The published tables, checked against themselves within the rounding of the printed decimals."
    return show_table(results, "tbl-audit", table, caption) + _matrices_table(results)


def _matrices_table(results: Results) -> Shown:
    groups = []
    for report in published_results().reports:
        found = compatible_matrices(report)
        if found is None or not len(found[0]):
            continue
        low, high = found[0].min(axis=0), found[0].max(axis=0)
        names = list(report.classes)
        groups.append([
            [safe(report.name), safe(name), *(_cell(low, high, row, column) for column in range(len(names)))]
            for row, name in enumerate(names)
        ])  # fmt: skip
    head = ("Model", "Label", *(f"as {safe(name)}" for name in names))
    caption = "Confusion matrices that the published figures allow: images of each label by predicted class."
    note = "Where several matrices are possible, a cell gives its smallest and largest value among them."
    return show_table(results, "tbl-matrices", html_table(head, groups, words=(0, 1)), caption, note)


def _cell(low: np.ndarray, high: np.ndarray, row: int, column: int) -> str:
    return say_range(sorted({int(low[row, column]), int(high[row, column])}))


def published_cells(results: Results) -> Shown:
    """Every cell of the study's classification reports beside this run's, where this run has the model and class."""
    published = read_published()
    groups = []
    for model in published_models(published):
        theirs, ours = published_table(published, model), results.reports.get(model)
        name = safe(model) if ours is None else safe_model(results, model)
        heading = [f'<th class="word" scope="rowgroup" colspan="9">{name}</th>']
        groups.append([heading, *(_cells_beside(row, theirs, ours) for row in theirs.index)])
    head = ["Class"]
    for column in ("Precision", "Recall", "F1"):
        head += [f"{column}, study", "this run"]
    caption = "The study's classification reports beside those of this run, cell by cell, on different images."
    table = html_table((*head, "Support, study", "this run"), groups)
    return show_table(results, "tbl-published-cells", table, caption, may_break=True)


def _cells_beside(row: str, theirs: pd.DataFrame, ours: pd.DataFrame | None) -> list[str]:
    has_row = ours is not None and row in ours.index
    cells = [safe(row)]
    for column in COLUMNS:
        cells += [rate(theirs.at[row, column], 4), rate(ours.at[row, column], 4) if has_row else MISSING]
    return [*cells, f"{theirs.at[row, 'support']:,}", f"{ours.at[row, 'support']:,}" if has_row else MISSING]
