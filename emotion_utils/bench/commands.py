"""The command `emotion bench`: each subject's options, and the tables as they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emotion_utils.errors import InputError
from emotion_utils.files import refuse_target
from emotion_utils.terminal.options import DATA, PATH, trusts_code
from emotion_utils.terminal.usage import OneLineErrors

if TYPE_CHECKING:
    from emotion_utils.bench.tables import Measured


takes_csv = click.option("--csv", type=PATH, help="Write the tables, unrounded, to this file too.")
takes_classes = click.option(
    "--classes", help="The classes to tell apart, separated by commas; all of the data's if left out."
)


def bench_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every subject of `emotion bench` takes."""
    for option in (
        takes_csv,
        click.option("--data", type=DATA, help="Folder, archive, CSV or link with faces; synthetic faces if left out."),
    ):
        command = option(command)
    return command


@click.group(cls=OneLineErrors, invoke_without_command=True)
@bench_options
@click.pass_context
def bench(context: click.Context, data: str | None, csv: Path | None) -> None:
    """Speed, beside a plain PyTorch loop, in one run; without a subject, a little of each in a few minutes."""
    from emotion_utils.bench.subjects import measure_briefly

    if context.invoked_subcommand is None:
        _show(measure_briefly(data or "synthetic"), csv)
    elif data or csv:
        raise click.UsageError(f"options go behind the subject: emotion bench {context.invoked_subcommand} --data SPEC")


@bench.command("data")
@bench_options
@click.option("--scale", is_flag=True, help="Up to a million small images as well: some minutes more.")
def bench_data(data: str | None, csv: Path | None, scale: bool) -> None:
    """From files to a store and to augmented batches, beside torchvision's ImageFolder and DataLoader."""
    from emotion_utils.bench.subjects import measure_data

    _show(measure_data(data or "synthetic", scale=scale), csv)


@bench.command("faces")
@bench_options
@click.option("--images", default=200, show_default=True, type=click.IntRange(1), help="So many of the images.")
def bench_faces(data: str | None, csv: Path | None, images: int) -> None:
    """How well and how quickly faces are found: as given, pasted into scenes, and in scenes without one."""
    from emotion_utils.bench.subjects import measure_faces

    _show(measure_faces(data or "synthetic", images=images), csv)


@bench.command("video")
@click.argument("model_dir", metavar="MODEL_DIR", type=PATH)
@takes_csv
@click.option("--persons", default=40, show_default=True, help="Synthetic persons; half of them choose.")
@trusts_code
def bench_video(model_dir: Path, csv: Path | None, persons: int) -> None:
    """How answers are best smoothed over time: accuracy, lag and flips on synthetic sequences, with a trained model."""
    from emotion_utils.bench.subjects import measure_video

    _show(measure_video(model_dir, persons=persons), csv)


@bench.command("edge")
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=PATH)
@takes_csv
@trusts_code
def bench_edge(folders: tuple[Path, ...], csv: Path | None) -> None:
    """Milliseconds a face in PyTorch, as an ONNX file and in INT8: one thread and all, faces alone and in batches.

    DIR is a run or the folder of a model in one; with it accuracy is measured too. Without, networks of random weights.
    """
    from emotion_utils.bench.subjects import measure_edge

    _show(measure_edge(folders), csv)


@bench.command("train")
@bench_options
@takes_classes
@click.option("--size", "sizes_px", multiple=True, type=click.IntRange(32, 512), default=(48, 96), show_default=True)
@click.option("--batch-size", type=click.IntRange(2, 4096), help="[default: 64, on a GPU 256]")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(0), help="Of the plain loop's DataLoader.")
@click.option("--curve", is_flag=True, help="Accuracy over time as well, on data with a split: an hour more.")
def bench_train(
    data: str | None, csv: Path | None, classes: str | None, sizes_px: tuple[int, ...], batch_size: int | None,
    workers: int, curve: bool,
) -> None:  # fmt: skip
    """How quickly ResNet18 trains, beside ImageFolder, a DataLoader and Adam; and the memory that it takes."""
    from emotion_utils.bench.subjects import measure_train

    if curve and not data:
        raise click.UsageError("--curve needs --data with folders train and validation")
    steps = {"sizes_px": sizes_px, "batch_size": batch_size, "workers": workers}
    _show(measure_train(data or "synthetic", steps, classes=_split(classes), curve=curve), csv)


