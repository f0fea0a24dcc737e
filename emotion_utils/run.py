"""The run folder: opens it, and reads and writes its artefacts, each checked and written whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from emotion_utils.artefacts import ARTEFACTS, Artefact
from emotion_utils.config import RunConfig, change_config, resolve_config, validate_config
from emotion_utils.errors import InputError
from emotion_utils.files import (
    append_line,
    check_columns,
    check_values,
    convert_columns,
    read_csv,
    read_json,
    read_json_lines,
    read_text,
    refuse_links,
    refuse_links_below,
    refuse_second_name,
    write_csv,
    write_json,
    write_text,
)
from emotion_utils.printable import shell_word
from emotion_utils.recipe import Recipe
from emotion_utils.schemas import RunFacts, check_schema

# What a notebook may set otherwise than the run was made with: it decides how a model is trained, and nothing before.
NOTEBOOK_SETTINGS = (
    "weights", "epochs", "batch_size", "processes", "max_steps_per_epoch", "balance", "augment", "budget_minutes",
    "recipes",
)  # fmt: skip


LEAVE = ("wandb",)  # Weights & Biases' own folder, which links to its latest run


class Run:
    """A run folder and its configuration."""

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
            if run.config == config.model_copy(update={"rubric": run.config.rubric}):
                run.config = config  # a rubric decides nothing but what the report says of it
                run.record(config={"rubric": config.rubric})
            if run.config != config:
                raise InputError(
                    f"{root} holds a run with other settings ({_first_difference(run.config, config)}); "
                    "choose another --output, or add --fresh to start it again"
                )
            return run
        try:
            root.mkdir(parents=True, exist_ok=True)
            run = cls(root, config)
            run.write("facts", {"config": config.model_dump(mode="json"), "stages": {}})
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
                f"no run at {root}: run notebook 01_data_preparation first, or "
                f"`emotion run --output {shell_word(root)}`"
            )
        refuse_links_below(root, LEAVE)
        stored = read_config(root / "run.json")
        config = change_config(stored, settings)
        decided = [name for name in type(config).model_fields
                   if name not in NOTEBOOK_SETTINGS and getattr(config, name) != getattr(stored, name)]  # fmt: skip
        if decided:
            raise InputError(
                f"{', '.join(decided)}: decided when {root} was prepared; run notebook 01 with it, in another run_dir"
            )
        return cls(root, config)

    def title(self, model: str) -> str:
        """What to call a model of this run: its name, and for a variant that of its folder."""
        variant = [part for part in Path(self.model_folder).parts if not part.startswith("seed-")]
        return "/".join([model, *variant])

    def recipe(self, model: str, **changes: Any) -> Recipe:
        """A copy of the recipe of `model`, to be looked at and changed; `changes` that are None are left out."""
        given = {key: value for key, value in changes.items() if value is not None}
        return change_config(self.config, recipes={model: given}).recipes[model]

    def replicas(self) -> list[Run]:
        """The same run from each further seed of `seeds`: the data are shared, models/<model>/seed-<n> is its own."""
        seeds = range(self.config.seed + 1, self.config.seed + self.config.seeds)
        copies = {f"seed-{n}": self.config.model_copy(update={"seed": n}) for n in seeds}
        return [Run(self.root, config, str(Path(self.model_folder) / name)) for name, config in copies.items()]

    def variant(self, name: str) -> Run:
        """The same run, whose models have folders of their own by this name, below the usual ones."""
        return Run(self.root, self.config, str(Path(self.model_folder) / name))

    # -- where things are --------------------------------------------------------------------------

    def path(self, name: str, model: str = "") -> Path:
        """Of the artefact `name`. Raises InputError as `inside` does."""
        return self.inside(ARTEFACTS[name].path.format(model=f"{model}/{self.model_folder}"))

    def inside(self, name: str | Path) -> Path:
        """The file or folder `name` of this run. Raises InputError where a link would lead out of it."""
        return refuse_links(self.root, self.root / name)

    def model_dir(self, model: str) -> Path:
        return self.inside(Path("models", model, self.model_folder))

    @property
    def notebooks_dir(self) -> Path:
        return self.inside("notebooks")

    @property
    def figures_dir(self) -> Path:
        """Images that notebook 05 makes and the report shows."""
        return self.inside("figures")

    # -- reading and writing -----------------------------------------------------------------------

    def read(self, name: str, model: str = "") -> Any:
        """The artefact `name`: plain values, text, or a DataFrame, which hold what ARTEFACTS says.

        Raises InputError that says what to run first where it is missing, and that names file and row or field where it
        is damaged or contradicts itself.
        """
        artefact, path = ARTEFACTS[name], self.path(name, model)
        if path.suffix == ".jsonl":
            return _read_lines(path, artefact) if path.exists() else []
        made_by = artefact.made_by.format(model=model)
        if path.suffix == ".json":
            value = read_json(path, made_by)
            check_schema(path, value, artefact.schema, f"make it again with {made_by}")
            return value
        if path.suffix == ".md":
            return read_text(path, made_by)
        table = read_csv(path, made_by)
        columns = self._columns(artefact)
        check_columns(path, table, columns)
        kinds = columns | artefact.optional
        others = artefact.others or "text"
        table = convert_columns(path, table, {column: kinds.get(column, others) for column in table})
        self._check(artefact, path, table)
        return table

    def write(self, name: str, value: Any, model: str = "") -> None:
        """Writes the artefact `name`, whole. Raises InputError where a table lacks a column or contradicts itself."""
        artefact, path = ARTEFACTS[name], self.path(name, model)
        if path.suffix == ".json":
            return write_json(path, value)
        if path.suffix == ".md":
            return write_text(path, value)
        check_columns(path, value, self._columns(artefact))
        self._check(artefact, path, value)
        if artefact.others is None:
            value = value[[*artefact.columns, *(column for column in artefact.optional if column in value)]]
        return write_csv(path, value)

    def append(self, name: str, model: str = "", /, **line: Any) -> None:
        """Adds a line to the artefact `name`."""
        path = self.path(name, model)
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_second_name(path)
        append_line(path, json.dumps(line, sort_keys=True))

    def note_test_opening(self, reader: str, of: str = "") -> None:
        """Adds a line for each time that the images of the test split are opened.

        `of` says with which models they are looked at: the same look again is none.
        """
        line = {"reader": reader} | ({"of": of} if of else {})
        if not of or line not in self.read("test_openings"):
            self.append("test_openings", **line)

    def _columns(self, artefact: Artefact) -> dict[str, Any]:
        """The columns that a table must have; for the name of a class, the classes of the data."""
        classes = self._classes(artefact)
        columns = {name: classes if kind == "class" else kind for name, kind in artefact.columns.items()}
        return columns | (dict.fromkeys(classes, "number") if artefact.by_class else {})

    def _classes(self, artefact: Artefact) -> tuple[str, ...]:
        return self.class_names() if "class" in artefact.columns.values() else ()

    def _check(self, artefact: Artefact, path: Path, table: pd.DataFrame) -> None:
        for column, kind in self._columns(artefact).items():
            if isinstance(kind, tuple):
                check_values(path, table[column], set(kind))
        if artefact.check:
            artefact.check(path, table, self._classes(artefact))

    # -- what is asked for often -------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json holds."""
        return self.read("facts")

    def stored_config(self) -> RunConfig:
        """The settings as run.json has them; `config` may differ from them in a notebook."""
        return read_config(self.path("facts"))

    def record(self, **facts: Any) -> None:
        """Adds facts to run.json (versions, hardware, weights provenance ...); mappings are merged one level deep."""
        stored = self.facts
        for key, value in facts.items():
            both_maps = isinstance(stored.get(key), dict) and isinstance(value, dict)
            stored[key] = {**stored[key], **value} if both_maps else value
        self.write("facts", stored)

    def class_names(self) -> tuple[str, ...]:
        """The classes of the prepared data, in the order of every probability column and network output."""
        return tuple(self.read("audit")["classes"])

    def taught_classes(self) -> tuple[str, ...]:
        """The same, and behind them those that only teach: the order of the network's outputs in training."""
        teaching = self.read("audit").get("auxiliary", {}).get("classes", {})
        return (*self.class_names(), *(name for name, images in teaching.items() if images))

    def read_search(self, model: str) -> tuple[pd.DataFrame, dict[str, Any]] | None:
        """The trials and the summary of the last search; None where there was none."""
        if not self.path("search", model).exists():
            return None
        trials, summary = self.read("search", model), self.read("search_summary", model)
        if (trials["trial"] == summary["best"]).sum() != 1:
            raise InputError(f"{self.path('search', model)}: trial {summary['best']}, the best one, is not there once")
        return trials, summary

    def finished_models(self) -> list[str]:
        """The configured models whose predictions are there, in the configured order."""
        return [name for name in self.config.models if self.path("predictions", name).exists()]


def read_config(path: Path) -> RunConfig:
    """The settings in run.json. Raises InputError that names the file and the setting that is none."""
    facts = read_json(path, "--fresh")
    check_schema(path, facts, RunFacts, "start the run again with --fresh")
    try:
        return validate_config(facts["config"])
    except InputError as error:
        raise InputError(f"{path}: config.{error}; start the run again with --fresh") from None


def _read_lines(path: Path, artefact: Artefact) -> list[dict[str, Any]]:
    lines = read_json_lines(path)
    for row, line in enumerate(lines, start=1):
        check_schema(path, line, artefact.schema, row=row)
    return lines


def _first_difference(there: RunConfig, here: RunConfig) -> str:
    """The first setting that differs, as --set names it, and how many others do."""
    first, *others = _differences("", there.model_dump(mode="json"), here.model_dump(mode="json"))
    return first + (f", and {len(others)} more" if others else "")


def _differences(name: str, there: Any, here: Any) -> list[str]:
    if there == here:
        return []
    if isinstance(there, dict) and isinstance(here, dict):
        prefix = f"{name}." if name else ""
        return [line for key in here for line in _differences(f"{prefix}{key}", there.get(key), here[key])]
    return [f"{name}: {there} there, {here} here"]
