"""Known data sets as their authors hand them out: which is there, and its labels, split, persons and votes."""

from __future__ import annotations

import io
import posixpath
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources import known_sets
from emotion_utils.sources.boxes import BoxReader
from emotion_utils.sources.class_names import is_emotion
from emotion_utils.sources.columns import Columns
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.fer_csv import FerCsv
from emotion_utils.sources.files import FileFinder, Files
from emotion_utils.sources.known_sets import KNOWN_SETS, KnownSet
from emotion_utils.sources.layouts import Reading, common_root, make_table
from emotion_utils.sources.split_words import split_of, split_of_path
from emotion_utils.sources.text_tables import check_rows, read_table
from emotion_utils.sources.trees import Tree, read_needed
from emotion_utils.sources.votes import majority_of_ferplus, write_votes

MIN_SHARE = 0.9  # of the images have names of the set's form: copies come with a few of other origin
_PEAK_CODE = re.compile(rb"\s*(\d)(?:\.0+)?(?:e\+00)?\s*")


def recognise(files: Files) -> KnownSet | None:
    """The data set that the names of images, and of what lies beside them, tell; None where none does."""
    stems = [_stem(name) for name in files.images]
    for known in KNOWN_SETS:
        share = sum(known.stem.fullmatch(stem) is not None for stem in stems) / max(len(stems), 1)
        if share < MIN_SHARE:
            continue
        aligned = known is known_sets.RAF_DB and any(stem.endswith("_aligned") for stem in stems)
        if aligned or not known.needs_signs or label_files(known, files):
            return known
    return None


def is_of_affectnet(columns: Columns) -> bool:
    """Whether a table has the columns of AffectNet's own training.csv and validation.csv."""
    names = {name.strip().casefold() for name in columns.names}
    return {"subdirectory_filepath", "expression", "valence", "arousal"} <= names


def label_files(known: KnownSet, files: Files) -> list[str]:
    """The files beside the images that hold the labels of a known set."""
    return [name for name in files.others if known.signs and known.signs.search(name)]


def extra_files(known: KnownSet, files: Files) -> list[str]:
    """The files of a known set that hold neither images nor labels, such as other annotations."""
    return [name for name in files.others if known.extra and known.extra.search(name)]


def read_known(spec: str, files: Files, known: KnownSet) -> Reading | None:
    """What the set's own label files, or its file names, say; None where folders or a table have to tell.

    Raises InputError that names a label file which is not understood.
    """
    found = label_files(known, files)
    if found and known.name in _READERS:
        return _READERS[known.name](spec, files, known, found)
    if "label" in known.stem.groupindex:
        return _read_stems(files, known)
    return None


def find_persons(known: KnownSet, paths: Iterable[str]) -> list[str]:
    """The person in each file name; '' where the set's names hold none."""
    if "person" not in known.stem.groupindex:
        return ["" for _ in paths]
    return [match["person"] if (match := known.stem.fullmatch(_stem(path))) else "" for path in paths]


def read_ferplus_csv(spec: str, tree: Tree, votes_name: str, pixels: FerCsv) -> Reading:
    """The votes of fer2013new.csv for the rows of fer2013.csv, joined by row order as their authors do."""
    table = read_table(spec, votes_name, read_needed(tree, votes_name))
    check_rows(spec, votes_name, table)
    if len(table.rows) > len(pixels.table):
        raise InputError(
            f"--data {spec}: {votes_name} has {len(table.rows)} rows, the table of pixels {len(pixels.table)}; both "
            "have to be whole, as they are joined by the order of rows"
        )
    rows, faults = [], dict(pixels.faults)
    splits = pixels.table.set_index("path")["split"]
    for place, (_, values) in enumerate(table.rows):
        if place in pixels.paths:
            path = pixels.paths[place]
            label, votes, fault = _count_ferplus(table.columns[2:], values[2:])
            rows.append((path, label, "", splits[path], votes))
            faults |= {path: fault} if fault else {}
    rows += [(path, "", "", "", "") for path in pixels.faults]
    what = f"pixels joined to {posixpath.basename(votes_name)} by the order of rows"
    return Reading(what, make_table(rows, votes=True), "", "fer2013.csv", (), faults, pixels.read)


# -- one reader for each kind of label file ----------------------------------------------------------


def _read_raf_db(spec: str, files: Files, known: KnownSet, found: list[str]) -> Reading:
    """list_patition_label.txt: `train_00001.jpg 5`; the images may be named train_00001_aligned.jpg."""
    name = found[0]
    labels = dict(_read_list(spec, files, name, known, fields=2))
    labels = {_stem(path): code for path, code in labels.items()}
    aligned = [path for path in files.images if _stem(path).endswith("_aligned")]
    images, notes = aligned or files.images, []
    if aligned and len(aligned) < len(files.images):
        other = next(path for path in files.images if path not in set(aligned))
        left = len(files.images) - len(aligned)
        notes.append(
            f"left out {count_of(left, 'image')} that {'is' if left == 1 else 'are'} not aligned, e.g. {other}"
        )
    rows = []
    for path in images:
        stem = _stem(path).removesuffix("_aligned")
        rows.append((path, known.codes.get(labels.get(stem, ""), ""), "", split_of(stem.partition("_")[0]) or ""))
    return _labelled("aligned" if aligned else "not aligned", rows, notes, name)


