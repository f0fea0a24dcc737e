"""What the columns of a label table mean: their owners call them file, image, emotion, class and much else."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import islice

from emotion_utils.errors import InputError
from emotion_utils.sources.class_names import class_key
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.label_column import MAX_LOOKED_AT, RATER, choose_label, first_of, key_of
from emotion_utils.sources.shares import are_numbers, choose_shares, values_of
from emotion_utils.sources.split_words import level_word, split_of
from emotion_utils.sources.text_tables import MIN_PIXELS, TextTable, is_via, split_pixels

MOST = 0.9  # of the values tell what a column holds whose name does not
MAX_PARTS = 10  # a column with more different words than these is no split, whatever its name
_BOXES = (
    ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"),
    ("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"),
)  # fmt: skip
_BOX_PREFIX = re.compile("^(?:bbox|box|bndbox)")
# Usual names without case, accents, spaces and signs; of several in one table the first counts.
_PATHS = level_word(
    "path filepath imagepath imgpath pth filename file subdirectoryfilepath imagefile imagefilename "
    "imagename imgname image img picture photo imageid imgid name id archivo imagen fichier datei "
    "dateiname bild arquivo imagem immagine 文件名 图片 圖片 图像 ファイル名 画像 файл изображение dosya gambar berkas"
).split()
_PERSONS = level_word(
    "group person personid subject subjectid identity identityid actor actorid participant participantid "
    "individual individualid model modelid speaker celebrity"
).split()
_SPLITS = ["split", "usage", "set", "subset", "partition", "datasplit"]
_MAYBE_SPLITS = ["part", "phase", "fold", "foldid", "kfold", "cv"]  # these often mean something else
_CONFIDENCES = level_word("confidence conf labelconfidence certainty probability prob agreement").split()
_PIXELS = level_word("pixels pixel pixelvalues imagepixels").split()
# Numbers that stand beside votes or persons and are no votes.
_NO_VOTES = set(
    level_word(
        "age sex gender height weight year race ethnicity total sum count votes voters numvotes nvotes votecount "
        "totalvotes numraters raters summe gesamt anzahl alter geschlecht edad sexo edat idade somme eta sesso"
    ).split()
)
_FLAGS = {"", "0", "1", "true", "false", "yes", "no"}


@dataclass(frozen=True)
class Columns:
    """Places of columns by what they hold; -1 or () where there is none."""

    names: list[str]
    path: int
    label: int
    person: int
    split: int
    confidence: int
    pixels: int
    numbers: int  # of the classes, where `label` has their words
    unclear: int  # named as a split, but without a value that is one
    raters: tuple[int, ...]
    shares: tuple[int, ...]  # numbers, a column for each class: votes, one-hot, probabilities
    rivals: tuple[int, ...] = ()  # two columns that differ and may both be the label

    @property
    def is_own_form(self) -> bool:
        """Whether this is the project's own relabelling table, in which nothing is guessed."""
        return self.path >= 0 and self.label >= 0 and {"path", "label"} <= {name.lower() for name in self.names}

    @property
    def labels_files(self) -> bool:
        return not is_via(self.names) and self.path >= 0 and (self.label >= 0 or bool(self.raters or self.shares))

    @property
    def unused(self) -> list[str]:
        """The names of the columns from which nothing is taken."""
        taken = {self.path, self.label, self.person, self.split, self.confidence, self.numbers, self.unclear}
        taken |= {*self.raters, *self.shares}
        return [name for at, name in enumerate(self.names) if name and at not in taken]

    @property
    def mapping(self) -> str:
        """Which columns were taken for what, for a person."""
        named = {"path": self.path, "label": self.label, "person": self.person, "split": self.split,
                 "confidence": self.confidence}  # fmt: skip
        parts = [f"{what} from {self.names[at]}" for what, at in named.items() if at >= 0]
        for what, places in (("votes", self.raters), ("votes", self.shares)):
            parts += [f"{what} from {', '.join(self.names[at] for at in places)}"] if places else []
        return ", ".join(parts)


def understand(table: TextTable) -> Columns:
    """What the columns of `table` hold, by their names and, for labels, votes and splits, by their values."""
    keys = [key_of(name) for name in table.columns]
    path, person, confidence, pixels = (first_of(keys, names) for names in (_PATHS, _PERSONS, _CONFIDENCES, _PIXELS))
    path = path if path >= 0 else _find(table, is_image_name, {pixels})
    pixels = pixels if pixels >= 0 else _find(table, _is_image, {path})
    raters = tuple(at for at, key in enumerate(keys) if RATER.fullmatch(key))
    raters = raters if len(raters) > 1 else ()
    taken = {path, person, confidence, pixels, *raters}
    label, numbers, rivals = choose_label(table, keys, path, raters, taken)
    taken |= {label, numbers}
    named = [at for name in (*_SPLITS, *_MAYBE_SPLITS) if (at := first_of(keys, (name,))) >= 0 and at not in taken]
    told = [at for at in named if _are_splits(table, at)]
    told += [at for at in range(len(keys)) if at not in taken and not told and _tell_parts(table, at)]
    split = told[0] if told else -1
    named += [at for at in range(len(keys)) if at not in taken and _is_flag(table, at)]  # is_train: True
    unclear = named[0] if named and split < 0 else -1
    taken |= {split, *named}
    free = [at for at, key in enumerate(keys) if at not in taken and key and key not in _NO_VOTES]
    shares = choose_shares(table, free, label >= 0 or bool(raters)) if pixels < 0 else ()
    return Columns(
        table.columns, path, label, person, split, confidence, pixels, numbers, unclear, raters, shares, rivals
    )  # fmt: skip


