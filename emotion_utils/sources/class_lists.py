"""Names of classes that are numbers in folders or in a table: what classes.txt, data.yaml or a README beside say."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from emotion_utils.errors import InputError
from emotion_utils.files import MOST_NESTED
from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.files import Files, is_image_name
from emotion_utils.sources.layouts import VOTES, Reading
from emotion_utils.sources.text_tables import encoding_of
from emotion_utils.sources.votes import rename_votes

_LIST = re.compile(
    r"(?:.*(?:class|label|emotion|expression|categor|mapping|legend).*|names|data|dataset|config|obj)"
    r"\.(?:txt|names|labels|json|ya?ml|csv|tsv)",
    re.IGNORECASE,
)
_README = re.compile(r"read_?me.*\.(?:txt|md|rst)|readme", re.IGNORECASE)
_KEYS = ("names", "classes", "labels", "class_names", "id2label", "label_names", "categories")
_SIGN = r"[\"'`*]*[ \t]*(?::|->|=>|=|\||→|\u2013|-)[ \t]*[\"'`*]*"
_WORDS = r"([^\W\d_]+(?:[ \-/][^\W\d_]+)*)"
MOST_DIGITS = 18  # of a number that stands for a class; Python reads no more than 4300
_PAIR = re.compile(rf"(?<![\w.,\-])(\d{{1,3}}){_SIGN}{_WORDS}")  # 0: angry, 1 = disgust, | 2 | fear |
_NUMBER_FIRST = re.compile(rf"\W*(\d{{1,3}})\W+{_WORDS}\W*")
_NUMBER_LAST = re.compile(rf"\W*{_WORDS}\W+(\d{{1,3}})\W*")


class _PlainYaml(yaml.BaseLoader):
    """Lists, mappings and text: a number is its digits, and no part stands for another, of which few lines make
    billions."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent) or self.depth > MOST_NESTED:
            raise yaml.YAMLError("an alias, or too deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def name_numbers(spec: str, files: Files, reading: Reading) -> tuple[Reading, list[str]]:
    """`reading` with names for its classes where a file beside names each of their numbers; and the files used."""
    labels = set(reading.rows["label"]) - {""}
    names, used = find_names(spec, files, labels)
    if not used:
        return replace(reading, notes=(*reading.notes, *_tell_unnamed(files, labels))), []
    rows = reading.rows.assign(label=reading.rows["label"].map({**names, "": ""}))
    if VOTES in rows:
        rows = rows.assign(**{VOTES: [rename_votes(text, names) for text in rows[VOTES]]})
    what = f"{reading.what} with names from {posixpath.basename(used[0])}"
    return replace(reading, rows=rows, what=what, notes=(*reading.notes, tell_names(names, used))), used


def _tell_unnamed(files: Files, labels: set[str]) -> list[str]:
    """A line on what would give names to classes that are numbers, and why a list that is there does not."""
    if len(labels) < 2 or not all(map(_is_number, labels)):
        return []
    lists = [name for name in files.others if _LIST.fullmatch(posixpath.basename(name))
             and not name.lower().endswith((".csv", ".tsv"))]  # fmt: skip
    shown = ", ".join(sorted(labels, key=int))
    note = f"classes are numbers ({shown}): put a labels.txt beside, with a line such as '0 happy' for each"
    return [note + (f"; {lists[0]} does not name each of them once, so it is not used" if lists else "")]


def tell_names(names: Mapping[str, str], used: list[str]) -> str:
    """A line on what the numbers of classes mean."""
    return f"{used[0]}: {', '.join(f'{label} is {names[label]}' for label in sorted(names, key=int))}"


def find_names(spec: str, files: Files, labels: set[str]) -> tuple[dict[str, str], list[str]]:
    """The name of each of the `labels`, if all are numbers and a file names each; and the files that do, or none.

    Raises InputError where two files name them differently.
    """
    if len(labels) < 2 or not all(map(_is_number, labels)):
        return {}, []
    found = {}
    for name in files.others:
        base = posixpath.basename(name)
        is_readme = _README.fullmatch(base) is not None
        if is_readme or _LIST.fullmatch(base):
            start = files.tree.peek(name)
            text = start.decode(encoding_of(start), "replace").removeprefix("\ufeff")
            names = _choose(_read_prose(text) if is_readme else _read_list(base, text), labels)
            if names and (not is_readme or 2 * sum(map(is_emotion, names.values())) >= len(names)):
                found[name] = names
    if not found:
        return {}, []
    first, names = next(iter(found.items()))
    for other, others in found.items():
        for label in sorted(labels, key=int):
            if class_key(names[label]) != class_key(others[label]):
                raise InputError(
                    f"--data {spec}: class {label} is {names[label]} in {first} and {others[label]} in {other}: "
                    "correct one, or move it away"
                )
    return names, list(found)


def _choose(entries: list[tuple[int | None, str]], labels: set[str]) -> dict[str, str]:
    """A name for each of the `labels`; empty where one has none or two, or two labels have one name.

    Names without numbers count from 0, or from 1 where the labels do and there are as many names.
    """
    numbers = {label: int(label) for label in labels}
    if any(number is None for number, _ in entries):
        first = 0 if 0 in numbers.values() else 1
        if first and max(numbers.values()) != len(entries):
            return {}
        entries = [(at, name) for at, (_, name) in enumerate(entries, start=first)]
    meant: dict[int, dict[str, str]] = {}
    for number, name in entries:
        meant.setdefault(number, {})[class_key(name)] = name.strip()
    if any(len(meant.get(number, ())) != 1 for number in numbers.values()):
        return {}
    names = {label: next(iter(meant[number].values())) for label, number in numbers.items()}
    keys = {class_key(name) for name in names.values() if name and not name.isdecimal()}
    return names if len(keys) == len(names) else {}


def _read_prose(text: str) -> list[tuple[int | None, str]]:
    return [(int(pair[1]), pair[2]) for pair in _PAIR.finditer(text)]


def _read_list(name: str, text: str) -> list[tuple[int | None, str]]:
    """Numbers (or None) and names of a list in lines, JSON or YAML; empty for anything else."""
    if name.lower().endswith((".json", ".yaml", ".yml")):
        try:
            return _read_entries(json.loads(text) if name.lower().endswith(".json") else yaml.load(text, _PlainYaml))
        except (ValueError, yaml.YAMLError, RecursionError):
            return []
    lines = [line for line in text.splitlines() if line.strip()]
    if name.lower().endswith((".csv", ".tsv")):
        return _read_mapping(lines)
    for pattern, number, word in ((_NUMBER_FIRST, 1, 2), (_NUMBER_LAST, 2, 1)):
        pairs = [pattern.fullmatch(line) for line in lines]
        if pairs and all(pairs):
            return [(int(pair[number]), pair[word]) for pair in pairs]
    names = [re.fullmatch(rf"\W*{_WORDS}\W*", line) for line in lines]
    if all(names):
        return [(None, match[1]) for match in names]
    return _read_prose(text)


def _read_mapping(lines: list[str]) -> list[tuple[int | None, str]]:
    """Numbers and names of a table of these two, with or without header; empty for any other table."""
    rows = [re.split(r"[,;\t|]", line) for line in lines if line.strip(" ,;\t|")]
    rows = [[value.strip(" \"'") for value in row] for row in rows]
    rows = rows if rows and any(map(_is_number, rows[0])) else rows[1:]
    if not rows or any(len(row) != 2 or sum(map(_is_number, row)) != 1 for row in rows):
        return []
    if any(is_image_name(value) for row in rows for value in row):  # a table of labels
        return []
    return [(int(number), name) for number, name in (row if _is_number(row[0]) else row[::-1] for row in rows)]


def _read_entries(data: Any) -> list[tuple[int | None, str]]:
    if isinstance(data, dict):
        if nested := next((data[key] for key in _KEYS if isinstance(data.get(key), dict | list)), None):
            return _read_entries(nested)
        if all(map(_is_number, data)):
            data = {value: key for key, value in data.items() if isinstance(value, str)}
        return [(int(number), str(name)) for name, number in data.items() if _is_number(number)]
    if isinstance(data, Iterable) and not isinstance(data, str) and all(isinstance(name, str) for name in data):
        return [(None, name) for name in data]
    return []


def _is_number(value: object) -> bool:
    """Whether it is a whole number that may stand for a class, or its digits."""
    if isinstance(value, int):
        return not isinstance(value, bool) and 0 <= value < 10**MOST_DIGITS
    return isinstance(value, str) and value.isdecimal() and len(value) <= MOST_DIGITS
