"""What occluding a part of the face costs each model and class, and where saliency lies. Reads tables; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotion_utils.evaluation.regions import CONTROL, ELSEWHERE, FEATURES, RegionBox
from emotion_utils.evaluation.statistics import ALPHA, adjust_holm, bootstrap_means, mcnemar_p, percentile_interval

QUESTION = ("sad", "mouth")  # fixed before anything was measured: do models recognise sadness by the mouth?
DEPENDS = 0.5  # rank correlation with randomised networks below which a map depends on what was learned


def compare_occluded(
    tests: Mapping[str, pd.DataFrame], covered: pd.DataFrame, class_names: Sequence[str]
) -> pd.DataFrame:
    """How many images of each class each model recognises, before and after a region is occluded.

    `tests` are the test rows of each model, `covered` the predictions for a subset of them with a region occluded.
    One row per `model`, `label` and `region` with images: their `count`, how many were correct `before` and `after`,
    how many were `lost` (correct before, wrong after) or `gained`, the `p_value` of the exact McNemar test, and
    `p_holm`, adjusted for all rows together.
    """
    rows = []
    for (model, region), answers in covered.groupby(["model", "region"], sort=False):
        shown = tests[model].set_index("id").loc[answers["id"]]
        before = (shown["predicted"] == shown["label"]).to_numpy()
        after = (answers["predicted"] == answers["label"]).to_numpy()
        for label in class_names:
            own = (answers["label"] == label).to_numpy()
            if not own.any():
                continue
            lost, gained = int((before & ~after & own).sum()), int((after & ~before & own).sum())
            counts = (int(own.sum()), int(before[own].sum()), int(after[own].sum()), lost, gained)
            rows.append((model, label, region, *counts, mcnemar_p(lost, gained)))
    columns = ["model", "label", "region", "count", "before", "after", "lost", "gained", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=adjust_holm(table["p_value"].to_numpy()))


@dataclass(frozen=True)
class Answer:
    """The effect of occluding a region on one model's recall of a class; rates 0-1."""

    model: str
    count: int
    hits: int  # recognised before
    before: float
    after: float
    control: float  # recall with the forehead occluded instead
    p_holm: float
    smallest_p: float  # what `p_holm` would be if every image recognised before were missed, and none gained
    worst: list[str]  # the features whose occlusion leaves the lowest recall, several if they tie

    @property
    def needed(self) -> bool:
        """Whether occlusion lowers recall significantly, and more than occluding as much of the forehead does."""
        return self.p_holm <= ALPHA and self.after < min(self.before, self.control)


def answer_question(compared: pd.DataFrame, label: str, region: str) -> list[Answer]:
    """Whether each model needs `region` to recognise `label`, from `compare_occluded`."""
    answers = []
    p_values = compared["p_value"].to_numpy()
    for model, rows in compared[compared["label"] == label].groupby("model", sort=False):
        table = rows.set_index("region")
        features = table.loc[[name for name in FEATURES if name in table.index], "after"]
        row = table.loc[region]
        asked = (compared[["model", "label", "region"]] == [model, label, region]).all(axis=1).to_numpy()
        at_best = adjust_holm(np.where(asked, mcnemar_p(int(row["before"]), 0), p_values))
        answers.append(
            Answer(
                model=model,
                count=int(row["count"]),
                hits=int(row["before"]),
                before=float(row["before"] / row["count"]),
                after=float(row["after"] / row["count"]),
                control=float(table.at[CONTROL, "after"] / row["count"]),
                p_holm=float(row["p_holm"]),
                smallest_p=float(at_best[asked][0]),
                worst=list(features.index[features == features.min()]),
            )
        )
    return answers


def choose_question(class_names: Sequence[str]) -> tuple[str, str]:
    """QUESTION; its label is replaced by the last class where this run has no such class."""
    label, region = QUESTION
    return (label if label in class_names else class_names[-1]), region


def saliency_table(saliency: pd.DataFrame, regions: Mapping[str, RegionBox], seed: int) -> pd.DataFrame:
    """The mean share of each model's saliency that lies in each region.

    Rows `model`, `region` with the mean `share` (0-1), its bootstrap interval `low` to `high`, the
    `area` (0-1) that the region covers, and the number of `images` with any saliency; the others do not count.
    """
    names = [*regions, ELSEWHERE]
    areas = {name: box.area for name, box in regions.items()}
    areas[ELSEWHERE] = 1 - sum(areas.values())
    rows = []
    for model, table in saliency.groupby("model", sort=False):
        shares = table[names].to_numpy()
        shares = shares[shares.sum(axis=1) > 0]
        intervals = percentile_interval(bootstrap_means(shares, seed)).T if len(shares) else np.zeros((len(names), 2))
        for name, column, (low, high) in zip(names, shares.T, intervals, strict=True):
            share = column.mean() if len(shares) else 0.0
            rows.append((model, name, share, low, high, areas[name], len(shares)))
    return pd.DataFrame(rows, columns=["model", "region", "share", "low", "high", "area", "images"])


def randomisation_table(randomised: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The mean rank correlation of each `model` and `step` with its bootstrap interval: `correlation, low, high`."""
    rows = []
    for (model, step, group), table in randomised.groupby(["model", "step", "group"], sort=False):
        values = table["correlation"].to_numpy()[:, None]
        low, high = percentile_interval(bootstrap_means(values, seed)[:, 0])
        rows.append((model, int(step), group, values.mean(), low, high))
    return pd.DataFrame(rows, columns=["model", "step", "group", "correlation", "low", "high"])
