"""What `emotion export` writes: names of files, and the model card beside an exported file. No torch."""

from __future__ import annotations

from pathlib import Path

from emotion_utils.errors import InputError
from emotion_utils.files import refuse_target, write_text

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
    if model.suffix == ".onnx":
        raise InputError(f"{model}: is exported already: give the model's folder; --to page takes the file as well")


def default_output(model_dir: Path, suffix: str = ".onnx") -> Path:
    """<model>.onnx, or with another ending, in the current folder; a run keeps only what it made."""
    return Path(f"{model_name(model_dir).removesuffix('.onnx')}{suffix}")


def model_name(model_dir: Path) -> str:
    """Of the model in a folder of a run: those of further seeds lie in its own."""
    folder = model_dir.resolve()
    return folder.parent.name if folder.name.startswith("seed-") else folder.name


def copy_card(model_dir: Path, output: Path, held: str) -> str:
    """Writes the model's card beside an exported file, as OUTPUT.md, and returns words that say so.

    `held` is what the file was held against. Empty where the model folder has no card.
    """
    card = model_dir / CARD
    if not card.is_file():
        return ""
    beside = output.with_name(f"{output.name}.md")
    about = (
        f"## The exported file\n\n`{output.name}`: {held}.\n\nAll other figures are those of the model in PyTorch.\n\n"
    )
    text = card.read_text(encoding="utf-8").replace(FOLDER, f'"{output.name}"').replace(HEADING, about + HEADING)
    write_text(beside, text)
    return f"{ITS_CARD}{beside}"
