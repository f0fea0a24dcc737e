"""timeline.svg and timeline.html: of each track the smoothed probabilities over time, as bands that add up to 1."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from emotion_utils.deploy.video.frame import Frame
from emotion_utils.deploy.video.frames import read_again
from emotion_utils.deploy.video.summary import BRIEF_S
from emotion_utils.deploy.video.table import longest_step_s
from emotion_utils.evaluation.video import SMOOTHED
from emotion_utils.files import replacing
from emotion_utils.printable import count_of

MOST_TRACKS = 40  # that are shown, the longest ones
MOST_POINTS = 500  # of a track
BREAK_S = 0.7  # a longer time without the face interrupts the bands, where analysed frames are not further apart
WIDTH, LEFT, RIGHT, BAND, GAP, TOP = 960, 110, 16, 56, 22, 40  # pixels of the drawing
THUMBNAIL_PX = 56
# Okabe and Ito (2008): told apart by people who see colours differently, on white and on black.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c")


def write_timeline(
    rows: pd.DataFrame, folder: Path, class_names: Sequence[str], source: str | None, *, fps: float | None = None,
    seeks: bool = True,
) -> None:  # fmt: skip
    """Writes both into `folder` from the rows of faces.csv; with `source` the page shows a face of each track.

    `seeks`: whether the times of the rows are those of the video, so that a frame can be sought by its time.
    """
    faces = rows[rows["found"]]
    break_s = longest_step_s(rows, BREAK_S)
    last_s = float(rows["time_s"].max()) if len(rows) else 0.0
    spans = faces.groupby("track")["time_s"].agg(["min", "max"])
    lengths = (spans["max"] - spans["min"]).sort_values(ascending=False, kind="stable")
    shown = sorted(lengths[lengths >= BRIEF_S].index[:MOST_TRACKS]) or sorted(lengths.index[:MOST_TRACKS])
    tracks = {int(number): faces[faces["track"] == number] for number in shown}
    points = {number: _thin(track, class_names, last_s, break_s) for number, track in tracks.items()}
    left_out = len(spans) - len(tracks)
    title = f"{count_of(len(spans), 'track')}, {last_s:.1f} s" + (
        f"; {left_out} brief ones not shown" if left_out else ""
    )
    drawing = _draw(points, class_names, last_s, title)
    with replacing(folder / "timeline.svg") as path:
        path.write_text(drawing, encoding="utf-8")
    thumbnails = {} if source is None else _thumbnails(source, tracks, fps=fps, seeks=seeks)
    data = {"last": last_s, "near": break_s, "classes": list(class_names), "tracks": dict(points.items())}
    parts = {
        "DRAWING": drawing, "FACES": _list_faces(thumbnails), "LEGEND": _list_classes(class_names),
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }  # fmt: skip
    page = re.sub("|".join(parts), lambda found: parts[found[0]], PAGE)  # at once: a class may be called DATA
    with replacing(folder / "timeline.html") as path:
        path.write_text(page, encoding="utf-8")


def _thin(track: pd.DataFrame, class_names: Sequence[str], last_s: float, break_s: float) -> list[list[list[float]]]:
    """Stretches without a break, each a list of points: time and smoothed probabilities, means over equal times."""
    step_s = max(last_s / MOST_POINTS, 1e-9)
    columns = [SMOOTHED + name for name in class_names]
    stretch = (track["time_s"].diff() > break_s).cumsum()
    thinned = []
    for _, part in track.groupby(stretch):
        means = part.groupby((part["time_s"] / step_s).astype(int))[["time_s", *columns]].mean()
        thinned.append(means.round(4).to_numpy().tolist())
    return thinned


def _draw(tracks: Mapping[int, list[list[list[float]]]], class_names: Sequence[str], last_s: float, title: str) -> str:
    height = TOP + max(1, len(tracks)) * (BAND + GAP) + 24
    scale = (WIDTH - LEFT - RIGHT) / max(last_s, 1e-9)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Emotions over time: {html.escape(title)}" font-family="sans-serif" font-size="13" '
        'fill="currentColor">',
        '<g class="legend">',
        *_draw_legend(class_names),
        "</g>",
        *_draw_axis(last_s, scale, height),
    ]
    for row, (number, stretches) in enumerate(tracks.items()):
        top = TOP + row * (BAND + GAP)
        parts.append(f'<text x="4" y="{top + 33}">track {number}</text><g data-track="{number}">')
        for stretch in stretches:
            parts += _draw_bands(stretch, top, scale)
        parts.append("</g>")
    if not tracks:
        parts.append(f'<text x="{LEFT}" y="{TOP + 33}">no face was found</text>')
    return "\n".join([*parts, "</svg>\n"])


def _draw_legend(class_names: Sequence[str]) -> list[str]:
    parts, x = [], LEFT
    for place, name in enumerate(class_names):
        parts.append(
            f'<rect x="{x}" y="10" width="12" height="12" fill="{COLOURS[place % len(COLOURS)]}"/>'
            f'<text x="{x + 17}" y="21">{html.escape(name)}</text>'
        )
        x += 34 + 8 * len(name)
    return parts


def _draw_bands(stretch: list[list[float]], top: float, scale: float) -> list[str]:
    points = np.array(stretch)
    if len(points) == 1:  # a single moment is given a width that can be seen
        points = np.repeat(points, 2, axis=0)
        points[:, 0] += (-1 / scale, 1 / scale)
    across = LEFT + scale * points[:, 0]
    edges = top + BAND * (1 - np.cumsum(points[:, 1:], axis=1))
    edges = np.hstack([np.full((len(points), 1), top + BAND), np.maximum(edges, top)])
    bands = []
    for place in range(edges.shape[1] - 1):
        there = [f"{x:.1f},{y:.1f}" for x, y in zip(across, edges[:, place + 1], strict=True)]
        back = [f"{x:.1f},{y:.1f}" for x, y in zip(across[::-1], edges[::-1, place], strict=True)]
        bands.append(f'<polygon fill="{COLOURS[place % len(COLOURS)]}" points="{" ".join(there + back)}"/>')
    return bands


def _draw_axis(last_s: float, scale: float, height: float) -> list[str]:
    step = next((each for each in (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600) if last_s / each <= 12), None)
    step = step or 7200 * -(-int(last_s) // (12 * 7200))
    parts = []
    for place in range(int(last_s / step) + 1):
        x, moment = LEFT + scale * place * step, place * step
        label = f"{moment:g} s" if last_s < 120 else f"{int(moment) // 60}:{int(moment) % 60:02d}"
        parts.append(
            f'<path d="M{x:.1f} {TOP - 4}V{height - 22}" stroke="currentColor" stroke-opacity="0.25"/>'
            f'<text x="{x:.1f}" y="{height - 7}" text-anchor="middle">{label}</text>'
        )
    return parts


def _thumbnails(source: str, tracks: Mapping[int, pd.DataFrame], *, fps: float | None, seeks: bool) -> dict[int, str]:
    """Of each track a JPEG of its face at its surest, in base64; none where its frame cannot be read again."""
    best = {number: track.loc[track["confidence"].idxmax()] for number, track in tracks.items()}
    wanted = {int(row["frame"]): float(row["time_s"]) for row in best.values()}
    found: dict[int, str] = {}
    for place, frame in read_again(source, wanted, fps=fps, seeks=seeks):
        for number, row in best.items():
            if row["frame"] == place and (picture := _cut_thumbnail(frame, row)):
                found[number] = picture
    return {number: found[number] for number in tracks if number in found}


def _cut_thumbnail(frame: Frame, row: pd.Series) -> str | None:
    left, top, width, height = (round(frame.scale * row[side]) for side in ("left", "top", "width", "height"))
    face = frame.image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if not face.size:
        return None
    small = cv2.resize(face, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    written, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return base64.b64encode(data).decode() if written else None


def _list_faces(thumbnails: Mapping[int, str]) -> str:
    return "".join(
        f'<figure><img alt="face of track {number}" src="data:image/jpeg;base64,{picture}">'
        f"<figcaption>track {number}</figcaption></figure>"
        for number, picture in thumbnails.items()
    )


def _list_classes(class_names: Sequence[str]) -> str:
    return " ".join(
        f'<span><i style="background: {COLOURS[place % len(COLOURS)]}"></i> {html.escape(name)}</span>'
        for place, name in enumerate(class_names)
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline';
 script-src 'unsafe-inline'">
<title>Emotions over time</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 sans-serif; max-width: 64rem; margin: 1rem auto; padding: 0 1rem }
.scroll { overflow-x: auto; position: relative } svg { width: 100%; min-width: 56rem; height: auto; display: block }
p.legend { display: none } .legend span { white-space: nowrap; margin-right: .75rem }
.legend i { display: inline-block; width: .75rem; height: .75rem }
figure { display: inline-block; margin: 0 .75rem .5rem 0; text-align: center; font-size: .8rem }
output { display: block; min-height: 1.6em; font-variant-numeric: tabular-nums }
@media (max-width: 58rem) { p.legend { display: block } svg .legend { display: none } output { min-height: 3em } }
</style></head><body>
<h1>Emotions over time</h1>
<p>Each band is the smoothed probability of a class. They say what people who label faces would see, not what anybody
feels.</p>
<div>FACES</div>
<output id="told" aria-live="polite">Point at a track, or use the arrow keys, to read its values.</output>
<p class="legend">LEGEND</p>
<div class="scroll" tabindex="0" aria-label="Timeline">DRAWING</div>
<script type="application/json" id="data">DATA</script>
<script>
const data = JSON.parse(document.getElementById("data").textContent), told = document.getElementById("told");
const svg = document.querySelector("svg"), names = Object.keys(data.tracks), [LEFT, RIGHT] = [110, 16];
const line = document.createElementNS(svg.namespaceURI, "path");
line.setAttribute("stroke", "currentColor"); svg.append(line);
let row = 0, time = 0;
function tell() {
  const box = svg.viewBox.baseVal, x = LEFT + time / (data.last || 1) * (box.width - LEFT - RIGHT);
  line.setAttribute("d", `M${x} 36V${box.height - 22}`);
  let best = null;
  for (const stretch of data.tracks[names[row]] || []) for (const point of stretch)
    if (!best || Math.abs(point[0] - time) < Math.abs(best[0] - time)) best = point;
  if (!best) return;
  const near = Math.abs(best[0] - time) <= Math.max(data.near, data.last / 400);
  told.textContent = `${time.toFixed(1)} s, track ${names[row]}: ` + (near ? data.classes.map(
    (name, place) => `${name} ${(100 * best[place + 1]).toFixed(0)}%`).join(", ") : "no face");
}
svg.addEventListener("pointermove", event => {
  const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
  time = Math.min(data.last, Math.max(0, ((event.clientX - box.left) * scale - LEFT)
    / (svg.viewBox.baseVal.width - LEFT - RIGHT) * data.last));
  row = Math.min(names.length - 1, Math.max(0, Math.floor(((event.clientY - box.top) * scale - 40) / 78)));
  tell();
});
document.querySelector(".scroll").addEventListener("keydown", event => {
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key], up = {ArrowUp: -1, ArrowDown: 1}[event.key];
  if (step) time = Math.min(data.last, Math.max(0, time + step * data.last / 100));
  else if (up) row = Math.min(names.length - 1, Math.max(0, row + up));
  else return;
  event.preventDefault(); tell();
});
</script></body></html>
"""
