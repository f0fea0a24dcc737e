"""The `emotion` command: parses, calls, prints."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from emotion_utils import __version__
from emotion_utils.bench.commands import bench
from emotion_utils.config import PROFILES, RunConfig, resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.given_paths import absolute
from emotion_utils.near_names import did_you_mean
from emotion_utils.terminal.options import (
    DATA,
    PATH,
    rates_of,
    refuse_contradictions,
    takes_device,
    takes_recipe,
    trusts_code,
)
from emotion_utils.terminal.output import is_watched, note
from emotion_utils.terminal.output import say as _say
from emotion_utils.terminal.usage import OneLineErrors
from emotion_utils.waiting import limit_spinning

if TYPE_CHECKING:
    from emotion_utils.run import Run


@click.group(
    "emotion",
    cls=OneLineErrors,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First: emotion run --profile smoke. Then: emotion run --data FOLDER, with a folder of images per class.",
)
@click.version_option(__version__, message="emotion %(version)s")
def main() -> None:
    """Facial emotion: train three classifiers, compare them, and get a report whose numbers can be checked."""
    limit_spinning(os.environ)  # here, as each command loads torch by itself, or not at all


@main.command()
@click.option("--profile", help=f"How much: {', '.join(PROFILES)}.  [default: demo]")
@click.option("--like", type=PATH, metavar="FILE",
              help="The settings of this run.json; says what could not be as in its run.")  # fmt: skip
@click.option("--data", type=DATA, help="Folder, archive, CSV or link with faces; synthetic faces if left out.")
@click.option("--classes", help="The classes to tell apart, separated by commas; all of the data's if left out.")
@click.option("--output", type=PATH, help="The run folder.  [default: reports/<profile>[-<data>]]")
@click.option("--fresh", is_flag=True, help="Delete what an earlier run left in the run folder, and start again.")
@click.option("--models", metavar="A,B", help="The models to train and compare; the study's three if left out.")
@takes_recipe
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), metavar="N", help="Random seed.  [default: 0]")
@takes_device
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Change one setting of the profile; `emotion settings` lists them.")  # fmt: skip
@trusts_code
def run(
    profile: str | None, like: Path | None, data: str | None, classes: str | None, output: Path | None, fresh: bool,
    models: str | None, lr: float | None, epochs: int | None, seed: int | None, settings: tuple[str, ...],
) -> None:  # fmt: skip
    """From faces to report.html and report.pdf; what is finished and unchanged is not run again."""
    from emotion_utils.like import Original
    from emotion_utils.pipeline import run_pipeline
    from emotion_utils.sources.download import absolute_data

    options = {"data": absolute_data(data), "classes": classes, "models": models, "epochs": epochs, "seed": seed}
    refuse_contradictions(settings, profile=profile, **options)
    if like and profile:
        raise click.UsageError("--like has the profile of its run: leave out --profile")
    original = Original.read(like) if like else None

    def resolve(settings: Iterable[str]) -> RunConfig:
        if original:
            return original.config_here(settings, **options)
        return resolve_config(profile or "demo", settings, **options)

    config = resolve([*rates_of(resolve(settings).models, lr), *settings])
    folder = output or default_output(config, f"like-{original.path.absolute().parent.name}" if original else "")
    run_pipeline(folder, config, fresh=fresh, like=original, say=_say, is_live=is_watched(), summarise=_summarise)


def _summarise(run: Run) -> list[str]:
    """The figures that one looks for first, and the report as it is printed."""
    from emotion_utils.report.results import read_results
    from emotion_utils.report.scores import score_lines

    printed = run.root / "report.pdf"
    return ["", *score_lines(read_results(run)), "", *([f"PDF: {printed}"] if printed.exists() else [])]


@main.command()
@click.argument("folder", metavar="DIR", type=PATH)
def notebooks(folder: Path) -> None:
    """Copy the notebooks to DIR, to be opened in JupyterLab; runs that they make lie in a folder reports beside it."""
    from emotion_utils.notebook_files import copy_notebooks

    for path in copy_notebooks(folder):
        _say(path)


@main.command()
@click.argument("profile", default="demo")
def settings(profile: str) -> None:
    """Everything that --set can change, with its value in PROFILE (demo if left out)."""
    from emotion_utils.settings import format_setting, list_settings

    config = resolve_config(profile, data="given" if profile in ("thorough", "paper") else None)
    for setting in list_settings(config):
        click.echo(format_setting(setting, _width()))
    click.echo(f"MODEL is one of {', '.join(config.models)}; where their values differ, they are listed in this order.")


@main.command(options_metavar="--run DIR [OPTIONS]")
@click.argument("model")
@click.option("--run", "run_dir", required=True, type=PATH, help="The prepared run folder.")
@click.option("--folds", type=click.IntRange(2, 20), metavar="K",
              help="Train K models beside the run, each on all training images but a K-th: teachers.")  # fmt: skip
@takes_recipe
@takes_device
@trusts_code
def train(model: str, run_dir: Path, folds: int | None, lr: float | None, epochs: int | None) -> None:
    """Train one model of a prepared run, from each of its seeds and for each of its ablations, and predict."""
    from emotion_utils.ablation import all_trainings
    from emotion_utils.devices import pick_device
    from emotion_utils.evaluation.predict import predict_splits
    from emotion_utils.history import best_epoch
    from emotion_utils.progress import progress_bar
    from emotion_utils.run import Run
    from emotion_utils.terminal.live_line import PlainLines
    from emotion_utils.terminal.monitor import EpochMonitor
    from emotion_utils.training.distributed import is_main_process
    from emotion_utils.training.folds import divide_run
    from emotion_utils.training.trainer import train_model

    changed = [*rates_of([model], lr), *([f"recipes.{model}.epochs={epochs}"] if epochs else [])]
    _check_model(Run.open(run_dir), model)
    opened = Run.open(run_dir, changed)
    pick_device()  # refuses --device before anything is done
    runs = divide_run(opened, model, folds) if folds else all_trainings(opened, model)
    trained = []
    for each in runs:
        name = f"{model}, {each.root.name}" if folds else f"{each.title(model)}, seed {each.config.seed}"
        followed = model if is_main_process() and not sys.stderr.isatty() else None  # a terminal has the bar
        with EpochMonitor(_training_place(each, model), followed, PlainLines(_say)):
            history = train_model(each, model, progress=progress_bar(name, unit="step"))
        if is_main_process():
            predict_splits(each, model)
            best, found = best_epoch(history["val_acc"]), f"val accuracy {history['val_acc'].max():.3f}"
            _say(f"{name}: best epoch {best} of {len(history)}, {found}; {each.model_dir(model)}")
        trained.append(absolute(str(each.model_dir(model))))
    if folds and is_main_process():
        _say(f"as teachers of a model of this run: --set 'recipes.MODEL.teacher=[{', '.join(trained)}]'")


def _training_place(run: Run, model: str) -> Run:
    """Where one training writes its history: a finished model stays in place until its successor is finished."""
    from emotion_utils.run import Run
    from emotion_utils.training.model_folder import CARD_FILE, RETRAINING

    place = run.variant(RETRAINING) if (run.model_dir(model) / CARD_FILE).exists() else run
    return Run(run.root, run.config.model_copy(update={"seeds": 1, "ablate": ()}), place.model_folder)


@main.command("audit-table")
@click.argument("file", type=PATH)
def audit_table(file: Path) -> None:
    """Is a published table of results (FILE: JSON or CSV) consistent with itself? Status 1 where it is not."""
    from emotion_utils.published.audit import audit_file
    from emotion_utils.published.finding import summarise_findings

    findings = audit_file(file)
    for line in summarise_findings(findings):
        _say(line)
    wrong = sum(finding.ok is False for finding in findings)
    if wrong:
        raise EmotionError(f"{file}: {wrong} of its figures do not agree with the others; the lines above say which")


@main.command()
@click.argument("paths", metavar="[MODEL_DIR] PATH...", nargs=-1, required=True, type=PATH)
@click.option("--output", type=PATH, help="Write the table there.  [default: standard output]")
@trusts_code
@click.option(
    "--missed", type=click.Choice(["keep", "quarantine"]),
    help="Images without a face: taken whole, or refused.  [default: those of 400 px and more are refused]",
)  # fmt: skip
def predict(paths: tuple[Path, ...], output: Path | None, missed: Literal["keep", "quarantine"] | None) -> None:
    """Classify the faces in images, folders and archives with the model in MODEL_DIR; writes CSV.

    MODEL_DIR is a model's folder or an exported .onnx file; without it, the small model answers that comes along. One
    row per face, and one per file that cannot be used, with the reason. The same command goes on where it was cut off:
    until it is done, --output grows under the name OUTPUT.part.
    """
    from emotion_utils.deploy.asked_model import take_model
    from emotion_utils.deploy.predict_command import predict_to_file, predict_to_screen
    from emotion_utils.progress import progress_bar

    model_dir, images = take_model(paths)
    bar = progress_bar("predict", unit="image")
    if output:
        tally = predict_to_file(model_dir, images, output, missed, bar)
        _say(f"{output}: {tally.faces:,} faces, {tally.refused.total():,} files refused")
    else:
        predict_to_screen(model_dir, images, missed, lambda text: click.echo(text, nl=False), bar)


@main.command()
@click.argument("model_dir", type=PATH)
@click.option("--to", "form", type=click.Choice(["onnx", "page"]), default="onnx", show_default=True,
              help="onnx: a file for onnxruntime. page: a web page that needs no network.")  # fmt: skip
@click.option("--int8", is_flag=True, help="Whole numbers of 8 bits: smaller and quicker, if its answers stay.")
@click.option("--views", type=click.Choice(["1", "2", "10"]),
              help="Of each face, averaged over: fewer are quicker.  [default: as the model answers]")  # fmt: skip
@click.option("--output", type=PATH, help="The file.  [default: ./<model>[_int8].onnx or .html]")
@click.option("--runtime", type=PATH, metavar="DIR",
              help="For a page: a folder with onnxruntime-web.  [default: npm fetches it once]")  # fmt: skip
@trusts_code
def export(
    model_dir: Path, form: str, int8: bool, views: str | None, output: Path | None, runtime: Path | None
) -> None:
    """Write the model in MODEL_DIR as one portable file that needs no PyTorch.

    It is held against the model on the whole test split first, and written only if it answers the same. A page can be
    made of an exported .onnx file as well.
    """
    from emotion_utils.deploy.export_files import default_output

    name, count = "_int8" if int8 else "", None if views is None else int(views)
    if form == "page":
        from emotion_utils.deploy.page.write import export_page

        path = output or default_output(model_dir, f"{name}.html")
        _say(export_page(model_dir, path, int8=int8, runtime=runtime, views=count, say=_say))
    elif runtime:
        raise click.UsageError("--runtime belongs to --to page")
    elif int8:
        from emotion_utils.deploy.quantise import export_int8

        _say(export_int8(model_dir, output or default_output(model_dir, f"{name}.onnx"), count))
    else:
        from emotion_utils.deploy.export import export_onnx

        _say(export_onnx(model_dir, output or default_output(model_dir), count))


@main.command()
@click.argument("model_dir", type=PATH)
@click.option("--data", type=DATA, required=True, help="Folder, archive, CSV or link with labelled faces.")
@click.option("--votes", type=DATA, help="Table of what people voted for each image, such as FER+'s fer2013new.csv.")
@trusts_code
@click.option("--output", type=PATH, help="The folder to write.  [default: reports/<model>-on-<data>]")
def evaluate(model_dir: Path, data: str, votes: str | None, output: Path | None) -> None:
    """How well the model in MODEL_DIR does on data that it has never seen: metrics with intervals, a page and tables.

    Images are prepared as for its training; those that it was trained on are found and left out.
    """
    from emotion_utils.evaluation.evaluate import evaluate_model
    from emotion_utils.models.card import read_card
    from emotion_utils.progress import progress_bar
    from emotion_utils.report.evaluation import list_lines
    from emotion_utils.report.page.evaluation_page import PAGE, check_output, default_folder, write_evaluation
    from emotion_utils.sources.download import absolute_data

    spec = absolute_data(data)
    folder = output or default_folder(model_dir, spec)
    check_output(folder, read_card(model_dir)["sha256"], spec)
    results = write_evaluation(evaluate_model(model_dir, spec, votes=votes, progress=progress_bar), folder)
    for line in [*list_lines(results), f"{folder / PAGE}; the tables lie beside it"]:
        _say(line)


@main.command()
@click.argument("given", metavar="[MODEL_DIR] IN", nargs=-1, required=True, type=DATA)
@click.option("--output", required=True, type=PATH, help="The folder to write.")
@click.option("--annotate", is_flag=True, help="Write a copy with boxes and labels too: annotated.mp4.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Analyse one of so many frames.")
@click.option("--fps", type=float, help="Images a second of a folder of numbered images.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop there.")
@click.option("--causal", is_flag=True, help="Smooth with earlier frames alone, as with a camera.")
@click.option("--hide-faces", is_flag=True, help="Show no face in timeline.html.")
@trusts_code
def video(
    given: tuple[str, ...], output: Path, annotate: bool, every: int, fps: float | None, seconds: float | None,
    causal: bool, hide_faces: bool,
) -> None:  # fmt: skip
    """Follow the faces in IN, a video, a folder of numbered images or a camera's number, with the model in MODEL_DIR.

    MODEL_DIR is a model's folder or an exported .onnx file; without it, the small model answers that comes along.
    Writes faces.csv (a row per face and frame), summary.json, timeline.svg and timeline.html. The same command goes on
    where it was cut off. Ctrl-C ends a camera.
    """
    from emotion_utils.deploy.asked_model import introduce, take_model
    from emotion_utils.deploy.classifier import open_network
    from emotion_utils.deploy.video.analyse import analyse_video, list_lines
    from emotion_utils.progress import progress_bar

    if len(given) > 2:
        raise click.UsageError(f"one video at a time, not {', '.join(given[1:])}")
    model = Path(given[0]) if len(given) == 2 else take_model([Path(given[0])])[0]
    network = open_network(model)
    if model is None:
        note(introduce(network))
    summary = analyse_video(
        network, given[-1], output, every=every, fps=fps, causal=causal or None, seconds=seconds,
        annotate=annotate, show_faces=not hide_faces, progress=progress_bar,
    )  # fmt: skip
    for line in list_lines(summary, output):
        _say(line)


@main.command(options_metavar="--run DIR [OPTIONS]")
@click.argument("model")
@click.option("--run", "run_dir", required=True, type=PATH, help="The prepared run folder.")
@takes_device
@trusts_code
@click.option("--sampler", default="tpe", help="tpe: learns from earlier trials; grid: fixed points.  [default: tpe]")
@click.option("--trials", default=20, type=click.IntRange(min=1), help="How many different ones in all.  [default: 20]")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of each trial.  [default: those of the run]")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="No trial starts after this many minutes.")
@click.option(
    "--storage", metavar="URL", help="postgresql://...: shared by many machines; a file of the run if left out."
)
def search(
    model: str, run_dir: Path, sampler: str, trials: int, epochs: int | None, minutes: float | None, storage: str | None
) -> None:
    """Find a learning rate, weight decay and strength of augmentation by validation accuracy."""
    from emotion_utils.run import Run

    try:
        from emotion_utils.search.model_search import search_model
        from emotion_utils.search.trials import settings_of_best
    except ModuleNotFoundError as error:
        raise InputError(f"a search needs {error.name}: pip install 'emotion-utils[search]'") from None
    opened = Run.open(run_dir)
    _check_model(opened, model)
    search_model(
        opened, model, sampler=sampler, trials=trials, epochs=epochs, minutes=minutes, storage=storage, say=_say
    )
    for line in settings_of_best(opened, model):
        _say(line)


@main.command()
@click.argument("run_dir", metavar="DIR", type=PATH)
@click.option(
    "--sign", metavar="KEYFILE", type=PATH,
    help="Where all is right, sign it with this private key of OpenSSH: checksums.sha256.sig.",
)  # fmt: skip
@click.option(
    "--signer", metavar="FILE", type=PATH,
    help="A public key, or a file of allowed signers: one of them must have signed it.",
)  # fmt: skip
def verify(run_dir: Path, sign: Path | None, signer: Path | None) -> None:
    """Recompute every table and sentence of the finished run DIR, and name the first one that differs."""
    from emotion_utils.report.signature import describe_signature, sign_checksums
    from emotion_utils.report.verify import verify_run
    from emotion_utils.run import Run

    said = verify_run(run_dir)
    if sign:
        sign_checksums(Run.open(run_dir), sign)
    _say(said + describe_signature(Run.open(run_dir), signer))


@main.group()
def weights() -> None:
    """Official and converted weights: where they come from, and whether they are here."""


@weights.command("list")
def list_sources() -> None:
    """Every source of weights, what else lies in the folders of weights, and the models of earlier runs."""
    from emotion_utils.models.weights.listing import format_weights, list_earlier_runs, list_local_files, list_weights
    from emotion_utils.models.weights.registry import OTHER_SOURCES
    from emotion_utils.provenance import REPORTS_DIR

    for row in [*list_weights(), *list_local_files(), *list_earlier_runs(REPORTS_DIR)]:
        for line in format_weights(row, _width()).splitlines():
            _say(line)
    for name, what in OTHER_SOURCES:
        click.echo(f"{name}: {what}")
    click.echo("A model starts from any of them with --set recipes.MODEL.weights=NAME, or FILE, or MODEL_DIR.")


@weights.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download the weights NAME, checked, into the cache; a proxy is made instead."""
    from emotion_utils.models.weights.fetch import fetch_weights
    from emotion_utils.models.weights.registry import PROXIES
    from emotion_utils.progress import progress_bar

    if name in PROXIES:
        from emotion_utils.training.pretext import ensure_proxies

        _say(ensure_proxies([name], progress_bar(name))[name])
    else:
        _say(fetch_weights(name, progress=progress_bar(name, unit="B")))


