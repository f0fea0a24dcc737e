"""The notebooks in order, through papermill; what is finished and up to date is not run again."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from emotion_utils.ablation import ablation_lines, all_trainings
from emotion_utils.audit.class_sizes import refuse_small_classes
from emotion_utils.audit.lines import audit_lines
from emotion_utils.budget import VARIABLE, Budget
from emotion_utils.config import RunConfig
from emotion_utils.deploy.video.clip import check_clip
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.figures.fonts import font_note
from emotion_utils.files import missing_folders, remove_empty, remove_leftovers
from emotion_utils.kernels import KernelDeath, execute_notebook
from emotion_utils.like import Original
from emotion_utils.locks import LOCK_FILE, hold_output
from emotion_utils.planning import obtain_weights, settle
from emotion_utils.progress import format_duration
from emotion_utils.provenance import describe_environment, package_sha256
from emotion_utils.report.checksums import CHECKSUMS
from emotion_utils.rubric import read_rubric, store_rubric
from emotion_utils.run import Run
from emotion_utils.sources.source import source_of
from emotion_utils.stages import (
    OWN_NOTEBOOK,
    Inputs,
    Stage,
    executed_path,
    forget,
    is_up_to_date,
    mark_done,
    stages_of,
    take_inputs,
)
from emotion_utils.terminal.live_line import LiveLines, PlainLines
from emotion_utils.terminal.monitor import EpochMonitor
from emotion_utils.terminal.time_left import Part
from emotion_utils.tracking import check_tracking

ASIDE = ".emotion-deleted-"  # the folder that --fresh moves everything into
REPORT = "report"  # what comes behind the notebooks
WEIGHTS_MB = 60.0  # of a network at most, but for VGGFace with its own head
COPIES = 16  # of the weights: an old and a new checkpoint, each with the best, Adam's two means, and the epoch's start

Say = Callable[[str], None]


def run_pipeline(
    root: Path, config: RunConfig, *, fresh: bool = False, like: Original | None = None, say: Say = print,
    is_live: bool = False, summarise: Callable[[Run], Iterable[str]] = lambda run: (),
) -> Run:  # fmt: skip
    """Runs what is not up to date and renders the report. Raises InputError or EmotionError with one line.

    What is not as in the run `like` is said: before the notebooks what is known by then, behind them the rest.
    `is_live`: on a terminal, where a line that is drawn anew tells what goes by. `summarise`: lines on what came out.
    """
    code, environment = package_sha256(), describe_environment()
    check_device()
    config = settle(config, root)
    obtain_weights(config, say)
    for line in ablation_lines(config):
        say(line)
    origins = {"data": check_data(config), **check_weights(config)}
    made_here = missing_folders(root)
    if fresh:
        _refuse_needed(root, config)
    _refuse_foreign(root)  # here too: nothing of ours, not even a lock, goes into somebody else's folder
    try:
        with hold_output(root):
            _refuse_foreign(root)
            for leftover in root.glob(f"{ASIDE}*"):  # of a --fresh that was killed
                if leftover.is_dir() and not leftover.is_symlink():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink()
            if fresh:
                _clear(root)
            remove_leftovers(root)
            run = Run.create(root, config)
            store_rubric(run)
            here = {"environment": environment, "data": {"fingerprint": origins["data"]}}
            known = like.differences(run.facts | here) if like else []
            for difference in known:
                say(f"not as in {like.path}: {difference}")
            lines = LiveLines(run, _parts_of(run)) if is_live else PlainLines(say)
            try:
                _run_stages(run, origins, code, environment, lines, summarise)
            finally:
                lines.close()
    except InputError:
        if made_here and not _holds_results(root):  # bad input leaves nothing half-written
            shutil.rmtree(root, ignore_errors=True)
            remove_empty(made_here[1:])
        raise
    if like:
        found = [f"not as in {like.path}: {difference}" for difference in like.differences(run.facts)]
        found = [line for line in found if line.partition(": ")[2] not in known]
        for line in [*found, *(f"beside {like.path}: {answer}" for answer in like.outcome(run))]:
            say(line)
    return run


def _holds_results(root: Path) -> bool:
    """Whether a notebook has finished in this folder."""
    return (root / "run.json").exists() and bool(Run.open(root).facts["stages"])


def check_device() -> None:
    """Refuses an EMOTION_DEVICE that cannot be used before anything is written; without one, torch is not loaded."""
    if os.environ.get("EMOTION_DEVICE"):
        from emotion_utils.devices import pick_device

        pick_device()


def check_data(config: RunConfig) -> str:
    """The data's fingerprint; refuses before anything is written what 01 could not prepare."""
    check_tracking(config)
    if config.rubric is not None:
        read_rubric(config.rubric)
    source = source_of(config)
    refuse_small_classes(source, config)
    if config.video:
        check_clip(source.classes)
    return source.fingerprint()


