"""What `emotion export` writes: names of files, and the model card beside an exported file. No torch."""

from __future__ import annotations

from pathlib import Path

from emotion_utils.errors import InputError
from emotion_utils.files import MOST_JSON_BYTES, read_bytes, refuse_target, write_text

CARD = "README.md"  # in a model folder
FOLDER = '"path/to/this/folder"'  # what a card loads
HEADING = "## How to load it"
ITS_CARD = "; its card: "


def check_output(output: Path, suffix: str = ".onnx") -> None:
    """Raises InputError where no file of that name can be meant."""
    refuse_target(output, "name a file for the model")
    if output.suffix != suffix:
        raise InputError(f"{output}: give the file a name that ends in {suffix}")


def refuse_exported(model: Path) -> None:
    """Raises InputError for a file that an export wrote, where a model's folder is needed."""
    if model.suffix.lower() == ".onnx":
        raise InputError(f"{model}: is exported already: give the model's folder; --to page takes the file as well")


def default_output(model_dir: Path, suffix: str = ".onnx") -> Path:
    """<model>.onnx, or with another ending, in the current folder; a run keeps only what it made."""
    return Path(f"{model_name(model_dir).removesuffix('.onnx')}{suffix}")


def model_name(model_dir: Path) -> str:
    """Of the model in a folder of a run: those of further seeds lie in its own."""
    folder = model_dir.resolve()
    return folder.parent.name if folder.name.startswith("seed-") else folder.name


def read_card_text(model_dir: Path, output: Path) -> str:
    """The card in a model folder, empty where there is none; asked for before the long work of an export.

    Raises InputError where it cannot be read, or where what lies in its place beside `output` is no card of ours.
    """
    card, beside = model_dir / CARD, _card_beside(output)
    if not card.is_file():
        return ""
    refuse_target(beside, "the model's card belongs there; name another file for the model")
    if beside.exists() and HEADING not in _read(beside):
        raise InputError(f"{beside}: the model's card would replace it; name another file for the model")
    return _read(card)


def write_card_beside(output: Path, card: str, held: str) -> str:
    """Writes the text of a card beside an exported file, as OUTPUT.md, and returns words that say so.

    `held` is what the file was held against. Empty where there is no card.
    """
    if not card:
        return ""
    about = (
        f"## The exported file\n\n`{output.name}`: {held}.\n\nAll other figures are those of the model in PyTorch.\n\n"
    )
    beside = _card_beside(output)
    write_text(beside, card.replace(FOLDER, f'"{output.name}"').replace(HEADING, about + HEADING))
    return f"{ITS_CARD}{beside}"


def _card_beside(output: Path) -> Path:
    return output.with_name(f"{output.name}.md")


def _read(card: Path) -> str:
    try:
        return read_bytes(card, MOST_JSON_BYTES).decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{card}: is no text in UTF-8 ({error.reason} at byte {error.start}): it was changed"
        ) from None