def _read_expw(spec: str, files: Files, known: KnownSet, found: list[str]) -> Reading:
    """label.lst: name, number of the face, top, left, right, bottom, confidence of the box, label; a row per face."""
    finder = FileFinder(files)
    boxes, rows, absent = {}, [], []
    for name, values in _read_list(spec, files, found[0], known, fields=8):
        face, top, left, right, bottom = (int(value) for value in values.split()[:5])
        image = finder.find(name)
        if image is None:
            absent.append(name)
            continue
        path, label, box = f"{image}#{face}", known.codes[values.split()[-1]], (left, top, right, bottom)
        while path in boxes and boxes[path][1] != box:  # another face under the same number
            path += "+"
        if path in boxes:
            continue
        boxes[path] = (image, box)
        rows.append((path, label, "", ""))
    notes = [f"{len(absent)} faces of {found[0]} lie in images that are not there, e.g. {absent[0]}"] if absent else []
    reading = _labelled("a row for each face", rows, notes, found[0])
    boxes = {path.removeprefix(reading.root): box for path, box in boxes.items()}
    return replace(reading, read=BoxReader(files.tree, boxes).read)


def _read_ck_plus(spec: str, files: Files, known: KnownSet, found: list[str]) -> Reading:
    """Emotion/S005/001/S005_001_00000011_emotion.txt labels the frame of that name, the last of its sequence."""
    images = {_stem(path): path for path in files.images}
    rows = []
    for name in found:
        match = _PEAK_CODE.fullmatch(read_needed(files.tree, name))
        if not match or match[1].decode() not in known.codes:
            raise _not_understood(spec, name, "a number from 0 to 7 was expected in it")
        frame = images.get(_stem(name).removesuffix("_emotion"))
        if frame:
            rows.append((frame, known.codes[match[1].decode()], "", ""))
    left = len(files.images) - len(rows)
    notes = [f"{left} frames that are not the labelled peak of a sequence are not used"] if left else []
    return _labelled("the peak frame of each labelled sequence", rows, notes, found[0])


def _read_affectnet(spec: str, files: Files, known: KnownSet, found: list[str]) -> Reading:
    """annotations/123_exp.npy labels images/123.jpg of the same folder above."""
    exps = {(posixpath.dirname(posixpath.dirname(name)), _stem(name).removesuffix("_exp")): name for name in found}
    rows, faults = [], {}
    for path in files.images:
        name = exps.get((posixpath.dirname(posixpath.dirname(path)), _stem(path)))
        code = _read_npy(spec, files, name) if name else ""
        if name and code not in known.codes:
            raise _not_understood(spec, name, f"a number from 0 to 10 was expected in it, not {code}")
        label = known.codes.get(code, "")
        rows.append((path, label, "", split_of_path(path)))
        missing = f"no label: {_stem(path)}_exp.npy is not there"
        faults |= {} if label else {path: f"no emotion: {name} says {code}" if name else missing}
    return _labelled("with its annotations", rows, [], faults=faults)


def _read_ferplus(spec: str, files: Files, known: KnownSet, found: list[str]) -> Reading:
    """fer2013new.csv for all parts, or else label.csv in each, which has the box as second field and no header."""
    whole = [name for name in found if name.lower().endswith("fer2013new.csv")]
    by_stem: dict[str, list[str]] = {}
    for path in files.images:
        by_stem.setdefault(_stem(path), []).append(path)
    left = dict.fromkeys(files.images)
    rows, faults, names = [], {}, whole[:1] or found
    for name in names:
        for part, image, columns, values in _ferplus_rows(spec, files, name):
            path = _in_part(spec, name, part, by_stem.get(_stem(image), [])) if image else ""
            if path in left:
                left.pop(path)
                label, votes, fault = _count_ferplus(columns, values)
                rows.append((path, label, "", split_of_path(path) or split_of(part) or "", votes))
                faults |= {path: fault} if fault else {}
    faults |= dict.fromkeys(left, "no votes")
    rows += [(path, "", "", "", "") for path in left]
    root = common_root(row[0] for row in rows)
    rows = [(row[0].removeprefix(root), *row[1:]) for row in rows]
    faults = {path.removeprefix(root): fault for path, fault in faults.items()}
    return Reading(f"votes of {posixpath.basename(names[0])}", make_table(rows, votes=True), root, faults=faults)


_READERS: dict[str, Callable[[str, Files, KnownSet, list[str]], Reading]] = {
    "RAF-DB": _read_raf_db, "FERPlus": _read_ferplus, "AffectNet": _read_affectnet, "CK+": _read_ck_plus,
    "ExpW": _read_expw,
}  # fmt: skip


# -- their parts -------------------------------------------------------------------------------------


