"""Which part of each image of a manifest is used."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emotion_utils.artefacts import FRAME_COLUMNS


def frames_of(manifest: pd.DataFrame) -> np.ndarray:
    """int64 (N, 3): the frame of each row; WHOLE where the manifest has no frames."""
    if not set(FRAME_COLUMNS) <= set(manifest.columns):
        return np.zeros((len(manifest), 3), np.int64)
    return manifest[list(FRAME_COLUMNS)].to_numpy(np.int64)


def view_ids(manifest: pd.DataFrame) -> list[str]:
    """What names the pixels that are used of each row: its id, and the frame where there is one."""
    frames = frames_of(manifest)
    return [
        f"{image_id} {frame[0]} {frame[1]} {frame[2]}" if frame[2] else image_id
        for image_id, frame in zip(manifest["id"].to_numpy(dtype=object), frames, strict=True)
    ]
