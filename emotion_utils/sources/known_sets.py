"""The data sets of this field that are recognised: how, and what their authors say of them. One row each.

Figures are the authors' own, or counted in the files they hand out; what is not known for sure is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from emotion_utils.sources.fer_csv import CLASS_NAMES

Counts = Mapping[str, int]  # images of each class; of "" where only their sum is known


@dataclass(frozen=True)
class PixelFigures:
    """Of the training part, grey values 0-1: mean, deviation, mean difference of neighbours in a row; measured."""

    mean: float
    deviation: float
    difference: float


@dataclass(frozen=True)
class KnownSet:
    """What is known of one data set."""

    name: str
    stem: re.Pattern[str]  # file names of its images without suffix; may name the groups person, label, part
    licence: str
    citation: str
    signs: re.Pattern[str] | None = None  # paths of files beside the images that hold its labels
    extra: re.Pattern[str] | None = None  # paths of files of the set that say something else
    needs_signs: bool = False  # the file names alone could be anybody's
    codes: Mapping[str, str] = field(default_factory=dict)  # what its labels stand for: 1 -> surprise
    is_posed: bool = False  # few people, each with every expression
    counts: Mapping[str, tuple[Counts, ...]] = field(default_factory=dict)  # split ("": all) -> what it may hold
    size_px: tuple[int, int] | None = None  # width, height
    file_format: str = ""  # of the images as handed out: JPEG, PNG, TIFF
    pixels: PixelFigures | None = None
    # Of some images of the training part as handed out, by class: see audit.scan.digest_pixels, first 16 digits.
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _numbered(*names: str, first: int = 0) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names, start=first)}


def _counts(**numbers: int) -> Counts:
    return numbers


def _sum(one: Counts, other: Counts) -> Counts:
    return {name: one[name] + other[name] for name in one}


_TWO_LETTERS = {
    "AN": "angry", "AF": "fear", "DI": "disgust", "FE": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
    "SU": "surprise",
}  # fmt: skip
_FER_TRAIN = _counts(angry=3995, disgust=436, fear=4097, happy=7215, sad=4830, surprise=3171, neutral=4965)
_FER_PUBLIC = _counts(angry=467, disgust=56, fear=496, happy=895, sad=653, surprise=415, neutral=607)
_FER_PRIVATE = _counts(angry=491, disgust=55, fear=528, happy=879, sad=594, surprise=416, neutral=626)
_FER_PIXELS = PixelFigures(mean=0.5077, deviation=0.2550, difference=0.0538)
_FER_REFERENCES = {
    "angry": ("4446b4afcf2c6470", "979729da9fa4cc30", "748841d5d2846ab5"),
    "disgust": ("608b7e8a66787129", "285bba7c8a72f486", "f4183b90d3f206ff"),
    "fear": ("20d0b37fcf1b3712", "90089d0109aaca81", "91e51d5016ab4098"),
    "happy": ("a7d4c5da2527a751", "b20dee9d93ac29da", "6a1b0b660811d234"),
    "neutral": ("09fa786dedfcbc33", "9dcf3ce4be74c5a1", "a9fa9499f4f23189"),
    "sad": ("b755a267955b4116", "6f10dae0970c80db", "e40afa7a1465b402"),
    "surprise": ("0f5934ff6aaef8a6", "3b27be7e0abe156c", "af1cc552f0586f09"),
}
_FER_PAPER = "Goodfellow et al.: Challenges in Representation Learning. ICONIP 2013"

_CK_PEAKS = _counts(angry=45, contempt=18, disgust=59, fear=25, happy=69, sad=28, surprise=83)

RAF_DB = KnownSet(
    name="RAF-DB",
    stem=re.compile(r"(?P<part>train|test)_\d{4,5}(?:_aligned)?"),
    signs=re.compile(r"(?:^|/)list_pat\w*ition_label\.txt$"),
    needs_signs=True,  # or names with _aligned, see recognise.py
    codes=_numbered("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral", first=1),
    counts={
        "train": (_counts(surprise=1290, fear=281, disgust=717, happy=4772, sad=1982, angry=705, neutral=2524),),
        "test": (_counts(surprise=329, fear=74, disgust=160, happy=1185, sad=478, angry=162, neutral=680),),
    },
    licence="non-commercial research only",
    citation="Li, Deng, Du: Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition "
    "in the Wild. CVPR 2017",
)  # fmt: skip
FERPLUS = KnownSet(
    name="FERPlus",
    stem=re.compile(r"fer\d{7}"),
    signs=re.compile(r"(?:^|/)fer2013new\.csv$|FER2013(?:Train|Valid|Test)/label\.csv$", re.IGNORECASE),
    needs_signs=True,
    size_px=(48, 48),
    pixels=_FER_PIXELS,
    licence="labels MIT; images as FER2013's",
    citation="Barsoum et al.: Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label "
    "Distribution. ICMI 2016",
)
FER2013 = KnownSet(
    name="FER2013",
    stem=re.compile(r"(?:fer\d{7}|(?:Training|PublicTest|PrivateTest)_\d+)"),
    codes=_numbered(*CLASS_NAMES),
    counts={
        "train": (_FER_TRAIN,),
        "val": (_FER_PUBLIC,),
        "test": (_FER_PRIVATE, _sum(_FER_PUBLIC, _FER_PRIVATE), _FER_PUBLIC),
        "": (_FER_TRAIN, _sum(_FER_TRAIN, _sum(_FER_PUBLIC, _FER_PRIVATE))),
    },
    size_px=(48, 48),
    pixels=_FER_PIXELS,
    references=_FER_REFERENCES,
    licence="not stated by its authors",
    citation=_FER_PAPER,
)
AFFECTNET = KnownSet(
    name="AffectNet",
    stem=re.compile(r".*"),
    signs=re.compile(r"annotations/\d+_exp\.npy$"),
    extra=re.compile(r"annotations/\d+_(?:aro|val|lnd)\.npy$"),
    needs_signs=True,
    codes={
        **_numbered("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"),
        **dict.fromkeys(("8", "9", "10"), ""),  # none, uncertain, no face
    },
    counts={
        "train": (
            _counts(neutral=74874, happy=134415, sad=25459, surprise=14090, fear=6378, disgust=3803, angry=24882,
                    contempt=3750),
        ),
    },
    licence="non-commercial research only",
    citation="Mollahosseini, Hasani, Mahoor: AffectNet. IEEE Transactions on Affective Computing 10(1), 2019",
)  # fmt: skip
CK_PLUS = KnownSet(
    name="CK+",
    stem=re.compile(r"(?P<person>S\d{3})_\d{3}_\d{8}"),
    signs=re.compile(r"(?:^|/)S\d{3}_\d{3}_\d{8}_emotion\.txt$"),
    codes=_numbered("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise"),
    is_posed=True,
    counts={"": (_CK_PEAKS, {**_CK_PEAKS, "neutral": 593}, {name: 3 * count for name, count in _CK_PEAKS.items()})},
    licence="non-commercial research only",
    citation="Lucey et al.: The Extended Cohn-Kanade Dataset (CK+). CVPR Workshops 2010",
)
JAFFE = KnownSet(
    name="JAFFE",
    stem=re.compile(r"(?P<person>[A-Z]{2})[.\-_](?P<label>AN|DI|FE|HA|NE|SA|SU)\d[.\-_]\d+"),
    codes=_TWO_LETTERS,
    is_posed=True,
    counts={"": (_counts(angry=30, disgust=29, fear=32, happy=31, neutral=30, sad=31, surprise=30),)},
    size_px=(256, 256),
    file_format="TIFF",
    licence="non-commercial research only",
    citation="Lyons, Akamatsu, Kamachi, Gyoba: Coding Facial Expressions with Gabor Wavelets. FG 1998",
)
KDEF = KnownSet(
    name="KDEF",
    stem=re.compile(r"[AB](?P<person>[FM]\d{2})(?P<label>AF|AN|DI|HA|NE|SA|SU)(?:F[LR]|H[LR]|S)"),
    codes=_TWO_LETTERS,
    is_posed=True,
    counts={"": (dict.fromkeys(("fear", "angry", "disgust", "happy", "neutral", "sad", "surprise"), 700),)},
    size_px=(562, 762),
    file_format="JPEG",
    licence="non-commercial research only",
    citation="Lundqvist, Flykt, Öhman: The Karolinska Directed Emotional Faces. Karolinska Institutet 1998",
)
RAFD = KnownSet(
    name="RaFD",
    stem=re.compile(
        r"Rafd\d{3}_(?P<person>\d{2})_[A-Za-z]+_(?:fe)?male_"
        r"(?P<label>angry|contemptuous|disgusted|fearful|happy|neutral|sad|surprised)_(?:frontal|left|right)"
    ),
    is_posed=True,
    counts={
        "": (
            dict.fromkeys(("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"), 1005),
        ),
    },
    size_px=(681, 1024),
    file_format="JPEG",
    licence="non-commercial research only",
    citation="Langner et al.: Presentation and validation of the Radboud Faces Database. Cognition & Emotion 24(8), "
    "2010",
)  # fmt: skip
EXPW = KnownSet(
    name="ExpW",
    stem=re.compile(r".*"),
    signs=re.compile(r"(?:^|/)label\.lst$"),
    needs_signs=True,
    codes=_numbered(*CLASS_NAMES[:7]),
    counts={"": ({"": 91793},)},
    file_format="JPEG",
    licence="non-commercial research only",
    citation="Zhang, Luo, Loy, Tang: From Facial Expression Recognition to Interpersonal Relation Prediction. "
    "International Journal of Computer Vision 126(5), 2018",
)

KNOWN_SETS = (RAF_DB, FERPLUS, FER2013, AFFECTNET, CK_PLUS, JAFFE, KDEF, RAFD, EXPW)