def _read_stems(files: Files, known: KnownSet) -> Reading | None:
    """Labels in file names, unless folders name emotions: somebody may have sorted the images anew."""
    if any(is_emotion(part) for name in files.images for part in name.split("/")[:-1]):
        return None
    rows = []
    for path in files.images:
        match = known.stem.fullmatch(_stem(path))
        rows.append((path, known.codes.get(match["label"], match["label"]) if match else "", "", split_of_path(path)))
    return _labelled("labels from file names", rows, [], "")


def _labelled(
    what: str, rows: list[tuple[str, ...]], notes: list[str], source: str = "", faults: Mapping[str, str] | None = None
) -> Reading:
    """Rows (path, label, group, split); `faults` says why a path has no label where `source`, the list, does not."""
    root = common_root(row[0] for row in rows)
    rows = [(row[0].removeprefix(root), *row[1:]) for row in rows]
    reason = f"no label: {source} has none for it" if source else "no label: its file name has another form"
    given = {path.removeprefix(root): fault for path, fault in (faults or {}).items()}
    faults = {row[0]: given.get(row[0], reason) for row in rows if not row[1]}
    return Reading(what, make_table(rows), root, notes=tuple(notes), faults=faults)


def _read_list(spec: str, files: Files, name: str, known: KnownSet, fields: int) -> Iterable[tuple[str, str]]:
    """Pairs (name of an image, the other fields) of a list without header; its last field is a label of `known`."""
    text = read_needed(files.tree, name).decode("utf-8-sig", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise _not_understood(spec, name, "it is empty")
    for number, line in enumerate(lines, start=1):
        image, *values = line.rsplit(maxsplit=fields - 1)
        numbers = len(values) == fields - 1 and all(_is_number(value) for value in values)
        if not numbers or values[-1] not in known.codes or not all(value.lstrip("-").isdigit() for value in values[:5]):
            expected = f"a name and {fields - 1} numbers, the last one from {min(known.codes)} to {max(known.codes)}"
            raise _not_understood(spec, name, f"line {number} is {line[:60]!r}, expected {expected}")
        yield image, " ".join(values)


def _read_npy(spec: str, files: Files, name: str) -> str:
    """The number in an annotation of one value, stored as a number or as text."""
    data = files.tree.read(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers of Python 2, which are read all the same
            value = np.load(io.BytesIO(data), allow_pickle=False)
        if value.size != 1 or value.dtype.kind not in "iufbUS":
            raise ValueError(f"{value.size} values of {value.dtype}")
        number = float(value.reshape(-1)[0])
        if not number.is_integer():
            raise ValueError(f"not {number:g}")
        return str(int(number))
    except Exception as error:  # NumPy fails in many ways over a damaged header
        raise _not_understood(spec, name, f"one whole number was expected in it ({error})") from None


def _ferplus_rows(spec: str, files: Files, name: str) -> Iterable[tuple[str, str, list[str], list[str]]]:
    """Part, image, names of the classes and their votes, a row each."""
    data = read_needed(files.tree, name)
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    if not name.lower().endswith("fer2013new.csv"):
        data = f"Image name,box,{columns}\n".encode() + data
    table = read_table(spec, name, data)
    check_rows(spec, name, table)
    expected = columns.split(",")
    if table.columns[2:] != expected:
        raise _not_understood(spec, name, f"its columns are {', '.join(table.columns)}")
    is_whole = table.columns[0] == "Usage"
    for _, values in table.rows:
        yield (values[0] if is_whole else "", values[1 if is_whole else 0].strip(), expected, values[2:])


def _in_part(spec: str, name: str, part: str, paths: list[str]) -> str:
    """Of images of one name that in the part which a row of the table `name` is about; '' for none.

    The table of all names the part, one of a part lies in its folder. Raises InputError where two may be meant.
    """
    folder, split = posixpath.dirname(name), split_of(part) if part else split_of_path(name)
    if not part and any(split_of_path(path) for path in paths):  # those of another part have a table of their own
        paths = [path for path in paths if split_of_path(path) in ("", split)]
    if len(paths) > 1 and not part:
        paths = [path for path in paths if path.startswith(f"{folder}/")] or paths
    if len(paths) > 1:
        paths = [path for path in paths if split_of_path(path) == split] or paths
    if len(paths) > 1:
        raise InputError(
            f"--data {spec}: {name} may mean {paths[0]} or {paths[1]}, which have one name: leave one, or name the "
            "folders FER2013Train, FER2013Valid and FER2013Test"
        )
    return paths[0] if paths else ""


def _count_ferplus(columns: list[str], values: list[str]) -> tuple[str, str, str]:
    """Label, votes and fault of one image."""
    if wrong := next((value for value in values if value.strip() and not _is_number(value)), None):
        return "", "", f"its votes are no numbers: {wrong[:20]!r}"
    votes = {name: float(value) if value.strip() else 0.0 for name, value in zip(columns, values, strict=True)}
    try:
        return majority_of_ferplus(votes), write_votes(votes), ""
    except ImageFault as fault:
        return "", write_votes(votes), str(fault)


def _not_understood(spec: str, name: str, why: str) -> InputError:
    return InputError(f"--data {spec}: {name} was meant to hold the labels and is not understood: {why}")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[ \t]*-?\d{1,9}(?:\.\d*)?[ \t]*", text, re.ASCII) is not None


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]
