"""How one model is trained: the settings of its recipe and of the augmentation, validated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from emotion_utils.errors import InputError
from emotion_utils.given_paths import EMPTY, absolute
from emotion_utils.near_names import did_you_mean

TEACHER_SETTINGS = ("teacher", "teacher_weight", "teacher_temperature", "teacher_seen")  # of a recipe
MOST_CHANGE = 0.9  # of a scale, shift or factor: at 1 nothing of the image would be left

# What other programs call a setting, where its own name is too far from that to be found.
ALSO_CALLED = {
    "learning_rate": "lr", "wd": "weight_decay", "bs": "batch_size", "size": "image_size_px", "random_state": "seed",
}  # fmt: skip

Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Minutes = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


def _holds_number(kind: Any) -> bool:
    return kind in (int, float) or any(map(_holds_number, get_args(kind) if get_origin(kind) is not Literal else ()))


class FrozenModel(BaseModel):
    """Immutable settings that refuse unknown keys; `emotion settings` prints the docstring below each."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """true is 1 to Python; as a number of epochs or minutes it is a mistake."""
        if isinstance(value, bool) and _holds_number(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError(f"should be a number, not {str(value).lower()}")
        return value


class Phase(FrozenModel):
    """From `epoch` (1-based) on, the depth group `train_from` and everything after it is trainable."""

    epoch: int = Field(ge=1)
    train_from: str = Field(min_length=1)


class ResizingStep(FrozenModel):
    """From `epoch` (1-based) on, training images have `size_px` a side; validation uses the full size."""

    epoch: int = Field(ge=1)
    size_px: int = Field(ge=16, le=512)


class Recipe(FrozenModel):
    """How one model is trained.

    A notebook changes its copy (`recipe.lr = 0.01`); each change is validated.
    """

    model_config = ConfigDict(frozen=False, validate_assignment=True)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).model_fields:
            raise InputError(f"a recipe has no {name!r}" + did_you_mean(name, type(self).model_fields))
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise InputError("; ".join(explain(fault) for fault in error.errors())) from None

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd: with Nesterov momentum 0.9; usual for it are lr 0.1 for batches of 256 images, and weight_decay 5e-4."""
    lr: Rate
    """Learning rate of the head."""
    weight_decay: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.01
    """On weights alone: biases and normalisation layers have none."""
    layer_decay: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    """The learning rate of each depth group is that of the next one towards the head times this factor."""
    dropout: Fraction = 0.0
    """Probability, before the last layer."""
    label_smoothing: Fraction = 0.0
    """Share of each label's probability that is spread over all classes."""
    mixup: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    """Alpha of the Beta(alpha, alpha) distribution of the mixing weights; 0: no mixup."""
    ema_decay: Fraction = 0.0
    """Decay of the moving average of weights and norm statistics that is validated and kept; 0: no average."""
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0
    """A gradient with a larger norm is scaled down to this one."""
    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """How the learning rate changes over the training."""
    warmup_epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Length of the linear warm-up of the learning rate; one_cycle has its own."""
    patience: int | None = Field(None, ge=1)
    """Early stopping: epochs without a better val_acc before training ends; null: never."""
    budget_minutes: Minutes | None = None
    """Of this training: no epoch begins that would take longer; null: no limit."""
    epochs: int | None = Field(None, ge=1, le=1000)
    """Epochs of this model; null: the run's."""
    augment_strength: Annotated[float, Field(ge=0, le=4, allow_inf_nan=False)] = 1.0
    """Factor of all ranges under augment, and of the probability of erasing."""
    progressive_resizing: tuple[ResizingStep, ...] = Field(
        (), validation_alias=AliasChoices("progressive_resizing", "grow")
    )
    """Smaller training images first, for speed: [{epoch: 1, size_px: 32}, ...]; the last size is image_size_px."""
    auxiliary_until: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    """Share of the epochs in which auxiliary classes teach; in the rest, as many images of the asked ones are drawn."""
    stem: Literal["imagenet", "small"] = "imagenet"
    """First layers of a ResNet18: as published, or with stride 1 and without pooling, for small images; 16 times the
    work, and no published weights fit."""
    weights: str | None = None
    """Initial weights: proxy, official, auto, random, a name from `emotion weights list`, a file or a model
    folder; null: those of the run."""
    teacher: tuple[str, ...] = ()
    """Folders of trained models whose probabilities are learned beside the labels, DIR or [DIR, DIR]; of each image
    from those alone that were not trained or chosen on it."""
    teacher_weight: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5
    """Share of the teachers in each target; the rest is what `targets` says."""
    teacher_temperature: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0
    """Above 1 the teachers' probabilities are brought nearer to each other."""
    teacher_seen: Literal["refuse", "allow"] = "refuse"
    """allow: an image that every teacher may have learned takes the mean of all; the report says how many do."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the layers; auto: bfloat16 on a processor with AMX, the fastest one on a GPU, else float32."""
    compile: Literal["auto", "never", "always"] = "auto"
    """torch.compile; auto: on a GPU, where measuring shows that this training gains by it."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    """First trainable depth group, by epoch: [{epoch: 1, train_from: layer3}, {epoch: 3, train_from: stem}]."""

    def teaches_auxiliary(self, epoch: int, epochs: int) -> bool:
        """Whether auxiliary classes teach in `epoch` (1-based) of so many."""
        return epoch <= max(1, round(self.auxiliary_until * epochs))

    @field_validator("weights")
    @classmethod
    def _keep_paths_absolute(cls, weights: str | None) -> str | None:
        """Notebooks run in another folder. A name has neither slash nor suffix, whatever this folder holds."""
        if weights == "":
            raise ValueError(EMPTY)
        is_path = weights is not None and (os.sep in weights or Path(weights).suffix != "")
        return absolute(weights) if is_path else weights

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_teacher_needs_no_list(cls, teacher: Any) -> Any:
        folders = (teacher,) if isinstance(teacher, str) else teacher
        if not isinstance(folders, list | tuple) or not all(isinstance(folder, str) for folder in folders):
            raise ValueError("should be a folder of a model, or a list of them")
        return folders

    @field_validator("teacher")
    @classmethod
    def _keep_teachers_absolute(cls, teacher: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(map(absolute, teacher))) < len(teacher):
            raise ValueError("a folder is named twice")
        return tuple(map(absolute, teacher))

    @field_validator("phases")
    @classmethod
    def _phases_start_at_one_and_ascend(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        starts = [phase.epoch for phase in phases]
        if starts[0] != 1 or starts != sorted(set(starts)):
            raise ValueError(f"phases must start at epoch 1 and ascend, found {starts}")
        return phases

    @field_validator("progressive_resizing")
    @classmethod
    def _sizes_ascend_from_epoch_one(cls, steps: tuple[ResizingStep, ...]) -> tuple[ResizingStep, ...]:
        epochs, sizes = [step.epoch for step in steps], [step.size_px for step in steps]
        if steps and (epochs[0] != 1 or epochs != sorted(set(epochs)) or sizes != sorted(set(sizes))):
            raise ValueError(
                f"progressive_resizing must start at epoch 1, epochs and sizes must ascend, found {epochs} and {sizes}"
            )
        return steps


class AugmentConfig(FrozenModel):
    """Ranges of the study's random flips, rotations and colour jitter, and of random erasing; 0 turns one off."""

    flip: Fraction = 0.5
    """Probability of mirroring an image."""
    flip_order: Literal["random", "alternating"] = "random"
    """alternating: random in the first epoch, then in each epoch the opposite of the one before."""
    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 15.0
    """Rotated by an angle in [-x, x] degrees."""
    scale: Fraction = 0.1
    """Scaled by a factor in [1 - x, 1 + x]."""
    shift: Fraction = 0.05
    """Shifted by a share of the side in [-x, x]."""
    brightness: Fraction = 0.2
    """Multiplied by a factor in [1 - x, 1 + x]."""
    contrast: Fraction = 0.2
    """Likewise, around the mean of the image."""
    saturation: Fraction = 0.2
    """Likewise, around the grey value of each pixel."""
    erase: Fraction = 0.0
    """Probability of covering a random rectangle with the mean colour of the image."""
    erase_area: tuple[Fraction, Fraction] = (0.02, 0.33)
    """The least and the largest share of the image that is covered."""

    @model_validator(mode="after")
    def _is_possible(self) -> AugmentConfig:
        if not 0 < self.erase_area[0] <= self.erase_area[1]:
            raise ValueError("erase_area: two shares above 0 are needed, the smaller one first")
        if self.flip_order == "alternating" and not self.flip:
            raise ValueError("flip_order: alternating needs a flip above 0")
        return self

    def scaled(self, strength: float) -> AugmentConfig:
        """All ranges times `strength`, as far as each may go, likewise the probability of erasing; flips stay."""
        ranges = self.model_dump(exclude={"flip", "flip_order", "erase_area"})
        most = {name: 180.0 if name == "rotate_deg" else max(value, MOST_CHANGE) for name, value in ranges.items()}
        return self.model_copy(update={name: min(value * strength, most[name]) for name, value in ranges.items()})