def compares_trainings(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the subjects take that train many times."""
    for option in (
        takes_csv,
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Of all trainings."),
        takes_classes,
        click.option("--data", type=DATA, required=True, help="Folder, archive, CSV or link with labelled faces."),
    ):
        command = option(command)
    return command


def keeps_trainings(folder: str) -> Callable[..., Any]:
    return click.option(
        "--output", default=folder, show_default=True, type=PATH,
        help="Keeps what was trained; the same command goes on from there.",
    )  # fmt: skip


@bench.command("recipes")
@compares_trainings
@keeps_trainings("reports/bench-recipes")
@click.option("--epochs", default=8, show_default=True, type=click.IntRange(1), help="Of every training.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Trainings of every row.")
@click.option("--row", "rows", multiple=True, metavar="NAME", help="This change alone, or some.  [default: most]")
@click.option("--votes", type=DATA, metavar="FILE", help="Table of votes, which two of the changes need.")
def bench_recipes(
    data: str, classes: str | None, settings: tuple[str, ...], csv: Path | None, output: Path, epochs: int, seeds: int,
    rows: tuple[str, ...], votes: str | None,
) -> None:  # fmt: skip
    """The recipe of thorough, one change at a time, each against the same base in as many epochs.

    Judged on the part of train that chooses the epoch: the data's val and test stay unseen.
    """
    from emotion_utils.bench import recipes
    from emotion_utils.sources.download import absolute_data

    base = recipes.base_config(
        absolute_data(data), classes=_split(classes), epochs=epochs, votes=votes, settings=settings
    )
    _show(recipes.bench_recipes(base, output, seeds=seeds, rows=rows), csv)


@bench.command("transfer")
@compares_trainings
@keeps_trainings("reports/bench-transfer")
@click.option("--start", "starts", multiple=True, metavar="NAME=WEIGHTS",
              help="A name and weights, as for recipes.MODEL.weights: official, a file, a model's folder.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Of every training.  [default: the demo profile's]")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1), help="Trainings of every fold.")
def bench_transfer(
    data: str, classes: str | None, settings: tuple[str, ...], csv: Path | None, output: Path, starts: tuple[str, ...],
    epochs: int | None, seeds: int,
) -> None:  # fmt: skip
    """What a small set gains from where a training starts: five folds, each person in one, and random weights beside.

    Images that one of the starts has seen are found by their checksums, named and left out.
    """
    from emotion_utils.bench import transfer
    from emotion_utils.sources.download import absolute_data

    base = transfer.base_config(absolute_data(data), classes=_split(classes), epochs=epochs, settings=settings)
    _show(transfer.bench_transfer(base, transfer.read_starts(starts), output, seeds=seeds), csv)


@bench.command("processes")
@takes_csv
def bench_processes(csv: Path | None) -> None:
    """Two processes that train together, beside DistributedDataParallel: speed, and memory that runs out in one."""
    from emotion_utils.bench.subjects import measure_processes

    _show(measure_processes(), csv)


@bench.command("proxies")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(2), help="So many pairs of each network.")
@click.option("--folder", default="reports/bench-proxies", show_default=True, type=PATH,
              help="Keeps what was trained; the same command goes on from there.")  # fmt: skip
@takes_csv
def bench_proxies(seeds: int, folder: Path, csv: Path | None) -> None:
    """What the proxies are worth: each pretrained network beside the same one from scratch, at equal epochs."""
    from emotion_utils.bench.proxies import bench_proxies as measure

    _show(measure(folder, range(seeds)), csv)


def _show(tables: Iterable[Measured], csv: Path | None) -> None:
    """Prints each table as soon as it is measured."""
    from emotion_utils.bench.tables import format_table, write_csv

    if csv:
        refuse_target(csv)
        if not csv.absolute().parent.is_dir():
            raise InputError(f"--csv {csv}: there is no folder {csv.parent}; make it, or name another file")
    click.echo("measuring; each table is printed as soon as it is ready, which can take minutes", err=True)
    shown = []
    for measured in tables:
        click.echo(format_table(measured) + "\n")
        shown.append(measured)
    if csv:
        write_csv(csv, shown)


def _split(classes: str | None) -> tuple[str, ...] | None:
    return None if classes is None else tuple(classes.split(","))