def check_weights(config: RunConfig) -> dict[str, str]:
    """What each model starts from: a source's name, or the checksum of a file or of a model that was trained before;
    and behind it the checksums of its teachers.

    Refuses before anything is written what is not on this machine, is damaged or belongs to another network. Proxies
    are made when they are needed.
    """
    from emotion_utils.models.weights.choice import BY_MODEL, RANDOM, choose_source, needed_proxies

    def identify(model: str) -> str:
        weights, size_px = config.weights_of(model), config.image_size_px
        if proxies := needed_proxies(model, weights, size_px):
            return proxies[0]
        source = choose_source(model, weights, size_px)
        if source or weights in (RANDOM, *BY_MODEL):
            return source or RANDOM
        from emotion_utils.models.zoo import build_model  # torch is needed for these alone

        stem = config.recipes[model].stem
        net = build_model(model, num_classes=2, image_size_px=size_px, weights=weights, stem=stem)
        return net.provenance["sha256"]

    def with_teachers(model: str) -> str:
        if not config.recipes[model].teacher:
            return identify(model)
        from emotion_utils.training.teacher import check_teachers

        return " ".join([identify(model), *check_teachers(config.recipes[model])])

    return {model: with_teachers(model) for model in config.models}


def check_space(run: Run, origins: dict[str, str]) -> None:
    """Refuses a disk that the trainings would fill; `origins` says what each model starts from."""
    from emotion_utils.models.weights.registry import SOURCES

    known = {name: source.size_mb or WEIGHTS_MB for name, source in SOURCES.items()}
    sizes = {model: known.get(origin, WEIGHTS_MB) for model, origin in origins.items()}
    kept_mb = sum(sizes[model] * len(all_trainings(run, model)) for model in sizes)
    needed_mb, free_mb = COPIES * max(sizes.values()) + kept_mb, shutil.disk_usage(run.root).free / 1e6
    if free_mb < needed_mb:
        raise InputError(
            f"{run.root}: {free_mb:,.0f} MB are free, trainings and their checkpoints take up to {needed_mb:,.0f} MB: "
            "make room, or choose another --output"
        )


def _parts_of(run: Run) -> list[Part]:
    trainings = {stage: len(all_trainings(run, stage.model)) if stage.model else 0 for stage in stages_of(run.config)}
    return [*(Part(stage.notebook, stage.model, count) for stage, count in trainings.items()), Part(REPORT)]


def _run_stages(
    run: Run, origins: dict[str, str], code: str, environment: dict[str, Any], lines: PlainLines,
    summarise: Callable[[Run], Iterable[str]],
) -> None:  # fmt: skip
    started, budget = time.monotonic(), Budget(run.config.budget_minutes)
    stages = stages_of(run.config)
    ran = False
    for number, stage in enumerate(stages, start=1):
        _refuse_changed_code(code)
        inputs = take_inputs(run, stage, origins)
        label = f"[{number}/{len(stages)}] {stage.notebook}"
        is_last = stage is stages[-1]  # it shows what run.json says of all the others
        if is_up_to_date(run, stage, inputs) and not (ran and is_last):
            lines.say(f"{label}: up to date")
            continue
        if not ran:
            check_space(run, {model: origins[model] for model in run.config.models})
            run.record(environment=environment | {"threads": run.config.threads}, data={"fingerprint": origins["data"]})
        lines.begin(label, stage.notebook)
        _run_stage(run, stage, inputs, origins["data"], budget, lines)
        ran = True
    _refuse_changed_code(code)
    _render(run, ran, lines)
    for line in summarise(run):
        lines.say(line)
    lines.say(f"done in {format_duration(time.monotonic() - started)}: {run.root / 'report.html'}")


def _refuse_changed_code(code: str) -> None:
    """Raises EmotionError where the package is no longer what this process began with: it would mix both."""
    if package_sha256() != code:
        raise EmotionError(
            "the code of emotion_utils has changed since this run began: run the same command again, which keeps what "
            "the change leaves valid"
        )


def _run_stage(run: Run, stage: Stage, inputs: Inputs, data: str, budget: Budget, lines: PlainLines) -> None:
    if forget(run, stage, inputs, lines.tell):
        lines.tell("its model stays; only what shows it has changed")
    started = time.monotonic()
    with EpochMonitor(run, stage.model, lines):
        death = _execute(run, stage, budget, lines.tell)
    missing = [name for name in stage.writes if not (run.root / name).exists()]
    if missing:
        raise EmotionError(
            f"{stage.notebook} ended without writing {', '.join(missing)}; see {executed_path(run, stage)}"
        )
    if stage.prepares_data and run.read("audit").get("fingerprint") != data and check_data(run.config) != data:
        raise EmotionError(f"--data {run.config.data}: changed since this run was started; start it again")
    seconds = time.monotonic() - started
    mark_done(run, stage, inputs, seconds, death)  # papermill's own metadata can call a dead kernel finished
    if stage.prepares_data:
        for line in filter(None, [*audit_lines(run.read("audit")), font_note(run.class_names())]):
            lines.tell(line)
    lines.finish(seconds)


