"""What a profile leaves to the data and the machine, and what a run then keeps."""

import pytest
from face_files import encode, make_image, write_folder

from emotion_utils import planning
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.models.weights import cache, choice
from emotion_utils.models.weights.choice import choose_source, needed_proxies
from emotion_utils.models.weights.registry import SOURCES
from emotion_utils.models.zoo import build_model
from emotion_utils.run import Run
from emotion_utils.sources.source import open_source


def data_of(tmp_path, size_px, count=3):
    files = {f"{name}/{n}.png": encode(make_image(n, size_px)) for name in ("happy", "sad") for n in range(count)}
    return str(write_folder(tmp_path / "data", files))


@pytest.mark.parametrize(
    ("size_px", "epochs", "expected"),
    [
        (200, 8, 96),  # 48 images are shown
        (200, 2_000, 64),  # 12,000
        (200, 10_000, 48),  # 60,000
        (48, 8, 96),  # enlarged twice
        (40, 8, 64),
        (20, 8, 48),
    ],
)
def test_size_is_what_the_images_carry_and_the_time_allows(tmp_path, monkeypatch, size_px, epochs, expected):
    monkeypatch.setenv("EMOTION_DEVICE", "cpu")
    assert planning.choose_size(open_source(data_of(tmp_path, size_px)), epochs) == expected


def test_unreadable_images_leave_the_size_to_the_others(tmp_path):
    data = data_of(tmp_path, 32, count=4)
    (tmp_path / "data" / "sad" / "0.png").write_bytes(b"no image")
    assert planning.choose_size(open_source(data), 1) == 64


def test_a_run_keeps_the_size_that_was_chosen(tmp_path):
    data = data_of(tmp_path, 48)
    given = {"profile": "demo", "data": data, "seed": 0}
    run = planning.start_run(tmp_path / "run", **given)
    assert run.config.image_size_px == Run.open(tmp_path / "run").config.image_size_px == 96
    for place in (tmp_path / "data").rglob("*.png"):
        place.write_bytes(encode(make_image(1, 20)))  # other images would have another size
    assert planning.start_run(tmp_path / "run", **given).config == run.config
    assert planning.settle(resolve_config("demo", data=data), tmp_path / "run") == run.config
    with pytest.raises(InputError, match="run with other settings"):
        planning.start_run(tmp_path / "run", **given, settings=["image_size_px=64"])


@pytest.fixture
def here(monkeypatch):
    """The names of the published weights that are on this machine."""
    names = set()
    locate = cache.locate_weights

    def find(name):
        return names & {name} or locate(name)

    monkeypatch.setattr(choice, "locate_weights", find)
    monkeypatch.setattr(planning, "locate_weights", find)
    monkeypatch.delenv("EMOTION_OFFLINE", raising=False)
    return names


def test_published_weights_that_are_here_come_before_proxies(here):
    assert needed_proxies("r18_pre_emotion", "auto", 96) == ["proxy_resnet18"]
    here.add("resnet18_imagenet")
    assert needed_proxies("r18_pre_emotion", "auto", 96) == []
    assert choose_source("r18_pre_emotion", "auto", 96) == "resnet18_imagenet"
    assert needed_proxies("r18_scratch_emotion", "auto", 96) == []
    assert (
        build_model("r18_scratch_emotion", num_classes=2, image_size_px=32, weights="auto").provenance["kind"]
        == "random"
    )


def test_small_ones_are_fetched_and_what_cannot_be_had_is_said(here, monkeypatch):
    fetched, said = [], []

    def fetch(name, is_patient):
        assert not is_patient
        fetched.append(name)
        if name == "resnet18_imagenet":
            raise EmotionError("no network")

    monkeypatch.setattr(planning, "fetch_weights", fetch)
    config = resolve_config("demo", data="faces").model_copy(update={"image_size_px": 96})
    planning.obtain_weights(config, said.append)
    assert fetched == ["vggface_keras_notop", "resnet18_imagenet"]
    assert all(SOURCES[name].size_mb <= 60 for name in fetched)
    assert said[-1] == "r18_pre_emotion starts from proxy weights: no network"
    here |= {"vggface_keras", "resnet18_imagenet"}
    planning.obtain_weights(config, said.append)
    monkeypatch.setenv("EMOTION_OFFLINE", "1")
    here.clear()
    planning.obtain_weights(config, said.append)
    assert len(fetched) == 2
    assert [line for line in said if "EMOTION_OFFLINE is set" in line] == [
        f"{model} starts from proxy weights: published ones are not on this machine, and EMOTION_OFFLINE is set"
        for model in ("VGG16_emotion", "r18_pre_emotion")
    ]
