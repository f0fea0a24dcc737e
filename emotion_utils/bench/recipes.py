"""The recipe of `thorough`, one change at a time: what each gains or costs, at as many epochs.

Trainings learn from the data's train alone, but for the part that chooses the epoch; on this part they are compared,
so that the data's val and test go on judging. One view of each image, so that changes are not mixed with views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from emotion_utils.audit.cache import audit_once
from emotion_utils.bench.paired import measure_differences, measure_rates, with_units
from emotion_utils.bench.plain import MODEL
from emotion_utils.bench.tables import Measured
from emotion_utils.bench.trainings import answer, divide, refuse_decided, refuse_run
from emotion_utils.config import RunConfig, change_config, resolve_config
from emotion_utils.errors import InputError
from emotion_utils.evaluation.statistics import LEVEL
from emotion_utils.printable import count_of
from emotion_utils.progress import progress_bar
from emotion_utils.recipe import Recipe
from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.source import Source, source_of
from emotion_utils.training.schedule import rescale

BASE = "base"
SGD_RATE, SGD_BATCH = 0.16, 256  # of `thorough`; 0.1 is usual
ADAMW_RATE = 2.0e-3  # for batches of 64


def base_config(
    spec: str, *, classes: tuple[str, ...] | None = None, epochs: int, votes: str | None = None,
    settings: Sequence[str] = (),
) -> RunConfig:  # fmt: skip
    """`thorough` for one model, its schedule planned for `epochs`, whatever time they take. Raises InputError."""
    refuse_decided(settings, MODEL, "views", "budget_minutes")
    given = [f"models=[{MODEL}]", "views=1", *settings]
    config = resolve_config("thorough", given, data=spec, classes=classes, votes=votes)
    recipe = config.recipes[MODEL].model_copy(update={"budget_minutes": None})
    recipe = rescale(recipe, recipe.epochs or config.epochs, epochs)
    return config.model_copy(update={"recipes": config.recipes | {MODEL: recipe}})


def _set(**changes: object) -> Callable[[RunConfig], list[str]]:
    """The same settings of the recipe whatever the base is."""
    return lambda base: [f"recipes.{MODEL}.{name}={value}" for name, value in changes.items()]


def _set_run(*settings: str) -> Callable[[RunConfig], list[str]]:
    return lambda base: list(settings)


def _set_range(name: str, value: float) -> Callable[[RunConfig], list[str]]:
    """A range of the augmentation that is `value` once it is multiplied by the strength."""
    return lambda base: [f"augment.{name}={value / base.recipes[MODEL].augment_strength:g}"]


def _set_sgd(base: RunConfig) -> list[str]:
    return _set(optimizer="sgd", lr=f"{SGD_RATE * base.batch_size / SGD_BATCH:g}", weight_decay=5e-4)(base)


# What each row changes, as for --set. One that leaves the base as it is does not apply.
ROWS: dict[str, Callable[[RunConfig], list[str]]] = {
    "sgd": _set_sgd,
    "adamw": _set(optimizer="adamw", lr=ADAMW_RATE, weight_decay=0.05),
    "erasing": _set_range("erase", 0.5),
    "no-erasing": _set_range("erase", 0),
    "shift-0.2": _set_range("shift", 0.2),
    "alternating-flips": _set_run("augment.flip_order=alternating"),
    "random-flips": _set_run("augment.flip_order=random"),
    "no-mixup": _set(mixup=0),
    "no-smoothing": _set(label_smoothing=0),
    "one-size": _set(progressive_resizing="[]"),
    "ema": _set(ema_decay=0.999),
    "no-ema": _set(ema_decay=0),
    "augment-0.5": _set(augment_strength=0.5),
    "augment-2": _set(augment_strength=2),
    "no-auxiliary": _set_run("auxiliary_classes=false"),
    "auxiliary-throughout": _set(auxiliary_until=1),
    "votes": _set_run("targets=votes"),
    "votes-and-label": _set_run("targets=both"),
    "small-stem": _set(stem="small"),
}
BY_NAME_ONLY = ("small-stem",)  # 16 times the work


def bench_recipes(base: RunConfig, folder: Path, *, seeds: int, rows: Sequence[str] = ()) -> Iterator[Measured]:
    """Tables: rows that do not apply and why; what each other one does to the accuracy of `base`.

    `rows` are names in ROWS, all but BY_NAME_ONLY where there are none. What is trained is kept in `folder`.
    """
    refuse_run(folder)
    if base.leaks == "redraw":
        raise InputError("leaks=redraw: a new split would mix what the data hold out into what is compared on")
    source = source_of(base)
    configs, refused = choose_rows(base, source, rows)
    if refused:
        yield Measured("rows that do not apply", pd.DataFrame(refused.items(), columns=["row", "reason"]))
    manifest, audit = audit_once(source, crop=base.crop, missed=base.missed, progress=progress_bar("reading"))
    held_out = manifest["split"].replace("val", "test")  # what the data hold out stays unseen as a whole
    data = divide(source, manifest.assign(split=held_out), audit, base)
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in configs}
    for seed in range(seeds):
        for name, config in configs.items():
            predictions = answer(folder, name, config, data, seed=seed, split="val")
            found[name].append(with_units(predictions, data.manifest, seed))
    answers = {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}
    yield Measured(_title(base, seeds, answers[BASE]), tabulate_rows(answers, configs, source.classes))


def choose_rows(
    base: RunConfig, source: Source, rows: Sequence[str] = ()
) -> tuple[dict[str, RunConfig], dict[str, str]]:
    """The settings of the base and of each row that applies, and why the others do not.

    Raises InputError for a name that is none, and where no row applies.
    """
    if unknown := [name for name in rows if name not in ROWS]:
        raise InputError(f"--row {unknown[0]}: choose of {', '.join(ROWS)}")
    configs, refused = {BASE: base}, {}
    for name in rows or [name for name in ROWS if name not in BY_NAME_ONLY]:
        try:
            configs[name] = _apply(name, base, source)
        except InputError as error:
            refused[name] = str(error)
    if len(configs) == 1:
        raise InputError("; ".join(f"--row {name}: {reason}" for name, reason in refused.items()))
    return configs, refused


def _apply(name: str, base: RunConfig, source: Source) -> RunConfig:
    """Raises InputError where the row does not apply."""
    if base.batch_size == "auto" and name == "sgd":
        raise InputError("its rate follows from the batch: --set batch_size=64, say")
    config = change_config(base, ROWS[name](base))
    if config == base:
        raise InputError("the base is so already")
    if config.targets != "label" and VOTES not in source.table:
        raise InputError("the data have no votes: name a table of them with --votes FILE")
    if "auxiliary" in name and not source.auxiliary:
        raise InputError("no class only teaches: --classes would have to leave some out")
    return config


def tabulate_rows(
    answers: dict[str, pd.DataFrame], configs: dict[str, RunConfig], class_names: Sequence[str]
) -> pd.DataFrame:
    """A row for each: row, change (settings), accuracy, seconds; gain over the base, gain_low, gain_high, seed_sd.

    All 0-1. The base comes first, then the largest gain.
    """
    rates = measure_rates(answers, class_names).set_index("name")
    pairs = [(name, BASE) for name in answers if name != BASE]
    gains = measure_differences(answers, class_names, pairs).set_index("name")
    columns = {"accuracy": "gain", "acc_low": "gain_low", "acc_high": "gain_high", "seed_sd": "seed_sd"}
    gains = gains[list(columns)].rename(columns=columns).sort_values("gain", ascending=False)
    changes = {name: " ".join(ROWS[name](configs[BASE])).replace(f"recipes.{MODEL}.", "") for name in gains.index}
    table = rates[["accuracy", "seconds"]].join(gains).loc[[BASE, *gains.index]]
    table.insert(0, "change", [changes.get(name, "") for name in table.index])
    return table.rename_axis("row").reset_index()


def _title(base: RunConfig, seeds: int, answers: pd.DataFrame) -> str:
    recipe: Recipe = base.recipes[MODEL]
    return (
        f"{base.data_name}: {MODEL}, thorough in {count_of(recipe.epochs, 'epoch')}, one change at a time, "
        f"{count_of(seeds, 'seed')}, on the {answers['id'].nunique():,} images that choose; "
        f"{LEVEL:.0%} intervals over these"
    )
