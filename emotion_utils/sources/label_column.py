"""Which column of a table is the label, by the usual names and by what the columns hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import islice

from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.shares import are_numbers, values_of
from emotion_utils.sources.split_words import level_word
from emotion_utils.sources.text_tables import TextTable, number_columns

MAX_LOOKED_AT = 1000  # different values of a column, to learn what it holds
# Usual names without case, accents, spaces and signs; of several in one table the first counts.
_LABELS = level_word(
    "label labels emotion emotions expression facialexpression emotionlabel expressionlabel labelname "
    "classname emotionname class category target tag y etiqueta emocion emozione emocao etichetta rotulo "
    "gefuhl klasse etiquette clase classe 标签 标注 情绪 表情 類別 类别 ラベル 感情 метка эмоция "
    "класс etiket duygu emosi choice"
).split()
# Of these, names that do not say that the labels are emotions.
_ANY_LABELS = set(
    level_word(
        "label labels labelname classname class category target tag y etiqueta etichetta rotulo klasse etiquette clase "
        "classe 标签 标注 類別 类别 ラベル метка класс etiket choice"
    ).split()
)
_GUESS = re.compile("pred|guess|estimat|detect|infer|output|model")  # in the name of a column
# Columns that hold one vote each: label_1, Annotator B, rater3.
RATER = re.compile(
    r"(?:labell?er|label|emotion|expression|class|annotator|annotation|rater|coder|judge|vote)(?:\d+|[a-h])"
)


def choose_label(
    table: TextTable, keys: Sequence[str], path: int, raters: tuple[int, ...], taken: Collection[int]
) -> tuple[int, int, tuple[int, ...]]:
    """The column of the labels, that of their numbers, and two that may be the label; -1 and () for none.

    The first of the usual names counts. Where its values are numbers, another column of emotions does, or of words
    under a usual name; and one of emotions where those of a mere "label" are none. In the project's own form nothing is
    guessed.
    """
    label = first_of(keys, _LABELS)
    if table.columns == number_columns(2) and path >= 0:  # without header
        label = 1 - path
    if label < 0 and not raters:  # a lone label1 is simply the label
        label = next((at for at, key in enumerate(keys) if RATER.fullmatch(key)), -1)
    is_own_form = {"path", "label"} <= {name.strip().lower() for name in table.columns}
    if label < 0 and raters:
        return -1, -1, ()
    are_codes = label >= 0 and bool(table.rows) and are_numbers(table, label)
    if label >= 0 and is_own_form and not are_codes:
        return label, -1, ()
    emotional = [at for at in range(len(keys)) if at not in taken and _are_emotions(table, at)]
    usual = [at for at in emotional if keys[at] in _LABELS or at == label]
    chosen = label
    is_other = label >= 0 and keys[label] in _ANY_LABELS and not any(map(is_emotion, values_of(table, label)))
    if label < 0 or are_codes or is_other:
        words = [at for at, key in enumerate(keys) if key in _LABELS and at not in taken and _are_words(table, at)]
        words = words if label < 0 or are_codes else []
        chosen = next(iter((*usual, *emotional, *words)), label)
        if label >= 0 and not are_codes and _GUESS.search(keys[chosen]):
            return label, -1, (label, chosen)
    rivals = next(((chosen, at) for at in usual or emotional if at != chosen and _differ(table, chosen, at)), ())
    return chosen, label if are_codes and chosen != label else -1, rivals if chosen in emotional else ()


def _are_emotions(table: TextTable, at: int) -> bool:
    """Whether a column holds two emotions or more, and hardly another word."""
    values = list(islice(filter(None, values_of(table, at)), MAX_LOOKED_AT))
    found = [value for value in values if is_emotion(value)]
    return 2 * len(found) >= len(values) and len(set(map(class_key, found))) > 1


def _differ(table: TextTable, one: int, other: int) -> bool:
    """Whether two columns give any row another class."""
    pairs = {(values[one].strip(), values[other].strip()) for _, values in table.rows}
    return any(all(pair) and class_key(pair[0]) != class_key(pair[1]) for pair in pairs)


def _are_words(table: TextTable, at: int) -> bool:
    return len(values_of(table, at) - {""}) > 1 and not are_numbers(table, at)


def key_of(name: str) -> str:
    """The name of a column without case, accents, spaces and signs."""
    return "".join(filter(str.isalnum, level_word(name)))


def first_of(keys: Sequence[str], names: Sequence[str]) -> int:
    """The place of the first of `names` that is among the `keys` of the columns; -1 where none is."""
    return next((keys.index(name) for name in names if name in keys), -1)
