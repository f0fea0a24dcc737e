"""Views of an image at test time: mirrored and shifted copies, over which a network's probabilities are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

VIEWS = (1, 2, 10)  # as it is; and mirrored; and both shifted towards each of the four corners
SHIFT = 1 / 24  # of the side: 2 px at 48


def make_views(images: torch.Tensor, count: int) -> Iterator[torch.Tensor]:
    """The first `count` of VIEWS[-1] views of float images (B, 3, S, S), of the same shape.

    A shifted image shows its reflection behind the border. What comes first in VIEWS comes first here.
    """
    side = images.shape[-1]
    step = max(1, round(side * SHIFT))
    padded = F.pad(images, (step, step, step, step), mode="reflect") if count > 2 else images
    corners = ((0, 0), (0, 2 * step), (2 * step, 0), (2 * step, 2 * step))
    places = [images, *(padded[:, :, top : top + side, left : left + side] for top, left in corners)]
    for image in places[: -(-count // 2)]:
        yield image
        if count > 1:
            yield image.flip(3)


def add_views(
    network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, count: int
) -> Iterator[torch.Tensor]:
    """After each of the views, what the softmax of is the mean of the probabilities so far: float64 (B, k), on the CPU.

    `network` gives logits (B, k) of images (B, 3, S, S), on any device.
    """
    total = None
    for view in make_views(images, count):
        found = torch.log_softmax(network(view).cpu().double(), dim=1)  # Apple's GPU has no float64
        total = found if total is None else torch.logaddexp(total, found)
        yield total
