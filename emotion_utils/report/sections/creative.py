"""The creative element of the report: sentences, figures and the table of what notebook 05 measured. No torch."""

from __future__ import annotations

import pandas as pd

from emotion_utils.evaluation.occlusion import DEPENDS, Answer
from emotion_utils.evaluation.regions import CONTROL, FEATURES
from emotion_utils.evaluation.statistics import ALPHA, LEVEL
from emotion_utils.figures.saliency import plot_covered, plot_resemblance, plot_shares
from emotion_utils.figures.style import figure_svg
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.exhibits import (
    Shown,
    html_table,
    image_key,
    safe,
    safe_model,
    show_figure,
    show_table,
)  # fmt: skip
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import p_value

PLURAL = ("brows", "eyes")


# -- sentences -------------------------------------------------------------------------------------


def tell_images(results: Results) -> Prose:
    """What the images show, or that there are none."""
    prose = Prose(results, "creative element")
    figures = [Ref(image_key(name)) for name in results.images]
    if figures:
        verb = "put" if len(figures) > 1 else "puts"
        prose.say(f"{{figures}} {verb} images beside what the models say of them.", figures=figures)
    else:
        prose.say("This run shows no images of faces.")
    return prose


def tell_looks(results: Results) -> Prose:
    """Where each model's saliency lies, and whether that depends on what the model learned."""
    prose = Prose(results, "creative element")
    looks = results.looks
    if looks is None:
        prose.say("What the models look at was not measured in this run.")
        return prose
    for model in results.models:
        prose.item()
        rows = looks.shares[looks.shares["model"] == model].set_index("region")
        if rows.empty:
            prose.say("What {model} looks at was not measured.", model=Model(model))
            continue
        _say_focus(prose, model, rows)
        _say_resemblance(prose, looks.resemblance[looks.resemblance["model"] == model].iloc[-1])
    return prose


def _say_focus(prose: Prose, model: str, rows: pd.DataFrame) -> None:
    """The feature that holds most beside its size, where that is more than its size."""
    if not rows["images"].iloc[0]:
        prose.say("Grad-CAM finds nothing that speaks for the answers of {model}.", model=Model(model))
        return
    features = rows.loc[list(FEATURES)]
    top = (features["share"] / features["area"]).idxmax()
    row = features.loc[top]
    values = {key: float(row[key]) for key in ("share", "low", "high", "area")} | {"region": top, "level": LEVEL}
    covers = "cover" if top in PLURAL else "covers"
    more = "more than an evenly spread map would have" if row["low"] > row["area"] else "not clearly more than its size"
    prose.say(
        "Of what speaks for the answers of {model}, {share:pct0} ({level:pct0} interval {low:pct0} to {high:pct0}) "
        f"lies on the {{region}}, which {covers} {{area:pct0}} of the image: {more} ({{figure}}).",
        model=Model(model), figure=Ref("fig-looks"), metric="saliency", **values,
    )  # fmt: skip


def _say_resemblance(prose: Prose, last: pd.Series) -> None:
    values = {"correlation": float(last["correlation"]), "low": float(last["low"]), "high": float(last["high"])}
    verdict = "so they show something that was learned"
    if last["high"] >= DEPENDS:
        verdict = "too much alike for the maps to be taken for what was learned"
    prose.say(
        "Beside maps of networks whose weights are all random, their rank correlation is {correlation:rate} "
        f"({{low:rate}} to {{high:rate}}, {{figure}}), {verdict}.",
        figure=Ref("fig-random"), metric="rank correlation", **values,
    )  # fmt: skip


def tell_question(results: Results) -> Prose:
    """The question that was asked beforehand, what would refute it, and what each model answered."""
    prose = Prose(results, "creative element")
    looks = results.looks
    if looks is None:
        return prose
    label, region = looks.question
    asked = {"label": Label(label), "region": region, "control": CONTROL}
    prose.say(
        "Asked before anything was measured: is {label} read from the {region}? If so, a model must miss more of it "
        "when the {region} is covered, beyond chance (adjusted p of {alpha:plain} or less over all classes, models and "
        "regions), and more than when as much of the {control} is covered.",
        alpha=ALPHA, comparison="rule", **asked,
    )  # fmt: skip
    prose.say(
        "{images:count} test images were shown again with one region filled in their mean colour ({figure}, "
        "{table}).", images=looks.images, figure=Ref("fig-covered"), table=Ref("tbl-covered"),
    )  # fmt: skip
    for answer in looks.answers:
        prose.item()
        _say_answer(prose, answer, asked)
    return prose


