"""The input of a network. It belongs to the weights, which are of use only on the input that they were trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

FULL_SIDE = 7  # pool5 of a 224 px image is 7 x 7: what fc6 of VGG16 was trained on
SHRINKAGE = 32  # five poolings by two

Triple = tuple[float, float, float]
Colour = Literal["grey", "colour", "both", ""]  # of the images that a network was trained on; "": not recorded


@dataclass(frozen=True)
class InputSpec:
    """Images of `size_px` x `size_px`, RGB, in 0-1; the network itself subtracts `mean` and divides by `std`.

    What training saw is part of it: `colour`, and `source_px`, the usual side of a face before it was resized (0: not
    recorded). A trained network that knows grey images alone turns colour to grey.
    """

    size_px: int
    mean: Triple
    std: Triple
    channel_order: str = "RGB"
    range: tuple[float, float] = (0.0, 1.0)
    colour: Colour = ""
    source_px: int = 0
    is_synthetic: bool = False  # trained on synthetic faces alone

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without what is not recorded."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {key: value for key, value in values.items() if value or key not in SEEN}


SEEN = ("colour", "source_px", "is_synthetic")


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, RGB, in units of the 0-1 range."""

    mean: Triple
    std: Triple

    def at(self, size_px: int) -> InputSpec:
        return InputSpec(size_px, self.mean, self.std)


IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

# Of EfficientNet-Lite: (value - 127) / 128 on 0-255.
LITE = Normalisation(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)

# Parkhi, Vedaldi and Zisserman 2015: 0-255 minus the mean of the faces it was trained on, not divided by anything.
VGGFACE_MEAN_BGR = (93.5940, 104.7624, 129.1863)
VGGFACE = Normalisation(
    mean=tuple(value / 255 for value in reversed(VGGFACE_MEAN_BGR)),
    std=(1 / 255, 1 / 255, 1 / 255),
)


def takes_full_head(image_size_px: int) -> bool:
    """Whether pool5 of such an image fits fc6 of VGG16."""
    return image_size_px // SHRINKAGE == FULL_SIDE
