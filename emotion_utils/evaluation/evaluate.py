"""A trained model on data that it has never seen, prepared as its own were: which images count, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from emotion_utils.audit.audit import count_images
from emotion_utils.audit.cache import audit_once
from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.shortcuts import find_shortcuts
from emotion_utils.audit.training_images import SEEN, TrainingImages, find_training_images, set_aside_seen
from emotion_utils.devices import pick_device
from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_dataset
from emotion_utils.evaluation.strata import Stratum, divide_by
from emotion_utils.models.card import load_model
from emotion_utils.models.network import EmotionNet
from emotion_utils.progress import Progress
from emotion_utils.sources.class_names import class_key
from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.source import Source, open_source
from emotion_utils.sources.vote_table import add_votes
from emotion_utils.sources.votes import rename_votes
from emotion_utils.store.batches import Dataset
from emotion_utils.store.store import build_store

SPLIT = "test"  # of every row of the predictions: the model was neither trained nor chosen on any of them


@dataclass(frozen=True)
class Evaluation:
    """What a model answers on images that it has never seen."""

    model: str
    card: Mapping[str, Any]  # its model.json
    data: str
    class_names: tuple[str, ...]  # of the evaluated images, in the model's order
    absent: tuple[str, ...]  # classes of the model that none of these images has
    others: Mapping[str, int]  # classes of the data that the model does not know -> their images, which are left out
    manifest: pd.DataFrame  # as of audit_images, with `group`; what the model has seen is quarantined
    audit: Mapping[str, Any]
    groups_line: str  # where the names of persons come from
    training: TrainingImages
    predictions: pd.DataFrame  # as of predict.predict_split, with probabilities given that it is one of class_names

    @property
    def kept(self) -> pd.DataFrame:
        """The rows of the manifest that were evaluated, in the order of the predictions."""
        return self.manifest[self.manifest["status"] == "kept"].set_index("id", drop=False).loc[self.predictions["id"]]

    @property
    def seen(self) -> dict[str, int]:
        """How many images were left out because the model was trained (train) or chosen (val) on them."""
        return {split: self.audit["reasons"].get(reason, 0) for split, reason in SEEN.items()}

    def divide(self) -> list[Stratum]:
        """Parts of the images that are alike: in what tells labels without the face, in colour, in the data's split."""
        found = [each["name"] for each in self.audit["shortcuts"]["found"] if not each["same_as"]]
        kept = self.kept
        strata = [part for name in dict.fromkeys([*found, "colour"]) for part in divide_by(self.manifest, name)]
        splits = kept["split"].unique() if (kept["split"] != "").any() else ()
        strata += [
            Stratum("split", f"split {name}", pd.Index(kept.index[kept["split"] == name])) for name in splits if name
        ]
        return [part for part in strata if len(part.ids) < len(kept)]


def evaluate_model(
    model_dir: str | Path, spec: str, *, votes: str | None = None, progress: Callable[[str], Progress] | None = None
) -> Evaluation:
    """The answers of the model in `model_dir` on the images of `spec` (see open_source) that it has never seen.

    Images are decoded, searched for faces, cropped and resized as for its training. Classes are matched by name, and
    the probabilities renormalised to those in common. `votes` is a table as vote_table.add_votes takes it. `progress`
    makes a progress bar for each of its names. Raises InputError for a model that fails its own checks and where no
    two classes or no images are left.
    """
    model_dir = Path(model_dir)
    net, card = load_model(model_dir, pick_device())
    training = find_training_images(model_dir)
    source = _open_as_known(spec, card["class_names"], votes)
    make_bar = progress or (lambda name: None)
    manifest, audit = audit_once(source, crop=card.get("crop", "auto"), progress=make_bar("read"))
    manifest["group"], groups_line = find_groups(manifest)
    manifest = set_aside_seen(manifest, training)
    class_names = _present_classes(spec, manifest, source.classes)
    predictions = _predict(net, card, source, manifest, class_names, make_bar("prepare"))
    return Evaluation(
        model=name_model(model_dir),
        card=card,
        data=spec,
        class_names=class_names,
        absent=tuple(name for name in card["class_names"] if name not in class_names),
        others=source.others,
        manifest=manifest,
        audit={
            **audit, **count_images(manifest, source.classes), "shortcuts": find_shortcuts(manifest),
        },
        groups_line=groups_line,
        training=training,
        predictions=predictions,
    )  # fmt: skip


def name_model(model_dir: Path) -> str:
    """What to call it: the names of its folder, and of those above it up to `models` where it lies in a run."""
    parts = model_dir.resolve().parts
    return "/".join(parts[len(parts) - parts[::-1].index("models") :] if "models" in parts[:-1] else parts[-1:])


def _open_as_known(spec: str, known: list[str], votes: str | None = None) -> Source:
    """The images of `spec` whose class the model knows, under its name for it, and with the votes of a table."""
    by_key = {class_key(name): name for name in known}
    if len(by_key) < len(known):
        raise InputError(f"the model has two names for one class among {', '.join(known)}; no data can be matched")
    source = open_source(spec, known=tuple(known), ask=False)
    source = add_votes(source, votes) if votes else source
    names = {name: by_key[class_key(name)] for name in source.classes}
    table = source.table.assign(label=source.table["label"].map({**names, "": ""}))
    if VOTES in table:
        table[VOTES] = [rename_votes(text, names) for text in table[VOTES]]
    return replace(source, table=table, classes=tuple(names.values()))


def _present_classes(spec: str, manifest: pd.DataFrame, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `classes` that a kept image has. Raises InputError where there are fewer than two."""
    kept = manifest[manifest["status"] == "kept"]
    present = tuple(name for name in classes if (kept["label"] == name).any())
    if len(present) < 2:
        reasons = count_images(manifest, classes)["reasons"]
        found = "; ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        raise InputError(
            f"--data {spec}: of its {len(manifest):,} images, those that can be evaluated "
            f"{f'are all {present[0]}' if present else 'are none'} ({found}); two classes are needed"
        )
    return present


def _predict(
    net: EmotionNet,
    card: Mapping[str, Any],
    source: Source,
    manifest: pd.DataFrame,
    class_names: tuple[str, ...],
    progress: Progress | None,
) -> pd.DataFrame:
    rows = manifest[manifest["status"] == "kept"].sort_values("id")
    store = build_store(source, rows, size_px=net.input_spec.size_px, progress=progress)
    ids, places = rows["id"].tolist(), {name: place for place, name in enumerate(class_names)}
    labels = torch.tensor([places[label] for label in rows["label"]])
    dataset = Dataset(store.images, store.rows(ids), labels, ids, class_names)
    return predict_dataset(net, dataset, SPLIT, [card["class_names"].index(name) for name in class_names])
