"""Numbers as the labels of a known data set: they are its own, or others that a file beside them names, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emotion_utils.errors import InputError
from emotion_utils.sources.class_lists import find_names, name_numbers
from emotion_utils.sources.class_names import class_key
from emotion_utils.sources.files import Files
from emotion_utils.sources.known_sets import FER2013, KnownSet
from emotion_utils.sources.layouts import Reading


def read_with_codes(
    spec: str, files: Files, known: KnownSet, read: Callable[[Mapping[str, str]], Reading]
) -> tuple[Reading, list[str]]:
    """What `read` makes of labels, given what they stand for in the `known` set; and the files that name its numbers.

    Where numbers are not all the set's own, a file beside has to name each. Raises InputError where none does, or where
    one says something else of a number than the set's authors.
    """
    plain = read({})
    labels = set(plain.rows["label"]) - {""}
    numbers = set(filter(str.isdecimal, labels))
    own = {code: name for code, name in known.codes.items() if code.isdecimal()}
    if not numbers:
        return (read(known.codes) if labels & known.codes.keys() else plain), []
    if not own:
        return name_numbers(spec, files, plain)
    names, used = find_names(spec, files, labels)
    strange = sorted(numbers - own.keys(), key=int)
    if known is FER2013 and "7" in numbers and "0" not in numbers:
        strange = ["7"]  # its seven classes, counted from 1
    if strange and not used:
        ones = f"{', '.join(sorted(numbers, key=int))} are there"
        raise InputError(
            f"--data {spec}: {known.name} numbers its classes from {_tell(own)}, and here {ones}: they were numbered "
            f"anew, and nothing says how; put a labels.txt with a line such as '{strange[0]} happy' for each beside, "
            "or write words in place of the numbers"
        )
    if strange:
        return name_numbers(spec, files, plain)
    refuse_other_names(spec, known.name, own, names, used)
    return read(known.codes), used


def refuse_other_names(spec: str, what: str, own: Mapping[str, str], names: Mapping[str, str], used: list[str]) -> None:
    """Raises InputError where a file that names numbers (`used`) says something else than `own`, which is of `what`."""
    for number in sorted(names.keys() & own.keys(), key=int):
        if own[number] and class_key(names[number]) != class_key(own[number]):
            raise InputError(
                f"--data {spec}: class {number} is {names[number]} in {used[0]} and {own[number]} in {what}: move "
                f"{used[0]} away, or if it is right, write words in place of the numbers"
            )


def _tell(codes: Mapping[str, str]) -> str:
    numbers = [code for code, name in codes.items() if name]
    return f"{numbers[0]} ({codes[numbers[0]]}) to {numbers[-1]} ({codes[numbers[-1]]})"
