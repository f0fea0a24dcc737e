"""Where images come from: every kind of `--data` opens as one table and one way to read bytes."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from emotion_utils.config import RunConfig
from emotion_utils.errors import InputError
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.class_names import class_key, match_names, renaming_note
from emotion_utils.sources.decode import ImageFault
from emotion_utils.sources.download import fetch, is_remote
from emotion_utils.sources.fer_csv import FerCsv, is_fer_header
from emotion_utils.sources.label_csv import is_label_header, listed_paths, read_label_csv, split_header
from emotion_utils.sources.layouts import LAYOUTS, TABLE_COLUMNS, pool_lone_parts, read_layout
from emotion_utils.sources.trees import PEEK_BYTES, FolderTree, Tree, is_junk
from emotion_utils.sources.usable_names import check_names

MAX_CLASSES = 10  # more than that are likely names of persons, or numbers
MAX_TABLES = 20  # so many CSVs of a folder are looked into
SYNTHETIC_CLASSES = ("angry", "happy", "sad")  # the study's three
SYNTHETIC_SIZE_PX = 96
SYNTHETIC_CACHE_IMAGES = 2000  # synthetic faces that are kept: 55 MB at most


@dataclass(frozen=True)
class Source:
    """Images somewhere: a table of what there is, and how to read one.

    `table` has the columns path, label, group, split (str, '' where there is none), sorted by path; a path is unique
    and relative to what holds the classes, so that a folder and an archive of it have the same table.
    """

    spec: str
    kind: str  # folder, zip, tar, fer2013.csv, labels.csv or synthetic
    table: pd.DataFrame
    read: Callable[[str], bytes]  # path -> the file's bytes; thread-safe; raises ImageFault
    classes: tuple[str, ...]  # as chosen, or in alphabetical order
    notes: tuple[str, ...] = ()  # lines for a person: renamed classes, what was left out
    faults: Mapping[str, str] = field(default_factory=dict)  # path -> why it is set aside without being read
    recipe: str = ""  # what decides the content where that is computed, not stored

    def fingerprint(self, file_ids: Sequence[str] | None = None) -> str:
        """SHA-256 (hex) of the content: of every row and file, wherever they lie and whenever they were written.

        `file_ids` saves reading the files again: `file_id` of each, in the order of the table.
        """
        if self.recipe:
            file_ids = [self.recipe] * len(self.table)
        rows = self.table[list(TABLE_COLUMNS)].to_numpy(dtype=object)
        if file_ids is None:
            file_ids = [self._identify(path) for path in rows[:, 0]]
        digest = hashlib.sha256()
        for row, content in zip(rows.tolist(), file_ids, strict=True):
            digest.update("\0".join((*row, content, "")).encode())
        return digest.hexdigest()

    def _identify(self, path: str) -> str:
        try:
            return file_id(path, None if path in self.faults else self.read(path))
        except ImageFault:
            return file_id(path, None)


def file_id(path: str, data: bytes | None) -> str:
    """SHA-256 (hex) of a file's bytes; of its path where the bytes cannot be had."""
    return hashlib.sha256(f"unread {path}".encode() if data is None else data).hexdigest()


def open_source(
    spec: str,
    *,
    classes: tuple[str, ...] | None = None,
    seed: int = 0,
    synthetic_images: int = 600,
    lenient: bool = False,
) -> Source:
    """Opens `spec` (see the README's list of kinds) without decoding anything.

    `classes` chooses some of the data's classes, in that order, by any usual name. `seed` and `synthetic_images` are
    for the synthetic faces alone. `lenient` sets aside what a relabelling CSV contradicts. Raises InputError.
    """
    if spec == "synthetic":
        return _open_synthetic(classes, seed, synthetic_images)
    path = fetch(spec) if is_remote(spec) else Path(spec).expanduser()
    try:
        found = _open_path(spec, path, lenient)
    except OSError as error:
        raise InputError(f"--data {spec}: cannot be read ({error.strerror}); check path and permissions") from None
    return _name_classes(found, classes)


def source_of(config: RunConfig) -> Source:
    """The source that `config` names. Raises InputError where it cannot be used."""
    return open_source(
        config.data,
        classes=config.classes,
        seed=config.seed,
        synthetic_images=config.synthetic_images,
        lenient=config.lenient,
    )


def _open_path(spec: str, path: Path, lenient: bool) -> Source:
    if not path.exists():
        raise InputError(f"--data {spec}: there is no such file or folder; check the path")
    if path.is_dir():
        tree = FolderTree(path)
        lone = path / tree.names[0] if len(tree.names) == 1 else path
        if not (lone.is_file() and is_archive(lone)):
            return _open_tree(spec, tree, lenient)
        path = lone
    if is_archive(path):
        return _open_tree(spec, open_archive(path), lenient)
    if path.suffix.lower() in (".zip", ".tar", ".tgz", ".gz"):
        raise InputError(f"--data {spec}: is not an archive despite its name, or is damaged; download or copy it again")
    with path.open("rb") as file:
        kind = _table_kind(file.read(PEEK_BYTES))
    if path.suffix.lower() != ".csv" and not kind:
        raise InputError(f"--data {spec}: is not a folder, an archive or a CSV; {LAYOUTS}")
    if kind == "fer2013":
        return _open_fer(spec, path.open("rb"), ())
    return _open_labels(spec, FolderTree(path.parent), path.name, lenient)


