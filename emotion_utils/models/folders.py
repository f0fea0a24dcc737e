"""Where a model's folder is meant and another one is given: what to name instead. No torch."""

from __future__ import annotations

from pathlib import Path

from emotion_utils.given_paths import expand

CARD_FILE = "model.json"


def models_below(folder: Path) -> list[Path]:
    """The folders of models in that of a run, or in its folder `models`."""
    folder = expand(folder)
    return sorted(path.parent for pattern in ("models/*", "*") for path in folder.glob(f"{pattern}/{CARD_FILE}"))


def why_no_model(folder: Path) -> str:
    """Why a folder without a model.json is none of a model."""
    if not folder.exists():
        return f"{folder}: there is no such folder"
    if found := models_below(folder):
        return f"{folder}: holds models, but is none: name one, such as {found[0]}"
    return f"{folder}: no {CARD_FILE}: this is not the folder of a trained model"
