"""What covering a part of the face costs each model and class, and where its saliency lies. Reads tables; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotion_utils.evaluation.regions import CONTROL, ELSEWHERE, FEATURES, RegionBox
from emotion_utils.evaluation.statistics import ALPHA, adjust_holm, bootstrap_means, mcnemar_p, percentile_interval

QUESTION = ("sad", "mouth")  # asked before anything was measured: is sadness read from the mouth?
DEPENDS = 0.5  # of a rank correlation with random networks: below it, what is seen depends on what was learned


def compare_occluded(
    tests: Mapping[str, pd.DataFrame], covered: pd.DataFrame, class_names: Sequence[str]
) -> pd.DataFrame:
    """What each model finds of each class, before and after a region is covered.

    From the test rows of each model and the stored answers to covered images (a subset of them). One row per
    `model`, `label` and `region` with images: their `count`, how many were right `before` and `after`, how many
    were `lost` (right before, wrong when covered) or `gained`, the `p_value` of the exact McNemar test, and `p_holm`,
    adjusted for all rows together.
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
    """What covering a region did to one model's recall of a class; rates 0-1."""

    model: str
    count: int
    before: float
    after: float
    control: float  # recall with the forehead covered instead
    p_holm: float
    worst: list[str]  # the features whose covering leaves the least of this class, several if they tie

    @property
    def needed(self) -> bool:
        """Covering it makes the model miss more, beyond chance, and more than covering as much of the forehead."""
        return self.p_holm <= ALPHA and self.after < min(self.before, self.control)


def answer_question(compared: pd.DataFrame, label: str, region: str) -> list[Answer]:
    """Whether each model needs `region` to find `label`, from `compare_occluded`."""
    answers = []
    for model, rows in compared[compared["label"] == label].groupby("model", sort=False):
        table = rows.set_index("region")
        features = table.loc[[name for name in FEATURES if name in table.index], "after"]
        row = table.loc[region]
        answers.append(
            Answer(
                model=model,
                count=int(row["count"]),
                before=float(row["before"] / row["count"]),
                after=float(row["after"] / row["count"]),
                control=float(table.at[CONTROL, "after"] / row["count"]),
                p_holm=float(row["p_holm"]),
                worst=list(features.index[features == features.min()]),
            )
        )
    return answers


def choose_question(class_names: Sequence[str]) -> tuple[str, str]:
    """QUESTION, or the same of the last class where this run has no such class."""
    label, region = QUESTION
    return (label if label in class_names else class_names[-1]), region


def saliency_table(saliency: pd.DataFrame, regions: Mapping[str, RegionBox], seed: int) -> pd.DataFrame:
    """How much of each model's saliency lies in each region, on average over images.

    Rows `model`, `region` with the mean `share` (0-1), its bootstrap interval `low` to `high` (images drawn again,
    from `seed`), the `area` (0-1) that the region covers, and the `images` that had any saliency.
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
