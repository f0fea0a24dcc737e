"""The table of models: how each network is built, which weights it starts from, how it is trained. Needs no torch.

A row of your own needs no change here: a Python file that calls `register_model`, named by the setting `modules`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from emotion_utils.errors import InputError
from emotion_utils.near_names import did_you_mean
from emotion_utils.own_files import is_installed, read_own_files

if TYPE_CHECKING:
    from torch import nn

HEAD = "head"  # the depth group that is never taken over from other weights
NAME = re.compile(r"[A-Za-z][\w-]*")  # of a folder, a notebook and a key of --set
TRUST = "EMOTION_TRUST_CODE"  # the files that may be run, absolute, separated like PATH
CONSENT = f"read it, and if you would run it, add --trust-code {{}} (in a notebook: set {TRUST} to it)"


@dataclass(frozen=True)
class Architecture:
    """How a network is built and divided into depth groups."""

    name: str  # as model.json has it
    title: str  # as the report has it
    build: str | Callable[..., nn.Module]
    """build(num_classes=k, dropout=p): normalised float images (B, 3, H, W) to logits (B, k). A string
    "module:function" is imported when a network is built."""
    depth_groups: Mapping[str, tuple[str, ...]]
    """From input to output, the last one `head`: the dotted names of the layers of each. A layer that this network
    does not have is left out; every parameter belongs to exactly one group."""
    saliency_layers: tuple[str, ...] = ()
    """Layers whose output, (B, C, h, w), Grad-CAM may be taken from, the deepest first; none: the last layer of each
    depth group but the head."""
    saliency_at_input: bool = False  # Grad-CAM is taken from what these layers are given instead
    mirrors: bool = True  # a mirrored image shows the same class
    small_stem: Architecture | None = None  # the network for small images, of the same depth groups

    def build_network(self, **options: Any) -> nn.Module:
        """A network with the default initialisation; `options` are those of `build`."""
        build = self.build
        if isinstance(build, str):
            module, _, name = build.partition(":")
            build = getattr(importlib.import_module(module), name)
        return build(**options)


@dataclass(frozen=True)
class ModelSpec:
    """A row of the table: an architecture, the weights that it starts from, and the defaults of its recipe."""

    name: str
    architecture: Architecture
    recipe: Mapping[str, Any]
    """Settings of `recipes.NAME`, as in a profile, which may change some of them."""
    weights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the setting `weights` ("proxy" or "official") stands for: registered sources, the preferred one first.
    Random weights where it has no entry."""
    cost: float = 1.0  # of an epoch in epochs of a ResNet18: what a run says of the time left
    from_scratch: bool = False  # it never starts from other than random weights
    notebook: str | None = None  # the stem of the notebook that trains it; None: one that serves every model
    module: str | None = None  # the file that registered it; None: the package itself

    def architecture_with(self, stem: str) -> Architecture:
        """The one that `recipes.NAME.stem` asks for. Raises InputError where there is none."""
        found = self.architecture.small_stem if stem == "small" else self.architecture
        if found is None:
            raise InputError(
                f"recipes.{self.name}.stem: {self.architecture.title} has none for small images; leave it at imagenet"
            )
        return found


VGG16 = Architecture(
    name="vgg16",
    title="VGG16",
    build="emotion_utils.models.vggface:VggFace",
    depth_groups={
        "conv1": ("conv1_1", "conv1_2"),
        "conv2": ("conv2_1", "conv2_2"),
        "conv3": ("conv3_1", "conv3_2", "conv3_3"),
        "conv4": ("conv4_1", "conv4_2", "conv4_3"),
        "conv5": ("conv5_1", "conv5_2", "conv5_3"),
        "fc6": ("fc6",),
        "fc7": ("fc7",),
        "head": ("norm", "fc8"),
    },
    saliency_layers=("pool5", "pool4", "pool3"),  # what goes into the pooling
    saliency_at_input=True,
)
RESNET18 = Architecture(
    name="resnet18",
    title="ResNet18",
    build="emotion_utils.models.resnet:build_resnet18",
    depth_groups={
        "stem": ("conv1", "bn1"),
        "layer1": ("layer1",),
        "layer2": ("layer2",),
        "layer3": ("layer3",),
        "layer4": ("layer4",),
        "head": ("fc",),
    },
    saliency_layers=("layer4", "layer3", "layer2", "layer1"),
)
RESNET18 = replace(
    RESNET18,
    small_stem=replace(
        RESNET18,
        name="resnet18_small_stem",
        title="ResNet18 with a stem for small images",
        build="emotion_utils.models.resnet:build_small_stem",
    ),
)
LITE0 = Architecture(
    name="lite0",
    title="EfficientNet-Lite0",
    build="emotion_utils.models.lite0:build_lite0",
    depth_groups={
        "stem": ("stem",),
        **{f"stage{number}": (f"stage{number}",) for number in range(1, 8)},
        "top": ("top",),
        "head": ("fc",),
    },
    saliency_layers=("top", "stage5", "stage3", "stage2"),  # a layer of each size, the deepest first
)
TINY = Architecture(
    name="tiny",
    title="tiny network",
    build="emotion_utils.models.tiny:build_tiny",
    depth_groups={
        "stem": ("stem",), "stage1": ("stage1",), "stage2": ("stage2",), "stage3": ("stage3",), "head": ("fc",)
    },
    saliency_layers=("stage3", "stage2", "stage1"),
)  # fmt: skip

