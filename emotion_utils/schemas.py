"""What the JSON files of a run and of a model may hold: somebody else may have written them. Needs no torch.

Whatever a program reads of them is named here with its type and bounds; more may follow, as later versions add to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from emotion_utils.errors import InputError
from emotion_utils.recipe import Recipe

ABSENT: Any = None  # the default of what may be missing; null is refused
MOST_CLASSES = 1000
MOST_AUXILIARY = 1000
NETWORKS_PX = (8, 1024)  # the sides of images that a network may be made for
VIEWS = (1, 2, 10)
MOST_SOURCE_PX = 100_000  # the side of a face before it was resized; a JPEG has 65,535 at most
REFERENCE_IMAGES = 2


def _check_unique(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("a name is there twice")
    return values


def _check_inside(name: str) -> str:
    """A file of the run folder, and none elsewhere."""
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in PurePosixPath(name).parts:
        raise ValueError(f"{name!r} is outside the folder")
    return name


Text = Annotated[str, Field(max_length=100_000)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClassNames = Annotated[list[Name], Field(min_length=2, max_length=MOST_CLASSES), AfterValidator(_check_unique)]
InsideName = Annotated[Name, AfterValidator(_check_inside)]
Three = Annotated[list[float], Field(min_length=3, max_length=3)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class Part(BaseModel):
    """A piece of a file: numbers are finite, whole numbers are no floats, and more may be there."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


# -- model.json ------------------------------------------------------------------------------------


class Design(Part):
    """What a network is built from."""

    model_config = ConfigDict(extra="forbid")

    architecture: Name
    num_classes: int = Field(ge=2, le=MOST_CLASSES)
    dropout: float = Field(ge=0, lt=1)
    auxiliary: int = Field(0, ge=0, le=MOST_AUXILIARY)
    full_head: bool = False
    edits: dict[Name, list[Any]] = {}


class Input(Part):
    model_config = ConfigDict(extra="forbid")  # what is not known cannot be fed

    size_px: int = Field(ge=NETWORKS_PX[0], le=NETWORKS_PX[1])
    mean: Three
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)]
    channel_order: Name
    range: Pair
    resize_kernel: Text | None = None
    colour: Literal["grey", "colour", "both", ""] = ""
    source_px: int = Field(0, ge=0, le=MOST_SOURCE_PX)
    is_synthetic: bool = False


class Provenance(Part):
    name: Name
    kind: Literal["proxy", "official", "random", "file"]
    source: Text
    sentence: Text
    trained_on: Text | None = None
    sha256: Text | None = None
    licence: Text | None = None


class Architecture(Part):
    title: Text
    depth_groups: list[Name]
    module: Text | None


class Start(Part):
    """What the model has seen that a training started from."""

    run: Text
    data: Text = ABSENT
    images: Count
    unknown: Text
    test_images: Count
    test_seen: Count


class TeacherModel(Part):
    """A model that taught another one, and how many of the images it taught."""

    folder: Text
    title: Name
    sha256: Sha256
    views: Count
    run: Text
    unknown: Text
    images: Count


class Teacher(Part):
    """What a model was distilled from; `seen` of the images had been learned by all of these, or may have been."""

    models: list[TeacherModel]
    images: Count
    seen: Count
    weight: float
    temperature: float
    test_images: Count
    test_seen: Count


class Training(Part):
    """What the model was trained with."""

    network: Text
    recipe: Text
    data: Text
    folder: str = Field(pattern=r"^edited-[0-9a-f]{8}$")
    recipe_used: Recipe
    edits: list[Text]
    start: Start = ABSENT
    teacher: Teacher = ABSENT


class Views(Part):
    """How many views of an image the model answers with; of each number that was tried, the right answers among
    `val_count` validation images, and the seconds for 1,000 images."""

    used: int  # Literal would take true and 2.0 for these
    val_count: Annotated[Count, Field(ge=1)]
    val_correct: dict[Name, Count]
    seconds: dict[Name, Amount]

    @model_validator(mode="after")
    def _numbers_agree(self) -> Views:
        if self.used not in VIEWS:
            raise ValueError(f"used should be {', '.join(map(str, VIEWS))}")
        tried = {"1", str(self.used)}
        if not tried <= self.val_correct.keys() == self.seconds.keys():
            raise ValueError(f"val_correct and seconds are needed for {' and '.join(sorted(tried))} views")
        if max(self.val_correct.values()) > self.val_count:
            raise ValueError("more images are correct than there are")
        return self


