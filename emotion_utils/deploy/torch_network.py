"""The network of a model folder, computed by PyTorch on the device that was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from emotion_utils.deploy.network import in_full_batches
from emotion_utils.devices import pick_device
from emotion_utils.evaluation.predict import device_of, predict_probs
from emotion_utils.models.card import load_model
from emotion_utils.training.repeatable import deterministic

BATCH_FACES = 8  # small, because one image pays for a whole batch
GPU_BATCH_FACES = 64  # there a full batch takes hardly longer than one image


class TorchNetwork:
    """A `network.Network`. Raises InputError for a model that fails its own checks."""

    def __init__(self, model_dir: str | Path) -> None:
        self._net, card = load_model(model_dir, pick_device())
        self.class_names = tuple(card["class_names"])
        self.input_spec = self._net.input_spec
        self.crop = card.get("crop", "auto")
        self.views = self._net.views
        self.facts = [card[name] for name in ("sha256", "input", "class_names")]
        self.facts += [self.views] if self.views > 1 else []

    def predict(self, faces: np.ndarray) -> np.ndarray:
        size = BATCH_FACES if device_of(self._net).type == "cpu" else GPU_BATCH_FACES
        with deterministic():
            probs = [
                predict_probs(self._net, torch.from_numpy(batch).permute(0, 3, 1, 2))
                for batch in in_full_batches(faces, size)
            ]
        return np.concatenate([np.empty((0, len(self.class_names))), *probs])[: len(faces)]
