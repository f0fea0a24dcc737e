"""`emotion predict`: rows as they come, to the screen or to a file that a second try goes on with; then warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from emotion_utils.deploy.asked_model import introduce
from emotion_utils.deploy.input_images import Missed
from emotion_utils.deploy.input_warnings import Tally
from emotion_utils.deploy.part_table import PartTable
from emotion_utils.deploy.predict_files import FilePredictor, to_csv
from emotion_utils.errors import InputError
from emotion_utils.files import refuse_target
from emotion_utils.progress import Progress
from emotion_utils.terminal.output import note


def predict_to_file(
    model_dir: Path | None, paths: Iterable[Path], output: Path, missed: Missed, progress: Progress | None
) -> Tally:
    """Writes the table of `predict_files` to `output`, which grows as OUTPUT.part. Raises as `_warn` does."""
    refuse_target(output, "name a file, or leave --output away: the table then goes to standard output")
    predictor, tally = FilePredictor(model_dir, paths, missed), Tally()
    table = PartTable(output)
    try:
        _load(predictor, model_dir)
        table.resume(predictor.key)
        if table.done:
            rows = table.read()
            if predictor.made(rows, table.done):
                tally.add_rows(rows, table.done)
                note(f"{output}: {table.done:,} of {len(predictor.images):,} images were predicted before")
            else:
                note(f"{output}.part: is not what this command wrote; it starts from the first image")
                table.restart()
        _predict(predictor, tally, lambda text: table.append(text, tally.images), progress)
    except BaseException:
        table.abandon()
        raise
    table.finish()
    _warn(predictor, tally)
    return tally


def predict_to_screen(
    model_dir: Path | None, paths: Iterable[Path], missed: Missed, write: Callable[[str], None],
    progress: Progress | None,
) -> None:  # fmt: skip
    """Writes the table of `predict_files`, a few rows at a time. Raises as `_warn` does."""
    predictor, tally = FilePredictor(model_dir, paths, missed), Tally()
    _load(predictor, model_dir)
    _predict(predictor, tally, write, progress)
    _warn(predictor, tally)


def _load(predictor: FilePredictor, model_dir: Path | None) -> None:
    predictor.load()
    if model_dir is None:
        note(introduce(predictor.network))


def _predict(predictor: FilePredictor, tally: Tally, write: Callable[[str], None], progress: Progress | None) -> None:
    for line in predictor.notes:
        note(line)
    for rows, group in predictor.tables(tally.images):
        is_first = not tally.images
        tally.add(group)
        write(to_csv(rows, header=is_first))
        if progress:
            progress(tally.images, len(predictor.images))


def _warn(predictor: FilePredictor, tally: Tally) -> None:
    """Says what has to be known of the images. Raises InputError where none of them can be used."""
    if tally.refused.total() == tally.images:
        none = "the file cannot be used" if tally.images == 1 else f"none of the {tally.images:,} files can be used"
        raise InputError(f"{none}: {tally.first_refused}")
    if predictor.network.views > 1:
        note(f"each face is read in {predictor.network.views} views; probabilities are means")
    for line in tally.lines(predictor.network.input_spec):
        note(line)
