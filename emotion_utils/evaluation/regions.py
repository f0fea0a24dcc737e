"""Where brows, eyes and mouth lie in the images of a run, located on the average face. No torch.

Images are cropped to the face but not aligned, so a region is a band that holds the feature in most of them; the
report draws the regions on the average face, so that a reader sees whether they fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from emotion_utils.errors import InputError

FEATURES = ("brows", "eyes", "mouth")
CONTROL = "forehead"  # as large as the mouth, without a feature: the effect of occlusion as such
ELSEWHERE = "elsewhere"
REGION_COLUMNS = ("region", "left", "top", "right", "bottom")
# Parts of the image's side. Where to look for the dark rows of the eyes (beside the nose) and of the mouth:
EYE_COLUMNS, EYE_ROWS = ((0.20, 0.42), (0.58, 0.80)), (0.25, 0.60)
MOUTH_COLUMNS, MOUTH_ROWS = ((0.35, 0.65),), (0.68, 0.95)  # below the nostrils
# How far a region reaches from there: the brows lie on the eyes.
EYES_HALF, BROWS_HEIGHT, MOUTH_HALF = 0.065, 0.12, 0.10
WIDE, NARROW = (0.15, 0.85), (0.25, 0.75)  # brows and eyes; mouth and control


class RegionBox(NamedTuple):
    """A rectangle; coordinates are shares (0-1) of the image's sides."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """The share (0-1) of the image that it covers."""
        return (self.right - self.left) * (self.bottom - self.top)

    def pixels(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the pixels whose centre lies in it."""
        return _covered(self.top, self.bottom, height), _covered(self.left, self.right, width)


def locate_regions(average: np.ndarray) -> dict[str, RegionBox]:
    """Boxes of FEATURES and CONTROL from the average image, float (H, W) grey or (H, W, 3).

    On average, eyes and mouth are darker than the skin above and below them: each lies at the row that is darkest
    beside the straight line through the ends of its search range.
    """
    grey = average.mean(axis=2) if average.ndim == 3 else average
    eyes, mouth = _darkest_row(grey, EYE_COLUMNS, EYE_ROWS), _darkest_row(grey, MOUTH_COLUMNS, MOUTH_ROWS)
    brow_line, brow_top = eyes - EYES_HALF, eyes - EYES_HALF - BROWS_HEIGHT
    highest, lowest = mouth - MOUTH_HALF, min(1.0, mouth + MOUTH_HALF)
    top = max(0.0, brow_top - (lowest - highest))
    half = (NARROW[1] - NARROW[0]) * (lowest - highest) / (brow_top - top) / 2  # lower and wider where there is no room
    return {
        "brows": _box(WIDE, brow_top, brow_line),
        "eyes": _box(WIDE, brow_line, eyes + EYES_HALF),
        "mouth": _box(NARROW, highest, lowest),
        CONTROL: _box((0.5 - half, 0.5 + half), top, brow_top),
    }


def region_shares(maps: np.ndarray, regions: dict[str, RegionBox]) -> dict[str, np.ndarray]:
    """The share (0-1) of each map's total that lies in each region, float (B,) each, and `elsewhere`.

    `maps` are float (B, H, W), nowhere negative. A map that is zero all over has no shares: 0 everywhere.
    """
    if (maps < 0).any():
        raise InputError("shares are of maps that are nowhere negative")
    total = maps.sum(axis=(1, 2))
    shares = {name: _share(maps, box, total) for name, box in regions.items()}
    return {**shares, ELSEWHERE: (total > 0) - sum(shares.values())}


def regions_table(regions: dict[str, RegionBox]) -> pd.DataFrame:
    """One row per region, as it is stored."""
    return pd.DataFrame([(name, *box) for name, box in regions.items()], columns=list(REGION_COLUMNS))


def read_regions(table: pd.DataFrame) -> dict[str, RegionBox]:
    """The regions of a stored table."""
    return dict(_rows(table))


def _rows(table: pd.DataFrame) -> Iterator[tuple[str, RegionBox]]:
    for row in table.itertuples():
        yield row.region, RegionBox(row.left, row.top, row.right, row.bottom)


def _share(maps: np.ndarray, box: RegionBox, total: np.ndarray) -> np.ndarray:
    rows, columns = box.pixels(*maps.shape[1:])
    inside = maps[:, rows, columns].sum(axis=(1, 2))
    return np.divide(inside, total, out=np.zeros(len(maps)), where=total > 0)


def _darkest_row(grey: np.ndarray, columns: tuple[tuple[float, float], ...], rows: tuple[float, float]) -> float:
    height, width = grey.shape
    strips = [grey[_covered(*rows, height), _covered(*part, width)] for part in columns]
    profile = np.concatenate(strips, axis=1).mean(axis=1)
    smooth = np.convolve(np.pad(profile, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    dip = smooth - np.linspace(smooth[0], smooth[-1], len(smooth))
    return float((_covered(*rows, height).start + dip.argmin() + 0.5) / height)


def _covered(start: float, stop: float, size: int) -> slice:
    return slice(max(0, round(start * size)), min(size, round(stop * size)))


def _box(across: tuple[float, float], top: float, bottom: float) -> RegionBox:
    return RegionBox(*(round(value, 6) for value in (across[0], top, across[1], bottom)))
