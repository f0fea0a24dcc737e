"""A model that tests put questions to."""

import pytest
import torch

from emotion_utils.models.card import save_model
from emotion_utils.models.zoo import build_model


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A ResNet18 at 32 px for three classes, not trained, whose answers differ from face to face."""
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
    with torch.no_grad():
        net.network.fc[1].weight.mul_(30)
    folder = tmp_path_factory.mktemp("model")
    save_model(net, folder, ("angry", "happy", "sad"))
    return folder
