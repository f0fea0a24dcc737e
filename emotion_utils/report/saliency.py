"""What notebook 05 measured, as the report sees it: where models look, and what covering a region costs. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from emotion_utils.artefacts import CREATIVE_TABLES, WEIGHTS_COLUMN
from emotion_utils.errors import EmotionError
from emotion_utils.evaluation.occlusion import (
    Answer,
    answer_question,
    choose_question,
    compare_occluded,
    randomisation_table,
    saliency_table,
)  # fmt: skip
from emotion_utils.evaluation.regions import RegionBox, read_regions
from emotion_utils.run import Run

AGAIN = "run 05_creative_element again"


@dataclass(frozen=True)
class SaliencyResults:
    """The measured tables of a run (`artefacts.CREATIVE_TABLES`), of the models in `tests`."""

    tests: Mapping[str, pd.DataFrame]
    class_names: tuple[str, ...]
    seed: int
    tables: Mapping[str, pd.DataFrame]

    @cached_property
    def regions(self) -> dict[str, RegionBox]:
        return read_regions(self.tables["regions"])

    @cached_property
    def compared(self) -> pd.DataFrame:
        return compare_occluded(self.tests, self.tables["covered"], self.class_names)

    @cached_property
    def shares(self) -> pd.DataFrame:
        return saliency_table(self.tables["saliency"], self.regions, self.seed)

    @cached_property
    def resemblance(self) -> pd.DataFrame:
        """Of saliency to that of random networks, step by step."""
        return randomisation_table(self.tables["randomised"], self.seed)

    @property
    def images(self) -> int:
        """How many images were covered."""
        return self.tables["covered"]["id"].nunique()

    @property
    def question(self) -> tuple[str, str]:
        """The class and the region that were asked about."""
        return choose_question(self.class_names)

    @cached_property
    def answers(self) -> list[Answer]:
        return answer_question(self.compared, *self.question)


def read_saliency(run: Run, tests: Mapping[str, pd.DataFrame]) -> SaliencyResults | None:
    """None where notebook 05 has not measured anything; EmotionError where its tables are of other predictions."""
    if not any(run.path(name).exists() for name in CREATIVE_TABLES):
        return None
    tables = {name: run.read(name) for name in CREATIVE_TABLES}
    regions = set(tables["regions"]["region"])
    for name in ("saliency", "covered", "randomised"):
        table, path = tables[name], run.path(name)
        missing = [model for model in tests if model not in set(table["model"])]
        if missing:
            raise EmotionError(f"{path}: nothing of {missing[0]}: {AGAIN}")
        tables[name] = table = table[table["model"].isin(tests)]  # a model whose predictions are gone is left out
        for model, rows in table.groupby("model"):
            measured = set(rows.get(WEIGHTS_COLUMN, ()))  # tables of earlier versions do not say
            if not all(run.read("model_card", model)["sha256"].startswith(sha256) for sha256 in measured):
                raise EmotionError(f"{path}: measured with other weights of {model} than model.json has: {AGAIN}")
            _check_rows(path, rows, tests[model].set_index("id")["label"], run.class_names())
    unknown = set(tables["covered"]["region"]) ^ regions | (regions - set(tables["saliency"].columns))
    if unknown:
        raise EmotionError(f"{run.path('covered')}: region {min(unknown)} is not in all tables: {AGAIN}")
    return SaliencyResults(tests, run.class_names(), run.config.seed, tables)


def _check_rows(path: Path, rows: pd.DataFrame, labels: pd.Series, class_names: tuple[str, ...]) -> None:
    """Raises EmotionError naming the row whose image is not in the test split, or has another label there."""
    wrong = ~rows["id"].isin(labels.index)
    if not wrong.any() and "label" in rows:
        wrong = (rows["label"] != rows["id"].map(labels)) | ~rows["predicted"].isin(class_names)
    if wrong.any():
        raise EmotionError(f"{path}, row {rows.index[wrong][0] + 2}: no image of the test split is so: {AGAIN}")
