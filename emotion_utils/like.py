"""The run of somebody else's run.json once more: its settings here, and what could not be the same. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_utils.config import NEW_RUN, RunConfig, change_config, validate_config
from emotion_utils.errors import InputError
from emotion_utils.files import read_json
from emotion_utils.run import Run, read_config
from emotion_utils.sources.download import is_remote

# Settings that are told in another way: where the data lie by their checksum, threads by what a training used.
TOLD_OTHERWISE = ("data", "threads")


@dataclass(frozen=True)
class Original:
    """A run.json, with the settings that it holds."""

    path: Path
    config: RunConfig
    facts: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Original:
        """`path` may be a run folder too. Raises InputError where it is no run.json or a damaged one."""
        path = path / "run.json" if path.is_dir() else path
        config, facts = read_config(path), read_json(path)
        audit = path.with_name("data") / "audit.json"  # where earlier versions have the checksum of the data
        if "data" not in facts and audit.is_file():
            facts["data"] = {"fingerprint": read_json(audit).get("fingerprint", "")}
        return cls(path, config, facts)

    def config_here(self, settings: Iterable[str], **options: Any) -> RunConfig:
        """Its settings, with `settings` (as for --set) and `options` changed, and as many threads as it trained with.

        Raises InputError where its data are not on this machine, or its networks are code that nobody here trusts.
        """
        used = {trained["threads"] for trained in _trainings(self.facts).values() if "threads" in trained}
        given = [f"threads={used.pop()}"] if len(used) == 1 and self.config.threads == "auto" else []
        config = change_config(self.config, [*given, *settings], **options)
        config = validate_config(config.model_dump(mode="json"), NEW_RUN)
        if config.data != "synthetic" and not is_remote(config.data) and not Path(config.data).exists():
            raise InputError(f"{self.path}: its data, {config.data}, are not on this machine: say with --data where")
        return config

    def differences(self, facts: Mapping[str, Any]) -> list[str]:
        """What the facts of another run have otherwise that may change a number, a line each."""
        theirs, ours = _conditions(self.facts), _conditions(facts)
        return [
            f"{name}: {theirs[name]} there, {ours[name]} here"
            for name in theirs
            if name in ours and theirs[name] != ours[name]
        ]

    def outcome(self, run: Run) -> list[str]:
        """Whether the models of `run` are those of this one, a line for each answer."""
        theirs, ours = _model_files(self.facts), _model_files(run.facts)
        answers = {True: "the same to the last bit", False: "not the same"}
        found = {answer: [name for name in theirs if (ours.get(name) == theirs[name]) is answer] for answer in answers}
        return [f"{answers[answer]}: {', '.join(names)}" for answer, names in found.items() if names]


def _conditions(facts: Mapping[str, Any]) -> dict[str, str]:
    """All that decides what a training computes, under the name that a person reads."""
    environment = facts.get("environment", {})
    found = {name: str(environment[name]) for name in ("version", "git_revision", "python", "platform")
             if name in environment}  # fmt: skip
    found |= environment.get("versions", {})
    if fingerprint := facts.get("data", {}).get("fingerprint"):
        found["data, sha256"] = fingerprint[:12]
    for model, weights in facts.get("weights", {}).items():
        found[f"initial weights of {model}"] = weights.get("sha256") or weights["name"]
    for notebook, trained in _trainings(facts).items():
        found |= {f"{name} of {notebook}": str(value) for name, value in trained.items()}
    settings = {name: value for name, value in facts["config"].items() if name not in TOLD_OTHERWISE}
    return found | {f"setting {name}": str(value) for name, value in _flatten(settings)}


def _trainings(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By notebook: the device, threads and precision of the last training."""
    return {name: stage["trained_on"] for name, stage in facts["stages"].items() if "trained_on" in stage}


def _model_files(facts: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of all predictions and weights, by their place in the run folder."""
    outputs = {name: sha256 for stage in facts["stages"].values() for name, sha256 in stage.get("outputs", {}).items()}
    return {name: sha256 for name, sha256 in outputs.items() if name.endswith(("predictions.csv", "model.safetensors"))}


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
