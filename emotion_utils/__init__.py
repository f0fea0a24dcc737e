"""Facial-emotion classifiers compared: the names that a notebook or a program needs most, imported when first used."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_MODULES = {
    "Run": "run",
    "Trainer": "training.trainer",
    "build_model": "models.zoo",
    "load_classifier": "deploy.classifier",
    "load_model": "models.card",
    "new_model": "training.trainer",
    "open_split": "store.batches",
    "resolve_config": "config",
}
PUBLIC = {f"{__name__}.{name}": f"{__name__}.{module}" for name, module in _MODULES.items()}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PUBLIC[f"{__name__}.{name}"]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
