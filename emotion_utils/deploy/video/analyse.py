"""`emotion video`: a table of the faces in a video, a timeline, a summary and, if asked for, an annotated copy."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emotion_utils.deploy.network import Network
from emotion_utils.deploy.part_table import PartTable
from emotion_utils.deploy.video.annotate import annotate_video
from emotion_utils.deploy.video.frame import Frame, Frames
from emotion_utils.deploy.video.frames import fingerprint, open_frames
from emotion_utils.deploy.video.rows import FRAMES_AT_ONCE, iterate_chunks
from emotion_utils.deploy.video.smoothing import CAUSAL_TIME_CONSTANT_S, TIME_CONSTANT_S, Smoother
from emotion_utils.deploy.video.summary import MOST_MOMENTS, Tally
from emotion_utils.deploy.video.table import columns_of, read_faces, to_cells
from emotion_utils.deploy.video.timeline import write_timeline
from emotion_utils.errors import InputError
from emotion_utils.files import missing_folders, read_json, remove_empty, write_json
from emotion_utils.given_paths import expand
from emotion_utils.locks import LOCK_FILE, hold_output
from emotion_utils.printable import count_of, printable
from emotion_utils.progress import Progress

TABLE, SUMMARY, COPY = "faces.csv", "summary.json", "annotated.mp4"
WRITE_FRAMES = 200  # analysed between two writes: what a kill may lose


def analyse_video(
    network: Network, source: str, folder: Path, *, every: int = 1, fps: float | None = None,
    causal: bool | None = None, seconds: float | None = None, annotate: bool = False, show_faces: bool = True,
    progress: Callable[[str, str], Progress | None] = lambda what, unit: None,
) -> dict[str, Any]:  # fmt: skip
    """Writes faces.csv, summary.json, timeline.svg and timeline.html into `folder`; gives the summary.

    `causal` smooths with what came before alone, as a camera must; `seconds` ends it early. What `folder` holds of the
    same analysis, whole or in part, is kept. Raises InputError for what is no video, for a folder that holds another
    analysis, and where nothing can be written; EmotionError while another process writes there.
    """
    if expand(source).exists():
        source = str(expand(source).absolute())
    frames = open_frames(source, fps=fps)
    if annotate and frames.is_live:
        raise InputError("--annotate needs a file: what a camera has shown cannot be read again")
    causal = frames.is_live if causal is None else causal
    facts = {
        "video": _name(source), "fingerprint": fingerprint(source),
        "model": _checksum(network.facts), "every": every, "fps": fps, "seconds": seconds,
        "smoothing": "causal" if causal else "both ways",
        "time_constant_s": CAUSAL_TIME_CONSTANT_S if causal else TIME_CONSTANT_S,
    }  # fmt: skip
    with _holding(folder):
        summary = _read_finished(folder, facts)
        if summary is None:
            summary = _analyse(network, frames, folder, facts, progress("video", "frame"))
        rows = read_faces(folder / TABLE, network.class_names, summary["frames"])
        write_timeline(
            rows, folder, network.class_names, source if show_faces else None, fps=fps, seeks=not summary["time_jumps"]
        )
        if annotate:
            notes = annotate_video(
                source, rows, folder / COPY, network.class_names, fps=fps, jumps=summary["time_jumps"],
                progress=progress("copy", "frame"),
            )  # fmt: skip
            if new := [note for note in notes if note not in summary["notes"]]:
                summary["notes"] += new
                write_json(folder / SUMMARY, summary)
    return summary


def iterate_rows(
    network: Network, source: str, *, every: int = 1, fps: float | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of faces.csv, while they are made."""
    frames = open_frames(source, fps=fps)
    smoother, at_once = _make_smoother(frames.is_live), 1 if frames.is_live else FRAMES_AT_ONCE
    for chunk in iterate_chunks(network, frames, smoother, every=every, at_once=at_once):
        yield from (to_cells(row, network.class_names) for row in chunk.rows)


