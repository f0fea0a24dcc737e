"""The study's tables as package data."""

import json
from pathlib import Path

import pytest

from emotion_utils.published.study import published_models, published_table, read_published

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "published.json"


def test_package_holds_the_reference_figures():
    if not REFERENCE.exists():
        pytest.skip(f"the reference figures are missing: {REFERENCE}")
    assert read_published() == json.loads(REFERENCE.read_text(encoding="utf-8"))


def test_table_of_a_model_is_the_printed_one():
    published = read_published()
    assert published_models(published) == ["VGG16_emotion", "r18_scratch_emotion", "r18_pre_emotion"]
    table = published_table(published, "r18_pre_emotion")
    assert table.loc["angry"].tolist() == [0.9935, 1.0, 0.9967, 153]
    assert table.at["accuracy", "f1-score"] == 0.9977
    assert table["support"].iloc[-1] == 432