@weights.command()
@click.argument("source", metavar="SRC", type=PATH)
@click.argument("target", metavar="DST", type=PATH)
def convert(source: Path, target: Path) -> None:
    """VGGFace weights SRC (Keras HDF5, DeepFace or Oxford .pth) to DST (.safetensors), compared layer by layer."""
    from emotion_utils.models.weights.load import convert_weights

    report = convert_weights(source, target)
    for layer, difference in report["largest_relative_difference"].items():
        click.echo(f"{layer}: differs from its source by {difference:.1e} of the largest activation")
    _say(f"{target}: {len(report['layers'])} layers; what was checked is in {target.with_suffix('.json')}")


main.add_command(bench)


def convert_main() -> None:
    """The command keras-vggface-weights-converter SRC DST."""
    main.main(["weights", "convert", *sys.argv[1:]])


def _check_model(run: Run, model: str) -> None:
    if model not in run.config.recipes:
        known = run.config.recipes
        raise InputError(
            f"the run at {run.root} has no model {model!r}: it has {', '.join(known)}{did_you_mean(model, known)}"
        )


def _width() -> int:
    """Of the lines that are printed for a person."""
    return min(max(shutil.get_terminal_size((100, 24)).columns, 80), 120)


def default_output(config: RunConfig, name: str = "") -> Path:
    """reports/`name`; without one reports/<profile>, or reports/<profile>-<data> for data that were given."""
    from emotion_utils.provenance import REPORTS_DIR

    suffix = "" if config.data == "synthetic" else f"-{Path(config.data).stem}"
    return REPORTS_DIR / (name or f"{config.profile}{suffix}")