def _say_answer(prose: Prose, answer: Answer, asked: dict) -> None:
    prose.say(
        "{model} finds {before:pct} of {count:count} {label} faces as they are, {after:pct} with the {region} covered "
        "(adjusted {p:p}) and {covered:pct} with the {control} covered"
        + (": yes, it needs the {region}." if answer.needed else ": that it needs the {region} is not shown."),
        model=Model(answer.model), before=answer.before, after=answer.after, covered=answer.control,
        count=answer.count, p=answer.p_holm, metric="recall", comparison="covered", **asked,
    )  # fmt: skip
    if asked["region"] not in answer.worst:
        prose.say("It loses most with the {worst} covered.", worst=answer.worst, metric="recall", comparison="covered")


# -- figures and table -----------------------------------------------------------------------------


def look_figures(results: Results) -> Shown:
    """Shares of saliency, and what random weights do to it; nothing where it was not measured."""
    looks = results.looks
    if looks is None:
        return Shown("")
    labels = {model: results.label(model) for model in results.models}
    told = "; ".join(
        f"{labels[row.model]} {row.region} {row.share:.0%} of {row.area:.0%}" for row in looks.shares.itertuples()
    )
    shares = figure_svg(plot_shares(looks.shares, labels), "looks", f"Share of saliency beside area: {told}.")
    ends = looks.resemblance.groupby("model", sort=False).last()
    told = "; ".join(f"{labels[model]} {row['correlation']:.2f}" for model, row in ends.iterrows())
    random = figure_svg(
        plot_resemblance(looks.resemblance, labels), "random", f"Lines of rank correlation, at the end: {told}."
    )
    caption = (
        f"Where Grad-CAM finds what speaks for each model's answers: mean share per region with its {LEVEL:.0%} "
        "interval. Grey bars are the share of the image that a region covers, which is what an evenly spread map has."
    )
    check = (
        "The check of Adebayo and others (2018): rank correlation of each model's maps with those of the same network "
        "as ever more of its layers are made random. It must fall; the dashed line is the most that is accepted."
    )
    return show_figure(results, "fig-looks", [shares], caption, columns=1, width_px=560) + show_figure(
        results, "fig-random", [random], check, columns=1, width_px=560
    )


def covered_exhibits(results: Results) -> Shown:
    """Recall with regions covered, as a figure and as a table; nothing where it was not measured."""
    looks = results.looks
    if looks is None:
        return Shown("")
    labels = {model: results.label(model) for model in results.models}
    panels = []
    for number, (label, rows) in enumerate(looks.compared.groupby("label", sort=False)):
        told = "; ".join(
            f"{labels[row.model]}, {row.region}: {row.after} instead of {row.before} of {row.count}"
            for row in rows.itertuples()
        )
        drawing = plot_covered(looks.compared, label, labels)
        panels.append(figure_svg(drawing, f"covered-{number}", f"Images of {label} that are found: {told}."))
    caption = (
        f"How much of each class is found when a region is covered, with {LEVEL:.0%} intervals. A filled mark differs "
        f"from the uncovered face beyond chance (exact McNemar test, adjusted by Holm: {ALPHA:g} or less)."
    )
    figure = show_figure(results, "fig-covered", panels, caption, columns=2, width_px=400)
    return figure + covered_table(results)


def covered_table(results: Results) -> Shown:
    """What covering a region costs each model and class; empty where that was not measured."""
    if results.looks is None:
        return Shown("")
    groups = []
    for (model, label), rows in results.looks.compared.groupby(["model", "label"], sort=False):
        cells = [
            [safe(row.region), f"{row.before:,} of {row.count:,}", f"{row.after:,}", f"{row.lost:,}", f"{row.gained:,}",
             p_value(row.p_value), p_value(row.p_holm)]
            for row in rows.itertuples()
        ]  # fmt: skip
        who = f"{safe_model(results, model)}<br>{safe(label)}"
        name = f'<th class="word" scope="rowgroup" rowspan="{len(cells)}">{who}</th>'
        rest = [[f'<td class="word">{row[0]}</td>', f"<td>{row[1]}</td>", *row[2:]] for row in cells]
        groups.append([[name, *rest[0]], *rest[1:]])
    head = ("Model, class", "Covered", "Found before", "after", "lost", "gained", "p", "p, Holm")
    table = html_table(head, groups, words=(0, 1))
    caption = "What covering a region costs: images of each class that are found, before and after."
    note = "Lost: right before, wrong when covered; gained: the reverse. Exact McNemar test, adjusted for all rows."
    return show_table(results, "tbl-covered", table, caption, note, may_break=True)
