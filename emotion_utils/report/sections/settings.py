"""Weights and settings (appendix): what each training started from, its recipe, and the search for one. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emotion_utils.recipe import TEACHER_SETTINGS
from emotion_utils.report.claims import Model
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.names import safe, short_path
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Markup, frame_of
from emotion_utils.report.trainings import view_accuracies
from emotion_utils.search.selection_bias import METHOD

STRANGE = ("official", "file")  # kinds of weights that the run did not make itself
SHARED = ("image_size_px", "batch_size", "epochs", "max_steps_per_epoch", "seed")
ORIGIN: dict[str, Callable[[dict[str, Any]], str]] = {
    "Starts from": lambda origin: origin["sentence"],
    "Kind": lambda origin: origin["kind"],
    "Trained on": lambda origin: origin.get("trained_on") or "nothing",
    "Source": lambda origin: Path(origin["source"]).name if origin["kind"] == "file" else origin["source"],
    "SHA-256": lambda origin: _checksum(origin.get("sha256")),
    "Licence": lambda origin: origin.get("licence") or ("not stated" if origin["kind"] in STRANGE else "none needed"),
}
COLOUR = {
    "grey": "grey only: colour is turned to grey", "colour": "colour only", "both": "grey and colour",
    "": "not recorded",
}  # fmt: skip
INPUT: dict[str, Callable[[dict[str, Any]], str]] = {
    "Size": lambda spec: f"{spec['size_px']} px",
    "Channels, range": lambda spec: f"{spec['channel_order']}, {_numbers(spec['range'])}",
    "Mean": lambda spec: _numbers(spec["mean"]),
    "Standard deviation": lambda spec: _numbers(spec["std"]),
    "Colour in training": lambda spec: COLOUR[spec.get("colour", "")],
    "Side of a face in the data": lambda spec: f"{spec['source_px']} px" if "source_px" in spec else "not recorded",
    "Resizing": lambda spec: spec.get("resize_kernel") or "not recorded",
}

VIEWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "Views of each image": lambda card: str(card["views"]["used"]) if "views" in card else "1",
    "Validation accuracy with 1, with these": lambda card: _numbers(view_accuracies(card) or ()) or "not compared",
    "Seconds for 1,000 images, likewise": lambda card: _view_seconds(card.get("views")),
}


def weights_table(results: Results) -> Shown:
    """The weights that each model started from, and the input that its network expects."""
    cards = [results.cards[model] for model in results.models]
    rows = [[name, *(describe(card["provenance"]) for card in cards)] for name, describe in ORIGIN.items()]
    rows += [[name, *(describe(card["input"]) for card in cards)] for name, describe in INPUT.items()]
    if any("views" in card for card in cards):
        rows += [[name, *map(describe, cards)] for name, describe in VIEWS.items()]
    frame = frame_of(rows, ["What", *map(Model, results.models)])
    return show_table(
        results, "tbl-weights", frame, "The weights that training started from, and the input of the networks.",
        may_break=True, groups=[name in ORIGIN for name in frame["What"]], css="long",
    )  # fmt: skip


def _checksum(sha256: str | None) -> str:
    return Markup(f'<code class="hash">{safe(sha256)}</code>') if sha256 else "none"


def _view_seconds(views: dict[str, Any] | None) -> str:
    if not views:
        return "not measured"
    return ", ".join(f"{views['seconds'][count]:.3g}" for count in ("1", str(views["used"])))


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def settings_table(results: Results) -> Shown:
    """The recipe of each model, a column each, and the settings that all share."""
    common = results.config.model_dump(mode="json")
    taught = ["targets"] if results.config.targets != "label" else []
    shared, columns = {key: common[key] for key in (*SHARED, *taught)}, []
    is_distilled = any(results.recipe(model).teacher for model in results.models)
    left_out = {"weights", *(() if is_distilled else TEACHER_SETTINGS)}  # weights have a table of their own
    for model in results.models:
        recipe = results.recipe(model).model_dump(mode="json", exclude=left_out)
        resolved = _resolve_auto(results.events[model])
        columns.append([_setting(value, resolved.get(key)) for part in (recipe, shared) for key, value in part.items()])
    own = [Markup(f"<code>{key}</code>" + " of this model alone" * (key in shared)) for key in recipe]
    keys = [*own, *(Markup(f"<code>{key}</code>") for key in shared)]
    frame = frame_of(list(zip(keys, *columns, strict=True)), ["Setting", *map(Model, results.models)])
    groups = [place < len(recipe) for place in range(len(frame))]
    caption = "Training settings of each model."
    changed = [f"{safe(model)}: {safe(edit)}." for model in results.models for edit in results.edits(model)]
    note = " ".join(["Changed in the notebook:", *changed]) if changed else ""
    return show_table(results, "tbl-settings", frame, caption, note, may_break=True, groups=groups, css="long")


def _resolve_auto(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What became of the settings that are left to the machine."""
    starts = [event for event in events if event["kind"] == "started"]
    if not starts:
        return {}
    start = starts[-1]
    factor = start.get("batch_rate_factor", 1.0)
    return {
        "precision": start["precision"],
        "compile": "always" if start["compiled"] else "never",
        "batch_size": f"{start['batch_size']}, rates times {factor:.3g}" if factor != 1 else start["batch_size"],
    }


def _setting(value: Any, resolved: Any) -> str:
    if value == "auto" and resolved is not None:
        return f"auto: {resolved}"
    if isinstance(value, list) and value and isinstance(value[0], str):  # folders of models, usually RUN/models/MODEL
        return ", ".join(map(short_path, value))
    if isinstance(value, list):  # of phases, or of image sizes
        stages = ((step["epoch"], step.get("train_from") or f"{step['size_px']} px") for step in value)
        return ", ".join(f"from epoch {epoch}: {what}" for epoch, what in stages) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def search_table(results: Results) -> Shown:
    """What a search for settings cost and found, and how biased its best accuracy is. Empty where there was none."""
    if not results.searches:
        return Shown()
    rows = []
    for model, (trials, summary) in results.searches.items():
        best = trials.set_index("trial").loc[summary["best"]]
        counts = [summary["trials"], summary["trials"] - summary["complete"], summary["seconds"]]
        settings = [best[name] for name in ("lr", "weight_decay", "augment_strength")]
        rows.append([Model(model), *counts, *settings, summary["val_acc"], summary["corrected_val_acc"]])
    columns = [
        "Model", "Trials", "Pruned", "Seconds", "lr", "weight decay", "augment strength", "Best val", "corrected",
    ]  # fmt: skip
    frame = frame_of(rows, columns)
    formats = {"Seconds": ",.0f"} | dict.fromkeys(("lr", "weight decay", "augment strength"), "g")
    note = (
        "The best of many trials is biased upwards, as the same images select and judge it. Corrected: "
        f"{safe(METHOD)}. The selection of the epoch within a trial is not part of it."
    )
    caption = "The search for settings, by validation accuracy alone; the table above shows whether they are used."
    return show_table(results, "tbl-search", frame, caption, note, formats=formats)
