"""How many views of each image a trained model answers with: as the settings say, or chosen on validation."""

from __future__ import annotations

import copy
import time
from typing import Any, Literal

import torch

from emotion_utils.devices import evaluation_batch_size
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.views import VIEWS, add_views
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset, iterate_batches


@torch.inference_mode()
def choose_views(net: EmotionNet, val_set: Dataset, setting: int | Literal["auto"], device: torch.device) -> dict:
    """What model.json holds of the views: {"views": ...}, empty where the setting is 1.

    `used` is their number; "auto" takes the most accurate one, and of equal ones the smallest. `val_correct` of
    `val_count` images are what each number that was tried gets right, `seconds` what it takes for 1,000 images.
    """
    tried = [count for count in VIEWS if setting == "auto" or count in (1, setting)]
    if tried == [1]:
        return {}
    net = copy.deepcopy(net).to(device).eval()
    correct, seconds = dict.fromkeys(tried, 0), dict.fromkeys(tried, 0.0)
    batch_size = evaluation_batch_size(device, val_set.size_px)
    for batch in iterate_batches(val_set, batch_size=batch_size, seed=0, epoch=0, shuffle=False):
        images, start = to_unit(batch.images.to(device)), time.perf_counter()
        for count, logits in enumerate(add_views(net, images, tried[-1]), start=1):
            if count in tried:
                correct[count] += int((logits.argmax(1) == batch.labels).sum())
                seconds[count] += time.perf_counter() - start
    used = max(tried, key=lambda count: (correct[count], -count)) if setting == "auto" else setting
    facts: dict[str, Any] = {"used": used, "val_count": len(val_set)}
    facts["val_correct"] = {str(count): correct[count] for count in tried}
    facts["seconds"] = {str(count): 1000 * seconds[count] / len(val_set) for count in tried}
    return {"views": facts}
