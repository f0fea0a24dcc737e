"""What makes one synthetic person: proportions, skin, hair, brows, eyes, beard, glasses, age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_utils.synthetic.action_units import Proportions

Colour = tuple[float, float, float]  # RGB, 0-1

_SKIN = np.array(
    [(247, 214, 192), (238, 195, 168), (226, 178, 144), (205, 152, 116), (172, 118, 82), (128, 84, 58), (88, 57, 42)]
)
_HAIR: dict[str, Colour] = {
    "black": (0.09, 0.075, 0.07),
    "dark brown": (0.20, 0.13, 0.09),
    "brown": (0.36, 0.23, 0.14),
    "auburn": (0.48, 0.22, 0.11),
    "blond": (0.76, 0.60, 0.36),
    "grey": (0.60, 0.59, 0.58),
    "white": (0.86, 0.85, 0.83),
}
_IRIS: dict[str, Colour] = {
    "dark": (0.20, 0.12, 0.07),
    "brown": (0.36, 0.21, 0.10),
    "hazel": (0.45, 0.36, 0.16),
    "green": (0.33, 0.45, 0.28),
    "blue": (0.30, 0.47, 0.62),
    "grey": (0.42, 0.48, 0.52),
}


@dataclass(frozen=True)
class HairStyle:
    """Shape of a head of hair, lengths in face units; the two weights say how usual it is."""

    feminine: float
    masculine: float
    top: float  # thickness above the skull
    side: float  # thickness beside the skull
    hairline_y: float  # where the forehead ends
    end_y: float  # down to where hair hangs beside the face
    part_x: float = 0.0  # the hairline's highest place ...
    peak: float = 0.05  # ... and how far it rises there
    corner_x: float = 0.80  # where the hairline turns down at the temple, in half widths of the temples
    corner_y: float = -0.47
    cover: float = 0.0  # how far the hair hangs over the cheeks
    curl: float = 0.0  # waviness of the outer edge
    ragged: float = 0.02  # unevenness of the edges
    bun: float = 0.0  # radius of a knot on the crown
    density: float = 1.0  # 0-1, opacity
    round_ends: bool = False


HAIR_STYLES: dict[str, HairStyle] = {
    "bald": HairStyle(0.0, 1.0, 0.0, 0.0, -0.9, -0.2, density=0.0),
    "buzz": HairStyle(0.2, 1.6, 0.02, 0.015, -0.66, -0.02, density=0.75, ragged=0.005),
    "crop": HairStyle(0.5, 2.4, 0.08, 0.035, -0.65, 0.02),
    "side part": HairStyle(0.3, 2.0, 0.16, 0.06, -0.64, 0.05, part_x=0.3),
    "quiff": HairStyle(0.3, 1.6, 0.21, 0.04, -0.70, 0.0, part_x=-0.15, curl=0.02),
    "fringe": HairStyle(1.3, 0.1, 0.14, 0.09, -0.49, 0.66, 0.06, 0.0, 0.80, -0.30, cover=0.08),
    "bob": HairStyle(1.6, 0.0, 0.13, 0.13, -0.70, 0.74, 0.2, 0.15, cover=0.09, ragged=0.01),
    "long": HairStyle(2.2, 0.2, 0.12, 0.12, -0.72, 1.5, 0.05, 0.15, cover=0.08, ragged=0.01),
    "wavy": HairStyle(2.0, 0.2, 0.15, 0.18, -0.68, 1.4, -0.22, 0.15, cover=0.07, curl=0.03, ragged=0.01),
    "curls": HairStyle(1.2, 0.7, 0.22, 0.20, -0.62, 0.35, cover=0.02, curl=0.04, round_ends=True),
    "afro": HairStyle(0.8, 0.6, 0.28, 0.28, -0.64, 0.30, curl=0.025, round_ends=True),
    "bun": HairStyle(1.4, 0.2, 0.05, 0.03, -0.70, 0.05, bun=0.24, ragged=0.005),
    "scarf": HairStyle(0.9, 0.0, 0.11, 0.10, -0.60, 1.5, ragged=0.0),
}


@dataclass(frozen=True)
class Appearance:
    """One person; strengths are 0-1."""

    shape: Proportions
    skin: Colour
    flush: float  # redness of cheeks, nose and lips
    age: float
    style: str
    hair: HairStyle
    hair_colour: Colour
    brow_colour: Colour
    iris: Colour
    lips: Colour
    lashes: float
    beard: float
    moustache: float
    freckles: float
    glasses: str  # "", "round" or "square"
    glasses_colour: Colour
    lid_crease: float
    texture_seed: int


def draw_appearance(rng: np.random.Generator) -> Appearance:
    """A person drawn at random, over the whole human range of skin tones."""
    masculine, tone, age = rng.random(), rng.random(), rng.beta(1.3, 2.2)
    skin, hair_colour = _draw_skin(tone, rng), _draw_hair_colour(tone, age, rng)
    style, scarf = _draw_style(masculine, rng), draw_cloth(rng)
    bearded = masculine > 0.5 and rng.random() < 0.5
    return Appearance(
        shape=_draw_proportions(masculine, rng),
        skin=skin,
        flush=rng.uniform(0.2, 1.0) * (1 - 0.5 * tone),
        age=age,
        style=style,
        hair=HAIR_STYLES[style],
        hair_colour=scarf if style == "scarf" else hair_colour,
        brow_colour=tuple(0.6 * np.minimum(hair_colour, 0.55) + 0.04),
        iris=_draw_iris(tone, rng),
        lips=_draw_lips(skin, masculine, rng),
        lashes=rng.uniform(0.0, 0.3) + (0.7 * rng.random() if masculine < 0.5 else 0.0),
        beard=rng.uniform(0.25, 1.0) if bearded and rng.random() < 0.75 else 0.0,
        moustache=rng.uniform(0.4, 1.0) if bearded else 0.0,
        freckles=rng.uniform(0.3, 1.0) if tone < 0.35 and rng.random() < 0.25 else 0.0,
        glasses=str(rng.choice(["", "round", "square"], p=[0.86, 0.07, 0.07])),
        glasses_colour=tuple(rng.uniform(0.03, 0.35) * rng.uniform((1.0, 0.6, 0.5), (1.0, 1.0, 1.1))),
        lid_crease=rng.uniform(0.15, 1.0),
        texture_seed=int(rng.integers(2**31)),
    )


def draw_cloth(rng: np.random.Generator) -> Colour:
    """A dyed but not gaudy colour."""
    grey, dye = rng.uniform(0.12, 0.8), rng.uniform(-1, 1, 3)
    return tuple(np.clip(grey * (1 + 0.3 * (dye - dye.mean())), 0.05, 0.9))


def _draw_skin(tone: float, rng: np.random.Generator) -> Colour:
    place = tone * (len(_SKIN) - 1)
    colour = [np.interp(place, np.arange(len(_SKIN)), _SKIN[:, channel]) / 255 for channel in range(3)]
    undertone = rng.normal(0.0, 0.008, 3) + rng.normal(0.0, 0.02) * np.array([0.4, 0.1, -1.0])
    return tuple(np.clip(np.array(colour) + undertone, 0.1, 1.0))


def _draw_hair_colour(tone: float, age: float, rng: np.random.Generator) -> Colour:
    fair = max(0.0, 1 - 1.8 * tone)
    weights = np.array([0.5 + 1.5 * tone, 1.0, 1.2 * fair + 0.1, 0.5 * fair, 1.1 * fair + 0.02, 0.0, 0.0])
    if rng.random() < 1.6 * (age - 0.35):
        weights[5:] = (3.0, 1.5)
    colour = np.array(_HAIR[str(rng.choice(list(_HAIR), p=weights / weights.sum()))])
    return tuple(np.clip(colour * rng.uniform(0.8, 1.2), 0.03, 0.95))


def _draw_lips(skin: Colour, masculine: float, rng: np.random.Generator) -> Colour:
    natural = np.array(skin) * (0.87, 0.66, 0.66) + (0.02, 0.0, 0.01)
    if masculine < 0.4 and rng.random() < 0.45:
        stick = np.array([rng.uniform(0.45, 0.75), rng.uniform(0.10, 0.26), rng.uniform(0.15, 0.32)])
        natural = natural + rng.uniform(0.35, 0.85) * (stick - natural)
    return tuple(natural)


def _draw_style(masculine: float, rng: np.random.Generator) -> str:
    styles = HAIR_STYLES.values()
    weights = np.array([style.feminine + (style.masculine - style.feminine) * masculine for style in styles])
    return str(rng.choice(list(HAIR_STYLES), p=weights / weights.sum()))


def _draw_iris(tone: float, rng: np.random.Generator) -> Colour:
    light = max(0.0, 0.75 - 1.5 * tone)
    weights = np.array([1.2 - light, 1.0, 0.3 + 0.5 * light, light, 1.4 * light, 0.6 * light])
    return _IRIS[str(rng.choice(list(_IRIS), p=weights / weights.sum()))]


def _draw_proportions(masculine: float, rng: np.random.Generator) -> Proportions:
    def about(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.normal(), -2, 2))

    width = about(1.0, 0.045)
    return Proportions(
        temple=about(0.735, 0.02) * width,
        cheek=about(0.75, 0.02) * width,
        jaw=about(0.575 + 0.07 * masculine, 0.035) * width,
        chin=about(0.22 + 0.07 * masculine, 0.03),
        chin_y=about(1.02 + 0.05 * masculine, 0.03),
        eye_x=about(0.335, 0.012) * width,
        eye_y=about(-0.03, 0.015),
        eye_half=about(0.19 - 0.012 * masculine, 0.01),
        eye_open=about(1.04 - 0.14 * masculine, 0.10),
        eye_tilt=about(0.014, 0.012),
        brow_y=about(-0.265 + 0.03 * masculine, 0.016),
        brow_arch=about(0.05 - 0.025 * masculine, 0.012),
        brow_thick=about(0.042 + 0.03 * masculine, 0.008),
        nose_y=about(0.35, 0.022),
        nose_half=about(0.14 + 0.012 * masculine, 0.016),
        nose_depth=about(1.0, 0.15),
        mouth_y=about(0.625, 0.018),
        mouth_half=about(0.285, 0.018),
        lip_upper=about(0.068 - 0.014 * masculine, 0.012),
        lip_lower=about(0.092 - 0.014 * masculine, 0.013),
    )
