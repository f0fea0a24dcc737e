"""What the report is made from: the artefacts of a run, read once and checked against each other. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.artefacts import WEIGHTS_COLUMN, WEIGHTS_DIGITS
from emotion_utils.config import RunConfig
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.evaluation.calibration import (
    Calibration,
    SelectivePrediction,
    measure_calibration,
    measure_selective_prediction,
)  # fmt: skip
from emotion_utils.evaluation.comparison import compare_pairs, compare_trainings, macro_intervals, resample_rates
from emotion_utils.evaluation.metrics import classification_table, confusion
from emotion_utils.recipe import Recipe
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.saliency import SaliencyResults, read_saliency
from emotion_utils.report.trainings import (
    Ablation,
    check_history,
    check_model,
    read_ablations,
    read_seeds,
    split_rows,
    used_recipe,
)
from emotion_utils.run import Run

IMAGES = ("average_faces", "cards_certain", "cards_mistaken", "cards_borderline")  # what notebook 05 may have made


# What the report reads of audit.json.
AUDIT_KEYS = (
    "classes", "images", "kept", "fingerprint", "notes", "reasons", "conversions", "sizes", "duplicates",
    "near_duplicates", "conflicts", "faces", "groups", "leaks", "splits", "suspects",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """A finished run as the report sees it; `vals` and `tests` hold each model's rows of that split, sorted by id."""

    name: str
    config: RunConfig
    facts: Mapping[str, Any]
    class_names: tuple[str, ...]
    manifest: pd.DataFrame
    audit: Mapping[str, Any]
    histories: Mapping[str, pd.DataFrame]
    vals: Mapping[str, pd.DataFrame]
    tests: Mapping[str, pd.DataFrame]
    cards: Mapping[str, Mapping[str, Any]]
    events: Mapping[str, list[dict[str, Any]]]
    searches: Mapping[str, tuple[pd.DataFrame, dict[str, Any]]]
    images: Mapping[str, Path]
    saliency: SaliencyResults | None  # None where notebook 05 has measured nothing
    robustness: Mapping[str, pd.DataFrame]  # empty where no model was measured
    openings: list[str]  # who opened the test images, in order
    video: tuple[str, pd.DataFrame, pd.DataFrame] | None = None
    """Of the synthetic clip: the model that read it, what it found, and what is there; None where none was read."""
    seeds: Mapping[str, pd.DataFrame] | None = None  # a row per training; None where each model has one
    ablations: Sequence[Ablation] = ()
    rubric: Mapping[str, Any] | None = None  # `file` and `criteria`

    @property
    def models(self) -> list[str]:
        return list(self.tests)

    @property
    def weights_sha256(self) -> str:
        """The beginning of the SHA-256 of each model's weights."""
        return " ".join(card["sha256"][:WEIGHTS_DIGITS] for card in self.cards.values())

    @property
    def test_size(self) -> int:
        return len(next(iter(self.tests.values())))

    @cached_property
    def kept(self) -> pd.DataFrame:
        return self.manifest[self.manifest["status"] == "kept"]

    @cached_property
    def quarantined(self) -> pd.DataFrame:
        return self.manifest[self.manifest["status"] == "quarantined"]

    @property
    def auxiliary(self) -> dict[str, int]:
        """The images of each class that only teaches; empty where there is none."""
        return {name: count for name, count in self.audit.get("auxiliary", {}).get("classes", {}).items() if count}

    @property
    def has_shortcuts(self) -> bool:
        """Whether a property of the images alone predicts their labels; older audits did not ask."""
        return bool(self.audit.get("shortcuts", {}).get("found"))

    @cached_property
    def reports(self) -> dict[str, pd.DataFrame]:
        """The classification table of each model on the test split."""
        return {model: classification_table(table, self.class_names) for model, table in self.tests.items()}

    @cached_property
    def confusions(self) -> dict[str, pd.DataFrame]:
        return {model: confusion(table, self.class_names) for model, table in self.tests.items()}

    @cached_property
    def pairs(self) -> pd.DataFrame:
        return compare_pairs(self.tests)

    @cached_property
    def ablation_comparisons(self) -> pd.DataFrame:
        """A row for each of `ablations`: the model against itself without the part."""
        return compare_trainings([each.correct - each.correct_without for each in self.ablations], self.config.seed)

    @cached_property
    def macro(self) -> dict[str, pd.DataFrame]:
        """Bootstrap intervals of each model's macro averages."""
        return {
            model: macro_intervals(table, self.class_names, self.config.seed) for model, table in self.tests.items()
        }

    @cached_property
    def resampled(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Bootstrap values of each model's accuracy and F1 per class, all of the same draws."""
        return resample_rates(self.tests, self.class_names, self.config.seed)

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        return {
            model: measure_calibration(self.vals[model], table, self.class_names, self.config.seed)
            for model, table in self.tests.items()
        }

    @cached_property
    def selective(self) -> dict[str, SelectivePrediction]:
        return {
            model: measure_selective_prediction(self.vals[model], table, self.class_names)
            for model, table in self.tests.items()
        }

    @property
    def data_name(self) -> str:
        return self.config.data_name

    def recipe(self, model: str) -> Recipe:
        """What the model was trained with: a notebook may have changed the recipe of the settings."""
        return used_recipe(self.config, model, self.cards[model])

    def edits(self, model: str) -> list[str]:
        """What the notebook that trained the model changed in the settings of the run, a line each."""
        return self.cards[model].get("training", {}).get("edits", [])

    def start_kind(self, model: str) -> str:
        """What its training started from: proxy, official, random, file, or earlier for a model of another run."""
        earlier = "start" in self.cards[model].get("training", {})
        return "earlier" if earlier else self.weights_kind(model)

    def weights_kind(self, model: str) -> str:
        """What its training started from: proxy, official, random or file."""
        return self.cards[model]["provenance"]["kind"]

    @cached_property
    def exhibits(self) -> dict[str, str]:
        """What the text calls each figure and table."""
        return number_exhibits(self)

    @property
    def proxies(self) -> list[str]:
        return [model for model in self.models if self.weights_kind(model) == "proxy"]

    def label(self, model: str) -> str:
        """The model's name as figures show it: never without the word proxy where a proxy stands behind it."""
        return f"{model} (proxy)" if self.weights_kind(model) == "proxy" else model


def read_results(run: Run, *, measured: bool = True) -> Results:
    """Reads what the report needs. Refuses artefacts that do not belong together (InputError or EmotionError).

    Without `measured` the tables of notebook 05 are left alone, as it does before it writes them.
    """
    models = run.finished_models()
    if not models:
        raise InputError(f"no model of {run.root} is trained: run notebooks 02 to 04 first")
    manifest, classes = run.read("manifest"), run.class_names()
    predictions = {model: run.read("predictions", model) for model in models}
    cards = {model: run.read("model_card", model) for model in models}
    histories = {model: run.read("history", model) for model in models}
    for model in models:
        check_model(run, model, manifest, predictions[model], cards[model], classes)
        check_history(run, model, histories[model], predictions[model], cards[model])
    tests = {model: split_rows(table, "test") for model, table in predictions.items()}
    return Results(
        name=run.root.resolve().name,
        config=run.config,
        facts=run.facts,
        class_names=classes,
        manifest=manifest,
        audit=_read_audit(run),
        histories=histories,
        vals={model: split_rows(table, "val") for model, table in predictions.items()},
        tests=tests,
        cards=cards,
        events={model: run.read("events", model) for model in models},
        searches={model: found for model in models if (found := run.read_search(model))},
        robustness=_read_robustness(run, cards),
        openings=[line["reader"] for line in run.read("test_openings")],
        seeds=read_seeds(run, models, manifest, classes) if run.config.seeds > 1 else None,
        ablations=read_ablations(run, models, manifest, classes),
        rubric=run.read("rubric") if run.path("rubric").exists() else None,
        images={name: path for name in IMAGES if (path := run.figures_dir / f"{name}.png").exists()},
        saliency=read_saliency(run, tests) if measured else None,
        video=_read_video(run, models) if measured and run.config.video else None,
    )


def _read_video(run: Run, models: list[str]) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Raises EmotionError where the clip was read by a model that the run does not have, or has trained anew since."""
    reader = run.read("video_model")
    model = reader["model"]
    if model not in models or reader["weights"] != run.read("model_card", model)["sha256"]:
        raise EmotionError(f"{run.path('video_model')}: of another model than the run has: run 07_video again")
    return model, run.read("video_faces"), run.read("video_truth")


def _read_audit(run: Run) -> dict[str, Any]:
    audit = run.read("audit")
    missing = [key for key in AUDIT_KEYS if key not in audit]
    if missing:
        raise EmotionError(
            f"{run.path('audit')}: holds nothing on {', '.join(missing)}; it is of an earlier version or was changed: "
            "make it again with --fresh"
        )
    return audit


def _read_robustness(run: Run, cards: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """Of the models that were measured; all of them in the same ways, and as they are now (EmotionError)."""
    found = {m: run.read("robustness", m) for m in cards if run.path("robustness", m).exists()}
    ways = ["kind", "amount", "label", "count"]
    for model, table in found.items():
        if not table[ways].equals(next(iter(found.values()))[ways]):
            path = run.path("robustness", model)
            raise EmotionError(f"{path}: measured in other ways than the others: run the notebook of {model} again")
        measured = set(table.get(WEIGHTS_COLUMN, ()))  # tables of earlier versions do not say
        if not all(cards[model]["sha256"].startswith(sha256) for sha256 in measured):
            path = run.path("robustness", model)
            raise EmotionError(f"{path}: measured with other weights than model.json has: run the notebook of {model}")
    return found
