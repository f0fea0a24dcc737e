"""How to reproduce the run (appendix): the command, the machine, the times, and who read the test images. No torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from emotion_utils.config import RunConfig, resolve_config
from emotion_utils.model_table import MODELS, STUDY_MODELS
from emotion_utils.recipe import Recipe
from emotion_utils.report.claims import Model
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.names import safe, short_path
from emotion_utils.report.results import Results
from emotion_utils.report.tables import frame_of

PATHS = ("weights", "teacher", "modules", "rubric", "votes")  # settings that may be paths
MACHINE = {
    "version": "emotion_utils", "cpu_cores": "CPU cores", "memory_gb": "memory, GB", "git_revision": "Git revision",
}  # fmt: skip


def show_command(results: Results) -> Shown:
    """The command that makes this run again, with as many threads, on which the bits depend."""
    command, threads = repeat_command(results.config), _trained_threads(results)
    if threads and results.config.threads == "auto":
        command += f" --set threads={threads[0]}"
    shown = f'<pre class="command"><code>{safe(command)}</code></pre>'
    if results.data_name != results.config.data:
        shown += "<p>Files and folders are named without the place where they lay: put it before them.</p>"
    return Shown(shown)


def repeat_command(config: RunConfig) -> str:
    """`./run_all.sh` with what differs from the profile."""
    own = [name for name in config.recipes if name in MODELS and MODELS[name].module is None]  # with known recipes
    default = resolve_config(config.profile, data=config.data, models=own or None).model_dump(mode="json")
    default["models"], ours = list(STUDY_MODELS), config.model_dump(mode="json")
    unset = Recipe.model_construct().model_dump(mode="json")
    default["recipes"] = dict.fromkeys(ours["recipes"], unset) | default["recipes"]
    words = ["./run_all.sh", "--profile", config.profile]
    words += ["--data", config.data_name] if config.data != "synthetic" else []
    words += ["--classes", ",".join(config.classes)] if config.classes else []
    for key, value in _differences(default, ours):
        if key not in ("classes", "data", "profile"):
            words += ["--set", f"{key}={json.dumps(_shorten(key, value))}"]
    return shlex.join(words)


def _shorten(key: str, value: Any) -> Any:
    """The value of a setting, without the folders of this machine where it is a path or a list of them."""
    if isinstance(value, list):
        return [_shorten(key, each) for each in value] if key == "modules" or key.endswith(".teacher") else value
    if not value or key.rpartition(".")[2] not in PATHS:
        return value
    return short_path(value) if Path(value).parent.name == "models" else Path(value).name


def _differences(default: dict[str, Any], ours: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in ours.items():
        if isinstance(value, dict) and isinstance(default.get(key), dict):
            yield from _differences(default[key], value, f"{prefix}{key}.")
        elif default.get(key) != value:
            yield prefix + key, value


def machine_tables(results: Results) -> Shown:
    """Versions and hardware, the time that each stage took, and how often the test images were read."""
    environment = dict(results.facts.get("environment", {}))
    versions = environment.pop("versions", {})
    rows = [(True, MACHINE.get(key, key.replace("_", " ")), str(value)) for key, value in environment.items()]
    rows += [(True, "trained on", device) for device in trained_devices(results)]
    rows += [(False, *row) for row in versions.items()]
    frame = frame_of(rows, ["machine", "What", "Value"])
    caption = "Environment of this run."
    shown = show_table(
        results,
        "tbl-environment",
        frame[["What", "Value"]],
        caption,
        _threads_note(results),
        may_break=True,
        groups=frame["machine"],
    )
    stages = {name: stage for name, stage in sorted(results.facts.get("stages", {}).items()) if name[:2] != "06"}
    times = pd.DataFrame({"Notebook": list(stages), "Seconds": [stage["seconds"] for stage in stages.values()]})
    caption = "Time per notebook, but for the last, which makes this report."
    restarts = [stage["kernel_restarted"] for stage in stages.values() if "kernel_restarted" in stage]
    note = f"Started once more: {safe('; '.join(restarts))}." if restarts else ""
    note = note if stages else "The notebooks were run by hand, so no times were taken."
    shown += show_table(results, "tbl-times", times, caption, note, formats={"Seconds": ",.1f"})
    return shown + _openings_table(results) if results.openings else shown


def _threads_note(results: Results) -> str:
    """What the same bits depend on, with the number of threads that the models were trained with."""
    threads = _trained_threads(results)
    if not threads:
        return ""
    return (
        f"Trained with {' or '.join(map(str, threads))} threads. The same versions, kind of processor and number of "
        f"threads give the same bits; another number sums in another order. <code>--set threads={threads[0]}</code> "
        "fixes it."
    )


def _trained_threads(results: Results) -> list[int]:
    """The numbers of threads that the models were trained with; none in a run of an earlier version."""
    known = "threads" in results.facts.get("environment", {})
    return sorted({event["threads"] for event in _starts(results) if "threads" in event}) if known else []


def trained_devices(results: Results) -> list[str]:
    """What the models were trained on: cpu, cuda or mps."""
    return sorted({event["device"] for event in _starts(results) if "device" in event})


def _starts(results: Results) -> list[dict[str, Any]]:
    return [event for model in results.models for event in results.events[model] if event["kind"] == "started"]


def _openings_table(results: Results) -> Shown:
    """A row per model or notebook, with columns for the models that a notebook had edited, and for ablations."""
    # VGG16_emotion/edited-12ab34, seed 0
    readers = pd.Series(results.openings).str.extract(r"^([^/,]+)(?:.*/(edited)-)?(?:.*/(without)-)?")
    counts = readers.groupby(0, sort=False).agg(size=(0, "size"), edited=(1, "count"), without=(2, "count"))
    titles = {"size": "Times", "edited": "of these edited", "without": "of these in an ablation"}
    columns = [name for name in titles if name == "size" or counts[name].any()]
    frame = frame_of(
        [(Model(name) if name in results.models else name, *row) for name, *row in counts[columns].itertuples()],
        ["Read for", *map(titles.get, columns)],
    )
    caption = "How often the test images were read."
    note = "Edited: a model that a notebook trained in a folder of its own, with another network, recipe or data."
    return show_table(results, "tbl-openings", frame, caption, note if counts["edited"].any() else "")
