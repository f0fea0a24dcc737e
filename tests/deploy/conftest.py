"""A model that tests put questions to."""

import pytest
import torch
from torch import nn

from emotion_utils.deploy.export import export_onnx
from emotion_utils.models.card import save_model
from emotion_utils.models.zoo import build_model

CLASSES = ("angry", "happy", "sad")


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A ResNet18 at 32 px for three classes, not trained, whose answers differ from face to face."""
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
    with torch.no_grad():
        net.network.fc[1].weight.mul_(30)
    folder = tmp_path_factory.mktemp("model")
    save_model(net, folder, CLASSES)
    return folder


@pytest.fixture(scope="session")
def exported(model_dir, tmp_path_factory):
    """The same as a file."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(model_dir, path)
    return path


class Narrow(nn.Module):
    """A network of a few numbers."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 3)

    def forward(self, images):
        return 5 * self.fc(self.conv(images).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def narrow():
    """An EmotionNet of that, which takes little time to export."""
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
    torch.manual_seed(3)
    net.network = Narrow()
    return net.eval()
