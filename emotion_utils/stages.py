"""What a run consists of: a notebook for each stage, what it reads and writes, and whether that is up to date."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from emotion_utils.ablation import all_trainings
from emotion_utils.config import RunConfig
from emotion_utils.files import file_sha256, read_json
from emotion_utils.import_closure import closure_sha256
from emotion_utils.locks import LOCK_FILE
from emotion_utils.model_table import MODELS, module_sources
from emotion_utils.provenance import NOTEBOOKS_DIR, PACKAGE_DIR
from emotion_utils.report.checksums import remove_checksums
from emotion_utils.run import Run
from emotion_utils.training.model_folder import RETRAINING, hold_model

OWN_NOTEBOOK = PACKAGE_DIR / "models" / "template" / "own_model.ipynb"  # for every model without one of its own
MODEL_FILES = ("history.csv", "predictions.csv", "model.safetensors", "model.json")
# What writes MODEL_FILES. A notebook also shows them, and is run again where that has changed, but trains nothing then.
TRAINING = (
    "import emotion_utils.training.trainer, emotion_utils.evaluation.predict, emotion_utils.evaluation.robustness"
)

TRAINED_ON = ("device", "threads", "processes", "precision")  # what the bits of a training depend on


@dataclass(frozen=True)
class Stage:
    """One notebook, and what it reads and writes in the run folder."""

    notebook: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    model: str | None = None

    @property
    def prepares_data(self) -> bool:
        return "data/audit.json" in self.writes

    @property
    def source(self) -> Path:
        has_its_own = self.model is None or MODELS[self.model].notebook
        return NOTEBOOKS_DIR / f"{self.notebook}.ipynb" if has_its_own else OWN_NOTEBOOK


def stages_of(config: RunConfig) -> list[Stage]:
    """The stages of a run in order; a model that is not asked for has none."""
    specs = [spec for name, spec in MODELS.items() if name in config.models]
    data = ("data/manifest.csv", *(["data/auxiliary.csv"] if config.auxiliary_classes else []), "data/audit.json")
    written = {model: _model_files(model, config) for model in config.models}
    predictions = tuple(file for model in config.models for file in written[model])
    # What others add later, and the report shows too: an edited training opens the test images, a search has a table.
    added = ("data/test_openings.jsonl", "data/rubric.json", *(f"models/{model}/search.csv" for model in config.models))
    cards = tuple(f"models/{model}/README.md" for model in config.models)
    clip = ("video",) if config.video else ()
    training = [Stage(spec.notebook or f"04_{spec.name}", data, written[spec.name], spec.name) for spec in specs]
    return [
        Stage("01_data_preparation", (), data),
        *training,
        Stage("05_creative_element", (*data, *predictions), ("figures", "creative")),
        *(Stage("07_video", (*data[-1:], *predictions), (folder,)) for folder in clip),
        Stage("06_comparison", (*data, *predictions, *added, "figures", "creative", *clip), ("claims.json", *cards)),
    ]


def _model_files(model: str, config: RunConfig) -> tuple[str, ...]:
    folders = [Path("models", model, each.model_folder) for each in all_trainings(Run(Path(), config), model)]
    files = tuple(f"{folder.as_posix()}/{file}" for folder in folders for file in MODEL_FILES)
    return (*files, f"models/{model}/robustness.csv")


def executed_path(run: Run, stage: Stage) -> Path:
    """The notebook as it was run, with its outputs."""
    return run.notebooks_dir / f"{stage.notebook}.ipynb"


# -- what is up to date ----------------------------------------------------------------------------


class Inputs(NamedTuple):
    """SHA-256 (hex) of all that decides what a stage writes and shows, and of what decides a model's files alone."""

    inputs: str
    model_inputs: str


def take_inputs(run: Run, stage: Stage, origins: dict[str, str]) -> Inputs:
    """Checksums of notebook, code, settings, data, weights and the files that the stage reads.

    `origins` holds the fingerprint of the data, and what each model starts from. The code is that which the notebook
    imports, directly or not; for a model's files, that which trains.
    """
    parts = {
        "notebook": file_sha256(stage.source),
        "modules": [_sources_sha256(path) for path in run.config.modules],
        "config": run.config.fingerprint(),
        "data": origins["data"],
        "weights": origins.get(stage.model or ""),
        "reads": {name: _artefact_sha256(run.inside(name)) for name in stage.reads},
    }
    codes = closure_sha256(notebook_code(stage.source)), closure_sha256(TRAINING) if stage.model else ""
    texts = (json.dumps({**parts, "code": code}, sort_keys=True) for code in codes)
    return Inputs(*(hashlib.sha256(text.encode()).hexdigest() for text in texts))


