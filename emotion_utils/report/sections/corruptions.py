"""How the models fare on images that were made worse: sentences, figure and tables from robustness.csv. No torch."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.figures.style import MUTED, figure_style, figure_svg, model_colors
from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, html_table, safe, safe_model, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import MISSING, rate, with_interval

AS_THEY_ARE = "as they are"  # of the images: nothing was done to them
PANEL_IN = (2.5, 2.3)
WIDTH_PX = 270


def tell_worse(results: Results) -> Prose:
    """What each model can do without least, and most."""
    prose = Prose(results, "robustness")
    if not results.robustness:
        prose.say("How the models fare on blurred, dark or partly covered images was not measured in this run.")
        return prose
    first = next(iter(results.robustness.values()))
    images = int(first.loc[first["kind"] == AS_THEY_ARE, "count"].sum())
    prose.say(
        "{figure} and {table} have the accuracies on {images:count} test images, as they are and made worse step "
        "by step.",
        figure=Ref("fig-robustness"), table=Ref("tbl-robustness"), images=images,
    )  # fmt: skip
    for model, table in results.robustness.items():
        counts = _at_worst(table)
        rates = counts["correct"] / counts["count"]
        worst, best = rates.idxmin(), rates.drop(AS_THEY_ARE).idxmax()
        prose.item()
        if rates[worst] >= rates[AS_THEY_ARE]:
            prose.say("{model} loses no accuracy to any of these changes.", model=Model(model))
            continue
        figures = {"worst": worst, "low": float(rates[worst]), "clean": float(rates[AS_THEY_ARE])}
        figures |= {"model": Model(model), "metric": "accuracy", "comparison": "robustness"}
        if _interval(counts, worst)[1] >= _interval(counts, AS_THEY_ARE)[0]:
            prose.say(
                "{model} is not shown to suffer from any of these changes: it is right least often with {worst} at its "
                "most severe, in {low:pct}, beside {clean:pct} of the same images as they are, and the intervals "
                "overlap.", **figures,
            )  # fmt: skip
            continue
        prose.say(
            "{model} suffers most from {worst} at its most severe: {low:pct} right, beside {clean:pct} of the same "
            "images as they are; least from {best}, with {high:pct}.",
            best=best, high=float(rates[best]), **figures,
        )  # fmt: skip
    return prose


def robustness_figure(results: Results) -> Shown:
    """Accuracy of each model under each change, step by step, a panel each; empty where nothing was measured."""
    if not results.robustness:
        return Shown("")
    panels, colors = [], model_colors(results.models)
    for number, (model, table) in enumerate(results.robustness.items()):
        label = results.label(model)
        counts = _at_worst(table)
        read = "; ".join(f"{kind} {right:.2f}" for kind, right in (counts["correct"] / counts["count"]).items())
        alt = f"Accuracy of {label}, each change at its most severe: {read}."
        panels.append(figure_svg(plot_robustness(table, label, colors[model]), f"robustness-{number}", alt))
    caption = (
        "Accuracy on test images made worse: a row for each change, a dot for each of its steps, from slight (pale) "
        f"to severe (full, with its {LEVEL:.0%} interval). The line stands where the images are as they are."
    )
    return show_figure(results, "fig-robustness", panels, caption, columns=3, width_px=WIDTH_PX)


def plot_robustness(table: pd.DataFrame, title: str, color: str) -> Figure:
    """One model's rows of robustness.csv: accuracy to the right, kinds of change from the top down."""
    sums = _sum(table, ["kind", "amount"])
    shares = sums["correct"] / sums["count"]
    kinds = [kind for kind in dict.fromkeys(table["kind"]) if kind != AS_THEY_ARE]
    with figure_style():
        figure, axes = plt.subplots(figsize=PANEL_IN, layout="constrained")
        axes.axvline(shares[AS_THEY_ARE].iloc[0], color=MUTED, linewidth=0.9)
        for place, kind in enumerate(kinds):
            steps = shares[kind].to_numpy()
            alphas = [0.3 + 0.7 * (step + 1) / len(steps) for step in range(len(steps))]
            low, high = wilson_interval(*(int(sums.loc[kind].iloc[-1][name]) for name in ("correct", "count")))
            axes.hlines(place, low, high, color=color, linewidth=1.8, alpha=0.45)
            axes.scatter(steps, [place] * len(steps), s=22, color=color, alpha=alphas, linewidths=0, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(len(kinds) - 0.5, -0.5), xlabel="accuracy")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks(range(len(kinds)), kinds)
        axes.grid(axis="x")
        figure.suptitle(title, x=0.02, ha="left", fontsize=8.5, fontweight="bold")  # over the names of the rows too
    plt.close(figure)
    return figure


def robustness_table(results: Results) -> Shown:
    """Accuracy of each model for each change and amount; empty where nothing was measured."""
    if not results.robustness:
        return Shown("")
    sums = {model: _sum(table, ["kind", "amount"]) for model, table in results.robustness.items()}
    groups: dict[str, list[list[str]]] = {}
    for kind, amount in next(iter(sums.values())).index:
        cells = []
        for table in sums.values():
            correct, count = (int(value) for value in table.loc[(kind, amount), ["correct", "count"]])
            cells.append(with_interval(correct / count, wilson_interval(correct, count)))
        shown = MISSING if kind == AS_THEY_ARE else f"{amount:g}"
        groups.setdefault(kind, []).append([safe(kind), shown, *cells])
    head = ("Images", "Amount", *(safe_model(results, model) for model in sums))
    note = (
        f"In brackets: Wilson's {LEVEL:.0%} intervals. Amount: standard deviation of the blur in sides of the image "
        "and of the noise in the range of values; quality of the JPEG; times fewer pixels a side; times the light."
    )
    caption = "Accuracy on test images that were made worse."
    table = html_table(head, groups.values())
    return show_table(results, "tbl-robustness", table, caption, note, may_break=True)


def robustness_classes_table(results: Results) -> Shown:
    """Recall of each class under each change at its most severe; empty where nothing was measured."""
    if not results.robustness:
        return Shown("")
    severest = [_at_severest(table).set_index(["kind", "label"]) for table in results.robustness.values()]
    groups = []
    for kind in dict.fromkeys(severest[0].index.get_level_values("kind")):
        rows = []
        for name in results.class_names:
            found = [table.loc[(kind, name)] for table in severest]
            shown = [rate(row["correct"] / row["count"], 4) if row["count"] else MISSING for row in found]
            rows.append([safe(kind), safe(name), *shown])
        groups.append(rows)
    head = ("Images", "Class", *(safe_model(results, model) for model in results.robustness))
    caption = "Recall of each class on test images made worse, each change at its most severe."
    table = html_table(head, groups, words=(0, 1))
    return show_table(results, "tbl-robustness-classes", table, caption, may_break=True)


def _at_severest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last amount of each kind; amounts are listed from slight to severe."""
    last = table.groupby("kind", sort=False)["amount"].transform("last")
    return table[table["amount"] == last]


def _at_worst(table: pd.DataFrame) -> pd.DataFrame:
    """`count` and `correct` of all classes together by kind at its most severe."""
    return _sum(_at_severest(table), ["kind"])


def _interval(counts: pd.DataFrame, kind: str) -> tuple[float, float]:
    return wilson_interval(int(counts.loc[kind, "correct"]), int(counts.loc[kind, "count"]))


def _sum(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return table.groupby(by, sort=False)[["count", "correct"]].sum()
