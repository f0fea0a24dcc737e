"""The tables of the published study, as data. No torch."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pandas as pd

from emotion_utils.evaluation.metrics import REPORT_COLUMNS
from emotion_utils.published.tables import PrintedResults, parse_json


def read_published() -> dict[str, Any]:
    """The study's figures as printed: classes, split, epochs, `table_1`, and a `table_<n>_<model>` per model."""
    return json.loads(_published_text())


def published_models(published: dict[str, Any]) -> list[str]:
    """The study's models, in its order."""
    return list(published["table_1"])


def published_table(published: dict[str, Any], model: str) -> pd.DataFrame:
    """One classification report of the study, in the form of `metrics.classification_table`."""
    key = next(key for key in published if key.startswith("table_") and key.endswith(f"_{model}"))
    rows = {name: values if len(values) == 4 else [None, None, *values] for name, values in published[key].items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(REPORT_COLUMNS))
    return table.astype(dict.fromkeys(REPORT_COLUMNS[:3], "float64")).astype({"support": "int64"})


def published_results() -> PrintedResults:
    """The study's tables with the decimals that it prints, for `audit.audit_results`."""
    return parse_json(_published_text(), "published.json")


def _published_text() -> str:
    return resources.files("emotion_utils.published").joinpath("published.json").read_text(encoding="utf-8")
