"""ResNet18 with the stem for small images: it sees more, and works from its folder like any other network."""

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from emotion_utils.config import resolve_config
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.errors import InputError
from emotion_utils.evaluation.explain import choose_layer, gradcam
from emotion_utils.model_table import get_architecture, module_of
from emotion_utils.models.network import record_edits
from emotion_utils.models.zoo import build_model, load_model, save_model
from emotion_utils.pipeline import check_weights
from emotion_utils.synthetic.faces import render_face

CLASSES = ("angry", "happy", "sad")


def build(name="r18_scratch_emotion", **settings):
    settings = {"num_classes": 3, "image_size_px": 48, "weights": "random", "stem": "small"} | settings
    return build_model(name, **settings)


def test_it_is_the_network_of_torchvision_with_another_first_layer_and_no_pooling():
    net = build().eval()
    plain = torchvision.models.resnet18(num_classes=3)
    plain.conv1, plain.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    state = {name.replace("fc.1.", "fc."): value for name, value in net.network.state_dict().items()}
    plain.load_state_dict(state, strict=True)
    images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        normalised = (images - net.mean) / net.std
        torch.testing.assert_close(net(images), plain.eval()(normalised))
        assert net.network.layer1(net.network.conv1(normalised)).shape == (2, 64, 48, 48)
    assert list(net.depth_groups) == list(build(stem="imagenet").depth_groups)
    std = float(net.network.conv1.weight.detach().std())
    assert std == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)  # Kaiming, by fan out


def test_it_works_from_its_folder(tmp_path):
    net = build(seed=1)
    with torch.no_grad():
        net.network.fc[1].weight.mul_(30)
    record_edits(net)
    card = save_model(net, tmp_path / "model", CLASSES)
    assert card["design"] == {"architecture": "resnet18_small_stem", "num_classes": 3, "dropout": 0.0}
    assert card["architecture"]["title"] == "ResNet18 with a stem for small images"
    assert module_of("resnet18_small_stem") is None
    loaded, _ = load_model(tmp_path / "model")
    images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(loaded(images), net.eval()(images))
    Image.fromarray(render_face("happy", 1, 1, 64)).save(tmp_path / "face.png")
    assert len(predict_files(tmp_path / "model", [tmp_path / "face.png"])) == 1
    assert choose_layer(loaded).name == "layer4"  # 6 x 6 cells, where the published stem leaves 2 x 2
    assert gradcam(loaded, images, torch.tensor([0, 1])).isfinite().all()


def test_it_starts_from_a_model_of_its_kind_and_from_no_other(tmp_path):
    for stem in ("small", "imagenet"):
        save_model(build(stem=stem, seed=3), tmp_path / stem, CLASSES)
    start = build("r18_pre_emotion", weights=tmp_path / "small", num_classes=7)
    assert torch.equal(start.network.conv1.weight, build(seed=3).network.conv1.weight)
    for stem, other in (("small", "imagenet"), ("imagenet", "small")):
        with pytest.raises(InputError, match=r"^r18_pre_emotion is a resnet18\w*; .* holds weights of a resnet18\w*$"):
            build("r18_pre_emotion", weights=tmp_path / other, stem=stem)
        recipe = "recipes.r18_pre_emotion"
        config = resolve_config(
            "demo", ["models=[r18_pre_emotion]", f"{recipe}.stem={stem}", f"{recipe}.weights={tmp_path / other}"]
        )
        with pytest.raises(InputError, match=r"holds weights of a resnet18"):
            check_weights(config)  # before a run begins


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (["recipes.VGG16_emotion.stem=small"], r"recipes.VGG16_emotion.stem: VGG16 has none for small images; .*"),
        (["recipes.r18_pre_emotion.stem=small"], r"recipes.r18_pre_emotion.stem: proxy weights are of the publ.*"),
        (
            ["recipes.r18_pre_emotion.stem=small", "recipes.r18_pre_emotion.weights=official"],
            r"recipes.r18_pre_emotion.stem: official weights .* trained with stem=small",
        ),
        (["recipes.r18_pre_emotion.stem=tiny"], r"recipes.r18_pre_emotion.stem: Input should be 'imagenet' or 'small'"),
    ],
)
def test_a_stem_that_does_not_fit_is_refused_before_a_run_begins(settings, line):
    with pytest.raises(InputError, match=f"^{line}$"):
        resolve_config("demo", settings)


def test_where_its_weights_are_its_own_it_is_accepted():
    for settings in (["recipes.r18_scratch_emotion.stem=small"], ["models=[r18_scratch_emotion]"]):
        resolve_config("demo", [*settings, "recipes.r18_pre_emotion.stem=imagenet"])
    config = resolve_config("demo", ["recipes.r18_pre_emotion.stem=small", "recipes.r18_pre_emotion.weights=random"])
    assert get_architecture("resnet18_small_stem") is not get_architecture("resnet18")
    assert config.recipes["r18_pre_emotion"].stem == "small"
