"""A synthetic clip, read frame by frame: what was found, and what smoothing over time does. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.video import count_changes, match_truth
from emotion_utils.figures.style import figure_svg
from emotion_utils.figures.video import plot_timeline
from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, show_figure
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results


def write_video(results: Results) -> Prose:
    """How often faces and expressions are recognised, raw and smoothed; nothing where no clip was analysed."""
    prose = Prose(results, "creative element")
    if results.video is None:
        return prose
    model, faces, truth = results.video
    matched = match_truth(faces, truth, results.class_names)
    found = matched[matched["found"]]
    prose.say(
        "A synthetic clip of {seconds:plain} s shows {persons:words} persons whose expressions change ({figure}). Of "
        "their {faces:count} faces in {frames:count} frames, {share:pct0} were found and followed.",
        seconds=round(float(truth["time_s"].max())), persons=truth["person"].nunique(), figure=Ref("fig-video"),
        faces=len(matched), frames=truth["frame"].nunique(), share=len(found) / len(matched),
    )  # fmt: skip
    prose.say(
        "{model} recognises the expression in {raw:pct0} of these frame by frame, and in {smoothed:pct0} after "
        "smoothing over time. The expressions change {changes:times}, the answers {raw_changes:times} and after "
        "smoothing {smoothed_changes:times}.",
        model=Model(model), raw=float((found["raw"] == found["label"]).mean()),
        smoothed=float((found["smoothed"] == found["label"]).mean()), changes=count_changes(matched, "label"),
        raw_changes=count_changes(matched, "raw"), smoothed_changes=count_changes(matched, "smoothed"),
        metric="accuracy",
    )  # fmt: skip
    prose.say("The clip says nothing about real video.")
    return prose


def video_figure(results: Results) -> Shown:
    """Smoothed probabilities over time; empty where no clip was analysed."""
    if results.video is None:
        return Shown()
    _, faces, truth = results.video
    read = ", ".join(dict.fromkeys(truth["label"]))
    alt = f"Bands of smoothed probabilities over time, a row for each face; the expressions shown are {read}."
    figure = figure_svg(plot_timeline(faces, truth, results.class_names), "video", alt)
    caption = (
        "Smoothed probabilities of each face in the synthetic clip. A line marks where an expression is half risen."
    )
    return show_figure(results, "fig-video", [figure], caption, columns=1, width_px=640)
