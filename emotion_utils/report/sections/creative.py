"""The creative element: example panels, what the models look at, and which part of the face they need. No torch."""

from __future__ import annotations

import base64

import pandas as pd
from PIL import Image

from emotion_utils.evaluation.examples import CONFIDENCE
from emotion_utils.evaluation.occlusion import DEPENDS, Answer
from emotion_utils.evaluation.regions import CONTROL, FEATURES
from emotion_utils.evaluation.statistics import ALPHA, LEVEL, fewest_images, wilson_interval
from emotion_utils.figures.saliency import plot_covered, plot_resemblance, plot_shares
from emotion_utils.figures.style import figure_svg
from emotion_utils.report.claims import RULE, Label, Model, Ref, join_words
from emotion_utils.report.exhibits import Shown, image_key, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Figures, p_value

CSS_PX_PER_IN = 96
IMAGE_DPI = 200  # of what notebook 05 saves
PLURAL = ("brows", "eyes")
WORDS = "; ".join(f"{word}, {100 * least:g}% or more" for least, word in CONFIDENCE if least)
CARD_LEGEND = (
    f"Above a face stand its label or a model's answer, with a word for its probability ({WORDS}; {CONFIDENCE[-1][1]}, "
    "less); beside it the probability of each class, the bar of the label outlined. Warm colours: where Grad-CAM finds "
    "evidence for the answer; where there are none, the layer that it reads holds no evidence."
)
AS_ABOVE = "Words, bars and colours as in the other figures of examples."
IMAGE_CAPTIONS = {
    "average_faces": (
        "The average test image of each class, and where it is brighter or darker than the average of all classes. "
        "Outlined: the regions that are measured below."
    ),
    "cards_certain": f"Classified correctly by every model, with the highest mean confidence. {CARD_LEGEND}",
    "cards_mistaken": f"Classified wrongly by a model, with the highest confidence. {AS_ABOVE}",
    "cards_borderline": (
        f"Of the test images that are in no figure above, those whose two most probable classes are closest, on "
        f"average over the models. {AS_ABOVE}"
    ),
}


# -- example panels --------------------------------------------------------------------------------


def write_images(results: Results) -> Prose:
    """What the images show, or that there are none."""
    prose = Prose(results, "creative element")
    figures = [Ref(image_key(name)) for name in results.images]
    if figures:
        verb = "show" if len(figures) > 1 else "shows"
        prose.say(f"{{figures}} {verb} faces beside what the models predict for them.", figures=figures)
    else:
        prose.say("This run shows no images of faces.")
    return prose


def image_figures(results: Results) -> Shown:
    """The images of notebook 05, as far as there are any."""
    shown = Shown()
    for name, path in results.images.items():
        data = base64.b64encode(path.read_bytes()).decode()
        with Image.open(path) as opened:
            width = round(opened.width * CSS_PX_PER_IN / IMAGE_DPI)
        caption = IMAGE_CAPTIONS[name]
        image = f'<img class="faces" alt="{caption}" src="data:image/png;base64,{data}">'
        shown += show_figure(results, image_key(name), [image], caption, columns=1, width_px=width)
    return shown


# -- what the models look at -----------------------------------------------------------------------


def write_saliency(results: Results) -> Prose:
    """Where each model's saliency lies, and whether that depends on what the model learned."""
    prose = Prose(results, "creative element")
    saliency = results.saliency
    if saliency is None:
        prose.say("Saliency was not measured in this run.")
        return prose
    for model in results.models:
        prose.item()
        rows = saliency.shares[saliency.shares["model"] == model].set_index("region")
        if rows.empty:
            prose.say("The saliency of {model} was not measured.", model=Model(model))
            continue
        _say_focus(prose, model, rows)
        _say_resemblance(prose, saliency.resemblance[saliency.resemblance["model"] == model].iloc[-1])
    return prose