STUDY_MODELS = ("VGG16_emotion", "r18_scratch_emotion", "r18_pre_emotion")
"""Those of the published study, which a run trains unless it is told otherwise."""
MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="VGG16_emotion",
            architecture=VGG16,
            cost=5.0,
            recipe={  # the study: early convolutions frozen for the first epochs, unfrozen later
                "lr": 5.0e-4,
                "dropout": 0.2,
                "warmup_epochs": 1,
                "phases": [{"epoch": 1, "train_from": "conv3"}, {"epoch": 3, "train_from": "conv1"}],
            },
            weights={
                "proxy": ("proxy_vgg16",),
                "official": ("vggface_keras", "vggface_deepface", "vggface_oxford", "vggface_keras_notop"),
            },
            notebook="02_vggface_finetuned",
        ),
        ModelSpec(
            name="r18_scratch_emotion",
            architecture=RESNET18,
            recipe={  # the study: random weights, trained end to end
                "lr": 1.0e-3,
                "warmup_epochs": 1,
                "phases": [{"epoch": 1, "train_from": "stem"}],
            },
            from_scratch=True,
            notebook="03_resnet18_scratch",
        ),
        ModelSpec(
            name="r18_pre_emotion",
            architecture=RESNET18,
            recipe={  # the study: gradual unfreezing with layer-specific learning rates
                "lr": 1.0e-3,
                "layer_decay": 0.7,
                "phases": [{"epoch": 1, "train_from": "layer3"}, {"epoch": 2, "train_from": "stem"}],
            },
            weights={"proxy": ("proxy_resnet18",), "official": ("resnet18_imagenet",)},
            notebook="04_resnet18_pretrained",
        ),
        ModelSpec(
            name="lite0_pre_emotion",
            architecture=LITE0,
            cost=0.7,
            recipe={  # as r18_pre_emotion; its groups are twice as many, so neighbours differ by half as much
                "lr": 1.0e-3,
                "dropout": 0.2,
                "layer_decay": 0.85,
                "phases": [{"epoch": 1, "train_from": "stage6"}, {"epoch": 2, "train_from": "stem"}],
            },
            weights={"proxy": ("proxy_lite0",), "official": ("lite0_imagenet",)},
            notebook="04b_lite0_pretrained",
        ),
        ModelSpec(
            name="tiny_emotion",
            architecture=TINY,
            cost=0.2,
            recipe={  # random weights, or a model of the same kind that was trained before
                "lr": 4.0e-3,
                "schedule": "one_cycle",
                "phases": [{"epoch": 1, "train_from": "stem"}],
            },
        ),
    )
}


def get_spec(name: str) -> ModelSpec:
    """The model called `name`. Raises InputError that names the known ones."""
    if name not in MODELS:
        raise InputError(
            f"unknown model {name!r}: known are {', '.join(MODELS)}; --set modules=[FILE] adds your own"
            + did_you_mean(name, MODELS)
        )
    return MODELS[name]


def get_architecture(name: str) -> Architecture:
    """The architecture called `name`, of any model. Raises InputError that names the known ones."""
    known = {each.name: each for spec in MODELS.values() for each in _stems(spec)}
    if name not in known:
        raise InputError(f"unknown architecture {name!r}: known are {', '.join(known)}")
    return known[name]


def has_architecture(name: str) -> bool:
    """Whether a model of the table has this architecture."""
    return any(each.name == name for spec in MODELS.values() for each in _stems(spec))


def module_of(architecture: str) -> str | None:
    """The file that has to be imported before a network of `architecture` can be built; None for the package's own."""
    modules = {each.name: spec.module for spec in reversed(MODELS.values()) for each in _stems(spec)}
    return modules.get(architecture)