def explain(fault: Mapping[str, Any]) -> str:
    """One pydantic fault as a line: the key, what is wrong, and the nearest known key for a misspelt one."""
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        name = str(fault["loc"][-1])
        return f"unknown key {place!r}" + did_you_mean(ALSO_CALLED.get(name, name), _keys_at(fault["loc"]))
    message = "should be a list: [a, b]" if fault["type"] == "tuple_type" else fault["msg"]
    if fault["type"] == "model_type":  # its message speaks of classes
        kinds = {kind.__name__: kind for kind in FrozenModel.__subclasses__()}
        keys = list(kinds[fault["ctx"]["class_name"]].model_fields)
        message = f"should be settings of its own: {{{', '.join(f'{key}: ...' for key in keys[:2])}}}"
    message = message.removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _keys_at(place: Sequence[str | int]) -> list[str]:
    """The keys that would have been right at `place`, within a recipe or the augmentation."""
    kinds = {"phases": Phase, "progressive_resizing": ResizingStep, "grow": ResizingStep, "augment": AugmentConfig}
    return list(next((kind for key, kind in kinds.items() if key in place), Recipe).model_fields)


def end_with(steps: Sequence[Mapping[str, int]], size_px: int) -> list[Mapping[str, int]]:
    """Steps of that size or above become one of it; where none is as large, the last one becomes it."""
    smaller = [step for step in steps if step["size_px"] < size_px][: len(steps) - 1]
    return [*smaller, {**steps[len(smaller)], "size_px": size_px}]


def move_steps(steps: Iterable[Mapping[str, Any]], epochs: int, others: int) -> list[Mapping[str, Any]]:
    """Steps that were planned for so many `epochs` at the same share of `others`; of two that meet, the later one."""
    moved = {min(1 + round((step["epoch"] - 1) * others / epochs), others): step for step in steps}
    return [{**step, "epoch": epoch} for epoch, step in moved.items()]
