"""Names of splits, as people write them on folders and in tables."""

from __future__ import annotations

import re

_SPLITS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "publictest"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "privatetest"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
# What stands around such a word and says nothing: "Training set", "FER2013Train", "test_images_2".
_FILLERS = (
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "folder", "folders", "dir", "file",
    "files", "picture", "pictures", "pics", "photo", "photos", "face", "faces", "sample", "samples", "part", "split",
    "subset", "emotion", "emotions", "expression", "expressions", "fer", "fer2013", "aligned", "cropped", "labeled",
    "labelled", "label", "labels", "class", "annotations", "final", "raw", "new", "the",
)  # fmt: skip
_WRAPPERS = {"data", "dataset", "image", "images", "img", "imgs", "files", "folder", "pictures", "photos"}
_AROUND = f"(?:{'|'.join(_FILLERS)})*"
_GLUED = re.compile(f"^{_AROUND}(?P<word>{'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))}){_AROUND}$")
_WORD = re.compile(r"[^\W\d_]+")
_CAPITAL_WITHIN = re.compile(r"(?<=[a-z\d])(?=[A-Z])")


def split_of(name: str) -> str | None:
    """train, val or test for a name that says nothing but that, whatever its case and what stands around; else None."""
    words = [word.lower() for word in _WORD.findall(_CAPITAL_WITHIN.sub(" ", name))]
    words = [word for word in words if word not in _FILLERS]
    if len(words) > 1 and "".join(words) in _SPLIT_OF:  # public test
        return _SPLIT_OF["".join(words)]
    glued = [_GLUED.match(word) for word in words]
    splits = {match and _SPLIT_OF[match["word"]] for match in glued}
    return splits.pop() if len(splits) == 1 else None


def is_wrapper(name: str) -> bool:
    """Whether the name of a folder says nothing about what is in it: images, Data, img_1."""
    words = [word.lower() for word in _WORD.findall(_CAPITAL_WITHIN.sub(" ", name))]
    return bool(words) and _WRAPPERS.issuperset(words)
