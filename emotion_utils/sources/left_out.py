"""The files of a data set that are no images: of which kinds they are, and what would make images of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Files that are not read; `advice` says what to do, '' where nothing needs to be done."""

    one: str
    many: str
    suffixes: tuple[str, ...]
    advice: str
    may_hold_images: bool = True


SPREADSHEET = Kind(
    "spreadsheet or database", "spreadsheets or databases", (".xlsx", ".xlsm", ".xls", ".ods", ".sqlite", ".db"),
    "save labels in it as a CSV with the columns path, label", may_hold_images=False,
)  # fmt: skip
PACKED = Kind(
    "archive within", "archives within", (".rar", ".7z", ".zst"), "unpack it: RAR, 7z and Zstandard are not read",
)  # fmt: skip
KINDS = (
    Kind(
        "video", "videos",
        (".mp4", ".avi", ".mov", ".mkv", ".webm", ".wmv", ".flv", ".m4v", ".mpg", ".mpeg", ".mts", ".3gp"),
        "save single frames of it as JPEG or PNG",
    ),
    Kind(
        "camera raw file", "camera raw files",
        (".cr2", ".cr3", ".nef", ".nrw", ".dng", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
        "export it as JPEG or PNG",
    ),
    Kind(
        "archive within", "archives within", (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"),
        "unpack it, or give it itself",
    ),
    PACKED,
    Kind(
        "file of arrays", "files of arrays",
        (".npy", ".npz", ".pkl", ".pickle", ".mat", ".h5", ".hdf5", ".pt", ".pth", ".tfrecord", ".tfrecords"),
        "save images in it as PNG in class folders",
    ),
    Kind(
        "Parquet or Arrow table", "Parquet or Arrow tables", (".parquet", ".arrow", ".feather"),
        "save images in it as class folders, labels as a CSV with the columns path, label",
    ),
    Kind("pointer of DVC", "pointers of DVC", (".dvc",), "`dvc pull` fetches what it stands for"),
    SPREADSHEET,
    Kind(
        "table that is not understood", "tables that are not understood", (".csv", ".tsv", ".jsonl"),
        "name the columns of labels path, label", may_hold_images=False,
    ),
    Kind(
        "text or JSON file", "text or JSON files", (".txt", ".lst", ".json", ".xml", ".yaml", ".yml", ".pts"),
        "write labels in it into a CSV with the columns path, label", may_hold_images=False,
    ),
    Kind(
        "other file", "other files",
        (".md", ".html", ".pdf", ".py", ".ipynb", ".doc", ".docx", ".ini", ".log"), "", may_hold_images=False,
    ),
)  # fmt: skip
_PAPERS = re.compile(r"(?:read_?me|licen[cs]e|copying|changelog|authors|citation|requirements)\b.*", re.IGNORECASE)
SUFFIXES = frozenset(suffix for kind in KINDS for suffix in kind.suffixes)


def kind_of(name: str) -> Kind:
    """The kind of a file that is no image, by the end of its name; the last of KINDS for any other, and for what tells
    people about the data (README.txt)."""
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in (".txt", ".rst") and _PAPERS.fullmatch(posixpath.basename(name)):
        return KINDS[-1]
    return next((kind for kind in KINDS if suffix in kind.suffixes), KINDS[-1])


def name_left_out(names: Iterable[str], *, only_images: bool = False, harmless: Collection[str] = ()) -> str:
    """A line with the number of each kind, an example and what to do; '' for no files.

    `only_images` leaves out what holds no images: notes and tables that belong to a known data set. With `harmless`
    ones, such as a table of losses by epoch, there is nothing to do.
    """
    found: dict[Kind, list[str]] = {}
    for name in names:
        kind = kind_of(name)
        if kind.may_hold_images or not only_images:
            found.setdefault(kind, []).append(name)
    harmless_kinds = {kind: all(name in harmless for name in those) for kind, those in found.items()}
    told = [
        f"{len(found[kind])} {kind.one if len(found[kind]) == 1 else kind.many}, e.g. {found[kind][0]}"
        + (f" ({kind.advice})" if kind.advice and not harmless_kinds[kind] else "")
        for kind in KINDS
        if kind in found
    ]
    return f"not read: {'; '.join(told)}" if told else ""
