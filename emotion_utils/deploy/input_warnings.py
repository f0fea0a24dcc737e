"""What a person has to know about the images that were predicted, in a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median

import pandas as pd

from emotion_utils.deploy.input_images import MISSED, Faces
from emotion_utils.models.input_spec import InputSpec
from emotion_utils.printable import count_of

FAR = 3  # times larger or smaller than what training saw


class Tally:
    """Counts images as they pass."""

    def __init__(self) -> None:
        self.images = self.faces = self.coloured = self.grey = 0
        self.refused: Counter[str] = Counter()  # reasons without their details
        self.first_refused = ""
        self.missed: list[str] = []  # taken whole without a face
        self.turned: list[str] = []  # show a face when turned
        self.values: dict[str, list[str]] = {}
        self._sides: Counter[int] = Counter()

    def add(self, group: Iterable[Faces]) -> None:
        for faces in group:
            self.images += 1
            self.faces += len(faces.images)
            if faces.turn:
                self.turned.append(faces.path)
            if faces.reason:
                self._refuse(faces.path, faces.reason)
                continue
            self.coloured += faces.is_coloured
            self.grey += not faces.is_coloured
            self._sides.update(faces.sides_px)
            if faces.search == MISSED:
                self.missed.append(faces.path)
            if faces.values:
                self.values.setdefault(faces.values, []).append(faces.path)

    def add_rows(self, table: pd.DataFrame, images: int) -> None:
        """Counts `images` whose rows were written before; of these no more is known than the table holds."""
        refused = table[table["reason"] != ""]
        for path, reason in zip(refused["path"], refused["reason"], strict=True):
            self._refuse(path, reason)
        self.images += images
        self.faces += len(table) - len(refused)
        self.missed += table.loc[(table["search"] == MISSED) & (table["reason"] == ""), "path"].tolist()

    def _refuse(self, path: str, reason: str) -> None:
        self.first_refused = self.first_refused or f"{path}: {reason}"
        self.refused[reason.partition(":")[0]] += 1

    def lines(self, spec: InputSpec) -> Iterator[str]:
        """Warnings, none where there is nothing to say."""
        yield from tell_synthetic(spec)
        if self.missed:
            yield (
                f"no face was found in {_count(self.missed)}, which were taken whole: the answers may be of anything "
                "(--missed quarantine refuses them)"
            )
        if self.turned:
            yield f"a face is seen in {_count(self.turned)} only if the image is turned; turn it"
        if self.refused:
            reasons = "; ".join(f"{reason}: {count:,}" for reason, count in self.refused.most_common(3))
            count = self.refused.total()
            are = "is" if count == 1 else "are"
            yield f"{count:,} of {self.images:,} images {are} refused ({reasons}), first {self.first_refused}"
        yield from tell_colour(spec, self.coloured, self.grey, "image")
        for values, paths in self.values.items():
            hold = "holds" if len(paths) == 1 else "hold"
            yield f"{_count(paths)} {hold} {values} in a format for more; 255 of 255 is the largest of these"
        yield from tell_size(spec, self._sides)


def tell_synthetic(spec: InputSpec) -> Iterator[str]:
    """A line where the model has seen no photograph."""
    if spec.is_synthetic:
        yield "the model knows only synthetic faces: what it says of photographs means little"


def tell_colour(spec: InputSpec, coloured: int, grey: int, what: str) -> Iterator[str]:
    """A line where some of these, so many in colour and so many grey, each a `what`, are not as in training."""
    if coloured and spec.colour == "grey":
        turned = f"{count_of(coloured, what)} in colour {_be(coloured, 'was', 'were')} turned to grey"
        yield f"the model knows grey images alone: {turned}"
    if grey and spec.colour == "colour":
        yield f"the model knows colour images alone, and {count_of(grey, what)} {_be(grey, 'is', 'are')} grey"


def tell_size(spec: InputSpec, sides_px: Counter[int]) -> Iterator[str]:
    """A line where the faces, counted by their side, are much larger or smaller than in training."""
    if not sides_px or not spec.source_px:
        return
    side = round(median(sides_px.elements()))
    if not spec.source_px / FAR <= side <= spec.source_px * FAR:
        yield (
            f"the faces are about {side} px large, those that the model was trained on {spec.source_px} px: "
            "they are sharper or more blurred than it knows"
        )


def _be(count: int, one: str, several: str) -> str:
    return one if count == 1 else several


def _count(paths: list[str]) -> str:
    return f"{len(paths):,} image{'s' if len(paths) > 1 else ''} (first {paths[0]})"
