"""What `emotion settings` says can be typed as it stands."""

import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.config import RunConfig, resolve_config
from emotion_utils.errors import InputError
from emotion_utils.model_table import STUDY_MODELS
from emotion_utils.recipe import AugmentConfig, Recipe
from emotion_utils.settings import OPTIONS, format_setting, list_settings

DEMO = resolve_config("demo")
SETTINGS = list_settings(DEMO)
BY_KEY = {setting.key: setting for setting in SETTINGS}


def test_every_setting_is_there_once_with_what_it_means():
    keys = [key for key in RunConfig.model_fields if key not in (*OPTIONS, "augment", "recipes")]
    keys += [f"augment.{key}" for key in AugmentConfig.model_fields]
    keys += [f"recipes.MODEL.{key}" for key in Recipe.model_fields]
    assert sorted(BY_KEY) == sorted(keys)
    assert len(SETTINGS) == len(keys)
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_what_is_listed_sets_what_is_already_so(setting):
    values = setting.value.split(" | ")
    values = values if len(values) > 1 else values * len(STUDY_MODELS)
    typed = [
        f"{setting.key.replace('MODEL', model)}={value}" for model, value in zip(STUDY_MODELS, values, strict=True)
    ]
    assert resolve_config("demo", typed) == DEMO


@pytest.mark.parametrize("key", ["crop", "show_faces", "tracking", "recipes.MODEL.schedule"])
def test_each_choice_is_accepted_and_another_is_not(key):
    for choice in BY_KEY[key].choices.split(", "):
        resolve_config("demo", [f"{key}={choice}".replace("MODEL", STUDY_MODELS[0])])
    with pytest.raises(InputError, match=key.replace("MODEL", STUDY_MODELS[0])):
        resolve_config("demo", [f"{key}=sideways".replace("MODEL", STUDY_MODELS[0])])


def test_the_ends_of_a_range_are_named():
    assert BY_KEY["image_size_px"].choices == "auto, from 32 to 512"
    assert BY_KEY["recipes.MODEL.dropout"].choices == "at least 0 and below 1"
    assert BY_KEY["budget_minutes"].choices == "above 0, null"
    assert BY_KEY["recipes.MODEL.lr"].choices == "above 0 and at most 10"


def test_models_that_differ_stand_side_by_side():
    rates = [str(DEMO.recipes[model].lr) for model in STUDY_MODELS]
    assert BY_KEY["recipes.MODEL.lr"].value == " | ".join(rates)


def test_lines_are_as_wide_as_they_may_be():
    lines = [line for setting in SETTINGS for line in format_setting(setting, 80).splitlines()]
    assert max(map(len, lines)) <= 80


def test_the_command_lists_a_profile():
    shown = CliRunner().invoke(main, ["settings", "paper"])
    assert shown.exit_code == 0
    assert "image_size_px=224" in shown.output
    assert CliRunner().invoke(main, ["settings", "huge"]).exit_code == 2
