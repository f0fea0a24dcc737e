"""What a run consists of: a notebook for each stage, what it reads and writes, and whether that is up to date."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from emotion_utils.config import RunConfig
from emotion_utils.files import file_sha256
from emotion_utils.model_table import MODELS
from emotion_utils.provenance import PACKAGE_DIR, PROJECT_DIR, code_sha256
from emotion_utils.report.checksums import CHECKSUMS
from emotion_utils.run import Run

NOTEBOOKS_DIR = PROJECT_DIR / "notebooks"
OWN_NOTEBOOK = PACKAGE_DIR / "models" / "template" / "own_model.ipynb"  # for every model without one of its own
MODEL_FILES = ("history.csv", "predictions.csv", "model.safetensors", "model.json")
DATA_FILES = ("data/manifest.csv", "data/audit.json")
# A stage depends on the rooms below it, so that a change in the report trains nothing again.
DATA_ROOMS = (
    "errors.py", "model_table.py", "config.py", "profiles", "files.py", "run.py", "parallel.py", "cache_building.py",
    "counter_rng.py",
    "synthetic", "sources", "audit", "store",
)  # fmt: skip
MODEL_ROOMS = (*DATA_ROOMS, "devices.py", "budget.py", "models", "training", "search", "evaluation", "published")
ALL_ROOMS = (*MODEL_ROOMS, "figures", "report")


@dataclass(frozen=True)
class Stage:
    """One notebook: what it reads and writes in the run folder, and the code that it rests on."""

    notebook: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    rooms: tuple[str, ...]
    model: str | None = None

    @property
    def source(self) -> Path:
        has_its_own = self.model is None or MODELS[self.model].notebook
        return NOTEBOOKS_DIR / f"{self.notebook}.ipynb" if has_its_own else OWN_NOTEBOOK


def stages_of(config: RunConfig) -> list[Stage]:
    """The stages of a run in order; a model that is not asked for has none."""
    specs = [spec for name, spec in MODELS.items() if name in config.models]
    written = {model: _model_files(model, config) for model in config.models}
    predictions = tuple(file for model in config.models for file in written[model])
    training = [
        Stage(spec.notebook or f"04_{spec.name}", DATA_FILES, written[spec.name], MODEL_ROOMS, spec.name)
        for spec in specs
    ]
    return [
        Stage("01_data_preparation", (), DATA_FILES, DATA_ROOMS),
        *training,
        Stage("05_creative_element", (*DATA_FILES, *predictions), ("figures", "creative"), ALL_ROOMS),
        Stage("06_comparison", (*DATA_FILES, *predictions, "figures", "creative"), ("claims.json",), ALL_ROOMS),
    ]


def _model_files(model: str, config: RunConfig) -> tuple[str, ...]:
    seeds = range(config.seed + 1, config.seed + config.seeds)
    folders = [f"models/{model}", *(f"models/{model}/seed-{seed}" for seed in seeds)]
    files = tuple(f"{folder}/{file}" for folder in folders for file in MODEL_FILES)
    return (*files, f"models/{model}/robustness.csv")


def executed_path(run: Run, stage: Stage) -> Path:
    """The notebook as it was run, with its outputs."""
    return run.notebooks_dir / f"{stage.notebook}.ipynb"


# -- what is up to date ----------------------------------------------------------------------------


def inputs_sha256(run: Run, stage: Stage, origins: dict[str, str]) -> str:
    """SHA-256 (hex) of all that decides what a stage writes: notebook, code, settings, data, weights, files it reads.

    `origins` holds the fingerprint of the data, and what each model starts from.
    """
    parts = {
        "notebook": file_sha256(stage.source),
        "code": code_sha256(stage.rooms),
        "modules": [file_sha256(Path(path)) for path in run.config.modules],
        "config": run.config.fingerprint(),
        "data": origins["data"],
        "weights": origins.get(stage.model or ""),
        "reads": {name: _artefact_sha256(run.root / name) for name in stage.reads},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_up_to_date(run: Run, stage: Stage, inputs: str) -> bool:
    """Whether it has succeeded on these inputs, and what it wrote is still there unchanged."""
    done = run.facts["stages"].get(stage.notebook)
    return (
        done is not None
        and done["inputs"] == inputs
        and executed_path(run, stage).exists()
        and all(_artefact_sha256(run.root / name) == sha256 for name, sha256 in done["outputs"].items())
    )


def forget(run: Run, stage: Stage) -> None:
    """Before a stage starts: its success marker and what an earlier run of it wrote go, so that nothing is mixed."""
    facts = run.facts
    facts["stages"].pop(stage.notebook, None)
    facts.pop("report", None)
    run.write("facts", facts)
    (run.root / CHECKSUMS).unlink(missing_ok=True)
    for name in stage.writes:
        path = run.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def mark_done(run: Run, stage: Stage, inputs: str, seconds: float, death: str | None) -> None:
    """The success marker, written last; `death` says why its kernel had to be started once more, if it had."""
    outputs = {name: _artefact_sha256(run.root / name) for name in stage.writes}
    facts = {"inputs": inputs, "outputs": outputs, "seconds": round(seconds, 1)}
    run.record(stages={stage.notebook: facts | ({"kernel_restarted": death} if death else {})})


def _artefact_sha256(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files; empty where there is nothing."""
    if path.is_dir():
        listing = [f"{file.name}:{file_sha256(file)}" for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest()
    return file_sha256(path) if path.exists() else ""
