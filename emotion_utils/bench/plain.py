"""The plain way to train, as tutorials show it: ImageFolder, torchvision's transforms, a DataLoader, Adam.

It uses nothing of the project's engine and is the baseline for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from emotion_utils.recipe import AugmentConfig
from emotion_utils.sources.source import Source

MODEL = "r18_scratch_emotion"  # that is trained, here and by the engine
WORKERS = 2  # processes that decode
LR = 1e-3  # of Adam

Tick = Callable[[], None]  # called at the end of each step
Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]  # images and labels


def write_folder(source: Source, rows: pd.DataFrame, folder: Path) -> Path:
    """A folder class/*.jpg of the files in `rows` (columns path, label), as ImageFolder expects; returns `folder`."""
    for number, row in enumerate(rows.itertuples()):
        target = folder / row.label / f"{number:06d}{Path(row.path).suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read(row.path))
    return folder


def make_loader(
    folder: Path, size_px: int, batch_size: int, *, augment: AugmentConfig, workers: int | None = None
) -> DataLoader:
    """Batches of float (B, 3, size_px, size_px), 0-1, and labels, shuffled and augmented.

    `workers` processes decode; WORKERS if None.
    """
    steps = [
        transforms.Resize((size_px, size_px)),
        transforms.RandomHorizontalFlip(augment.flip),
        transforms.RandomAffine(
            augment.rotate_deg,
            (augment.shift, augment.shift),
            (1 - augment.scale, 1 + augment.scale),
            interpolation=transforms.InterpolationMode.BILINEAR,  # as ours
        ),
        transforms.ColorJitter(augment.brightness, augment.contrast, augment.saturation),
        transforms.ToTensor(),
    ]
    dataset = ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers=WORKERS if workers is None else workers)


def make_adam(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=LR)


def train_epoch(
    net: nn.Module, optimizer: torch.optim.Optimizer, batches: Batches, device: torch.device, tick: Tick
) -> None:
    """One pass over `batches`."""
    net.train()
    for images, labels in batches:
        loss = F.cross_entropy(net(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tick()