def _open_tree(spec: str, tree: Tree, lenient: bool) -> Source:
    """What a folder or archive holds: a table that describes it, or images in class folders."""
    names = [name for name in tree.names if name.lower().endswith(".csv") and not is_junk(name)][:MAX_TABLES]
    tables = {name: _table_kind(tree.peek(name)) for name in names}
    tables = {name: kind for name, kind in tables.items() if kind and (kind != "labels" or _describes(tree, name))}
    if len(tables) > 1:
        raise InputError(f"--data {spec}: holds several tables ({', '.join(tables)}); name the one to use")
    for name, kind in tables.items():
        if kind == "fer2013":
            return _open_fer(spec, tree.open(name), tree.notes)
        return _open_labels(spec, tree, name, lenient)
    layout = read_layout(spec, tree.names)
    return Source(
        spec, tree.kind, layout.rows, lambda path: tree.read(layout.root + path), (), tree.notes + layout.notes
    )


def _table_kind(start: bytes) -> str:
    """fer2013, labels or '' by the first line of a CSV."""
    _, columns = split_header(start.decode("utf-8-sig", "replace").split("\n", 1)[0])
    return "fer2013" if is_fer_header(columns) else "labels" if is_label_header(columns) else ""


def _describes(tree: Tree, name: str) -> bool:
    """Whether the first rows of a relabelling CSV name any file of its tree; else it belongs to other images."""
    lines = tree.peek(name).decode("utf-8-sig", "replace").splitlines()
    folder = posixpath.dirname(name)
    files = set(tree.names)
    return any(posixpath.join(folder, path) in files for path in listed_paths(lines))


def _open_fer(spec: str, file: BinaryIO, notes: tuple[str, ...]) -> Source:
    table = FerCsv(spec, file)
    return Source(spec, "fer2013.csv", table.table, table.read, (), notes)


def _open_labels(spec: str, tree: Tree, name: str, lenient: bool) -> Source:
    folder = f"{posixpath.dirname(name)}/" if "/" in name else ""
    beside = [other.removeprefix(folder) for other in tree.names if other.startswith(folder)]
    table, faults = read_label_csv(spec, tree.read(name), beside, lenient=lenient)
    return Source(spec, "labels.csv", table, lambda path: tree.read(folder + path), (), tree.notes, faults)


def _name_classes(source: Source, classes: tuple[str, ...] | None) -> Source:
    """`source` with levelled class names, reduced to the chosen `classes`, sorted by path."""
    table, note = pool_lone_parts(source.table)
    names = match_names(label for label in table["label"].unique() if label)
    table = table.assign(label=table["label"].map({**names, "": ""}))
    found = tuple(sorted(set(names.values())))
    chosen = _choose(found, classes)
    others = table["label"][~table["label"].isin((*chosen, ""))].value_counts()
    notes = [*source.notes, renaming_note(names), note]
    if len(others):
        counts = ", ".join(f"{name} {count}" for name, count in sorted(others.items()))
        notes.append(f"left out {others.sum()} images of other classes ({counts})")
    if not 2 <= len(chosen) <= MAX_CLASSES:
        shown = ", ".join(chosen[:MAX_CLASSES]) + (" ..." if len(chosen) > MAX_CLASSES else "")
        advice = "choose some with --classes" if len(chosen) > MAX_CLASSES else LAYOUTS
        raise InputError(
            f"--data {source.spec}: {len(chosen)} classes ({shown}), 2 to {MAX_CLASSES} are needed; {advice}"
        )
    check_names(source.spec, chosen)
    table = table[table["label"].isin((*chosen, ""))].sort_values("path").reset_index(drop=True)
    return replace(source, table=table, classes=chosen, notes=tuple(note for note in notes if note))


def _choose(found: Iterable[str], classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """The class names that `classes` mean, in their order; all of `found` where none are given."""
    by_key = {class_key(name): name for name in found}
    if classes is None:
        return tuple(by_key.values())
    missing = [name for name in classes if class_key(name) not in by_key]
    if missing:
        raise InputError(f"--classes {', '.join(missing)}: not in the data, which has {', '.join(by_key.values())}")
    return tuple(dict.fromkeys(by_key[class_key(name)] for name in classes))


def _open_synthetic(classes: tuple[str, ...] | None, seed: int, num_images: int) -> Source:
    from emotion_utils.synthetic import faces  # what reads files needs none of it

    names = _choose(faces.EMOTIONS, classes or SYNTHETIC_CLASSES)
    table = faces.synthetic_table(num_images, names, seed)
    table = table[list(TABLE_COLUMNS)].sort_values("path").reset_index(drop=True)

    @lru_cache(maxsize=SYNTHETIC_CACHE_IMAGES)  # the audit and the store read one after the other
    def read(path: str) -> bytes:
        image = faces.render_path(path, seed, SYNTHETIC_SIZE_PX)
        return b"P6 %d %d 255\n" % image.shape[1::-1] + image.tobytes()

    samples = table.groupby("label")["path"].first()  # a change of how faces are rendered shows in these
    recipe = hashlib.sha256(b"".join(map(read, samples))).hexdigest()
    return Source("synthetic", "synthetic", table, read, names, recipe=f"seed {seed}, {recipe}")
