"""Figures: one look, the same bytes, text that stays text."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from fake_run import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from emotion_utils.figures.results import plot_curves, plot_matrix
from emotion_utils.figures.style import (
    DARK,
    MODEL_COLORS,
    figure_svg,
    model_colors,
    model_markers,
    spread_labels,
    theme_svgs,
)  # fmt: skip
from emotion_utils.model_table import STUDY_MODELS
from emotion_utils.report.sections.classification import confusion_figure
from emotion_utils.report.sections.metrics import metrics_figure
from emotion_utils.report.sections.training import curves_figure


def luminance(color):
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_model_keeps_its_colour_in_any_company():
    for model in STUDY_MODELS:
        assert model_colors([model])[model] == model_colors(["another", *reversed(STUDY_MODELS)])[model]
    ten = [*STUDY_MODELS, *(f"m{number}" for number in range(7))]
    assert len(set(model_colors(ten).values())) == len(set(model_markers(ten).values())) == 10


@pytest.mark.parametrize(("light", "dark"), MODEL_COLORS)
def test_labels_in_the_colour_of_a_model_can_be_read_on_light_and_dark(light, dark):
    assert contrast(light, "#ffffff") >= 4.5
    assert contrast(dark, DARK["#ffffff"]) >= 4.5


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=10))
def test_labels_never_meet_and_stay_inside(positions):
    placed = sorted(spread_labels(positions, 0.1, 0.0, 1.0))
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(placed))
    assert placed[0] >= -1e-9
    assert placed[-1] <= 1 + 1e-9


def test_same_figure_gives_the_same_bytes_without_a_date(make_results):
    results = make_results()
    first, second = (curves_figure(results).html for _ in range(2))
    assert first == second
    assert "<metadata" not in first
    assert not re.search(r"20\d\d-\d\d-\d\d", first)


def test_svg_is_well_formed_speaks_and_keeps_its_ids_apart(make_results):
    html = confusion_figure(make_results()).html + metrics_figure(make_results(name="other")).html
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == 3 + 4
    identities = []
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert len(root.get("aria-label")) > 20
        identities += [element.get("id") for element in root.iter() if element.get("id")]
    assert len(identities) == len(set(identities))
    used = re.findall(r'(?:url\(#|href="#)([^")]+)', html)
    assert set(used) <= {*identities}


def test_names_of_classes_are_text_and_cannot_break_out(make_results):
    results = make_results(classes=HOSTILE)
    counts = next(iter(results.confusions.values()))
    svg = figure_svg(plot_matrix(counts, "model"), "key", 'alt <of> "it"')
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert "$m$" in texts
    assert "new line" in texts
    assert "<script>alert"[:13] in " ".join(texts)
    assert "<script" not in svg


def test_figures_follow_the_page_into_the_dark(make_results):
    html = metrics_figure(make_results()).html
    themed = theme_svgs(html + "<p>color: #1b1d22;</p>")
    assert "fill: var(--c-1b1d22)" in themed
    assert not [color for color in DARK if f"fill: {color}" in themed]
    assert "<p>color: #1b1d22;</p>" in themed


def test_notebooks_get_one_figure_for_one_or_many_models(make_results):
    results = make_results(classes=tuple("abcdefghij"), epochs=1)
    figure = plot_curves(results.histories, {model: model for model in results.models})
    assert len(figure.axes) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["validation", "training", "best epoch"]