def _stems(spec: ModelSpec) -> list[Architecture]:
    """Its architecture with each stem that there is."""
    return [each for each in (spec.architecture, spec.architecture.small_stem) if each is not None]


# -- networks from outside -------------------------------------------------------------------------

_IMPORTED: dict[str, dict[str, bytes]] = {}  # the files that registered models, with their own, as they were then


def register_model(spec: ModelSpec) -> None:
    """Adds a row to the table. Raises InputError where it clashes with another one or is not complete."""
    if not NAME.fullmatch(spec.name):
        raise InputError(f"model {spec.name!r}: a name consists of letters, digits, - and _, and begins with a letter")
    if spec.name in MODELS:
        raise InputError(f"model {spec.name!r} is registered already: give yours another name")
    for architecture in _stems(spec):
        if has_architecture(architecture.name) and architecture != get_architecture(architecture.name):
            raise InputError(f"architecture {architecture.name!r} is registered already: give yours another name")
    groups = list(spec.architecture.depth_groups)
    if len(groups) < 2 or groups[-1] != HEAD:
        raise InputError(
            f"architecture {spec.architecture.name!r}: it needs 2 or more depth_groups, the last one {HEAD!r}"
        )
    MODELS[spec.name] = spec


def trust_code(paths: Iterable[str | Path]) -> None:
    """Files that a person has named: they may be run, by this process and by those that it starts."""
    trusted = dict.fromkeys([*_trusted_files(), *(os.path.abspath(path) for path in paths)])
    os.environ[TRUST] = os.pathsep.join(trusted)


def import_trusted() -> None:
    """Runs the files that a person has named, as `import_modules` does."""
    import_modules(_trusted_files())


def import_if_trusted(paths: Iterable[str]) -> None:
    """Runs those of the files that a person has named, as `import_modules` does: they may have changed since."""
    import_modules([path for path in paths if os.path.abspath(path) in _trusted_files()])


def require_code(paths: Iterable[str]) -> None:
    """Runs the files that the settings of a run name.

    Somebody else may have made the run: raises InputError for a file that no person has named.
    """
    for path in paths:
        if os.path.abspath(path) not in _trusted_files():
            raise InputError(f"the settings of the run name code, {path}; {CONSENT.format(path)}")
    import_modules(paths)


def import_modules(paths: Iterable[str]) -> None:
    """Runs Python files that register models; one that has changed since is run again, or what it imports.

    Raises InputError where a file is missing, fails, or registers nothing.
    """
    for path in paths:
        try:
            code = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        known = _IMPORTED.get(path, {})
        if known.get(path) != code or any(_has_changed(file, content) for file, content in known.items()):
            _import(path, code)


def own_sources(module: str) -> dict[str, bytes]:
    """The files of the user's own that a loaded module consists of, as they were run: path to content; empty for an
    installed module, and for one without a file."""
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None or not path.endswith(".py") or is_installed(module):
        return {}
    known = (files for files in _IMPORTED.values() if path in files)
    return next(known, None) or read_own_files(path, Path(path).read_bytes())


def module_sources(path: str) -> dict[str, bytes]:
    """The same of a file that registers models, which is run where that was not done. Raises as `require_code`."""
    require_code([path])
    return _IMPORTED[path]


def _has_changed(file: str, content: bytes) -> bool:
    return not Path(file).is_file() or Path(file).read_bytes() != content


def _trusted_files() -> list[str]:
    return [os.path.abspath(path) for path in os.environ.get(TRUST, "").split(os.pathsep) if path]


def _import(path: str, code: bytes) -> None:
    """Rows of an earlier version of the file go first; where this one fails, nothing of it stays."""
    for model in [model for model, spec in MODELS.items() if spec.module == path]:
        del MODELS[model]
    stale = _IMPORTED.pop(path, {})
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) in stale]:
        del sys.modules[name]
    before = set(MODELS)
    module = ModuleType(f"emotion_module_{hashlib.sha256(path.encode()).hexdigest()[:16]}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # where dataclasses and inspect look for it
    try:
        exec(compile(code, path, "exec"), module.__dict__)
        if set(MODELS) == before:
            raise InputError("it does not call register_model")
    except (Exception, SystemExit) as error:  # of code that anybody may have written
        for model in set(MODELS) - before:
            del MODELS[model]
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        reason = "it calls sys.exit, which ends whatever imports it" if isinstance(error, SystemExit) else error
        raise InputError(f"{path}: {kind}{reason}") from error
    for model in set(MODELS) - before:
        MODELS[model] = replace(MODELS[model], module=path)
    _IMPORTED[path] = read_own_files(path, code)
