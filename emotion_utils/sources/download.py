"""Data that lies elsewhere: Google Drive links through gdown, Kaggle data sets through kagglehub."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

from emotion_utils.environment import OFFLINE_VARIABLE, cache_dir, is_offline
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.given_paths import absolute
from emotion_utils.progress import bars_for_a_terminal
from emotion_utils.sources.archives import is_archive, open_archive

_DRIVE_HOSTS = re.compile(r"^https?://(drive|docs|drive\.usercontent)\.google\.com/")
_DRIVE_FOLDER = re.compile(r"/folders/([-\w]{10,})")
_DRIVE_FILE = re.compile(r"(?:/d/|[?&]id=)([-\w]{10,})")
_DRIVE_KEY = re.compile(r"[?&]resourcekey=([-\w]+)")  # links of before 2021 give nothing without it
_DRIVE_DOWNLOAD = "https://drive.usercontent.google.com/download"
_KAGGLE_HANDLE = re.compile(r"^[\w.-]+/[\w.-]+(/versions/\d+)?$")


def is_remote(spec: str) -> bool:
    """Whether `spec` names something that has to be downloaded."""
    return spec.startswith("kaggle:") or "://" in spec


def absolute_data(data: str | None) -> str | None:
    """A path as the notebooks, which run elsewhere, will find it; links and `synthetic` stay as they are."""
    return data if data is None or data == "synthetic" or is_remote(data) else absolute(data)


def fetch(spec: str) -> Path:
    """The local file or folder of a remote `spec`, downloaded if it is not there yet.

    Raises InputError for a link that cannot be used, EmotionError where the download failed; both leave nothing.
    """
    if spec.startswith("kaggle:"):
        _refuse_offline(spec)
        return _fetch_kaggle(spec, spec.removeprefix("kaggle:"))
    if not _DRIVE_HOSTS.match(spec):
        raise InputError(
            f"--data {spec}: only Google Drive links and kaggle:owner/name are fetched; download it yourself"
        )
    folder, file = _DRIVE_FOLDER.search(spec), _DRIVE_FILE.search(spec)
    if not folder and not file:
        raise InputError(f"--data {spec}: the link names neither file nor folder; copy it with Share > Copy link")
    target = cache_dir() / "downloads" / hashlib.sha256(spec.encode()).hexdigest()[:16]
    if not target.exists():
        _refuse_offline(spec)
        _download_drive(spec, target, (folder or file).group(1), is_folder=bool(folder))
    contents = list(target.iterdir())
    return contents[0] if file and not folder else target


def _download_drive(spec: str, target: Path, drive_id: str, *, is_folder: bool) -> None:
    """Fills the folder `target` with what the link holds; it appears only when everything is there and checked."""
    gdown, key = _require("gdown", spec), _DRIVE_KEY.search(spec)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        try:
            if key and not is_folder:  # gdown drops the key from the links that it knows
                address = f"{_DRIVE_DOWNLOAD}?id={drive_id}&export=download&confirm=t&resourcekey={key[1]}"
                result = gdown.download(url=address, output=f"{temporary}/download", quiet=True)
            else:
                download = gdown.download_folder if is_folder else gdown.download
                result = download(id=drive_id, output=f"{temporary}/", quiet=True)
        except Exception as error:  # network and service fail in ways of their own
            hint = "; a folder's resourcekey cannot be passed on" if key and is_folder else ""
            raise _failed(spec, f"{error}{hint}") from None
        files = [path for path in temporary.rglob("*") if path.is_file()]
        if not result or not files:
            raise _failed(spec, "nothing was downloaded")
        for path in files:
            _refuse_page(spec, path)
        if not is_folder and is_archive(files[0]):
            open_archive(files[0])  # raises where it is cut short
        if not target.exists():  # another process may have been faster
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fetch_kaggle(spec: str, handle: str) -> Path:
    """kagglehub keeps a cache of its own, which on Kaggle itself is the mounted data set: nothing is copied here."""
    if not _KAGGLE_HANDLE.match(handle):
        raise InputError(f"--data {spec}: expected kaggle:owner/name")
    kagglehub = _require("kagglehub", spec)
    try:
        with bars_for_a_terminal():
            return Path(kagglehub.dataset_download(handle))
    except Exception as error:  # network and service fail in ways of their own
        raise _failed(spec, error) from None


def _refuse_offline(spec: str) -> None:
    if is_offline():
        raise InputError(
            f"--data {spec}: {OFFLINE_VARIABLE} forbids fetching it; give the path of a copy on this machine"
        )


def _require(name: str, spec: str) -> ModuleType:
    try:
        return __import__(name)
    except ImportError:
        raise InputError(f"--data {spec}: needs the package {name}; pip install 'emotion-utils[download]'") from None


def _refuse_page(spec: str, path: Path) -> None:
    """Raises InputError for a web page in place of a file, which is what a link without permission gives."""
    with path.open("rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"--data {spec}: gives a web page, not a file; share it with anyone who has the link")


def _failed(spec: str, reason: object) -> EmotionError:
    line = " ".join(str(reason).split())[:200] or type(reason).__name__
    return EmotionError(f"--data {spec}: the download failed ({line}); check link and network, or download it yourself")
