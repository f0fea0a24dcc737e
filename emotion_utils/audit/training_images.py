"""Which images a trained model has seen before, told by the hashes of their files. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from emotion_utils.audit.audit import COPIES, kind_of
from emotion_utils.files import check_columns, read_csv
from emotion_utils.run import Run

SEEN = {"train": "seen in training", "val": "seen in validation"}  # kinds of reason; validation chose the epoch


@dataclass(frozen=True)
class TrainingImages:
    """The images that a model was trained and chosen on: id -> train or val. Or why that is unknown."""

    run: str = ""  # the name of the run that trained it
    splits: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""
    data: str = ""  # the name of what it learned from


def find_training_images(model_dir: Path) -> TrainingImages:
    """What the manifest of the run tells in which the model lies. Raises EmotionError where that cannot be read."""
    folder = model_dir.resolve()
    root = next((above for above in folder.parents if (above / "run.json").exists()), None)
    if root is None or not folder.is_relative_to(root / "models"):
        return TrainingImages(unknown="the model does not lie in the run that trained it")
    run = Run.open(root)
    manifest = run.read("manifest")
    if not _belongs(folder, manifest):
        return TrainingImages(unknown="the data of its run are not those that the model was trained on")
    images = [manifest, *([run.read("auxiliary")] if run.config.auxiliary_classes else [])]
    splits = _splits_of_files(pd.concat(images, ignore_index=True))
    return TrainingImages(root.name, splits, data=_name_data(run))


def describe_start(folder: Path, manifest: pd.DataFrame) -> dict[str, Any]:
    """What a model that a training starts from has seen, for model.json: run, data, images, test_images, test_seen,
    unknown.

    images: of its training and validation; test_seen: those of today's test images, of which there are test_images in
    `manifest`, that were among them. `unknown` says why that is not known, else it is "".
    """
    training = find_training_images(folder)
    test = manifest.loc[manifest["split"] == "test", "id"]
    return {
        "run": training.run, "data": training.data, "images": len(training.splits), "unknown": training.unknown,
        "test_images": len(test), "test_seen": int(test.isin(list(training.splits)).sum()),
    }  # fmt: skip


def set_aside_seen(manifest: pd.DataFrame, training: TrainingImages) -> pd.DataFrame:
    """`manifest` with every image quarantined that the model has seen, whichever of its copies that was."""
    splits = manifest["id"].map(training.splits)
    by_image = splits[(manifest["image"] >= 0) & splits.notna()].groupby(manifest["image"]).first()
    splits = manifest["image"].map(by_image).where(manifest["status"] == "kept")
    seen = splits.notna()
    reasons = splits[seen].map(SEEN) + f": of the run {training.run}"
    manifest = manifest.copy()
    manifest.loc[seen, "status"] = "quarantined"
    manifest.loc[seen, "reason"] = reasons
    return manifest


def _name_data(run: Run) -> str:
    """As a reader may know them: a known data set by its name, where that was told."""
    known = run.read("audit").get("dataset") or {} if run.path("audit").exists() else {}
    return f"{known['name']} ({run.config.data_name})" if known.get("name") else run.config.data_name


def _belongs(model_dir: Path, manifest: pd.DataFrame) -> bool:
    """Whether the model's predictions of val, where there are any, are of the images that the manifest has in it."""
    path = model_dir / "predictions.csv"
    if not path.exists():
        return True
    predictions = read_csv(path, "the training of this model")
    check_columns(path, predictions, ("id", "split"))
    return set(predictions["id"][predictions["split"] == "val"]) == set(manifest["id"][manifest["split"] == "val"])


def _splits_of_files(manifest: pd.DataFrame) -> dict[str, str]:
    """The split of each file of train and val, and of files with the same pixels, which were set aside as copies."""
    used = manifest[(manifest["status"] == "kept") & manifest["split"].isin(list(SEEN))]
    by_path = dict(zip(used["path"], used["split"], strict=True))
    copies = manifest[manifest["reason"].map(kind_of).isin(COPIES.values())]
    originals = copies["reason"].str.partition(": of ")[2].map(by_path).dropna() if len(copies) else {}
    of_copies = dict(zip(copies.loc[originals.index, "id"], originals, strict=True)) if len(originals) else {}
    return of_copies | dict(zip(used["id"], used["split"], strict=True))