def check_columns(spec: str, name: str, table: TextTable, columns: Columns) -> str:
    """A line on a column of the table `name` that is called a split and is none, or ''.

    Raises InputError for columns of boxes; where two columns may be the label; where such a column holds a few words,
    which may be splits; and where the numbers beside the words of the labels do not stand for these, one for one.
    """
    if columns.path >= 0 and (box := _find_box(columns.names)):
        line = table.rows[0][0] if table.rows else 1
        raise InputError(
            f"--data {spec}: {name}, line {line}: columns {', '.join(box)} are boxes within images, which are not cut "
            "out: make an image of each face, or remove these columns if each image is one face already"
        )
    if columns.rivals:
        one, other = (columns.names[at] for at in columns.rivals)
        raise InputError(
            f"--data {spec}: {name}: the columns {one} and {other} differ, and which is the label is not clear: remove "
            "the one that is not, or call it not_label and the other label"
        )
    if columns.numbers >= 0:
        _check_numbers(f"--data {spec}: {name}", table, columns)
    if columns.unclear < 0:
        return ""
    column = columns.names[columns.unclear]
    values = sorted(values_of(table, columns.unclear) - {""})
    shown = ", ".join(values[:3]) + (" ..." if len(values) > 3 else "")
    is_meant = key_of(column) in _SPLITS and len(values) > 1 and not are_numbers(table, columns.unclear)
    if (is_meant and len(values) <= MAX_PARTS) or (values and split_of(column)):
        raise InputError(
            f"--data {spec}: {name}: column {column} holds {shown}, which are not train, val or test: write these "
            "instead, or call the column something else if it is no split"
        )
    return f"{name}: column {column} ({shown}) is no split and not used" if values else ""


def _find_box(names: list[str]) -> list[str]:
    """The four columns that are a box, as they are spelled; empty where there are none."""
    spelled = {_BOX_PREFIX.sub("", key_of(name)): name for name in reversed(names)}
    return next(([spelled[key] for key in keys] for keys in _BOXES if spelled.keys() >= set(keys)), [])


def _check_numbers(place: str, table: TextTable, columns: Columns) -> None:
    """Raises InputError where a number of a class has two words, or a word two numbers."""
    seen: dict[tuple[str, str], tuple[str, int]] = {}
    for line, values in table.rows:
        number, word = values[columns.numbers].strip(), values[columns.label].strip()
        if not number or not word:
            continue
        for key, other in ((("number", number), word), (("word", class_key(word)), number)):
            before, first = seen.setdefault(key, (other, line))
            if class_key(before) != class_key(other):
                raise InputError(
                    f"{place}: {columns.names[columns.numbers]} and {columns.names[columns.label]} do not go together: "
                    f"{number if key[0] == 'number' else word} stands beside {before} (line {first}) and {other} (line "
                    f"{line}); correct them, or remove the column that is not the label"
                )


def _find(table: TextTable, holds: Callable[[str], object], taken: Collection[int]) -> int:
    """The first column, of those not `taken`, of whose values most are what `holds` tells; or -1."""
    for at in range(len(table.columns)):
        values = list(islice(filter(None, values_of(table, at)), MAX_LOOKED_AT)) if at not in taken else []
        if values and sum(bool(holds(value)) for value in values) >= MOST * len(values):
            return at
    return -1


def _is_image(text: str) -> bool:
    return len(split_pixels(text.encode())) >= MIN_PIXELS


def _are_splits(table: TextTable, at: int) -> bool:
    """Whether any value is a split; numbered folds are none. One that is not is told when the rows are read."""
    return any(split_of(value) for value in islice(values_of(table, at), MAX_LOOKED_AT))


def _tell_parts(table: TextTable, at: int) -> bool:
    """Whether a column of any name holds nothing but splits, train and another."""
    values = values_of(table, at) - {""}
    splits = {split_of(value) for value in values} if len(values) <= MAX_PARTS else {None}
    return "train" in splits and len(splits) > 1 and None not in splits


def _is_flag(table: TextTable, at: int) -> bool:
    """Whether a column is called by a word for a split and holds yes or no; of which other split, it does not say."""
    return split_of(table.columns[at]) is not None and {value.lower() for value in values_of(table, at)} <= _FLAGS
