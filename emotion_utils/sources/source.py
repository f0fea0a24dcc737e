"""Where images come from: every kind of `--data` opens as one table and one way to read bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import pandas as pd

from emotion_utils.artefacts import FAIRNESS
from emotion_utils.config import SPLITS, RunConfig
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.printable import count_of
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.class_names import class_key, match_names, renaming_note, unknown_note
from emotion_utils.sources.columns import understand
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.download import fetch, is_remote
from emotion_utils.sources.files import files_beside, is_image_name
from emotion_utils.sources.joined import JoinedTree, has_archive_name
from emotion_utils.sources.known_layouts import find_persons
from emotion_utils.sources.known_sets import KnownSet
from emotion_utils.sources.label_csv import NO_IMAGE
from emotion_utils.sources.layouts import LAYOUTS, TABLE_COLUMNS, VOTES, ReadColumn, Reading, pool_lone_parts
from emotion_utils.sources.left_out import PACKED, SPREADSHEET, kind_of
from emotion_utils.sources.levels import MAX_CLASSES
from emotion_utils.sources.not_classes import refuse_no_classes
from emotion_utils.sources.reading import pixel_tables, read_pixels, read_tree
from emotion_utils.sources.text_tables import TABLE_SUFFIXES, parse_start, read_start
from emotion_utils.sources.trees import FolderTree, Tree
from emotion_utils.sources.usable_names import check_names
from emotion_utils.sources.vote_table import add_votes
from emotion_utils.sources.votes import read_votes, rename_votes

MOST_GROUPS = 20  # of persons; more are hardly groups
MAX_AUXILIARY = 40  # more are hardly emotions
SYNTHETIC_CLASSES = ("angry", "happy", "sad")  # the study's three
SYNTHETIC_SIZE_PX = 96
SYNTHETIC_CACHE_IMAGES = 2000  # synthetic faces that are kept: 55 MB at most


@dataclass(frozen=True)
class Source:
    """Images somewhere: a table of what there is, and how to read one.

    `table` has the columns path, label, group, split (str, '' where there is none), and votes where the data have them
    (see votes.write_votes), sorted by path; a path is unique and relative to what holds the classes, so that a folder
    and an archive of it have the same table.
    """

    spec: str
    kind: str  # folder, zip, tar, fer2013.csv, labels.csv or synthetic
    table: pd.DataFrame
    read: Callable[[str], bytes]  # path -> the file's bytes; thread-safe; raises ImageFault
    classes: tuple[str, ...]  # as chosen, or in alphabetical order
    notes: tuple[str, ...] = ()  # lines for a person: renamed classes, what was left out
    faults: Mapping[str, str] = field(default_factory=dict)  # path -> why it is set aside without being read
    found: str = ""  # one line on what was found, which a person can check
    dataset: KnownSet | None = None  # what is known of it, where it was recognised
    others: Mapping[str, int] = field(default_factory=dict)  # class that was not chosen -> its images
    auxiliary: tuple[str, ...] = ()  # classes that were not chosen and are in the table all the same, to learn from
    column: ReadColumn | None = None  # of a table of labels
    places: Mapping[str, str] = field(default_factory=dict)  # path -> the line that gives a label for the first time
    recipe: str = ""  # what decides the content where that is computed, not stored

    def fingerprint(self, file_ids: Sequence[str] | None = None) -> str:
        """SHA-256 (hex) of the content: of every row and file, wherever they lie and whenever they were written.

        `file_ids` saves reading the files again: `file_id` of each, in the order of the table.
        """
        if self.recipe:
            file_ids = [self.recipe] * len(self.table)
        rows = self.table.to_numpy(dtype=object)
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
    known: tuple[str, ...] | None = None,
    seed: int = 0,
    synthetic_images: int = 600,
    lenient: bool = False,
    ask: bool = True,
    auxiliary: bool = False,
) -> Source:
    """Opens `spec` (see the README's list of kinds) without decoding anything.

    `classes` chooses some of the data's classes, in that order, by any usual name; the others are in the table too
    where they are `auxiliary`. `known` chooses those of its own that the data have too, and there must be two. `seed`
    and `synthetic_images` are for the synthetic faces alone. `lenient` sets aside what a relabelling CSV contradicts.
    Without `ask`, folders above the classes may have any names, as the person has said who is who. Raises InputError.
    """
    if classes is not None and len({class_key(name) for name in classes}) < 2:
        same = f" ({note})" if (note := _note_same_classes(classes).removeprefix("--classes: ")) else ""
        raise InputError(f"--classes {', '.join(classes)}: 1 class is chosen{same}, 2 to {MAX_CLASSES} are needed")
    if spec == "synthetic":
        return _open_synthetic(classes, known, seed, synthetic_images, auxiliary)
    path = fetch(spec) if is_remote(spec) else expand(spec)
    try:
        found = _open_path(spec, path, lenient, ask)
    except OSError as error:
        raise InputError(f"--data {spec}: cannot be read ({error.strerror}); check path and permissions") from None
    return _name_classes(found, classes, known, auxiliary)


def source_of(config: RunConfig) -> Source:
    """The source that `config` names, with its votes. Raises InputError where it cannot be used."""
    source = open_source(
        config.data,
        classes=config.classes,
        seed=config.seed,
        synthetic_images=config.synthetic_images,
        lenient=config.lenient,
        ask=config.group == "auto",
        auxiliary=config.auxiliary_classes,
    )
    if config.fairness:
        source = _add_fairness(source, config.fairness)
    if config.votes:
        source = add_votes(source, config.votes)
    _refuse_partly_split(source)
    if config.targets != "label" and VOTES not in source.table:
        raise InputError(
            f"targets={config.targets}: the data have no votes; name a table of them with --set votes=FILE"
        )
    learned = {*source.classes, *source.auxiliary}
    if config.targets != "label" and not any(learned & read_votes(text).keys() for text in source.table[VOTES]):
        raise InputError(f"targets={config.targets}: no image has votes for any of {', '.join(sorted(learned))}")
    return source


def _refuse_partly_split(source: Source) -> None:
    """Raises InputError where some labelled images have a split and others none."""
    labelled = source.table[source.table["label"].isin(source.classes)]
    apart = labelled["path"][labelled["split"] == ""].tolist()
    if apart and len(apart) < len(labelled):
        raise InputError(
            f"--data {source.spec}: {count_of(len(apart), 'image')} without a split while others have one, e.g. "
            f"{apart[0]}: give all of them a split, or none"
        )


def _add_fairness(source: Source, column: str) -> Source:
    """`source` with the column FAIRNESS. Raises InputError where there is nothing to compare by."""
    if source.column is None:
        raise InputError(
            f"fairness={column}: needs a table of labels with that column, path,label,...; --data {source.spec} is "
            f"{source.kind}"
        )
    values, instead = source.column(column)
    table = source.table.assign(**{FAIRNESS: [values.get(path, "") for path in source.table["path"]]})
    groups = sorted(set(table[FAIRNESS]) - {""})
    if not 2 <= len(groups) <= MOST_GROUPS:
        shown = f" ({', '.join(groups[:3])}{' ...' if len(groups) > 3 else ''})" if groups else ""
        raise InputError(
            f"fairness={column}: {count_of(len(groups), 'value')}{shown}, 2 to {MOST_GROUPS} are needed: name a column "
            "of groups, such as ranges of age"
        )
    counts = table[FAIRNESS].value_counts()
    note = f"fairness: groups of persons by {column}: " + ", ".join(f"{group} {counts[group]:,}" for group in groups)
    if "" in counts:
        note += f"; without a value, in no group: {counts['']:,}"
    notes = [instead.get(each, each) for each in source.notes]
    return replace(source, table=table, notes=(*filter(None, notes), note))


def _open_path(spec: str, path: Path, lenient: bool, ask: bool) -> Source:
    if not path.exists():
        raise InputError(f"--data {spec}: there is no such file or folder; check the path")
    if path.is_dir():
        return _open_folder(spec, FolderTree(path), path, lenient, ask)
    if not path.is_file():
        raise InputError(f"--data {spec}: is a device, a pipe or a socket; give a folder, an archive or a table")
    if kind_of(path.name) is SPREADSHEET:  # which may be a zip archive itself
        raise InputError(f"--data {spec}: is a {SPREADSHEET.one}: {SPREADSHEET.advice}")
    if is_archive(path):
        return open_tree(spec, open_archive(path), lenient=lenient, ask=ask)
    if kind_of(path.name) is PACKED:
        raise InputError(f"--data {spec}: RAR, 7z and Zstandard are not read: unpack it, and give the folder")
    if path.suffix.lower() in (".zip", ".tar", ".tgz", ".gz"):
        raise InputError(f"--data {spec}: is not an archive despite its name, or is damaged; download or copy it again")
    with path.open("rb") as file:
        table = parse_start(read_start(file), path.name)
    columns = understand(table)
    if columns.pixels >= 0:
        return _as_source(spec, None, *read_pixels(spec, path.open("rb"), path.name, files=files_beside(path)))
    if path.suffix.lower() not in TABLE_SUFFIXES and not columns.labels_files:
        kind = kind_of(path.name)
        advice = (
            f"is a {kind.one}: {kind.advice}" if kind.advice else f"is not a folder, an archive or a CSV; {LAYOUTS}"
        )
        raise InputError(f"--data {spec}: {advice}")
    return open_tree(spec, FolderTree(path.parent), lenient=lenient, table=path.name)


def _open_folder(spec: str, tree: FolderTree, path: Path, lenient: bool, ask: bool) -> Source:
    """A folder, or the archives in it where it holds no images itself."""
    archives = [path / name for name in tree.names if has_archive_name(name) and is_archive(path / name)]
    if archives and not any(map(is_image_name, tree.names)) and not pixel_tables(tree):
        if len(tree.names) == 1:
            return open_tree(spec, open_archive(archives[0]), lenient=lenient, ask=ask)
        return open_tree(spec, JoinedTree(tree, archives), lenient=lenient, ask=ask)
    return open_tree(spec, tree, lenient=lenient, ask=ask)


def open_tree(spec: str, tree: Tree, *, lenient: bool, table: str = "", ask: bool = True) -> Source:
    """What a folder or archive holds; `table` is the one to use of several. Raises InputError."""
    return _as_source(spec, tree, *read_tree(spec, tree, lenient=lenient, table=table, ask=ask))


def _as_source(spec: str, tree: Tree | None, reading: Reading, known: KnownSet | None) -> Source:
    """The source that `reading` makes of `tree`; None where the reading reads by itself."""

    def read(path: str) -> bytes:
        return tree.read(reading.root + path)

    table = reading.rows
    notes = (*(tree.notes if tree else ()), *reading.notes)
    if known:
        codes = {label: known.codes.get(label, label) for label in table["label"].unique()}
        table = table.assign(label=table["label"].map(codes))
        if (table["group"] == "").all():
            table = table.assign(group=find_persons(known, table["path"]))
        if known.is_posed and (table["group"] == "").all():
            notes += (f"{known.name} shows few people many times, and these files do not name them: one person may be "
                      "in several splits, which makes the test too easy",)  # fmt: skip
    return Source(
        spec, reading.kind or tree.kind, table, reading.read or read, (), notes, reading.faults, dataset=known,
        column=reading.column, places=reading.places,
        found=", ".join(filter(None, (known.name if known else "", reading.what))),
    )  # fmt: skip


def _name_classes(
    source: Source, classes: tuple[str, ...] | None, known: tuple[str, ...] | None, auxiliary: bool
) -> Source:
    """`source` with levelled class names, sorted by path.

    Reduced to the chosen `classes` or to those `known`, unless the others are `auxiliary`.
    """
    table, note = pool_lone_parts(source.table)
    voted = {name for text in table.get(VOTES, ()) for name in read_votes(text)}
    names = match_names({*table["label"].unique(), *voted} - {""})
    table = table.assign(label=table["label"].map({**names, "": ""}))
    if VOTES in table:
        table = table.assign(**{VOTES: [rename_votes(text, names) for text in table[VOTES]]})
    found = tuple(sorted(set(table["label"].unique()) - {""}))
    chosen = _choose(found, classes if known is None else _find_common(source.spec, found, known))
    others = table["label"][~table["label"].isin((*chosen, ""))].value_counts()
    notes = [*source.notes, renaming_note({name: names[name] for name in source.table["label"].unique() if name}), note]
    notes.append(_note_same_classes(classes or ()))
    more = tuple(sorted(others.index)) if auxiliary else ()
    if source.kind in ("folder", "zip", "tar") and known is None:
        refuse_no_classes(source.spec, chosen, source.table["path"], are_chosen=classes is not None)
    if len(others):
        counts = ", ".join(f"{name} {count}" for name, count in sorted(others.items()))
        use = "teaching only:" if auxiliary else "left out"
        notes.append(f"{use} {count_of(others.sum(), 'image')} of other classes ({counts})")
    elif auxiliary:
        notes.append("auxiliary_classes: the data have no other classes to learn from")
    if not 2 <= len(chosen) <= MAX_CLASSES:
        shown = ", ".join(chosen[:MAX_CLASSES]) + (" ..." if len(chosen) > MAX_CLASSES else "")
        unread = (note for note in notes if note.startswith("not read"))  # the labels may be in these
        advice = "choose some with --classes" if len(chosen) > MAX_CLASSES else "; ".join((*unread, LAYOUTS))
        raise InputError(
            f"--data {source.spec}: {count_of(len(chosen), 'class')}{f' ({shown})' if shown else ''}, 2 to "
            f"{MAX_CLASSES} are needed; {advice}"
        )
    if len(more) > MAX_AUXILIARY:
        raise InputError(
            f"--data {source.spec}: {len(more)} classes beside the chosen ones, at most {MAX_AUXILIARY} can be learned "
            "from; --set auxiliary_classes=false leaves them out"
        )
    check_names(f"--data {source.spec}", (*chosen, *more))
    if classes is None and known is None:
        notes.append(unknown_note(chosen))
    table = table[table["label"].isin((*chosen, *more, ""))].sort_values("path").reset_index(drop=True)
    table = table[[*TABLE_COLUMNS, *([VOTES] if VOTES in table else [])]]
    return replace(
        source, table=table, classes=chosen, notes=tuple(note for note in notes if note),
        others=others.sort_index().to_dict(), auxiliary=more,
        found=_found_line(source, table[~table["label"].isin(more)], chosen),
    )  # fmt: skip


def _found_line(source: Source, table: pd.DataFrame, classes: Iterable[str]) -> str:
    """What was found, in one line that a person can check."""
    labelled = table[table["label"] != ""]
    counts = labelled["split"].value_counts()
    parts = [f"{counts[split]:,} {split}" for split in SPLITS if split in counts] or [count_of(len(labelled), "image")]
    absent = [path for path in table["path"][table["label"] == ""] if source.faults.get(path) == NO_IMAGE]
    others = len(table) - len(labelled) - len(absent)
    aside = [f"{others:,} without a label"] if others else []
    aside += [f"{count_of(len(absent), 'row')} without an image, e.g. {absent[0]}"] if absent else []
    images = labelled["label"].value_counts()
    named = [f"{name} {images.get(name, 0):,}" for name in classes]
    told = f"{len(named)} classes ({', '.join(named)})"
    return f"read as {source.found}: {', '.join([*parts, *aside, told])}"


def _find_common(spec: str, found: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the `known` classes that are `found` too. Raises InputError where there are fewer than two."""
    keys = [class_key(name) for name in found]
    common = tuple(name for name in known if class_key(name) in keys)
    if len(common) < 2:
        raise InputError(
            f"--data {spec}: has the classes {', '.join(found)}, of which {len(common)} "
            f"{'is' if len(common) == 1 else 'are'} among {', '.join(known)}; two are needed"
        )
    return common


def _choose(found: Iterable[str], classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """The class names that `classes` mean, in their order; all of `found` where none are given."""
    by_key = {class_key(name): name for name in found}
    if classes is None:
        return tuple(by_key.values())
    missing = [name for name in classes if class_key(name) not in by_key]
    if missing:
        raise InputError(f"--classes {', '.join(missing)}: not in the data, which has {', '.join(by_key.values())}")
    return tuple(dict.fromkeys(by_key[class_key(name)] for name in classes))


def _note_same_classes(classes: tuple[str, ...]) -> str:
    """One line for a person about names in `classes` that mean one class; empty where none do."""
    meant: dict[str, list[str]] = {}
    for name in dict.fromkeys(classes):
        meant.setdefault(class_key(name), []).append(name)
    same = "; ".join(f"{' and '.join(names)} mean one class, {key}" for key, names in meant.items() if len(names) > 1)
    return f"--classes: {same}" if same else ""


def _open_synthetic(
    classes: tuple[str, ...] | None, known: tuple[str, ...] | None, seed: int, num_images: int, auxiliary: bool
) -> Source:
    from emotion_utils.synthetic import faces  # what reads files needs none of it

    chosen = classes or SYNTHETIC_CLASSES
    names = _choose(faces.EMOTIONS, chosen if known is None else _find_common("synthetic", faces.EMOTIONS, known))
    table = faces.synthetic_table(num_images, names, seed)
    table = table[list(TABLE_COLUMNS)].sort_values("path").reset_index(drop=True)

    @lru_cache(maxsize=SYNTHETIC_CACHE_IMAGES)  # the audit and the store read one after the other
    def read(path: str) -> bytes:
        image = faces.render_path(path, seed, SYNTHETIC_SIZE_PX)
        return b"P6 %d %d 255\n" % image.shape[1::-1] + image.tobytes()

    samples = table.groupby("label")["path"].first()  # a change of how faces are rendered shows in these
    recipe = hashlib.sha256(b"".join(map(read, samples))).hexdigest()
    alone = "auxiliary_classes: synthetic faces are made of the asked classes alone" if auxiliary else ""
    notes = tuple(note for note in (_note_same_classes(chosen), alone) if note)
    source = Source(
        "synthetic", "synthetic", table, read, names, notes, found="synthetic faces", recipe=f"seed {seed}, {recipe}"
    )
    return replace(source, found=_found_line(source, table, names))
