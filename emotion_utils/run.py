"""The run folder: the one place that knows every artefact's file name and schema."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from emotion_utils.config import SPLITS, Recipe, RunConfig, change_config, resolve_config, validate_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import (
    as_numbers,
    as_whole_numbers,
    check_columns,
    check_values,
    read_csv,
    read_json,
    read_json_lines,
    refuse_rows,
    write_csv,
    write_json,
)

MANIFEST_COLUMNS = ("id", "path", "label", "group", "split", "status", "reason", "width", "height")
# What a manifest may hold besides: near duplicates share a cluster; of an image only this square is used (pixels,
# side 0: all of it).
FRAME_COLUMNS = ("face_left", "face_top", "face_side")
MORE_COLUMNS = ("cluster", *FRAME_COLUMNS)
HISTORY_COLUMNS = (
    "epoch", "phase", "lr", "train_loss", "train_acc", "val_loss", "val_acc", "seconds", "images_per_second",
)  # fmt: skip
SEARCH_COLUMNS = (
    "trial", "key", "sampler", "lr", "weight_decay", "augment_strength", "state", "epochs", "best_epoch", "val_acc",
    "seconds", "reason",
)  # fmt: skip
PREDICTION_COLUMNS = ("id", "split", "label", "predicted")  # then one probability column per class, in class order
# What notebook 05 measures, a table each; `saliency` has a column per region besides.
CREATIVE_COLUMNS = {
    "regions": ("region", "left", "top", "right", "bottom"),
    "saliency": ("model", "id", "label", "predicted"),
    "randomised": ("model", "step", "group", "id", "correlation"),
    "covered": ("model", "id", "label", "predicted", "region"),
}
WORDS = ("region", "model", "id", "label", "predicted", "group")  # the columns of these tables that are not numbers
ROBUSTNESS_COLUMNS = ("kind", "amount", "label", "count", "correct")
# What a notebook may set otherwise than the run was made with: it decides how a model is trained, and nothing before.
NOTEBOOK_SETTINGS = (
    "weights", "epochs", "batch_size", "processes", "max_steps_per_epoch", "balance", "augment", "budget_minutes",
    "recipes",
)  # fmt: skip
PROBABILITY_TOLERANCE = 1e-4  # how far a row of probabilities may be from summing to 1


class Run:
    """A run folder and its configuration; reads and writes artefacts, each checked and written whole."""

    def __init__(self, root: Path, config: RunConfig, model_folder: str = "") -> None:
        self.root = root
        self.config = config
        self.model_folder = model_folder  # below each model's own; empty for the training that the report shows

    # -- opening -----------------------------------------------------------------------------------

    @classmethod
    def create(cls, root: str | Path, config: RunConfig) -> Run:
        """The run at `root`, made if it is not there. Raises InputError where another configuration lives in it."""
        root = Path(root)
        if (root / "run.json").exists():
            run = cls.open(root)
            if run.config != config:
                raise InputError(
                    f"{root} holds a run with other settings ({_first_difference(run.config, config)}); "
                    "choose another --output, or add --fresh to start it again"
                )
            return run
        try:
            root.mkdir(parents=True, exist_ok=True)
            run = cls(root, config)
            run.write_facts({"config": config.model_dump(mode="json"), "stages": {}})
        except OSError as error:
            raise InputError(f"cannot write to {root}: {error.strerror}; choose another --output") from None
        return run

    @classmethod
    def start(cls, root: str | Path, *, profile: str, data: str, seed: int, settings: Iterable[str] = ()) -> Run:
        """The run at `root`, made from a profile and `settings` (as for --set) if it is not there.

        One that is there keeps its settings. Raises InputError where any that is given here has another value in it.
        """
        if not (Path(root) / "run.json").exists():
            return cls.create(root, resolve_config(profile, settings, data=data, seed=seed))
        run = cls.open(root)
        wanted = change_config(run.config, settings, profile=profile, data=data, seed=seed)
        if wanted != run.config:
            difference = _first_difference(run.config, wanted)
            raise InputError(f"{root} holds a run with other settings ({difference}): choose another run_dir")
        return run

    @classmethod
    def open(cls, root: str | Path, settings: Iterable[str] = ()) -> Run:
        """The existing run at `root`, with `settings` (as for --set) changed for whoever opens it, not in run.json.

        Raises InputError that says what to run first, and where a setting was decided when the run was prepared.
        """
        root = Path(root)
        if not (root / "run.json").exists():
            raise InputError(
                f"no run at {root}: run notebook 01_data_preparation first, or `emotion run --output {root}`"
            )
        facts = read_json(root / "run.json")
        if "config" not in facts:
            raise EmotionError(f"{root / 'run.json'}: no config; start the run again with --fresh")
        stored = validate_config(facts["config"])
        config = change_config(stored, settings)
        decided = [name for name in type(config).model_fields
                   if name not in NOTEBOOK_SETTINGS and getattr(config, name) != getattr(stored, name)]  # fmt: skip
        if decided:
            raise InputError(
                f"{', '.join(decided)}: decided when {root} was prepared; run notebook 01 with it, in another run_dir"
            )
        return cls(root, config)

    # -- where things are --------------------------------------------------------------------------

    @property
    def manifest_path(self) -> Path:
        return self.root / "data" / "manifest.csv"

    @property
    def audit_path(self) -> Path:
        return self.root / "data" / "audit.json"

    @property
    def claims_path(self) -> Path:
        return self.root / "claims.json"

    def read_claims(self) -> list[dict[str, Any]]:
        """Every generated sentence with its figures (`report.claims`)."""
        return read_json(self.claims_path, "06_comparison")

    @property
    def notebooks_dir(self) -> Path:
        return self.root / "notebooks"

    @property
    def figures_dir(self) -> Path:
        """Images that notebook 05 makes and the report shows."""
        return self.root / "figures"

    def creative_path(self, name: str) -> Path:
        """One of the tables CREATIVE_COLUMNS."""
        return self.root / "creative" / f"{name}.csv"

    @property
    def openings_path(self) -> Path:
        return self.root / "data" / "test_openings.jsonl"

    def model_dir(self, model: str) -> Path:
        return self.root / "models" / model / self.model_folder

    def recipe(self, model: str, **changes: Any) -> Recipe:
        """A copy of the recipe of `model`, to be looked at and changed; `changes` that are None are left out."""
        given = {key: value for key, value in changes.items() if value is not None}
        return change_config(self.config, recipes={model: given}).recipes[model]

    def title(self, model: str) -> str:
        """What to call a model of this run: its name, and for a variant that of its folder."""
        variant = [part for part in Path(self.model_folder).parts if not part.startswith("seed-")]
        return "/".join([model, *variant])

    def replicas(self) -> list[Run]:
        """The same run from each further seed of `seeds`: the data are shared, models/<model>/seed-<n> is its own."""
        seeds = range(self.config.seed + 1, self.config.seed + self.config.seeds)
        copies = {f"seed-{n}": self.config.model_copy(update={"seed": n}) for n in seeds}
        return [Run(self.root, config, str(Path(self.model_folder) / name)) for name, config in copies.items()]

    def variant(self, name: str) -> Run:
        """The same run, whose models have folders of their own by this name, below the usual ones."""
        return Run(self.root, self.config, str(Path(self.model_folder) / name))

    # -- facts about the run (run.json) ------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        return read_json(self.root / "run.json")

    def stored_config(self) -> RunConfig:
        """The settings as run.json has them; `config` may differ from them in a notebook."""
        return validate_config(self.facts["config"])

    def write_facts(self, facts: dict[str, Any]) -> None:
        write_json(self.root / "run.json", facts)

    def record(self, **facts: Any) -> None:
        """Adds facts to run.json (versions, hardware, weights provenance ...); mappings are merged one level deep."""
        stored = self.facts
        for key, value in facts.items():
            both_maps = isinstance(stored.get(key), dict) and isinstance(value, dict)
            stored[key] = {**stored[key], **value} if both_maps else value
        self.write_facts(stored)

    # -- data --------------------------------------------------------------------------------------

    def write_manifest(self, manifest: pd.DataFrame) -> None:
        check_columns(self.manifest_path, manifest, MANIFEST_COLUMNS)
        more = [column for column in MORE_COLUMNS if column in manifest]
        write_csv(self.manifest_path, manifest[[*MANIFEST_COLUMNS, *more]])

    def read_manifest(self) -> pd.DataFrame:
        """One row per source image; `group`, `split` and `reason` are empty strings where there is none."""
        manifest = read_csv(self.manifest_path, "01_data_preparation")
        check_columns(self.manifest_path, manifest, MANIFEST_COLUMNS)
        check_values(self.manifest_path, manifest["split"], {*SPLITS, ""})
        check_values(self.manifest_path, manifest["status"], {"kept", "quarantined"})
        numbers = [column for column in ("width", "height", *FRAME_COLUMNS) if column in manifest]
        return as_whole_numbers(self.manifest_path, manifest, numbers)

    def write_audit(self, audit: dict[str, Any]) -> None:
        write_json(self.audit_path, audit)

    def read_audit(self) -> dict[str, Any]:
        return read_json(self.audit_path, "01_data_preparation")

    def class_names(self) -> tuple[str, ...]:
        """The classes of the prepared data, in the order of every probability column and network output."""
        return tuple(self.read_audit()["classes"])

    def note_test_opening(self, reader: str, of: str = "") -> None:
        """One line for each time that the images of the test split are opened.

        `of` says with which models they are looked at: the same look again is none.
        """
        line = json.dumps({"reader": reader} | ({"of": of} if of else {})) + "\n"
        if of and self.openings_path.exists() and line in self.openings_path.read_text(encoding="utf-8"):
            return
        with self.openings_path.open("a", encoding="utf-8") as file:
            file.write(line)

    def read_test_openings(self) -> list[str]:
        """Who opened the test images, in order; whoever did it twice stands there twice."""
        path = self.openings_path
        return [line["reader"] for line in read_json_lines(path)] if path.exists() else []

    # -- models ------------------------------------------------------------------------------------

    def write_history(self, model: str, history: pd.DataFrame) -> None:
        path = self.model_dir(model) / "history.csv"
        check_columns(path, history, HISTORY_COLUMNS)
        write_csv(path, history)

    def read_history(self, model: str) -> pd.DataFrame:
        """One row per epoch; accuracies 0-1, `seconds` of wall time."""
        path = self.model_dir(model) / "history.csv"
        history = read_csv(path, f"the notebook of {model}")
        check_columns(path, history, HISTORY_COLUMNS)
        numbers = as_numbers(path, history, [c for c in history.columns if c != "phase"])
        if list(numbers["epoch"]) != list(range(1, len(numbers) + 1)):
            raise EmotionError(f"{path}: epochs must count 1, 2, 3 ..., found {list(numbers['epoch'])}")
        return numbers.astype({"epoch": "int64"})

    def write_predictions(self, model: str, predictions: pd.DataFrame) -> None:
        path = self.model_dir(model) / "predictions.csv"
        check_predictions(path, predictions, self.class_names())
        write_csv(path, predictions)

    def read_predictions(self, model: str) -> pd.DataFrame:
        """Rows of val and test: `id, split, label, predicted`, then probabilities (0-1) in class order."""
        path = self.model_dir(model) / "predictions.csv"
        classes = self.class_names()
        predictions = read_csv(path, f"the notebook of {model}")
        check_columns(path, predictions, (*PREDICTION_COLUMNS, *classes))
        predictions = as_numbers(path, predictions, list(classes))
        check_predictions(path, predictions, classes)
        return predictions

    def write_robustness(self, model: str, table: pd.DataFrame) -> None:
        path = self.model_dir(model) / "robustness.csv"
        check_columns(path, table, ROBUSTNESS_COLUMNS)
        write_csv(path, table)

    def read_robustness(self, model: str) -> pd.DataFrame:
        """Per kind and amount of making test images worse, and label: `count` of images, `correct` ones of them."""
        path = self.model_dir(model) / "robustness.csv"
        table = read_csv(path, f"the notebook of {model}")
        check_columns(path, table, ROBUSTNESS_COLUMNS)
        check_values(path, table["label"], set(self.class_names()))
        table = as_whole_numbers(path, as_numbers(path, table, ["amount"]), ["count", "correct"])
        refuse_rows(path, ~table["correct"].between(0, table["count"]), "more images are right than there are")
        return table

    def read_model_card(self, model: str) -> dict[str, Any]:
        return read_json(self.model_dir(model) / "model.json", f"the notebook of {model}")

    def write_search(self, model: str, trials: pd.DataFrame, summary: dict[str, Any]) -> None:
        """One row per configuration that `emotion search` tried, and what came out of it."""
        path = self.model_dir(model) / "search.csv"
        check_columns(path, trials, SEARCH_COLUMNS)
        write_csv(path, trials[list(SEARCH_COLUMNS)])
        write_json(self.model_dir(model) / "search.json", summary)

    def read_search(self, model: str) -> tuple[pd.DataFrame, dict[str, Any]] | None:
        """The trials and the summary of the last search; None where there was none. `val_acc` NaN: no epoch ended."""
        path, made_by = self.model_dir(model) / "search.csv", f"`emotion search {model}`"
        if not path.exists():
            return None
        trials = read_csv(path, made_by)
        check_columns(path, trials, SEARCH_COLUMNS)
        check_values(path, trials["state"], {"complete", "pruned"})
        trials["val_acc"] = trials["val_acc"].replace("", "nan")
        words = ("key", "sampler", "state", "reason")
        trials = as_numbers(path, trials, [name for name in trials.columns if name not in words])
        whole = {"trial": "int64", "epochs": "int64", "best_epoch": "int64"}
        return trials.astype(whole), read_json(path.with_suffix(".json"), made_by)

    def append_event(self, model: str, kind: str, **details: Any) -> None:
        """One line of events.jsonl: what training had to deal with."""
        path = self.model_dir(model) / "events.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **details}, sort_keys=True) + "\n")

    def read_events(self, model: str) -> list[dict[str, Any]]:
        path = self.model_dir(model) / "events.jsonl"
        return read_json_lines(path) if path.exists() else []

    # -- the creative element ----------------------------------------------------------------------

    def write_creative(self, name: str, table: pd.DataFrame) -> None:
        path = self.creative_path(name)
        check_columns(path, table, CREATIVE_COLUMNS[name])
        write_csv(path, table)

    def read_creative(self, name: str) -> pd.DataFrame:
        """A table that notebook 05 has measured; see CREATIVE_COLUMNS."""
        path = self.creative_path(name)
        table = read_csv(path, "05_creative_element")
        check_columns(path, table, CREATIVE_COLUMNS[name])
        return as_numbers(path, table, [column for column in table.columns if column not in WORDS])

    def finished_models(self) -> list[str]:
        """The configured models whose predictions are there, in the configured order."""
        return [name for name in self.config.models if (self.model_dir(name) / "predictions.csv").exists()]


def check_predictions(path: Path, predictions: pd.DataFrame, classes: Iterable[str]) -> None:
    """Raises EmotionError naming file and row where a table of predictions contradicts itself."""
    classes = list(classes)
    check_columns(path, predictions, (*PREDICTION_COLUMNS, *classes))
    check_values(path, predictions["split"], {"val", "test"})
    for column in ("label", "predicted"):
        check_values(path, predictions[column], set(classes))
    refuse_rows(path, predictions["id"].duplicated(), "the id stands there twice")
    probs = predictions[classes]
    refuse_rows(path, ~probs.apply(lambda column: column.between(0, 1)).all(axis=1), "a probability is not within 0-1")
    refuse_rows(path, (probs.sum(axis=1) - 1).abs() > PROBABILITY_TOLERANCE, "the probabilities do not sum to 1")
    refuse_rows(path, probs.idxmax(axis=1) != predictions["predicted"], "predicted is not the most probable class")


def _first_difference(there: RunConfig, here: RunConfig) -> str:
    ours, theirs = here.model_dump(mode="json"), there.model_dump(mode="json")
    key = next(key for key in ours if ours[key] != theirs[key])
    return f"{key}: {theirs[key]} there, {ours[key]} here"