def _say_focus(prose: Prose, model: str, rows: pd.DataFrame) -> None:
    """The feature that holds most beside its size, where that is more than its size."""
    if not rows["images"].iloc[0]:
        prose.say("Grad-CAM finds no evidence for the answers of {model}.", model=Model(model))
        return
    features = rows.loc[list(FEATURES)]
    top = (features["share"] / features["area"]).idxmax()
    row = features.loc[top]
    values = {key: float(row[key]) for key in ("share", "low", "high", "area")} | {"region": top, "level": LEVEL}
    covers = "cover" if top in PLURAL else "covers"
    template = (
        "Of the saliency of {model}, {share:pct0} ({level:pct0} interval {low:pct0} to {high:pct0}) lies on the "
        f"{{region}}, which {covers} {{area:pct0}} of the image: more than a uniform map would have ({{figure}})."
    )
    if row["low"] <= row["area"]:
        template = (
            f"The saliency of {{model}} is not shown to favour {join_words(FEATURES, 'or')}: the largest share of "
            "these for its size is {share:pct0} ({level:pct0} interval {low:pct0} to {high:pct0}), on the {region}, "
            f"which {covers} {{area:pct0}} of the image ({{figure}})."
        )
    prose.say(template, model=Model(model), figure=Ref("fig-saliency"), metric="saliency", **values)
    beside, size = float(rows.at[CONTROL, "share"]), float(rows.at[CONTROL, "area"])
    prose.say(
        "The {control}, which has no such feature, has {beside:pct0} on {size:pct0}.", control=CONTROL, beside=beside,
        size=size, metric="saliency",
    )  # fmt: skip


def _say_resemblance(prose: Prose, last: pd.Series) -> None:
    values = {"correlation": float(last["correlation"]), "low": float(last["low"]), "high": float(last["high"])}
    verdict = "so the maps depend on what was learned"
    if last["high"] >= DEPENDS:
        verdict = "too high for the maps to show what was learned"
    prose.say(
        "The rank correlation of its maps with those of networks whose weights are all random is {correlation:rate} "
        f"({{low:rate}} to {{high:rate}}, {{figure}}), {verdict}.",
        figure=Ref("fig-random"), metric="rank correlation", **values,
    )  # fmt: skip


def saliency_figures(results: Results) -> Shown:
    """Shares of saliency, and what random weights do to it; nothing where it was not measured."""
    saliency = results.saliency
    if saliency is None:
        return Shown()
    labels = {model: results.label(model) for model in results.models}
    read = "; ".join(
        f"{labels[row.model]} {row.region} {row.share:.0%} of {row.area:.0%}" for row in saliency.shares.itertuples()
    )
    shares = figure_svg(plot_shares(saliency.shares, labels), "saliency", f"Share of saliency beside area: {read}.")
    ends = saliency.resemblance.groupby("model", sort=False).last()
    read = "; ".join(f"{labels[model]} {row['correlation']:.2f}" for model, row in ends.iterrows())
    figure = plot_resemblance(saliency.resemblance, labels)
    random = figure_svg(figure, "random", f"Lines of rank correlation, at the end: {read}.")
    caption = (
        f"The mean share of each model's Grad-CAM saliency in each region, with its {LEVEL:.0%} interval. Grey bars "
        "are the share of the image that a region covers, which a uniform map would have."
    )
    check = (
        "Parameter randomisation test: rank correlation of each model's maps with those of "
        "the same network as more and more of its layers are randomised. It must fall below the dashed line, "
        f"{DEPENDS:g}: there two maps share {DEPENDS**2:.0%} of the variance of their ranks. This limit was fixed "
        "beforehand; the literature has none."
    )
    return show_figure(results, "fig-saliency", [shares], caption, columns=1, width_px=480) + show_figure(
        results, "fig-random", [random], check, columns=1, width_px=480
    )


# -- which part of the face is needed --------------------------------------------------------------


def write_occlusion(results: Results) -> Prose:
    """The hypothesis stated beforehand, what would refute it, and what each model shows."""
    prose = Prose(results, "creative element")
    saliency = results.saliency
    if saliency is None:
        return prose
    label, region = saliency.question
    asked = {"label": Label(label), "region": region, "control": CONTROL}
    prose.say(
        "The question was fixed before anything was measured: is {label} recognised by the {region}? If so, a model "
        "must miss significantly more of it when the {region} is covered (adjusted p of {alpha:plain} or less over all "
        "classes, models and regions), and more than when an equal area of the {control} is covered.",
        alpha=ALPHA, comparison=RULE, **asked,
    )  # fmt: skip
    prose.say(
        "The models classified {images:count} test images again, each with one region filled with its mean colour "
        "({figure}, {table}).", images=saliency.images, figure=Ref("fig-occlusion"), table=Ref("tbl-covered"),
    )  # fmt: skip
    tests, count = len(saliency.compared), max(answer.count for answer in saliency.answers)
    prose.say(
        "For the smallest of {tests:count} p-values to be significant, a model must miss at least {fewest:count} "
        "images of {label} that it recognised before; there are {count:count}.",
        tests=tests, fewest=fewest_images(ALPHA / tests), count=count, label=Label(label), comparison=RULE,
    )  # fmt: skip
    for answer in saliency.answers:
        prose.item()
        _say_answer(prose, answer, asked)
    return prose


