"""Audits that were made before: kept in the cache, each under a name made of everything that decides it. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from emotion_utils.artefacts import FRAME_COLUMNS, NUMBER_PROPERTIES
from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.faces import CropMode
from emotion_utils.cache_building import only_builder, replacing_folder
from emotion_utils.environment import cache_dir
from emotion_utils.errors import InputError
from emotion_utils.files import file_sha256, read_json, write_csv, write_json
from emotion_utils.import_closure import closure_sha256
from emotion_utils.progress import Progress
from emotion_utils.sources.source import Source

FILES, SUMS = ("manifest.csv", "audit.json"), "checksums.json"
WHOLE_NUMBERS = ("width", "height", "image", *FRAME_COLUMNS)


def audit_once(
    source: Source,
    *,
    crop: CropMode = "never",
    missed: Literal["keep", "quarantine"] = "keep",
    cache: Path | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = print,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What `audit_images` returns; where the same was audited before, as it was found then.

    The same are all bytes and rows of the source, its classes and notes, `crop`, `missed`, and the code that audits.
    A damaged record is made again, and `say` is told. Raises InputError where the data change while they are read.
    """
    facts = [
        source.fingerprint(),
        source.kind,
        source.found,
        source.classes,
        source.auxiliary,
        source.notes,
        sorted(source.faults.items()),
    ]
    key = hashlib.sha256(
        json.dumps([*facts, crop, missed, closure_sha256("import emotion_utils.audit.audit")]).encode()
    ).hexdigest()
    path = (cache or cache_dir()) / "audits" / key
    with only_builder(path, 0):
        found = _read(path)
        if found is None:
            if path.exists():
                say(f"the audit in {path} was damaged and is made again")
            manifest, audit = audit_images(source, crop=crop, missed=missed, progress=progress)
            if audit["fingerprint"] != facts[0]:
                raise InputError(f"--data {source.spec}: changed while it was read; start again once it is complete")
            with replacing_folder(path) as folder:
                write_csv(folder / "manifest.csv", manifest)
                write_json(folder / "audit.json", audit)
                sums = {name: file_sha256(folder / name) for name in FILES}
                write_json(folder / SUMS, sums)
            found = _read(path)
    return found


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """Manifest and audit as they were written; None where a file is missing or is not what was written."""
    try:
        if read_json(path / SUMS) != {name: file_sha256(path / name) for name in FILES}:
            return None
    except InputError:
        return None
    manifest = pd.read_csv(path / "manifest.csv", dtype=str, keep_default_na=False)
    numbers = {name: manifest[name].replace("", "nan").astype("float64") for name in NUMBER_PROPERTIES}
    manifest = manifest.astype(dict.fromkeys(WHOLE_NUMBERS, "int64")).assign(**numbers)
    return manifest, read_json(path / "audit.json")
