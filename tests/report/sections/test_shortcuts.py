"""Results beside a shortcut: worked out again from the predictions, and not a word where there is none."""

import re

import numpy as np
import pytest

from emotion_utils.report.contents import collect_claims, show_text
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.model_card import make_card
from emotion_utils.report.page.page_tables import parse_html, read_tables
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.data_card import data_card
from emotion_utils.report.sections.shortcuts import strata_table

FOUND = [
    {"name": "colour", "accuracy": 0.64, "low": 0.6, "high": 0.69, "same_as": "", "units": 6},
    {"name": "height", "accuracy": 0.62, "low": 0.58, "high": 0.66, "same_as": "colour"},
    {"name": "brightness", "accuracy": 0.6, "low": 0.57, "high": 0.63, "same_as": ""},
]


@pytest.fixture
def run(make_run):
    return make_run(skills={"r18_pre_emotion": 0.9, "r18_scratch_emotion": 0.6})


def plant(run):
    """A manifest with colours and brightness, and an audit that found them."""
    manifest = run.read("manifest")
    rng = np.random.default_rng(0)
    colour = np.where(rng.random(len(manifest)) < 0.2, "colour", "grey")
    run.write("manifest", manifest.assign(colour=colour, brightness=rng.random(len(manifest)).round(4)))
    largest = {"class_name": "happy", "share": 0.56}
    run.write("audit", run.read("audit") | {"shortcuts": {"found": FOUND, "largest": largest, "level": 0.95}})
    return read_results(run)


def test_every_result_is_given_within_each_stratum(run):
    results = plant(run)
    table = read_tables(parse_html(strata_table(results).html))["tbl-strata"]
    manifest = results.manifest.set_index("id")
    dark, light = results.kept["brightness"].quantile([1 / 3, 2 / 3], interpolation="lower")
    expected = []
    for inside in (
        lambda rows: rows["colour"].notna(), lambda rows: rows["colour"] == "grey",
        lambda rows: rows["colour"] == "colour", lambda rows: rows["brightness"] <= dark,
        lambda rows: rows["brightness"].between(dark, light, inclusive="right"),
        lambda rows: rows["brightness"] > light,
    ):  # fmt: skip
        for model, test in results.tests.items():
            part = test[inside(manifest.loc[test["id"]]).to_numpy()]
            right = (part["label"] == part["predicted"]).sum()
            expected.append((model, f"{right} of {len(part)}", f"{right / len(part):.4f}"))
    shown = [[cell for cell in row if cell][-4:-1] for row in table.rows[1:]]
    assert [(model.split()[0], right, rate.split()[0]) for model, right, rate in shown] == expected


def test_the_text_names_the_property_and_the_stratum_without_it(run):
    results = plant(run)
    text = show_text(results, "data").html
    assert "whether the image is in colour" in text
    assert "the images of six persons" in text.replace("&nbsp;", " ")
    assert re.search("Mostly the same images stand out in .*height", text)
    test = results.tests["r18_pre_emotion"]
    grey = test[test["id"].isin(results.manifest["id"][results.manifest["colour"] == "grey"])]
    rate = (grey["label"] == grey["predicted"]).mean()
    for section in ("abstract", "metrics"):
        (claim, _) = [claim for claim in collect_claims(results) if claim.section == section and "alike" in claim.text]
        assert claim.values["count"] == len(grey)
        assert claim.values["rate0"] == pytest.approx(rate)
        assert "(grey)" in claim.text
    assert data_card(results).html.count("Shortcut") == 2


def test_model_card_names_each_shortcut_and_has_the_results_within_strata(run):
    results = plant(run)
    card = make_card(results, "r18_pre_emotion")
    lines = re.findall(r"^- \*\*Shortcut\*\*: (.*)$", card, re.MULTILINE)
    assert all(any(name in line for line in lines) for name in ("colour", "brightness"))
    (table,) = re.findall(r"^### Within images that are alike.*\n\n((?:\|.*\n)+)", card, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    test = results.tests["r18_pre_emotion"]
    test = test.merge(results.manifest[["id", "colour"]], on="id")
    for name, part in test.groupby("colour"):
        (row,) = [row for row in rows if name in row[0]]
        assert row[1].split()[0] == f"{(part['label'] == part['predicted']).mean():.3f}"
        assert row[2] == str(len(part))
    assert len(rows) == 2 + 3  # thirds of the brightness


def test_nothing_is_said_where_nothing_is_found(run):
    before = read_results(run)
    empty = {"shortcuts": {"found": [], "largest": FOUND[0], "level": 0.95}}
    run.write("audit", run.read("audit") | empty)
    after = read_results(run)
    for results in (before, after):
        assert strata_table(results).html == ""
        assert "tbl-strata" not in number_exhibits(results)
        assert not [claim.text for claim in collect_claims(results) if "alike" in claim.text]
        assert "Shortcut" not in data_card(results).html
        card = make_card(results, "r18_pre_emotion")
        assert "Shortcut" not in card
        assert "alike" not in card


def test_names_that_the_data_bring_are_escaped(run):
    manifest = run.read("manifest")
    folders = np.where(np.arange(len(manifest)) % 3 > 0, "<b>x</b>", "plain")
    paths = [f"{folder}/{path}" for folder, path in zip(folders, manifest["path"], strict=True)]
    run.write("manifest", manifest.assign(path=paths))
    found = {"found": [FOUND[0] | {"name": "folder"}], "largest": {"class_name": "sad", "share": 0.4}, "level": 0.95}
    run.write("audit", run.read("audit") | {"shortcuts": found})
    results = read_results(run)
    assert "<b>x" not in strata_table(results).html + show_text(results, "metrics").html
    assert "&lt;b&gt;x" in strata_table(results).html
