"""The synthetic clip in the report."""

import pandas as pd
import pytest

from emotion_utils.deploy.video.clip import plan_clip
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.video import video_figure, write_video
from emotion_utils.stages import stages_of

MODEL = "r18_pre_emotion"
BOX = {"left": 10, "top": 10, "width": 20, "height": 20}


@pytest.fixture
def with_clip(make_run):
    run = make_run()
    run.write("facts", {**run.facts, "config": {**run.facts["config"], "video": True}})
    shown = ["happy"] * 6 + ["sad"] * 4
    read = ["happy", "sad", "happy", "happy", "happy", "happy", "happy", "sad", "sad", "sad"]
    smoothed = ["happy"] * 7 + ["sad"] * 3

    def probs(answers, prefix=""):
        return {f"{prefix}{name}": [0.8 if answer == name else 0.1 for answer in answers] for name in run.class_names()}

    frames = {"frame": range(10), "time_s": [number / 5 for number in range(10)]}
    run.write("video_truth", pd.DataFrame({**frames, "person": "person 1", "label": shown, **BOX}))
    found = {"track": 1, **BOX, "found": "True", "predicted": smoothed, "confidence": 0.8}
    run.write("video_faces", pd.DataFrame({**frames, **found, **probs(read), **probs(smoothed, "smoothed_")}))
    run.write("video_model", {"model": MODEL, "weights": run.read("model_card", MODEL)["sha256"]})
    return type(run).open(run.root)


def test_the_section_says_what_the_tables_hold(with_clip):
    results = read_results(with_clip)
    text = " ".join(claim.text for claim in write_video(results).claims)
    assert "Of their 10 faces in 10 frames, 100% were found" in text
    assert "in 80% of these frame by frame, and in 90% after smoothing" in text
    assert "The expressions change once, the answers three times and after smoothing once." in text
    assert "track 1" in video_figure(results).html


def test_a_clip_of_other_weights_is_refused(with_clip):
    with_clip.write("video_model", {"model": MODEL, "weights": "0" * 64})
    with pytest.raises(EmotionError, match="run 07_video again"):
        read_results(with_clip)


def test_the_notebook_stands_before_the_report_where_it_is_asked_for(with_clip):
    names = [stage.notebook for stage in stages_of(with_clip.config)]
    assert names[-2:] == ["07_video", "06_comparison"]
    assert "07_video" not in [s.notebook for s in stages_of(with_clip.config.model_copy(update={"video": False}))]


def test_classes_that_no_synthetic_face_shows_are_refused():
    with pytest.raises(InputError, match="do not show bored"):
        plan_clip(("bored", "happy"), 3.0, seed=0)
