"""Distillation (Hinton et al. 2015): targets that are in part the probabilities of models that were trained before.

What a model learned by heart it knows too well. An image's target comes from those teachers alone that were neither
trained nor chosen on it, as far as the folders of the runs that trained them tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from emotion_utils.audit.training_images import TrainingImages, find_training_images
from emotion_utils.devices import evaluation_batch_size
from emotion_utils.errors import InputError
from emotion_utils.models.card import load_model, read_card
from emotion_utils.models.network import EmotionNet, to_grey
from emotion_utils.models.views import add_views
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset, iterate_batches, open_split, restore_images


def add_teachers(
    train_set: Dataset, recipe: Recipe, run: Run, model: str, device: torch.device
) -> tuple[Dataset, dict[str, Any]]:
    """`train_set` with what `recipe.teacher` answers in its targets, and what model.json says of that; as it is, and
    {}, where the recipe names no teacher.

    Raises InputError where a teacher does not know a class, or an image was learned by all of them and
    `recipe.teacher_seen` does not allow that.
    """
    if not recipe.teacher:
        return train_set, {}
    folders = [Path(folder) for folder in recipe.teacher]
    learned = [find_learned(folder) for folder in folders]
    unseen = np.stack([_is_unseen(train_set.ids, images) for images in learned])  # bool (teachers, N)
    is_known = ~unseen.any(axis=0)
    if is_known.any() and recipe.teacher_seen == "refuse":
        reasons = {
            f"{folder}: {images.unknown}" for folder, images in zip(folders, learned, strict=True) if images.unknown
        }
        raise InputError(
            f"recipes.{model}.teacher: {is_known.sum():,} of the {len(train_set):,} training images may have been "
            f"learned by every teacher{''.join(f' ({reason})' for reason in sorted(reasons))}: add teachers that were "
            f"trained on other folds (`emotion train --folds`), or set recipes.{model}.teacher_seen=allow"
        )
    counted = unseen | is_known
    total, models = torch.zeros(len(train_set), len(train_set.class_names), dtype=torch.float64), []
    for folder, images, counts in zip(folders, learned, counted, strict=True):
        net, card = load_model(folder, device)
        total += answer(net, card, train_set, run, folder) * torch.from_numpy(counts)[:, None]
        models.append({
            "folder": str(folder), "title": net.architecture.title, "sha256": card["sha256"], "views": net.views,
            "run": images.run, "unknown": images.unknown, "images": int(counts.sum()),
        })  # fmt: skip
    probs = total / torch.from_numpy(counted.sum(axis=0))[:, None]
    targets = mix_targets(train_set, probs, weight=recipe.teacher_weight, temperature=recipe.teacher_temperature)
    manifest = run.read("manifest")
    test = manifest.loc[manifest["split"] == "test", "id"].tolist()
    facts = {
        "models": models, "images": len(train_set), "seen": int(is_known.sum()),
        "weight": recipe.teacher_weight, "temperature": recipe.teacher_temperature,
        "test_images": len(test),
        "test_seen": len(test) - int(np.all([_is_unseen(test, images) for images in learned], axis=0).sum()),
    }  # fmt: skip
    return replace(train_set, targets=targets), facts


def mix_targets(train_set: Dataset, probs: torch.Tensor, *, weight: float, temperature: float) -> torch.Tensor:
    """float32 (N, k): the targets that were there, or the labels, and `weight` of the teachers' probabilities (N, k).

    A cross-entropy with this mixture is the mixture of the cross-entropies with each part. A `temperature` above 1
    brings the teachers' probabilities nearer to each other: they are raised to 1 / temperature, and sum to 1 again.
    """
    own = train_set.targets
    if own is None:
        own = F.one_hot(train_set.labels, len(train_set.class_names))
    softened = torch.softmax(probs.clamp(min=1e-12).log() / temperature, dim=1)
    return ((1 - weight) * own.double() + weight * softened).float()


def check_teachers(recipe: Recipe) -> list[str]:
    """The SHA-256 of each teacher's weights. Raises InputError where a folder does not hold a model."""
    return [read_card(Path(folder))["sha256"] for folder in recipe.teacher]


def find_learned(folder: Path) -> TrainingImages:
    """The images that a model was trained or chosen on, or one that it started from or learned from."""
    found = find_training_images(folder)
    for origin in _origins(read_card(folder)):
        before = find_learned(origin) if origin.is_dir() else TrainingImages(unknown=f"{origin} is not there any more")
        found = replace(
            found, splits={**before.splits, **found.splits}, unknown=found.unknown or before.unknown
        )  # fmt: skip
    return found


def _origins(card: dict[str, Any]) -> Iterable[Path]:
    """The folders of the models that a model was made from. A file of weights is nobody's training images."""
    training = card.get("training", {})
    if "start" in training:
        yield Path(card["provenance"]["source"])
    yield from (Path(each["folder"]) for each in training.get("teacher", {}).get("models", ()))


def _is_unseen(ids: list[str], learned: TrainingImages) -> np.ndarray:
    """bool (N,): which of the images were surely not learned."""
    return np.array([not learned.unknown and each not in learned.splits for each in ids], dtype=bool)


@torch.inference_mode()
def answer(net: EmotionNet, card: dict[str, Any], train_set: Dataset, run: Run, folder: Path) -> torch.Tensor:
    """float64 (N, k) on the CPU: probabilities that each image shows each class, given that it is one of them.

    The images have the size that the teacher takes, and as many views as it answers with.
    """
    names = [*card["class_names"], *card.get("auxiliary_classes", ())]
    strange = [name for name in train_set.class_names if name not in names]
    if strange:
        raise InputError(f"{folder}: cannot teach {', '.join(strange)}: it knows {', '.join(names)}")
    outputs = [names.index(name) for name in train_set.class_names]
    images, device = _resized(train_set, run, net.input_spec.size_px), next(net.parameters()).device

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        return net.all_logits(to_grey(inputs) if net.input_spec.colour == "grey" else inputs)[:, outputs]

    found = []
    batch_size = evaluation_batch_size(device, images.size_px)
    for batch in iterate_batches(images, batch_size=batch_size, seed=0, epoch=0, shuffle=False):
        *_, mean = add_views(logits, to_unit(batch.images.to(device)), net.views)
        found.append(torch.softmax(mean, dim=1))
    return torch.cat(found)


def _resized(train_set: Dataset, run: Run, size_px: int) -> Dataset:
    """The same images of another size, decoded from the data of the run."""
    if train_set.size_px == size_px:
        return train_set
    other = Run(run.root, run.config.model_copy(update={"image_size_px": size_px}))
    restore_images(other)
    whole = open_split(other, "train")
    places = {name: place for place, name in enumerate(whole.ids)}
    try:
        chosen = np.array([places[name] for name in train_set.ids])
    except KeyError:
        raise InputError(
            f"teachers that take images of {size_px} px can teach the training images of the run alone"
        ) from None
    return replace(whole, rows=whole.rows[chosen], labels=train_set.labels, ids=train_set.ids, targets=None)