class ModelCard(Part):
    design: Design
    class_names: ClassNames
    auxiliary_classes: list[Name] = []
    input: Input
    provenance: Provenance
    sha256: Sha256
    answers: Annotated[list[list[float]], Field(min_length=REFERENCE_IMAGES, max_length=REFERENCE_IMAGES)]
    architecture: Architecture = ABSENT
    crop: Literal["auto", "always", "never"] = "auto"
    training: Training = ABSENT
    views: Views = ABSENT

    @model_validator(mode="after")
    def _numbers_agree(self) -> ModelCard:
        outputs = self.design.num_classes
        if len(self.class_names) != outputs:
            raise ValueError(f"{len(self.class_names)} class names for {outputs} outputs")
        if len(self.auxiliary_classes) != self.design.auxiliary:
            raise ValueError(f"{len(self.auxiliary_classes)} auxiliary classes for {self.design.auxiliary} outputs")
        if any(len(logits) != outputs for logits in self.answers):
            raise ValueError(f"answers: {outputs} logits are needed for each reference image")
        return self


# -- run.json and claims.json ----------------------------------------------------------------------


class StageFacts(Part):
    """A finished notebook."""

    seconds: Amount
    inputs: Text = ""
    outputs: dict[InsideName, Text] = {}
    model_inputs: Text = ""
    kernel_restarted: Text = ""
    trained_on: dict[Name, Name | Count] = {}


class DataFacts(Part):
    fingerprint: Text = ""


class Environment(Part):
    version: Name = "unknown"  # of emotion_utils
    git_revision: Name = "unknown"
    versions: dict[Name, Text] = {}


class Printed(Part):
    """How the report came out."""

    pdf: bool
    notes: list[Text]
    code: Text = ""


class RunFacts(Part):
    config: dict[str, Any]
    stages: dict[Name, StageFacts]
    environment: Environment = Environment()
    data: DataFacts = DataFacts()
    weights: dict[Name, Provenance] = {}
    begun: dict[Name, Text] = {}  # stages that train and have not ended, with what decides their models
    report: Printed = ABSENT


class Rubric(Part):
    """The criteria that somebody judges the report by, and the name of the file that they are from."""

    file: Name
    criteria: Annotated[list[Name], Field(min_length=1)]


class StoredClaim(Part):
    """A sentence of the report."""

    section: Name
    text: Text
    metric: Text
    models: list[Text]
    comparison: Name
    values: dict[str, Any]
    tolerance: float


# -- audit.json ------------------------------------------------------------------------------------


class FacesFound(Part):
    crop: Literal["auto", "always", "never"]
    missed_are: Text
    detector: Text | None
    cropped: Count
    filled: Count
    missed: Count
    not_searched: Count
    several: Count


class Copies(Part):
    exact: Count
    pixels: Count


class Conflicts(Part):
    pictures: Count
    images: Count


class NearDuplicates(Part):
    clusters: Count
    images: Count
    largest: Count
    mixed_labels: Count


class Sizes(Part):
    median: Pair
    smallest: Pair
    largest: Pair


class Groups(Part):
    persons: Count
    line: Text


class Leak(Part):
    tie: Name
    split: Name
    other: Name
    images: Count
    of: Count


class Leaks(Part):
    choice: Name
    line: Text
    as_given: list[Leak] | None
    at_random: list[Leak] | None
    as_used: list[Leak] | None


class Splits(Part):
    brought: list[Name]
    seed: int
    line: Text


class Suspects(Part):
    judged: Count
    doubted: Count
    accuracy: Share | None = None
    listed: list[dict[str, Any]]
    features: Text | None = None

    @model_validator(mode="after")
    def _doubts_are_measured(self) -> Suspects:
        if self.judged and self.accuracy is None:
            raise ValueError("accuracy is missing")
        return self


class Auxiliary(Part):
    """Classes that only teach, with their images."""

    classes: dict[Name, Count]
    images: Count
    held_out: Count


