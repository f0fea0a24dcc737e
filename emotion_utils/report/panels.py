"""The report's numbered figures: drawings with caption, text alternative and number."""

from __future__ import annotations

import base64
import json
from html import escape

from PIL import Image

from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.figures.data import plot_class_balance
from emotion_utils.figures.results import CURVES, matrix_side_in, plot_curve, plot_matrix, plot_metric, read_places
from emotion_utils.figures.style import figure_svg
from emotion_utils.report.exhibits import Shown, image_key, number_exhibits, show_figure
from emotion_utils.report.results import Results

CSS_PX_PER_IN = 96
IMAGE_DPI = 200  # of what notebook 05 saves
METRICS = {"accuracy": "Accuracy", "precision": "Macro precision", "recall": "Macro recall", "f1-score": "Macro F1"}
BALANCE_WIDTH_IN = 5.2  # still readable on a phone
IMAGE_CAPTIONS = {
    "average_faces": (
        "The average test image of each class, and where it is brighter or darker than that of all. Outlined: the "
        "regions that are measured below."
    ),
    "cards_certain": (
        "Test images that every model names correctly and with the most confidence. Warm: where Grad-CAM finds what "
        "speaks for the answer; where nothing glows, nothing in the layer looked at does."
    ),
    "cards_mistaken": "The mistakes made with the most confidence, and where each model looked.",
    "cards_borderline": "Test images whose two most probable classes are closest together, and where models looked.",
}


def balance_figure(results: Results) -> Shown:
    """Images per class and split."""
    figure = plot_class_balance(results.manifest, results.class_names)
    figure.set_size_inches(BALANCE_WIDTH_IN, figure.get_figheight())
    counts = "; ".join(f"{name} {int((results.kept['label'] == name).sum())}" for name in results.class_names)
    svg = figure_svg(figure, "balance", f"Bars of images per class: {counts}.")
    table = number_exhibits(results)["tbl-splits"]
    caption = f'Images per class and split (<a href="#tbl-splits">{table}</a>).'
    return show_figure(results, "fig-balance", [svg], caption, columns=1, width_px=560)


def creative_figures(results: Results) -> Shown:
    """The images of notebook 05, as far as there are any."""
    shown = Shown("")
    for name, path in results.images.items():
        data = base64.b64encode(path.read_bytes()).decode()
        with Image.open(path) as opened:
            width = round(opened.width * CSS_PX_PER_IN / IMAGE_DPI)
        caption = IMAGE_CAPTIONS[name]
        image = f'<img class="faces" alt="{caption}" src="data:image/png;base64,{data}">'
        shown += show_figure(results, image_key(name), [image], caption, columns=1, width_px=width)
    return shown


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
        figure = plot_curve(results.histories, kind, labels)
        svg = figure_svg(figure, f"curves-{kind}", alt)
        places = json.dumps(read_places(figure, results.histories, kind, labels))
        panels.append(f'<div class="curve" data-curve="{escape(places)}">{svg}</div>')
    caption = (
        "Loss and accuracy by epoch. Solid lines with marks are validation, dashed ones training; a ring marks the "
        "epoch of the best validation accuracy, whose weights were kept."
    )
    return show_figure(results, "fig-curves", panels, caption, columns=2, width_px=400)


def confusion_figure(results: Results) -> Shown:
    """The confusion matrix of each model on the test split."""
    panels = []
    for number, (model, counts) in enumerate(results.confusions.items()):
        rows = "; ".join(
            f"{label}: " + ", ".join(f"{count} as {name}" for name, count in row.items() if count)
            for label, row in counts.iterrows()
        )
        alt = f"Confusion matrix of {results.label(model)}. {rows}."
        panels.append(figure_svg(plot_matrix(counts, results.label(model)), f"confusion-{number}", alt))
    width = round(CSS_PX_PER_IN * matrix_side_in(len(results.class_names)) * 1.1)
    caption = (
        "Confusion matrices on the test split: images of each label (rows) by predicted class (columns). The "
        "colour of a cell deepens with its share of the row; what lies off the diagonal is a mistake."
    )
    return show_figure(
        results, "fig-confusion", panels, caption, columns=3 if len(results.class_names) <= 4 else 2, width_px=width
    )


def metrics_figure(results: Results) -> Shown:
    """Accuracy and macro precision, recall and F1, the models one below the other, with intervals."""
    labels = {model: results.label(model) for model in results.models}
    panels = []
    for metric, title in METRICS.items():
        values = {model: _metric(results, model, metric) for model in results.models}
        read = "; ".join(
            f"{labels[model]} {v:.4f}, interval {low:.3f} to {high:.3f}" for model, (v, low, high) in values.items()
        )
        panels.append(figure_svg(plot_metric(values, title, labels), f"metric-{metric}", f"{title}. {read}."))
    caption = f"Model metrics on the test split. A bar spans the {LEVEL:.0%} interval."
    return show_figure(results, "fig-metrics", panels, caption, columns=2, width_px=400)


def _metric(results: Results, model: str, metric: str) -> tuple[float, float, float]:
    if metric == "accuracy":
        correct, count = count_correct(results.tests[model]), results.test_size
        return correct / count, *wilson_interval(correct, count)
    return float(results.reports[model].at["macro avg", metric]), *map(float, results.macro[model].loc[metric])
