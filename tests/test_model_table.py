"""The table of models, and what a file from outside may add to it."""

import pytest

from emotion_utils.config import resolve_config, validate_config
from emotion_utils.errors import InputError
from emotion_utils.model_table import MODELS, STUDY_MODELS, get_architecture, import_modules
from emotion_utils.report.sections.reproduce import repeat_command

OWN_MODELS = tuple(MODELS)  # of the package
FILE = """
from torch import nn
from emotion_utils.model_table import Architecture, ModelSpec, register_model

def build(num_classes, dropout):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))

groups = {"body": ("0",), "head": ("3",)}
recipe = {"lr": 0.25, "phases": [{"epoch": 1, "train_from": "body"}]}
register_model(ModelSpec("my_net", Architecture("my_net", "small", build, groups), recipe))
"""


@pytest.fixture
def file(tmp_path):
    yield tmp_path / "my_net.py"
    for name in [name for name in MODELS if name not in OWN_MODELS]:
        del MODELS[name]


def resolve(file, *settings):
    return resolve_config("smoke", [f"modules=[{file}]", *settings])


def test_file_adds_a_model_that_starts_with_the_recipe_of_its_row(file):
    file.write_text(FILE)
    config = resolve(file, "models=[my_net]", "recipes.my_net.dropout=0.5")
    assert (config.recipes["my_net"].lr, config.recipes["my_net"].dropout) == (0.25, 0.5)
    assert config.modules == (str(file),)
    assert list(resolve_config("smoke").recipes) == list(STUDY_MODELS)


def test_settings_of_a_run_are_read_where_its_file_is_gone(file):
    file.write_text(FILE)
    stored = resolve(file, "models=[my_net]").model_dump(mode="json")
    file.unlink()
    del MODELS["my_net"]
    assert validate_config(stored).models == ("my_net",)


def test_file_that_changed_is_run_again(file):
    file.write_text(FILE)
    import_modules([str(file)])
    file.write_text(FILE.replace("0.25", "0.75"))
    assert resolve(file, "models=[my_net]").recipes["my_net"].lr == 0.75
    file.write_text(FILE)
    assert resolve(file, "models=[my_net]").recipes["my_net"].lr == 0.25


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot be read"),
        ("", "it does not call register_model"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError"),
        ("import sys; sys.exit()", "it calls sys.exit"),
        (FILE.replace('ModelSpec("my_net"', 'ModelSpec("r18_pre_emotion"'), "'r18_pre_emotion' is registered already"),
        (FILE.replace('Architecture("my_net"', 'Architecture("vgg16"'), "'vgg16' is registered already"),
        (FILE.replace('"head"', '"top"'), "the last one 'head'"),
        (FILE.replace('ModelSpec("my_net"', 'ModelSpec("my net"'), "begins with a letter"),
    ],
)
def test_file_that_adds_nothing_usable_is_one_line_and_leaves_the_table_as_it_was(file, text, complaint):
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=complaint) as caught:
        resolve(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tuple(MODELS) == OWN_MODELS


@pytest.mark.parametrize("setting", ["models=[my_net]", "recipes.my_net.lr=1"])
def test_unknown_model_is_refused_with_the_known_ones(setting):
    with pytest.raises(InputError, match=r"unknown model 'my_net': known are VGG16_emotion.*modules"):
        resolve_config("smoke", [setting])


@pytest.mark.parametrize(
    ("groups", "where"), [('"body": ("9",)', "no depth group"), ('"body": ("0", "3")', "two depth")]
)
def test_every_parameter_belongs_to_one_depth_group(file, groups, where):
    from emotion_utils.models.zoo import build_model

    file.write_text(FILE.replace('"body": ("0",)', groups))
    import_modules([str(file)])
    net = build_model("my_net", num_classes=2, image_size_px=32, weights="random")
    with pytest.raises(InputError, match=f"architecture 'my_net': .* is in {where}"):
        _ = net.depth_groups


def test_unknown_architecture_is_refused():
    with pytest.raises(InputError, match="unknown architecture 'vgg19': known are vgg16, resnet18"):
        get_architecture("vgg19")


def test_command_that_repeats_the_run_names_the_file_without_its_folder_and_what_the_recipe_sets(file):
    file.write_text(FILE)
    words = repeat_command(resolve(file, "models=[my_net]")).split(" --set ")[1:]
    assert {word.split("=")[0].strip("'") for word in words} == {
        "modules", "models", "recipes.my_net.lr", "recipes.my_net.phases"
    }  # fmt: skip
    assert str(file.parent) not in " ".join(words)


def test_command_of_a_report_leaves_the_recipes_of_the_package_out():
    config = resolve_config("demo", ["models=[lite0_pre_emotion]", "recipes.lite0_pre_emotion.lr=0.5"])
    assert repeat_command(config) == (
        "./run_all.sh --profile demo --set 'models=[\"lite0_pre_emotion\"]' --set recipes.lite0_pre_emotion.lr=0.5"
    )