def _execute(run: Run, stage: Stage, budget: Budget, tell: Say) -> str | None:
    """Runs the notebook in its kernel; if that dies, once more, as training continues from its checkpoint.

    Returns why it died, or None.
    """
    threads = run.config.threads
    environment = {} if threads == "auto" else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    if stage.model:
        trainings = sum(len(all_trainings(run, model)) for model in _models_to_come(run, stage))
        environment[VARIABLE] = str(budget.share(trainings))

    def execute() -> None:
        execute_notebook(
            stage.source, executed_path(run, stage), _parameters(run, stage),
            cell_minutes=run.config.cell_minutes, environment=environment,
        )  # fmt: skip

    try:
        execute()
        return None
    except KernelDeath as death:
        tell(f"{death}; starting it again")
        try:
            execute()
        except KernelDeath as again:
            mend = "give the machine more memory, or --set a smaller batch_size or image_size_px"
            raise EmotionError(f"{again}, for the second time: {mend}") from None
        reason = str(death).partition("; see")[0]
        if stage.model:
            run.append("events", stage.model, kind="kernel_restarted", reason=reason)
        return reason


def _models_to_come(run: Run, stage: Stage) -> list[str]:
    """The models from that of `stage` on, in the order of the stages."""
    models = [each.model for each in stages_of(run.config) if each.model]
    return models[models.index(stage.model) :]


def _parameters(run: Run, stage: Stage) -> dict[str, Any]:
    parameters: dict[str, Any] = {"run_dir": str(run.root.resolve())}
    if stage.notebook == "01_data_preparation":
        parameters |= {"profile": run.config.profile, "data": run.config.data, "seed": run.config.seed}
    if stage.source == OWN_NOTEBOOK:
        parameters["model"] = stage.model
    return parameters


def _render(run: Run, ran: bool, lines: PlainLines) -> None:
    from emotion_utils.report.page.render import finish_report, rendering_sha256

    is_finished = all((run.root / name).exists() for name in ("report.html", CHECKSUMS))
    if not ran and is_finished and run.facts.get("report", {}).get("code") == rendering_sha256():
        return
    lines.begin(REPORT, REPORT)
    for note in finish_report(run, run.notebooks_dir / "06_comparison.ipynb"):
        lines.tell(note)


# -- the run folder --------------------------------------------------------------------------------


def _refuse_foreign(root: Path) -> None:
    paths = root.iterdir() if root.is_dir() else ()
    others = [path.name for path in paths if path.name != LOCK_FILE and not path.name.startswith(ASIDE)]
    if others and not (root / "run.json").exists():
        raise InputError(f"{root} holds files but no run (no run.json): choose an empty or new --output")


def _refuse_needed(root: Path, config: RunConfig) -> None:
    """Raises InputError where what the run starts from lies in the folder that it would delete."""
    recipes = {model: config.recipes[model] for model in config.models}
    given = [("data", config.data), ("votes", config.votes), ("rubric", config.rubric)]
    given += [("modules", path) for path in config.modules]
    given += [(f"recipes.{model}.weights", config.weights_of(model)) for model in recipes]
    given += [(f"recipes.{model}.teacher", path) for model, recipe in recipes.items() for path in recipe.teacher]
    for key, path in given:
        if path and os.path.isabs(path) and Path(path).resolve().is_relative_to(root.resolve()):
            raise InputError(f"{key}: {path} lies in {root}, which --fresh deletes: choose another --output")


def _clear(root: Path) -> None:
    """Deletes what is in a run folder, all or nothing: it is moved aside first. What links lead to stays.

    Raises InputError, with everything back in its place, where something cannot be moved or deleted.
    """
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=root))
    moved: list[Path] = []
    try:
        for path in sorted(root.iterdir()):
            if path.name != LOCK_FILE and path != aside:
                path.rename(aside / path.name)
                moved.append(path)
        _refuse_undeletable(aside)
    except OSError as error:
        for path in moved:
            (aside / path.name).rename(path)
        aside.rmdir()
        raise InputError(
            f"{error.filename}: cannot be deleted ({error.strerror}), so nothing is; choose another --output"
        ) from None
    shutil.rmtree(aside)


def _refuse_undeletable(folder: Path) -> None:
    """Raises PermissionError for a folder that files cannot be deleted from."""
    for place, _, _ in os.walk(folder):
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
