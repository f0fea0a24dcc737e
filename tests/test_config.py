"""The configuration: profiles, overrides, and one line for each mistake."""

import pytest

from emotion_utils.config import PROFILES, resolve_config, validate_config
from emotion_utils.errors import InputError
from emotion_utils.recipe import AugmentConfig

DATA = {"thorough": "faces", "paper": "faces"}  # these profiles have no data of their own


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_valid_and_survives_json(profile):
    config = resolve_config(profile, data=DATA.get(profile))
    assert validate_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("profile", ["demo", "paper"])
def test_study_protocol_is_eight_epochs_and_eighty_twenty(profile):
    config = resolve_config(profile, data="faces")
    assert config.epochs == 8
    assert config.val_fraction + config.test_fraction == pytest.approx(0.2)
    assert config.models == ("VGG16_emotion", "r18_scratch_emotion", "r18_pre_emotion")


@pytest.mark.parametrize(
    ("settings", "data"), [([], "faces"), (["data=faces"], None), (["data=synthetic", "data=a"], None)]
)
def test_demo_with_data_starts_from_published_weights_at_the_size_of_the_images(settings, data):
    given, alone = resolve_config("demo", settings, data=data), resolve_config("demo", data="synthetic")
    assert (given.test_fraction, alone.test_fraction) == (0.1, 0.3)
    assert (given.weights, given.image_size_px) == ("auto", "auto")
    assert (alone.weights, alone.image_size_px) == ("proxy", 48)
    assert resolve_config("demo", [*settings, "image_size_px=64", "weights=proxy"], data=data).image_size_px == 64


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ([], [(1, 48), (22, 64), (37, 96)]),
        (["image_size_px=48"], [(1, 48)]),
        (["image_size_px=64"], [(1, 48), (22, 64)]),
        (["image_size_px=80"], [(1, 48), (22, 64), (37, 80)]),
        (["image_size_px=128"], [(1, 48), (22, 64), (37, 128)]),
        (["image_size_px=auto"], [(1, 48), (22, 64), (37, 96)]),
        (["epochs=30"], [(1, 48), (11, 64), (19, 96)]),  # 1 + 21/2 and 1 + 36/2, halves to even
        (["epochs=120"], [(1, 48), (43, 64), (73, 96)]),
        (["epochs=3", "image_size_px=64"], [(1, 48), (2, 64)]),
        (["epochs=1"], [(1, 96)]),
        (["epochs=30", "recipes.r18_scratch_emotion.epochs=60"], [(1, 48), (22, 64), (37, 96)]),
        (["epochs=30", "recipes.r18_scratch_emotion.progressive_resizing=[]"], []),
    ],
)
def test_growing_sizes_of_a_profile_follow_the_size_and_the_epochs_that_are_set(settings, steps):
    recipe = resolve_config("thorough", settings, data="faces").recipes["r18_scratch_emotion"]
    assert [(step.epoch, step.size_px) for step in recipe.progressive_resizing] == steps


def test_epochs_as_an_option_move_the_sizes_too():
    recipe = resolve_config("thorough", data="faces", epochs=30).recipes["r18_scratch_emotion"]
    assert [step.epoch for step in recipe.progressive_resizing] == [1, 11, 19]


@pytest.mark.parametrize(("share", "epochs", "teaching"), [(0.1, 3, 1), (0.6, 3, 2), (1, 3, 3), (1e-9, 60, 1)])
def test_auxiliary_classes_teach_for_their_share_of_the_epochs_and_for_one_at_least(share, epochs, teaching):
    recipe = resolve_config("demo").recipes["VGG16_emotion"].model_copy(update={"auxiliary_until": share})
    assert sum(recipe.teaches_auxiliary(epoch, epochs) for epoch in range(1, epochs + 1)) == teaching


def test_set_changes_one_nested_key_and_leaves_its_neighbours():
    before, after = resolve_config("demo"), resolve_config("demo", ["recipes.VGG16_emotion.lr=0.01"])
    assert after.recipes["VGG16_emotion"].lr == 0.01
    assert after.recipes["VGG16_emotion"].phases == before.recipes["VGG16_emotion"].phases
    assert after.recipes["r18_pre_emotion"] == before.recipes["r18_pre_emotion"]


