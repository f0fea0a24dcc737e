"""The settings of a run: a profile and what was changed in it, validated before anything is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from emotion_utils.errors import InputError
from emotion_utils.given_paths import absolute
from emotion_utils.model_table import MODELS, STUDY_MODELS, get_spec, require_code, trust_code
from emotion_utils.near_names import did_you_mean
from emotion_utils.recipe import ALSO_CALLED, AugmentConfig, FrozenModel, Minutes, Recipe, end_with, explain, move_steps

PROFILES = ("smoke", "demo", "thorough", "paper")
SPLITS = ("train", "val", "test")
ABLATIONS = ("augmentation", "pretraining", "unfreezing")
NEW_RUN = "new run"  # the context in which settings are validated that are not complete yet

MOST_IMAGES = 4096  # of one step
MOST_PROCESSES = 64  # of one training, on one machine
MOST_THREADS = 1024


class RunConfig(FrozenModel):
    """Everything that decides the result of a run, but not where it is written."""

    profile: Literal["smoke", "demo", "thorough", "paper"]
    data: Annotated[str, Field(min_length=1)] = "synthetic"
    classes: tuple[str, ...] | None = None  # None: every class that the data has
    auxiliary_classes: bool = False
    """true: the classes of the data that --classes leaves out are learned too, so that more images teach; answers and
    results are of the chosen ones."""
    lone_val: Literal["halve", "test"] = "halve"
    """Data that bring train and val alone: halve makes val and test of their val; test judges on all of it, and takes
    val from train."""
    votes: str | None = None
    """Table of what people voted for each image, such as FER+'s fer2013new.csv; null: those that the data bring."""
    targets: Literal["label", "votes", "both"] = "label"
    """What training learns: the label, the distribution of the votes, or the mean of the two."""
    lenient: bool = False
    """true: images that a relabelling CSV contradicts are set aside; false: they stop the run."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Random seed of splits, initial weights, image order and augmentation."""
    seeds: int = Field(1, ge=1, le=20)
    """Trainings of each model, with seed, seed + 1, ...; the report gives mean and standard deviation."""
    ablate: tuple[str, ...] = ()
    """Parts of the training that each model is trained without once more, one at a time and from each seed:
    augmentation, pretraining, unfreezing; the report compares."""
    modules: tuple[str, ...] = ()
    """Python files that add models of your own; see docs/own_network.md."""
    models: tuple[str, ...] = Field(STUDY_MODELS, min_length=1)
    """Models that are trained and compared."""
    weights: Literal["proxy", "official", "auto"]
    """Initial weights of pretrained models: made here from synthetic images, published, or published ones where they
    are on this machine or small enough to be fetched (up to 60 MB), else made here."""
    image_size_px: Literal["auto"] | Annotated[int, Field(ge=32, le=512)]
    """Height and width of the networks' input; auto: 48, 64 or 96, as the images carry and a few minutes allow."""
    epochs: int = Field(ge=1, le=1000)
    """Passes over the training images."""
    batch_size: Literal["auto"] | Annotated[int, Field(ge=2, le=MOST_IMAGES)]
    """Images per step, of all processes together; auto: 32 on a CPU, up to 256 on a GPU, as its memory and the data
    allow, with learning rates multiplied by the square root of batch_size / 32, and by batch_size / 32 for sgd."""
    processes: Literal["auto"] | Annotated[int, Field(ge=1, le=MOST_PROCESSES)] = "auto"
    """Processes that train a model together, each on its share of the batch; auto: one per GPU, or one on the CPU."""
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=MOST_THREADS)] = "auto"
    """Threads of a training on a CPU; auto: one per core. Another number sums in another order: a fixed one gives the
    same bits on machines with other numbers of cores."""
    max_steps_per_epoch: int | None = Field(None, ge=1)
    """Shorter epochs, for tests; null: every training image once per epoch."""
    synthetic_images: int = Field(600, ge=30)
    """Number of synthetic faces, where no data are given."""
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the images that chooses the best epoch; with test_fraction 20 %, as in the study."""
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the images that the results are measured on."""
    min_images_per_class: int = Field(10, ge=3)
    """A class with fewer images stops the run: they cannot fill three splits."""
    group: str = "auto"
    """Keeps each person in one split: auto, none, or a regular expression whose first group is the person."""
    fairness: str | None = Field(None, min_length=1)
    """Column of the table of labels, such as age or skin tone, by which groups of persons are compared; null: not."""
    crop: Literal["auto", "always", "never"] = "auto"
    """Crop to the face; auto: if faces fill too little of the images."""
    missed: Literal["keep", "quarantine"] = "keep"
    """What happens to an image in which no face is found."""
    leaks: Literal["set_aside", "redraw", "allow"] = "set_aside"
    """Copies across given splits: leave them out of train (up to 5 % of it), split anew, or allow and report."""
    licence: str = "not stated"
    """Licence of the data, for the data card."""
    balance: Literal["none", "class_weights", "sampler"] = "none"
    """How classes of different sizes are balanced in training."""
    store: Literal["local", "shards"] = "local"
    """Decoded images: one memory-mapped file, or tar shards that are streamed."""
    views: Literal[1, 2, 10, "auto"] = 1
    """Views of each image whose probabilities a trained model averages: 2 with its mirror image, 10 with shifts too;
    auto: what is most accurate on validation, and of equals the fewest."""
    budget_minutes: Minutes | None = None
    """Time limit of the whole run: trainings end early enough for the report."""
    cell_minutes: Minutes = 720
    """Time limit of one notebook cell; a cell that takes longer ends the run."""
    video: bool = False
    """true: a synthetic clip is followed through time too (notebook 07); needs classes that synthetic faces show."""
    rubric: str | None = None
    """File of criteria, one a line (.txt), a list (.md, .yaml) or the column criterion (.csv); the report says where it
    answers each. May be changed in a finished run."""
    show_faces: bool = True
    """false: no image of a person is in the report."""
    tracking: Literal["none", "wandb", "tensorboard"] = "none"
    """wandb: log to Weights & Biases too, offline without an account; tensorboard: to the run folder's tensorboard."""
    augment: AugmentConfig = AugmentConfig()
    recipes: dict[str, Recipe]

    @field_validator("votes", "rubric")
    @classmethod
    def _keep_files_absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    @field_validator("classes", "models", "ablate", mode="before")
    @classmethod
    def _names_need_no_brackets(cls, names: Any) -> Any:
        """`a,b` as `[a, b]`."""
        return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names

    @field_validator("modules", mode="before")
    @classmethod
    def _one_module_needs_no_list(cls, modules: Any) -> Any:
        return (modules,) if isinstance(modules, str) else modules

    @field_validator("ablate")
    @classmethod
    def _parts_are_known(cls, ablate: tuple[str, ...]) -> tuple[str, ...]:
        for part in ablate:
            if part not in ABLATIONS:
                mend = did_you_mean(part, ABLATIONS) or f"; choose from {', '.join(ABLATIONS)}"
                raise ValueError(f"unknown part {part!r}{mend}")
        if len(set(ablate)) != len(ablate):
            raise ValueError("a part is named twice")
        return ablate

    @field_validator("modules")
    @classmethod
    def _modules_of_a_new_run_can_be_imported(cls, modules: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """A finished run is read without them: only building its networks needs them."""
        modules = tuple(map(absolute, modules))
        if info.context == NEW_RUN:
            require_code(modules)
        return modules

    @field_validator("models")
    @classmethod
    def _models_of_a_new_run_are_known(cls, models: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.context == NEW_RUN and "modules" in info.data:
            for name in models:
                get_spec(name)
        return models

    @field_validator("recipes", mode="before")
    @classmethod
    def _recipes_of_a_new_run_begin_with_their_defaults(cls, recipes: Any, info: ValidationInfo) -> Any:
        """Those of the study's models, of the models asked for and of what else is named."""
        if info.context != NEW_RUN or not isinstance(recipes, Mapping):
            return recipes
        if "models" not in info.data:  # they are mended first
            return {}
        if stray := [name for name in recipes if name in Recipe.model_fields]:
            raise ValueError(f"{stray[0]!r} is no model{_suggest_recipe_key(stray[0])}")
        names = (*STUDY_MODELS, *info.data["models"], *recipes)
        return _merge({name: dict(get_spec(name).recipe) for name in names}, recipes)

    @field_validator("image_size_px", mode="before")
    @classmethod
    def _is_auto_or_a_size(cls, value: Any) -> Any:
        if value != "auto" and not (type(value) is int and 32 <= value <= 512):
            raise ValueError("should be auto, or a whole number from 32 to 512")
        return value

    @field_validator("batch_size", "processes", "threads", mode="before")
    @classmethod
    def _is_auto_or_a_count(cls, value: Any, info: ValidationInfo) -> Any:
        """One message, where pydantic would have one for each of the two types."""
        least, most = {"batch_size": (2, MOST_IMAGES), "processes": (1, MOST_PROCESSES), "threads": (1, MOST_THREADS)}[
            info.field_name
        ]
        if value != "auto" and not (type(value) is int and least <= value <= most):
            raise ValueError(f"should be auto, or a whole number from {least} to {most}")
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> RunConfig:
        if self.classes is not None and not 2 <= len(self.classes) <= 10:
            raise ValueError(f"classes: 2 to 10 class names are needed, found {len(self.classes)}")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a class is named twice")
        if len(set(self.models)) != len(self.models):
            raise ValueError("models: a model is named twice")
        missing = [name for name in self.models if name not in self.recipes]
        if missing:
            raise ValueError(f"recipes: none for {', '.join(missing)}")
        for name in self.models:
            steps = self.recipes[name].progressive_resizing
            if steps and self.image_size_px not in ("auto", steps[-1].size_px):
                raise ValueError(
                    f"recipes.{name}.progressive_resizing must end with image_size_px, {self.image_size_px}: end it "
                    f"with {{epoch: ..., size_px: {self.image_size_px}}}, or set it to []"
                )
        if self.profile in ("thorough", "paper") and self.data == "synthetic":
            raise ValueError(f"data: the {self.profile} profile needs real faces; give them with --data PATH")
        return self

    @model_validator(mode="after")
    def _sizes_of_a_new_run_are_reached(self, info: ValidationInfo) -> RunConfig:
        for name in self.models if info.context == NEW_RUN else ():
            recipe = self.recipes[name]
            steps, epochs = recipe.progressive_resizing, recipe.epochs or self.epochs
            if steps and steps[-1].epoch > epochs:
                raise ValueError(
                    f"recipes.{name}.progressive_resizing reaches {steps[-1].size_px} px in epoch {steps[-1].epoch} of "
                    f"{epochs}: begin each step in an epoch that there is"
                )
        return self

    @model_validator(mode="after")
    def _networks_of_a_new_run_can_be_so(self, info: ValidationInfo) -> RunConfig:
        for name in self.models if info.context == NEW_RUN else ():
            spec, stem, weights = get_spec(name), self.recipes[name].stem, self.weights_of(name)
            architecture = spec.architecture_with(stem)
            if self.views != 1 and not architecture.mirrors:
                raise InputError(f"views: {name} takes no mirrored images: leave views at 1 where it is trained")
            if stem != "imagenet" and spec.weights.get(weights):
                raise InputError(
                    f"recipes.{name}.stem: {weights} weights are of the published one; --set recipes.{name}.weights="
                    f"random, or the folder of a model that was trained with stem={stem}"
                )
        return self

    @property
    def data_name(self) -> str:
        return name_data(self.data)

    def weights_of(self, model: str) -> str:
        """What the recipe of `model` starts from, or else the run."""
        return self.recipes[model].weights or self.weights

    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides what is trained and measured."""
        return hashlib.sha256(self.model_dump_json(exclude={"rubric"}).encode()).hexdigest()


def resolve_config(profile: str = "demo", settings: Iterable[str] = (), **overrides: Any) -> RunConfig:
    """The configuration of `profile`, with `key=value` strings (dotted keys, YAML values) and overrides applied.

    Overrides that are None are left out. Raises InputError that names the key and what it may be.
    """
    if profile not in PROFILES:
        raise InputError(
            f"unknown profile {profile!r}: choose one of {', '.join(PROFILES)}{did_you_mean(profile, PROFILES)}"
        )
    text = resources.files("emotion_utils").joinpath(f"profiles/{profile}.yaml").read_text(encoding="utf-8")
    values = {"recipes": {}} | yaml.safe_load(text) | {"profile": profile}
    settings, with_data = list(settings), values.pop("with_data", {})
    _fit_schedules(values, settings, overrides)
    if (overrides.get("data") or _last_value(settings, "data") or "synthetic") != "synthetic":
        values = _merge(values, with_data)
    return _apply(values, settings, overrides, NEW_RUN)


def change_config(config: RunConfig, settings: Iterable[str] = (), **overrides: Any) -> RunConfig:
    """`config` with settings and overrides applied, as `resolve_config` does. Raises InputError likewise."""
    return _apply(config.model_dump(mode="json"), settings, overrides, NEW_RUN if settings else None)


def validate_config(values: Mapping[str, Any], context: str | None = None) -> RunConfig:
    """A RunConfig from plain values, such as those of run.json; every fault becomes one InputError line.

    With the context NEW_RUN the values may be incomplete: recipes begin with the defaults of the table of models.
    """
    try:
        return RunConfig.model_validate(values, context=context)
    except ValidationError as error:
        raise InputError("; ".join(_explain(fault) for fault in error.errors())) from None


def name_data(spec: str) -> str:
    """Data as a reader may know them: a link as it is, of a path only the last part."""
    return spec if "://" in spec or spec.startswith("kaggle:") else Path(spec).name


def _apply(
    values: dict[str, Any], settings: Iterable[str], overrides: Mapping[str, Any], context: str | None
) -> RunConfig:
    settings = list(settings)
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise InputError(f"--set {setting!r}: expected key=value")
        _assign(values, key.strip(), _parse_value(setting, text))
    given = {key: value for key, value in overrides.items() if value is not None}
    values = _merge(values, given)
    if "modules" in given or any(setting.partition("=")[0].strip() == "modules" for setting in settings):
        modules = [values["modules"]] if isinstance(values["modules"], str) else values["modules"] or ()
        trust_code(absolute(path) for path in modules if isinstance(path, str))  # somebody has just named them
    return validate_config(values, context)


def _fit_schedules(values: dict[str, Any], settings: Sequence[str], overrides: Mapping[str, Any]) -> None:
    """Brings the growing sizes of the profile's recipes to the image_size_px and the epochs that somebody has set."""

    def number(key: str) -> int | None:
        text = str(overrides.get(key) or _last_value(settings, key))
        return int(text) if text.isdecimal() and int(text) else None

    for name, recipe in values["recipes"].items():
        steps = recipe.get("progressive_resizing")
        if steps and (size_px := number("image_size_px")):
            steps = end_with(steps, size_px)
        if steps and (epochs := number(f"recipes.{name}.epochs") or number("epochs")):
            steps = move_steps(steps, recipe.get("epochs") or values["epochs"], epochs)
        if steps:
            recipe["progressive_resizing"] = steps


def _last_value(settings: Iterable[str], key: str) -> str:
    """What the last of `key=value` strings sets; "" where none does."""
    values = [text for name, _, text in (setting.partition("=") for setting in settings) if name.strip() == key]
    return values[-1].strip() if values else ""


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`; mappings are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both_maps = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(merged[key], value) if both_maps else value
    return merged


def _parse_value(setting: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # a 13th month, 5,000 digits or brackets
        shown = setting if len(setting) <= 80 else f"{setting[:80]}..."
        raise InputError(f"--set {shown!r}: the value is not readable; quote the whole, as in 'a=[b, c]'") from None
    return value if value is not None or text.strip() in ("null", "~") else text


def _assign(values: dict[str, Any], dotted_key: str, value: Any) -> None:
    *parents, last = dotted_key.split(".")
    for place, parent in enumerate(parents, start=1):
        if not isinstance(values.get(parent) or {}, Mapping):
            raise InputError(f"--set {dotted_key}: {'.'.join(parents[:place])} has no settings below it")
        values[parent] = dict(values.get(parent) or {})
        values = values[parent]
    values[last] = value


def _explain(fault: Mapping[str, Any]) -> str:
    """As `recipe.explain` does, and for an unknown setting of the run where it belongs."""
    if fault["type"] != "extra_forbidden" or len(fault["loc"]) > 1:
        return explain(fault)
    return f"unknown key {fault['loc'][0]!r}" + _suggest_key(str(fault["loc"][0]))


def _suggest_key(name: str) -> str:
    """Where a key belongs that stands in the wrong place, or the nearest one that would have been right."""
    name = ALSO_CALLED.get(name, name)
    if name in MODELS:
        return f"; did you mean 'recipes.{name}'?"
    if name in AugmentConfig.model_fields:
        return f"; did you mean 'augment.{name}'?"
    if name in Recipe.model_fields and name not in RunConfig.model_fields:
        return _suggest_recipe_key(name)
    return did_you_mean(name, RunConfig.model_fields)


def suggest_setting(name: str) -> str:
    """The key of --set that somebody means who calls it `name`; `lr` is that of all models; "" where there is none."""
    name = ALSO_CALLED.get(name, name)
    if name in AugmentConfig.model_fields:
        return f"augment.{name}"
    if name in Recipe.model_fields and name not in RunConfig.model_fields:
        return name if name == "lr" else f"recipes.MODEL.{name}"
    return name if name in RunConfig.model_fields else ""


def _suggest_recipe_key(name: str) -> str:
    return f"; did you mean 'recipes.MODEL.{name}', such as recipes.{STUDY_MODELS[0]}.{name}?"
