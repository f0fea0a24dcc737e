"""An image of any shape to the square that a network is given. Needs NumPy and OpenCV alone."""

from __future__ import annotations

import cv2
import numpy as np

KERNEL = "area down, linear up; stretched up to 1.1, else the centre square"
MAX_STRETCH = 1.1  # sides that differ by more than this are cut to the centre square, so that faces keep their shape


def resize_square(image: np.ndarray, size_px: int) -> np.ndarray:
    """uint8 (H, W, 3) to (size_px, size_px, 3): averaging over areas (no aliasing) down, linear up."""
    height, width = image.shape[:2]
    side = min(height, width)
    if max(height, width) > MAX_STRETCH * side:
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    if image.shape[:2] == (size_px, size_px):
        return image
    kernel = cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
    return cv2.resize(image, (size_px, size_px), interpolation=kernel)