def test_fingerprint_follows_every_setting():
    settings = ["seed=1", "epochs=7", "augment.flip=0", "recipes.VGG16_emotion.dropout=0.1", "group=none"]
    fingerprints = {resolve_config("demo", [setting]).fingerprint() for setting in settings}
    assert len(fingerprints | {resolve_config("demo").fingerprint()}) == len(settings) + 1
    assert resolve_config("demo").fingerprint() == resolve_config("demo").fingerprint()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["epoch=3"], "did you mean 'epochs'"),
        (["recipes.VGG16_emotion.learning=1"], "recipes.VGG16_emotion.learning"),
        (["augment.flips=1"], "did you mean 'flip'"),
        (["epochs"], "expected key=value"),
        (["=3"], "expected key=value"),
        (["epochs=.nan"], "epochs"),
        (["recipes.VGG16_emotion.lr=.inf"], "recipes.VGG16_emotion.lr"),
        (["epochs=0"], "epochs"),
        (["epochs=[1"], "not readable"),
        (["epochs=" + "9" * 5000], "not readable"),
        (["epochs=" + "[" * 5000], "not readable"),
        (["licence=2026-13-01"], "not readable"),
        (["classes=[happy]"], "2 to 10"),
        (["classes=[happy, happy]"], "twice"),
        (["models=[]"], "models"),
        (["recipes.VGG16_emotion.phases=[{epoch: 2, train_from: conv1}]"], "start at epoch 1"),
        (["recipes.VGG16_emotion.progressive_resizing=[{epoch: 2, size_px: 48}]"], "start at epoch 1"),
        (
            ["recipes.VGG16_emotion.progressive_resizing=[{epoch: 1, size_px: 48}, {epoch: 3, size_px: 32}]"],
            "must ascend",
        ),
        (["recipes.VGG16_emotion.progressive_resizing=[{epoch: 1, size_px: 32}]"], "must end with image_size_px, 48"),
        (["recipes.VGG16_emotion.progressive_resizing=[{epoch: 1, size: 48}]"], "size_px"),
        (["recipes.VGG16_emotion.progressive_resizing=[48]"], r"should be settings of its own: \{epoch: ..., size_px"),
        (
            ["recipes.VGG16_emotion.progressive_resizing=[{epoch: 1, size_px: 32}, {epoch: 9, size_px: 48}]"],
            "reaches 48 px in epoch 9 of 8",
        ),
        (["epochs.x=2"], "epochs has no settings below it"),
        (["recipes.VGG16_emotion.lr.x=2"], "recipes.VGG16_emotion.lr has no settings below it"),
        (["recipes.VGG16_emotion.weights="], "an empty path"),
        (["recipes.VGG16_emotion.budget_minutes=true"], "budget_minutes: should be a number, not true"),
        (["epochs=no"], "epochs: should be a number, not false"),
        (["augment.flip=true"], "augment.flip: should be a number, not true"),
    ],
)
def test_mistake_becomes_one_line_that_names_the_key(settings, named):
    with pytest.raises(InputError, match=named) as caught:
        resolve_config("demo", settings)
    assert "\n" not in str(caught.value)


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(InputError, match="smoke, demo, thorough, paper"):
        resolve_config("large")


def test_paper_profile_needs_data():
    with pytest.raises(InputError, match="--data"):
        resolve_config("paper")


def test_augmentation_is_scaled_as_a_whole_and_stays_within_what_it_may_be():
    given = AugmentConfig(flip=0.3, rotate_deg=100, scale=0.1, shift=0.95, brightness=0.6, erase=0.6)
    assert given.scaled(1.0) == given
    strong = given.scaled(2.0)
    assert (strong.flip, strong.rotate_deg, strong.scale) == (0.3, 180.0, 0.2)
    assert (strong.shift, strong.brightness, strong.erase) == (0.95, 0.9, 0.9)
    scaled = given.model_dump(exclude={"flip", "flip_order", "erase_area"})
    assert given.scaled(0.0) == AugmentConfig(flip=0.3, **dict.fromkeys(scaled, 0.0))


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("augment.erase_area=[0.3, 0.1]", "augment: erase_area: two shares above 0 are needed, the smaller one first"),
        ("augment.erase_area=[0, 0.1]", "augment: erase_area: two shares above 0"),
        ("augment.erase=1.5", "augment.erase: "),
        ("augment.flip_order=both", "augment.flip_order: Input should be 'random' or 'alternating'"),
        ("recipes.r18_pre_emotion.optimizer=adam", "recipes.r18_pre_emotion.optimizer: Input should be 'adamw' or"),
    ],
)
def test_what_a_recipe_cannot_be_is_one_line(setting, line):
    with pytest.raises(InputError) as error:
        resolve_config("demo", [setting])
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_flips_cannot_alternate_where_there_are_none():
    with pytest.raises(InputError, match=r"^augment: flip_order: alternating needs a flip above 0$"):
        resolve_config("demo", ["augment.flip_order=alternating", "augment.flip=0"])


def test_weights_of_a_recipe_are_its_own_and_paths_are_kept_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "proxy").touch()  # a name stays a name, whatever lies here
    settings = ["recipes.r18_pre_emotion.weights=fer/models/r18_scratch_emotion", "recipes.VGG16_emotion.weights=proxy"]
    config = resolve_config("smoke", [*settings, "recipes.r18_scratch_emotion.weights=random"])
    assert config.weights_of("r18_pre_emotion") == str(tmp_path / "fer/models/r18_scratch_emotion")
    assert config.weights_of("VGG16_emotion") == "proxy"
    assert config.weights_of("r18_scratch_emotion") == "random"
    assert resolve_config("smoke").weights_of("r18_pre_emotion") == "proxy"
    monkeypatch.chdir("/")
    assert validate_config(config.model_dump(mode="json")) == config


def test_recipe_can_be_changed_and_a_change_is_validated():
    recipe = resolve_config("demo").recipes["r18_scratch_emotion"].model_copy(deep=True)
    recipe.lr = 0.5
    assert recipe.lr == 0.5
    for name, value in (("lr", -1), ("phases", [{"epoch": 2, "train_from": "stem"}]), ("dropuot", 0.5)):
        with pytest.raises(InputError, match=name):
            setattr(recipe, name, value)
    assert recipe.phases[0].epoch == 1
    assert resolve_config("demo").recipes["r18_scratch_emotion"].lr == 0.001
