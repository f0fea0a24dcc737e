"""Predictions of a trained model for the images of a run; every figure of the report is computed from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from emotion_utils.artefacts import PROBABILITY_DECIMALS
from emotion_utils.devices import evaluation_batch_size, pick_device
from emotion_utils.errors import EmotionError
from emotion_utils.files import file_sha256
from emotion_utils.models.views import add_views
from emotion_utils.models.zoo import EmotionNet, load_model
from emotion_utils.run import Run
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset, iterate_batches, open_split, restore_images

SAME_PROBABILITY = 1e-3  # what another machine may round otherwise


def predict_splits(run: Run, model: str) -> pd.DataFrame:
    """Predicts val and test with the saved model and writes predictions.csv, one row per image.

    Predictions that this model has made before are read: the test images are not opened again.
    """
    net, _ = load_model(run.model_dir(model), pick_device())
    restore_images(run)
    val = predict_split(run, net, "val")
    stored = _read_stored(run, model, val)
    if stored is not None:
        return stored
    is_first = not run.path("predictions", model).exists()  # or the first was killed: the same look
    weights = file_sha256(run.model_dir(model) / "model.safetensors") if is_first else ""
    run.note_test_opening(f"{run.title(model)}, seed {run.config.seed}", of=weights)
    predictions = pd.concat([val, predict_split(run, net, "test")], ignore_index=True)
    run.write("predictions", predictions, model)
    return predictions


def _read_stored(run: Run, model: str, val: pd.DataFrame) -> pd.DataFrame | None:
    """The stored predictions if they are of this model, which the rows of val tell, and of all test images."""
    try:
        stored = run.read("predictions", model)
    except EmotionError:  # none, or a damaged table: they are made again
        return None
    manifest = run.read("manifest")
    expected = sorted(manifest.loc[manifest["split"] == "test", "id"])
    rows = {split: table.reset_index(drop=True) for split, table in stored.groupby("split")}
    try:
        pd.testing.assert_frame_equal(rows["val"], val, check_exact=False, atol=SAME_PROBABILITY)
    except (KeyError, AssertionError):
        return None
    return stored if sorted(rows.get("test", stored.head(0))["id"]) == expected else None


def predict_split(run: Run, net: EmotionNet, split: str) -> pd.DataFrame:
    """Rows `id, split, label, predicted` and one probability column (0-1) per class, in class order."""
    return predict_dataset(net, open_split(run, split), split)


def predict_dataset(
    net: EmotionNet, dataset: Dataset, split: str, outputs: Sequence[int] | None = None
) -> pd.DataFrame:
    """What `predict_split` returns, of any images; `outputs` are those of the network that stand for the classes.

    A last column, `views`, says how many views of each image were averaged, where there are several.
    """
    batch_size = evaluation_batch_size(device_of(net), dataset.size_px)
    ids, labels, probs = [], [], []
    for batch in iterate_batches(dataset, batch_size=batch_size, seed=0, epoch=0, shuffle=False):
        ids += batch.ids
        labels.append(batch.labels.numpy())
        probs.append(predict_probs(net, batch.images, outputs))
    table = tabulate(ids, split, np.concatenate(labels), np.concatenate(probs), dataset.class_names)
    return table.assign(views=net.views) if net.views > 1 else table


def device_of(net: EmotionNet) -> torch.device:
    """The device on which the network computes."""
    return next(net.parameters()).device


@torch.inference_mode()
def predict_probs(net: EmotionNet, images: torch.Tensor, outputs: Sequence[int] | None = None) -> np.ndarray:
    """Probabilities, float64 (B, k), rows summing to 1, of uint8 RGB images (B, 3, H, W) on any device.

    They are means over as many views of each image as the model was made to answer with.

    With `outputs`, places of some classes in the network's order, they are those of these classes given that it is one
    of them: the softmax over their logits alone.
    """
    net.eval()
    inputs = to_unit(images.to(device_of(net)))
    if net.views > 1:
        *_, logits = add_views(net, inputs, net.views)
    else:
        logits = net(inputs).cpu()  # Apple's GPU has no float64
    if outputs is not None:
        logits = logits[:, list(outputs)]
    return torch.softmax(logits.double(), dim=1).numpy()


def tabulate(
    ids: list[str], split: str, labels: np.ndarray, probs: np.ndarray, classes: tuple[str, ...]
) -> pd.DataFrame:
    """The predictions table; `predicted` is the most probable class of the probabilities as written."""
    rounded = probs.round(PROBABILITY_DECIMALS)
    names = np.asarray(classes)
    table = pd.DataFrame(
        {"id": ids, "split": split, "label": names[labels], "predicted": names[rounded.argmax(axis=1)]}
    )
    return pd.concat([table, pd.DataFrame(rounded, columns=list(classes))], axis=1)