def list_lines(summary: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """What a person is told at the end."""
    every = f", one of {summary['every']}" if summary["every"] > 1 else ""
    yield (
        f"{count_of(summary['frames'], 'frame')} analysed{every}, {summary['frames_with_faces']:,} with a face; "
        f"{count_of(len(summary['tracks']), 'track')} in {summary['last_s']:.1f} s"
    )
    everybody = summary["all_tracks"]
    if everybody["seconds"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in everybody["shares"].items())
        yield f"of {everybody['seconds']:.1f} s with a face: {shares}"
    yield from summary["notes"]
    yield f"{folder / TABLE}; {SUMMARY} and timeline.html lie beside it"


def _analyse(
    network: Network, frames: Frames, folder: Path, facts: dict[str, Any], progress: Progress | None
) -> dict[str, Any]:
    table = PartTable(folder / TABLE)
    try:
        table.resume(_checksum(facts))
        done = table.state and table.state.get("summary")
        summary = done or _fill(table, network, frames, facts, progress)
    except BaseException:
        table.abandon()
        raise
    write_json(folder / SUMMARY, summary)  # first, so that a table that is there has its summary
    table.finish()
    return summary


def _fill(
    table: PartTable, network: Network, frames: Frames, facts: dict[str, Any], progress: Progress | None
) -> dict[str, Any]:
    """Writes rows after those that `table` holds, and the summary, which it gives, as the state after the last one."""
    names, tally = columns_of(network.class_names), Tally(network.class_names, facts["every"] * frames.step_s)
    waiting: list[list[Any]] = []
    if table.state:
        tally.restore(table.state["tally"])
    else:
        table.restart()
        waiting.append(names)
    smoother = _make_smoother(facts["smoothing"] == "causal")
    shown = _until(frames, facts["seconds"])
    written = table.done
    with _ending_at_interrupt(frames):
        for chunk in iterate_chunks(
            network, shown, smoother, every=facts["every"], at_once=1 if frames.is_live else FRAMES_AT_ONCE,
            state=table.state,
        ):  # fmt: skip
            rows = [to_cells(row, network.class_names) for row in chunk.rows]
            tally.add(chunk, rows)
            waiting += [[row.get(name, "") for name in names] for row in rows]
            if chunk.state and chunk.frames - written >= WRITE_FRAMES:
                table.append(_to_text(waiting), chunk.frames, {**chunk.state, "tally": tally.state()})
                waiting, written = [], chunk.frames
            if progress:
                progress(chunk.frames, -(-frames.total // facts["every"]))
    summary = {
        **facts, **tally.summary(), "time_jumps": [asdict(jump) for jump in frames.jumps[:MOST_MOMENTS]],
        "notes": [*frames.notes, *tally.notes(network.input_spec)],
    }  # fmt: skip
    table.append(_to_text(waiting), chunk.frames, {"summary": summary})
    return summary


@contextmanager
def _holding(folder: Path) -> Iterator[None]:
    """Nobody else writes into `folder`, which is taken back where it is new and nothing came of it."""
    made = missing_folders(folder)
    try:
        with hold_output(folder):
            yield
    finally:
        if made and [path.name for path in folder.glob("*")] == [LOCK_FILE]:
            (folder / LOCK_FILE).unlink()
            remove_empty(made)


def _make_smoother(causal: bool) -> Smoother:
    return Smoother(CAUSAL_TIME_CONSTANT_S if causal else TIME_CONSTANT_S, ahead=not causal)


def _until(frames: Frames, seconds: float | None) -> Iterator[Frame]:
    """The frames of the first `seconds`."""
    for frame in frames:
        if seconds is not None and frame.time_s >= seconds:
            return
        yield frame


@contextmanager
def _ending_at_interrupt(frames: Frames) -> Iterator[None]:
    """A first Ctrl-C ends what a camera shows, so that all that was seen is kept."""
    if not frames.is_live or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: frames.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _to_text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _name(source: str) -> str:
    """The video as the summary names it: by its file, whose size tells it from another of that name."""
    path = Path(source)
    if path.is_dir():
        return printable(path.name)
    return f"{printable(path.name)}, {path.stat().st_size:,} bytes" if path.exists() else f"camera {source}"


def _checksum(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read_finished(folder: Path, facts: dict[str, Any]) -> dict[str, Any] | None:
    """The summary of the same analysis where it is finished. Raises InputError where `folder` holds another one."""
    if not (folder / SUMMARY).exists():
        if (folder / TABLE).exists():
            raise InputError(
                f"{folder / TABLE}: is there, but no {SUMMARY} with it; move it away, or choose another --output"
            )
        return None
    summary = read_json(folder / SUMMARY)
    told = {name: summary.get(name) for name in facts} if isinstance(summary, dict) else {}
    if told == facts:
        return summary if (folder / TABLE).exists() else None
    other = next((name for name in facts if told.get(name) != facts[name]), "video")
    if other != "fingerprint":
        known = f"with another {other} ({printable(str(told.get(other)))}, here {facts[other]})"
    elif told[other] is None:
        known = f"of an earlier version, which did not note which {facts['video']} it was of"
    else:
        known = f"with another video of the same name ({facts['video']})"
    raise InputError(f"{folder}: holds an analysis {known}; choose another --output")