class Audit(Part):
    """Of an audit that has just been made, or that an earlier version made, not all is there."""

    classes: ClassNames
    images: Count = 0
    kept: Count = 0
    reasons: dict[Name, Count] = {}
    conversions: dict[Name, Count] = {}
    faces: FacesFound = ABSENT
    duplicates: Copies = ABSENT
    conflicts: Conflicts = ABSENT
    near_duplicates: NearDuplicates = ABSENT
    sizes: Sizes | None = None
    notes: list[Text] = []
    fingerprint: Text = ""
    groups: Groups = ABSENT
    leaks: Leaks = ABSENT
    splits: Splits = ABSENT
    auxiliary: Auxiliary = ABSENT
    suspects: Suspects = ABSENT


# -- search.json and lines -------------------------------------------------------------------------


class SearchSummary(Part):
    trials: Count
    complete: Count
    best: Count
    seconds: Amount
    val_acc: Share
    corrected_val_acc: float


class VideoModel(Part):
    """Which model read the synthetic clip."""

    model: Name
    weights: Text


class TestOpening(Part):
    reader: Text
    of: Text = ""


class Event(Part):
    """Of any kind; EVENTS says what else the kinds have that are read."""

    kind: Name


class PhaseEvent(Event):
    epoch: Count
    phase: Text
    trainable_parameters: Count


class ResizingEvent(Event):
    epoch: Count
    size_px: Count


class ShortenedEvent(Event):
    epochs: Count
    planned: Count


class StartEvent(Event):
    precision: Text
    compiled: bool
    batch_size: Count
    batch_rate_factor: Amount = 1.0


class PreflightEvent(Event):
    seconds: float  # a forecast from differences of measured times
    memory_mb: Amount
    precision: Text
    compiled: bool
    warnings: list[Text]


class StepEvent(Event):
    epoch: Count
    step: Count


class SkippedStepEvent(StepEvent):
    reason: Text


class ScaleEvent(StepEvent):
    scale: Amount


class MemoryEvent(Event):
    micro_batch_before: Count
    micro_batch: Count
    batchnorm_by_portion: bool = False


class ReasonEvent(Event):
    reason: Text


class NumericsEvent(ReasonEvent):
    tried: Text


class RollbackEvent(Event):
    epoch: Count
    rate_factor: Amount


class EarlyStopEvent(ReasonEvent):
    epoch: Count


class BestEpochEvent(Event):
    epoch: Count
    val_acc: Share


EVENTS: dict[str, type[Event]] = {
    "phase": PhaseEvent, "grow": ResizingEvent, "started": StartEvent, "preflight": PreflightEvent,
    "shortened": ShortenedEvent,
    "resumed": StepEvent, "spike_skipped": SkippedStepEvent, "scale_lowered": ScaleEvent,
    "memory_backoff": MemoryEvent, "checkpoint_refused": ReasonEvent, "graph_refused": ReasonEvent,
    "kernel_restarted": ReasonEvent, "numerics_refused": NumericsEvent, "rollback": RollbackEvent,
    "early_stop": EarlyStopEvent, "best_epoch": BestEpochEvent,
}  # fmt: skip


# -- checking --------------------------------------------------------------------------------------


def check_schema(path: Path, value: Any, schema: Any, mend: str = "", row: int | None = None) -> None:
    """Raises InputError naming the file and the first field of `value` that `schema` does not allow.

    `schema` is a class of this module or a list of one; an Event is checked as the kind that it is of. `mend` says
    what makes the file again.
    """
    if schema is Event and isinstance(value, Mapping) and isinstance(value.get("kind"), str):
        schema = EVENTS.get(value["kind"], Event)
    try:
        TypeAdapter(schema).validate_python(value)
    except ValidationError as error:
        place = f"{path}, row {row}" if row else path
        raise InputError(f"{place}: {_explain(error.errors()[0])}" + (f"; {mend}" if mend else "")) from None


def _explain(fault: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if fault["type"] == "missing":
        return f"{place} is missing"
    if fault["type"] == "extra_forbidden":
        return f"{place}: nothing of this version"
    if message.startswith("should"):
        return f"{place or 'it'} {message}"
    return f"{place}: {message}" if place else message