def _say_answer(prose: Prose, answer: Answer, asked: dict) -> None:
    prose.say(
        "The recall of {model} for the {count:count} images of {label} is {before:pct}; with the {region} covered it "
        "is {after:pct} (adjusted {p:p}), with the {control} covered {covered:pct}"
        + f"{_conclude(answer)}.",
        model=Model(answer.model), before=answer.before, after=answer.after, covered=answer.control,
        count=answer.count, p=answer.p_holm, metric="recall", comparison="covered", **asked,
    )  # fmt: skip
    if not answer.needed and answer.smallest_p > ALPHA:
        prose.say(
            "It recognised {hits:count} of them before, too few for this test to show whether it needs the {region}.",
            hits=answer.hits, region=asked["region"], metric="recall", comparison="covered",
        )  # fmt: skip
    if asked["region"] not in answer.worst:
        is_shown = _is_lowest(prose.results.saliency.compared, answer, asked["label"])
        template = (
            "Its recall is lowest with the {worst} covered" if is_shown else "Which region it needs most is not shown"
        )
        prose.say(f"{template}.", worst=answer.worst, metric="recall", comparison="covered")


def _conclude(answer: Answer) -> str:
    """What follows for the need of the region; nothing where there are too few images."""
    if answer.needed:
        return ": yes, it needs the {region}"
    return ": it is not shown to need the {region}" if answer.smallest_p <= ALPHA else ""


def _is_lowest(compared: pd.DataFrame, answer: Answer, label: str) -> bool:
    """Whether the recall with one region covered lies below that with any other feature covered, by their intervals."""
    rows = compared[(compared["model"] == answer.model) & (compared["label"] == label)].set_index("region")
    ends = {name: wilson_interval(int(row["after"]), int(row["count"])) for name, row in rows.iterrows()}
    others = [name for name in FEATURES if name in ends and name not in answer.worst]
    return len(answer.worst) == 1 and all(ends[answer.worst[0]][1] < ends[name][0] for name in others)


def occlusion_figure(results: Results) -> Shown:
    """Recall of each class with regions covered, a panel each; nothing where it was not measured."""
    saliency = results.saliency
    if saliency is None:
        return Shown()
    labels = {model: results.label(model) for model in results.models}
    panels = []
    for number, (label, rows) in enumerate(saliency.compared.groupby("label", sort=False)):
        read = "; ".join(
            f"{labels[row.model]}, {row.region}: {row.after} instead of {row.before} of {row.count}"
            for row in rows.itertuples()
        )
        figure = plot_covered(saliency.compared, label, labels)
        panels.append(figure_svg(figure, f"occlusion-{number}", f"Images of {label} classified correctly: {read}."))
    caption = (
        f"Recall of each class when a region is covered, with {LEVEL:.0%} intervals. A filled mark differs "
        f"significantly from the uncovered face (exact McNemar test with Holm's correction: {ALPHA:g} or less)."
    )
    return show_figure(results, "fig-occlusion", panels, caption, columns=2, width_px=400)


def occlusion_table(results: Results) -> Shown:
    """What covering a region costs each model and class; empty where that was not measured."""
    if results.saliency is None:
        return Shown()
    compared = results.saliency.compared
    order = compared.groupby(["model", "label"], sort=False).ngroup().argsort(kind="stable")
    compared = compared.iloc[order]
    frame = pd.DataFrame({
        "Model": map(Model, compared["model"]), "Class": compared["label"], "Covered": compared["region"],
        "Correct before": [Figures(f"{row.before:,} of {row.count:,}") for row in compared.itertuples()],
        "after": compared["after"], "lost": compared["lost"], "gained": compared["gained"],
        "p": compared["p_value"].map(p_value), "p, Holm": compared["p_holm"].map(p_value),
    }, dtype=object)  # fmt: skip
    caption = "Images of each class that are classified correctly before and after a region is covered."
    note = "Lost: correct before, wrong when covered; gained: the reverse. Exact McNemar test, corrected for all rows."
    return show_table(
        results, "tbl-covered", frame, caption, note, may_break=True, merge=("Model", "Class"),
        groups=zip(frame["Model"], frame["Class"], strict=True),
    )  # fmt: skip
