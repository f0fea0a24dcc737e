"""ONNX Runtime Web, which a page computes with: the user's own npm fetches it, its hashes stand here."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from emotion_utils.environment import OFFLINE_VARIABLE, cache_dir, is_offline
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import read_bytes, replacing

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
LOADER, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # needs no file beside it; one thread does
SHA256 = {
    LOADER: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
MOST_BYTES = 100_000_000  # of a file
PLACES = ("", "dist", "package/dist", "node_modules/onnxruntime-web/dist")  # within a folder that is given
PACK_SECONDS = 600
BY_HAND = f"or run `npm pack {PACKAGE}` on another machine, unpack the file and name the folder with --runtime"


def find_runtime(folder: Path | None, say: Callable[[str], None]) -> dict[str, bytes]:
    """The files of SHA256: of `folder`, of the cache, or fetched by npm; then they lie in the cache.

    Raises InputError where they are not what they should be or npm is missing, EmotionError where npm fails.
    """
    place = cache_dir() / f"onnxruntime-web-{VERSION}"
    if folder is not None:
        return _keep(_check(_read(_find_files(folder)), str(folder)), place)
    if all((place / name).is_file() for name in SHA256):
        kept = _read(place)
        if all(_is_right(name, content) for name, content in kept.items()):
            return kept
    npm = shutil.which("npm")
    if npm is None or is_offline():
        why = "npm is not installed: install it" if npm is None else f"{OFFLINE_VARIABLE} is set: unset it"
        raise InputError(f"a page needs {PACKAGE}, which npm fetches, and {why}, {BY_HAND}")
    say(f"npm fetches {PACKAGE} once, 33 MB")
    return _keep(_check(_fetch(npm), PACKAGE), place)


def _find_files(folder: Path) -> Path:
    for place in PLACES:
        if all((folder / place / name).is_file() for name in SHA256):
            return folder / place
    raise InputError(
        f"{folder}: holds no {LOADER} and {WASM}, the files of {PACKAGE}: run `npm pack {PACKAGE}`, unpack the file "
        "and name the folder"
    )


def _read(folder: Path) -> dict[str, bytes]:
    return {name: read_bytes(folder / name, MOST_BYTES) for name in SHA256}


def _is_right(name: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256[name]


def _check(files: dict[str, bytes], whose: str) -> dict[str, bytes]:
    wrong = [name for name, content in files.items() if not _is_right(name, content)]
    if wrong:
        raise InputError(
            f"{whose}: its {' and '.join(wrong)} are not those of {PACKAGE} (their sha256 differ): a page is made "
            f"with this version alone; run `npm pack {PACKAGE}`"
        )
    return files


def _keep(files: dict[str, bytes], place: Path) -> dict[str, bytes]:
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with replacing(place / name) as path:
                path.write_bytes(content)
    except PermissionError as error:
        raise InputError(f"{place}: cannot be written ({error.strerror}); set EMOTION_CACHE_DIR to another") from None
    return files


def _fetch(npm: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--ignore-scripts", "--pack-destination", folder]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PACK_SECONDS)
        except subprocess.TimeoutExpired:
            raise EmotionError(f"npm took more than {PACK_SECONDS} s to fetch {PACKAGE}; run it again") from None
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packed:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            reason = next((line for line in lines if "code" not in line), *lines[:1]) if lines else "it says nothing"
            raise EmotionError(f"npm could not fetch {PACKAGE} ({reason}); {BY_HAND[3:]}")
        with tarfile.open(packed[0]) as archive:
            found = {name: archive.extractfile(f"package/dist/{name}") for name in SHA256}
            return {name: member.read(MOST_BYTES) for name, member in found.items() if member}
