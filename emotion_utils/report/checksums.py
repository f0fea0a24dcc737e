"""checksums.sha256: what a finished run consisted of when its report was made (`sha256sum -c` reads it). No torch."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import MOST_JSON_BYTES, file_sha256, list_folder, read_bytes, refuse_large, replacing
from emotion_utils.printable import shell_word
from emotion_utils.run import Run

CHECKSUMS = "checksums.sha256"
SIGNATURE = f"{CHECKSUMS}.sig"  # see signature.py; what is signed cannot hold it
SEALED = (
    "run.json", "claims.json", "report.html", "report.pdf", "data/*.csv", "data/*.json*", "figures/*", "creative/*",
    "video/*", "models/*/*.csv", "models/*/*.json*", "models/*/*.safetensors", "models/*/README.md",
    "models/*/seed-*/*.*", "models/*/without-*/*.*", "models/*/without-*/seed-*/*.*", "notebooks/*.ipynb",
    "notebooks/*.html",
)  # fmt: skip
MOST_BYTES_OF_A_RUN = 128 << 30  # some minutes of hashing; sparse files may be larger than any disk
WEIGHTS = "model.safetensors"  # may be left out where only the numbers are passed on
# No part of the report.
PASSING = re.compile(r"(?:video/|models/[^/]+/(?:without-[a-z]+/)?(?:seed-\d+/)?)?\.lock|notebooks/[\w.-]+\.log")
LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write_checksums(run: Run) -> Path:
    """Lists every artefact that is there; the last thing that is written of a run."""
    with replacing(run.inside(CHECKSUMS)) as temporary:
        text = "".join(f"{file_sha256(run.root / name)}  {name}\n" for name in _sealed_files(run.root))
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return run.root / CHECKSUMS


def remove_checksums(run: Run) -> None:
    """Before anything of a finished run changes: the list no longer holds, nor does a signature over it."""
    for name in (SIGNATURE, CHECKSUMS):
        run.inside(name).unlink(missing_ok=True)


def same_run(root: Path) -> str:
    """The command that finishes the run in `root` with its own settings."""
    return f"emotion run --like {shell_word(root / 'run.json')} --output {shell_word(root)}"


def read_checksums(root: Path) -> dict[str, str]:
    """File name -> SHA-256 (hex). Raises InputError where there is no list, EmotionError where it was damaged."""
    path = root / CHECKSUMS
    if not path.exists():
        raise InputError(
            f"{root}: no {CHECKSUMS}: no report was finished here since something was trained or changed: run "
            f"`{same_run(root)}` first"
        )
    listed = {}
    content = read_bytes(path, MOST_JSON_BYTES).decode("utf-8", "replace")
    rows = content.removesuffix("\n").split("\n")  # and no other ends of lines, as sha256sum reads it
    for number, line in enumerate(rows if content else [], start=1):
        parts = LINE.fullmatch(line)
        if parts is None or parts[2] in listed or not _is_inside(parts[2]):
            raise EmotionError(
                f"{path}, row {number}: not a checksum and the name of a file of this run, or one listed twice"
            )
        listed[parts[2]] = parts[1]
    return listed


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in PurePosixPath(name).parts and max(map(len, name.split("/"))) < 256


def changed_files(root: Path) -> list[str]:
    """Files that are not as they were when the report was made: changed, missing (but for weights) or not listed.

    Raises InputError where one is larger than any of its kind, or all together are than any run.
    """
    listed = read_checksums(root)
    there = [root / name for name in listed if (root / name).is_file()]
    for path in there:
        refuse_large(path)
    total = sum(path.stat().st_size for path in there)
    if total > MOST_BYTES_OF_A_RUN:
        raise InputError(
            f"{root}: {total >> 30:,} GB are listed in {CHECKSUMS}, more than the {MOST_BYTES_OF_A_RUN >> 30} of any "
            "run; it is not what `emotion run` wrote"
        )
    predicted = {str(PurePosixPath(name).parent) for name in listed if name.endswith("/predictions.csv")}
    weights = {f"{folder}/{WEIGHTS}" for folder in predicted}
    changed = [name for name in _sealed_files(root) if name not in listed]
    for name, sha256 in listed.items():
        path = root / name
        if not path.is_file():
            changed += [] if name in weights else [name]
            continue
        if file_sha256(path) != sha256:
            changed.append(name)
    return changed


def unlisted_files(root: Path) -> list[str]:
    """Files of the run folder that the list does not name, and empty folders (with a slash at their end), sorted.

    Locks and the logs of notebooks are left out.
    """
    known, names, waiting = {*read_checksums(root), CHECKSUMS, SIGNATURE}, [], [str(root)]
    while waiting:
        folder = waiting.pop()
        entries = list_folder(folder)
        names += [] if entries else [f"{folder}/"]
        for entry in entries:
            (waiting if entry.is_dir(follow_symlinks=False) else names).append(entry.path)
    inside = sorted(name[len(f"{root}/") :] for name in names)
    return [name for name in inside if name not in known and not PASSING.fullmatch(name)]


def _sealed_files(root: Path) -> list[str]:
    """The names of the artefacts that are there, sorted."""
    found = {path for pattern in SEALED for path in root.glob(pattern) if path.is_file()}
    names = sorted(path.relative_to(root).as_posix() for path in found)
    return [name for name in names if not _is_passing(name)]


def _is_passing(name: str) -> bool:
    """What training needs on its way and removes at its end."""
    return Path(name).name.startswith(("checkpoint.", "."))
