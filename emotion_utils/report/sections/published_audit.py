"""Audit of the published tables: do they agree with themselves, and what must lie behind them? No torch."""

from __future__ import annotations

from functools import cache

from emotion_utils.published.audit import audit_results
from emotion_utils.published.finding import Finding, say_range
from emotion_utils.published.integer_counts import compatible_matrices
from emotion_utils.published.study import published_results
from emotion_utils.report.claims import Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Figures, frame_of

CHECKS = {
    "f1": "F1 follows from precision and recall",
    "recall": "Recall is a whole number of the images of its class",
    "precision": "Precision is a whole number of correct images among whole predictions",
    "support": "The numbers of images agree",
    "accuracy": "Accuracy follows from the recalls",
    "average": "Macro and weighted averages follow from the classes",
    "matrix": "A confusion matrix of whole numbers gives all figures at once",
    "best": "The best validation accuracy is the highest of the epochs",
}  # the checks that have an answer; what else is found, follows from them


@cache
def study_findings() -> tuple[Finding, ...]:
    """What the audit says of the study's own tables."""
    return tuple(audit_results(published_results()))


def write_audit(results: Results) -> Prose:
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
        "{table} shows how many images each model can have confused: the published figures allow few confusion "
        "matrices, and what these have in common is known although the study prints none.", table=Ref("tbl-matrices"),
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
        rows.append([title, len(answers), sum(answers)])
    frame = frame_of(rows, ["Check", "Cells checked", "Agree"])
    caption = "The published tables, checked against themselves within the rounding of the printed decimals."
    return show_table(results, "tbl-audit", frame, caption) + _matrices_table(results)


def _matrices_table(results: Results) -> Shown:
    rows = []
    for report in published_results().reports:
        found = compatible_matrices(report)
        if found is None or not len(found[0]):
            continue
        low, high = found[0].min(axis=0), found[0].max(axis=0)
        for place, name in enumerate(report.classes):
            ends = zip(low[place].tolist(), high[place].tolist(), strict=True)
            rows.append([report.name, name, *(Figures(say_range(sorted(set(pair)))) for pair in ends)])
    columns = ["Model", "Label", *(f"as {name}" for name in report.classes)]
    frame = frame_of(rows, columns)
    caption = "Confusion matrices that the published figures allow: images of each label by predicted class."
    note = "Where several matrices are possible, a cell gives its smallest and largest value among them."
    return show_table(results, "tbl-matrices", frame, caption, note, groups=frame["Model"])
