"""What is asked back where a name is misspelt."""

import pytest

from emotion_utils.config import change_config, resolve_config
from emotion_utils.errors import InputError
from emotion_utils.near_names import did_you_mean

MODELS = ("VGG16_emotion", "r18_scratch_emotion", "r18_pre_emotion")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("vgg16_emotion", "; did you mean 'VGG16_emotion'?"),
        ("r18", "; did you mean 'r18_scratch_emotion' or 'r18_pre_emotion'?"),
        ("scratch", "; did you mean 'r18_scratch_emotion'?"),
        ("r18_pre_emtion", "; did you mean 'r18_pre_emotion'?"),
        ("xyz", ""),
        ("", ""),
        ("e", ""),  # is in every name, and so points to none
    ],
)
def test_close_names_are_asked_back_and_far_ones_are_not(name, asked):
    assert did_you_mean(name, MODELS) == asked


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("lr=0.1", "unknown key 'lr'; did you mean 'recipes.MODEL.lr', such as recipes.VGG16_emotion.lr?"),
        ("learning_rate=0.1", "unknown key 'learning_rate'; did you mean 'recipes.MODEL.lr'"),
        ("recipes.lr=0.1", "recipes: 'lr' is no model; did you mean 'recipes.MODEL.lr'"),
        ("recipes.VGG16_emotion.learning_rate=0.1", "did you mean 'lr'?"),
        ("VGG16_emotion.lr=0.1", "did you mean 'recipes.VGG16_emotion'?"),
        ("rotate_deg=3", "did you mean 'augment.rotate_deg'?"),
        ("recipes.r18.lr=0.1", "did you mean 'r18_scratch_emotion' or 'r18_pre_emotion'?"),
        ("models=3", "models: should be a list: [a, b]"),
    ],
)
def test_a_setting_in_the_wrong_place_is_told_its_own(setting, line):
    with pytest.raises(InputError) as caught:
        resolve_config("smoke", [setting])
    assert line in str(caught.value)


def test_an_unknown_model_is_the_only_complaint():
    with pytest.raises(InputError, match=r"^models: unknown model 'r18': [^:]*\?$"):
        resolve_config("smoke", ["models=[r18]"])


def test_names_need_no_brackets():
    config = resolve_config("smoke", ["models=r18_pre_emotion, tiny_emotion", "classes=happy,sad"])
    assert (config.models, config.classes) == (("r18_pre_emotion", "tiny_emotion"), ("happy", "sad"))
    assert change_config(config, ["models=tiny_emotion"]).models == ("tiny_emotion",)
