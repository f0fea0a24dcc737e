"""Exports in forms that are not read here: files that hold the labels of boxes, or whole images; refused by name."""

from __future__ import annotations

import posixpath
import re

from emotion_utils.sources.files import Files
from emotion_utils.sources.text_tables import is_via, peek_table

LOOKED_AT = 20  # files of each kind, of which a data set may have one for each image
_ENDINGS = (
    ("_annotations.coco.json", "COCO"), ("_annotations.createml.json", "CreateML"), ("data.yaml", "YOLO"),
    (".tfrecord", "TFRecord"), (".parquet", "Parquet"), (".arrow", "Arrow"),
)  # fmt: skip
_CONTENTS = {  # by the end of the name: what its first bytes hold, and the form
    ".json": (re.compile(rb'"(?:images|annotations)"\s*:\s*\[\s*\{[^{}]*"(?:file_name|image_id)"\s*:'), "COCO"),
    ".txt": (re.compile(rb"(?:\A\d+(?:[ \t]+(?:0?\.\d+|[01](?:\.0*)?)(?:e-?\d+)?){4,}[ \t]*(?:\r?\n|\Z))"), "YOLO"),
    ".xml": (re.compile(rb"<annotation[\s>/]"), "Pascal VOC"),
    ".jsonl": (re.compile(rb'"objects"\s*:\s*[\[{]'), "objects of Hugging Face"),
}


def find_foreign(files: Files) -> tuple[str, str] | None:
    """A file that is of a form which is not read, and the form; None where there is none."""
    for ending, form in _ENDINGS:
        for name in files.others:
            if name.lower().endswith(ending):
                return name, form
    for ending, (sign, form) in _CONTENTS.items():
        for name in [name for name in files.others if name.lower().endswith(ending)][:LOOKED_AT]:
            if sign.search(files.tree.peek(name)):
                return name, form
    for name in [name for name in files.others if name.lower().endswith(".csv")][:LOOKED_AT]:
        if is_via(peek_table(files.tree, name).columns):
            return name, "VIA"
    return _find_shard(files)


def _find_shard(files: Files) -> tuple[str, str] | None:
    """The label of a sample of WebDataset: 000017.cls beside 000017.jpg; in a tar .json or .txt too."""
    endings = (".cls", ".json", ".txt") if files.tree.kind == "tar" else (".cls",)
    stems = {posixpath.splitext(name)[0] for name in files.images}
    others = (name for name in files.others if name.lower().endswith(endings))
    return next(((name, "WebDataset") for name in others if posixpath.splitext(name)[0] in stems), None)