def _sources_sha256(path: str) -> str:
    """Of a file of the user's own, with those that it imports."""
    contents = sorted(module_sources(path).values())
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def notebook_code(path: Path) -> str:
    """The code cells of a notebook, one after the other."""
    cells = read_json(path)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def is_up_to_date(run: Run, stage: Stage, inputs: Inputs) -> bool:
    """Whether it has succeeded on these inputs, and what it wrote is still there unchanged."""
    done = run.facts["stages"].get(stage.notebook)
    return (
        done is not None
        and done.get("inputs") == inputs.inputs
        and executed_path(run, stage).exists()
        and _is_unchanged(run, done)
    )


def forget(run: Run, stage: Stage, inputs: Inputs, say: Callable[[str], None] = print) -> bool:
    """Before a stage starts: its success marker and what an earlier run of it wrote go, so that nothing is mixed.

    A model stays if only what shows it has changed; returns whether it did. So do those that a killed run of the stage
    had finished, of several seeds or ablations. One that a notebook trained with changes to the settings is moved into
    the folder of its own that it would have had. Raises EmotionError where another process trains into one of the
    folders.
    """
    facts = run.facts
    done = facts["stages"].pop(stage.notebook, None)
    goes_on = done is None and facts.get("begun", {}).get(stage.notebook) == inputs.model_inputs
    facts.get("begun", {}).pop(stage.notebook, None)
    facts.pop("report", None)
    run.write("facts", facts)
    remove_checksums(run)
    stays = done is not None and done.get("model_inputs") == inputs.model_inputs and _is_unchanged(run, done)
    if not (stage.model and stays):
        _delete_outputs(run, stage, say, keep_finished=goes_on)
    if stage.model:
        run.record(begun={stage.notebook: inputs.model_inputs})
    return bool(stage.model and stays)


def _delete_outputs(run: Run, stage: Stage, say: Callable[[str], None], *, keep_finished: bool) -> None:
    places = [each.model_dir(stage.model) for each in all_trainings(run, stage.model)] if stage.model else []
    folders = [folder for folder in places if folder.is_dir()]
    with hold_model(*folders):
        if stage.model:
            _keep_edited(run, stage.model, say)
        kept = {folder for folder in folders if keep_finished and _holds_whole_model(folder)}
        outputs = [path for path in map(run.inside, stage.writes) if path.parent not in kept]
        for path in [*outputs, *(folder / RETRAINING for folder in folders)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _holds_whole_model(folder: Path) -> bool:
    """Whether a training has ended here, and its weights are those that its card names."""
    card, weights = folder / "model.json", folder / "model.safetensors"
    return card.exists() and weights.exists() and read_json(card).get("sha256") == file_sha256(weights)


def _keep_edited(run: Run, model: str, say: Callable[[str], None]) -> None:
    folder = run.model_dir(model)
    training = run.read("model_card", model).get("training", {}) if (folder / "model.json").exists() else {}
    if training.get("edits"):
        kept = folder / training["folder"]
        kept.mkdir(exist_ok=True)
        for path in [path for path in folder.iterdir() if path.is_file() and path.name != LOCK_FILE]:
            path.replace(kept / path.name)
        say(f"the model that a notebook trained with changes to the settings is now in {kept}")


def mark_done(run: Run, stage: Stage, inputs: Inputs, seconds: float, death: str | None) -> None:
    """The success marker, written last; `death` says why its kernel had to be started once more, if it had."""
    outputs = {name: _artefact_sha256(run.inside(name)) for name in stage.writes}
    stage_facts = {**inputs._asdict(), "outputs": outputs, "seconds": round(seconds, 1)}
    started = [event for event in run.read("events", stage.model) if event["kind"] == "started"] if stage.model else []
    if started:
        stage_facts["trained_on"] = {name: started[-1][name] for name in TRAINED_ON if name in started[-1]}
    facts = run.facts
    facts["stages"][stage.notebook] = stage_facts | ({"kernel_restarted": death} if death else {})
    facts.get("begun", {}).pop(stage.notebook, None)
    run.write("facts", facts)


def _is_unchanged(run: Run, done: dict[str, Any]) -> bool:
    return all(_artefact_sha256(run.inside(name)) == sha256 for name, sha256 in done.get("outputs", {}).items())


def _artefact_sha256(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files; empty where there is nothing."""
    if path.is_dir():
        listing = [f"{file.name}:{file_sha256(file)}" for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest()
    return file_sha256(path) if path.exists() else ""
