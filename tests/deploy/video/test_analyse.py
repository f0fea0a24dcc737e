"""`emotion video` from a clip to its table, summary, timeline and copy."""

import json
import re
import signal
from dataclasses import replace

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from made_videos import Brightness, flat_frames, write_video

from emotion_utils.deploy.classifier import Classifier
from emotion_utils.deploy.video import analyse
from emotion_utils.deploy.video.analyse import analyse_video
from emotion_utils.deploy.video.frames import Frame
from emotion_utils.deploy.video.smoothing import smooth
from emotion_utils.deploy.video.timeline import COLOURS, write_timeline
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.locks import hold
from emotion_utils.synthetic.clips import Actor, render_clip

FPS = 12
CLASSES = list(Brightness.class_names)


@pytest.fixture(scope="module")
def scene():
    """Frames of two persons, one of whom leaves, and then of a wall; with what is known of each."""
    actors = [
        Actor(3, (("neutral", 0.0), ("happy", 0.5)), ((0, 120, 130), (2, 170, 140)), 170, (0, 2)),
        Actor(11, (("neutral", 0.0),), ((0, 360, 140),), 170, (0, 1)),
    ]
    return list(render_clip(actors, 480, 270, FPS, 3.0))


@pytest.fixture(scope="module")
def clip(scene, tmp_path_factory):
    times_s = np.arange(len(scene)) / FPS + np.tile([0, 0.02], len(scene) // 2)
    path = tmp_path_factory.mktemp("clip") / "two.mp4"
    return write_video(path, [image for image, _ in scene], times_s=times_s, sound_s=3.0), times_s


@pytest.fixture(scope="module")
def analysed(clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("analysed")
    summary = analyse_video(Brightness(), str(clip[0]), folder, annotate=True)
    return folder, summary, pd.read_csv(folder / "faces.csv")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"is_synthetic": True}, "the model knows only synthetic faces"),
        (
            {"colour": "grey"},
            "grey images alone: {frames_with_faces} frames in colour were turned to grey",
        ),
        ({"source_px": 12}, "px large, those that the model was trained on 12 px"),
        ({"colour": "both", "source_px": 100}, ""),
    ],
)
def test_what_training_did_not_see_is_noted(clip, tmp_path, seen, words):
    model = Brightness()
    model.input_spec = replace(model.input_spec, **seen)
    summary = analyse_video(model, str(clip[0]), tmp_path / "out")
    said = [note for note in summary["notes"] if "model" in note]
    assert [words.format(**summary) in note for note in said] == ([True] if words else [])


def test_a_row_for_each_face_and_one_for_a_frame_without(scene, clip, analysed):
    _, summary, rows = analysed
    assert rows.columns.tolist() == [
        "frame", "time_s", "track", "left", "top", "width", "height", "found", "predicted", "confidence",
        *CLASSES, *(f"smoothed_{name}" for name in CLASSES),
    ]  # fmt: skip
    assert rows["frame"].drop_duplicates().tolist() == list(range(len(scene)))
    np.testing.assert_allclose(rows.groupby("frame")["time_s"].first(), clip[1], atol=1.1e-3)
    there = [len(known) for _, known in scene]
    seen = rows.groupby("frame")["found"].sum().tolist()
    assert np.mean(np.array(there) == seen) > 0.9
    empty = rows[~rows["found"]]
    assert len(empty)
    assert empty.drop(columns=["frame", "time_s", "found"]).isna().all(axis=None)
    for row in rows[rows["found"]].itertuples():
        left, top, width, height = next(
            face.box for face in scene[row.frame][1] if (face.person_seed == 3) == (row.left < 200)
        )
        assert abs(row.left + row.width / 2 - left - width / 2) < 0.25 * width
        assert abs(row.top + row.height / 2 - top - height / 2) < 0.25 * height
    assert summary["frames"] == len(scene)
    assert summary["frames_with_faces"] == (np.array(seen) > 0).sum()


def test_smoothed_probabilities_are_those_of_the_whole_track(analysed):
    _, _, rows = analysed
    smoothed = [f"smoothed_{name}" for name in CLASSES]
    for _, track in rows[rows["found"]].groupby("track"):
        for row in track.itertuples():
            expected = smooth(
                track["time_s"], track[CLASSES].to_numpy(), row.time_s, analyse.TIME_CONSTANT_S, ahead=True
            )
            np.testing.assert_allclose(track.loc[row.Index, smoothed].tolist(), expected, atol=2e-6)
    found = rows[rows["found"]]
    assert (found["confidence"] == found[smoothed].max(axis=1)).all()
    assert (found["predicted"] == found[smoothed].idxmax(axis=1).str.removeprefix("smoothed_")).all()


def test_the_summary_is_that_of_the_table(analysed):
    _, summary, rows = analysed
    found = rows[rows["found"]]
    assert [track["track"] for track in summary["tracks"]] == sorted(found["track"].unique())
    for track in summary["tracks"]:
        own = found[found["track"] == track["track"]]
        assert track["frames"] == len(own)
        assert track["first_s"] == own["time_s"].iloc[0]
        steps = own["time_s"].diff().fillna(0).clip(upper=0.5)
        shares = steps.groupby(own["predicted"]).sum() / steps.sum()
        assert track["shares"] == pytest.approx({name: shares.get(name, 0.0) for name in CLASSES}, abs=1e-3)
        assert track["seconds"] == pytest.approx(steps.sum(), abs=1e-3)


def test_the_copy_has_boxes_where_the_table_has_them_and_all_of_the_sound(clip, analysed):
    folder, _, rows = analysed
    with av.open(str(folder / "annotated.mp4")) as copy, av.open(str(clip[0])) as source:
        assert {stream.type for stream in copy.streams} == {"video", "audio"}
        packets = [
            [bytes(packet) for packet in each.demux(each.streams.audio[0]) if packet.size] for each in (copy, source)
        ]
        assert packets[0] == packets[1]
    with av.open(str(folder / "annotated.mp4")) as copy:
        frames = list(copy.decode(video=0))
    np.testing.assert_allclose([float(frame.time) for frame in frames], clip[1], atol=1.1e-3)
    first = rows[rows["frame"] == 6].iloc[0]
    image = frames[6].to_ndarray(format="rgb24").astype(int)
    middle, left = int(first["top"] + first["height"] / 2), int(first["left"])
    edge = image[middle - 9 : middle + 9, left - 1 : left + 2]
    colour = COLOURS[CLASSES.index(first["predicted"])]
    away = np.abs(edge - [int(colour[place : place + 2], 16) for place in (1, 3, 5)]).max(axis=2)
    assert np.median(away.min(axis=1)) < 50


@pytest.mark.parametrize("stop", [9, 31])
def test_what_was_cut_off_goes_on_to_the_same_bytes(clip, analysed, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(analyse, "WRITE_FRAMES", 8)
    with pytest.raises(KeyboardInterrupt):
        analyse_video(Brightness(fails_after=stop), str(clip[0]), tmp_path)
    assert not (tmp_path / "faces.csv").exists()
    model = Brightness()
    analyse_video(model, str(clip[0]), tmp_path)
    assert (tmp_path / "faces.csv").read_bytes() == (analysed[0] / "faces.csv").read_bytes()
    assert json.loads((tmp_path / "summary.json").read_text()) == analysed[1]
    assert not list(tmp_path.glob("*.part*"))
    assert stop < 16 or model.faces < len(analysed[2]), "what was done is not done again"


def test_a_finished_analysis_is_read_and_another_refused(clip, analysed, tmp_path):
    idle = Brightness(fails_after=0)
    assert analyse_video(idle, str(clip[0]), analysed[0]) == analysed[1]
    other = write_video(tmp_path / "other.mp4", flat_frames(3))
    with pytest.raises(InputError, match="with another video"):
        analyse_video(idle, str(other), analysed[0])
    with pytest.raises(InputError, match="another every"):
        analyse_video(idle, str(clip[0]), analysed[0], every=2)


def test_another_video_of_the_same_name_is_refused(tmp_path):
    kwargs = {"codec": "rawvideo", "pix_fmt": "bgr24"}
    for place, step in (("one", 1), ("two", -1)):
        (tmp_path / place).mkdir()
        write_video(tmp_path / place / "cam.avi", flat_frames(4)[::step], **kwargs)
        (tmp_path / place / "frames").mkdir()
        for number, image in enumerate(flat_frames(3)[::step]):
            cv2.imwrite(str(tmp_path / place / "frames" / f"{number}.png"), image)
    for name, fps in (("cam.avi", None), ("frames", 15)):
        analyse_video(Brightness(), str(tmp_path / "one" / name), tmp_path / name, fps=fps)
        with pytest.raises(InputError, match=rf"with another video of the same name \({name}"):
            analyse_video(Brightness(), str(tmp_path / "two" / name), tmp_path / name, fps=fps)
        analyse_video(Brightness(fails_after=0), str(tmp_path / "one" / name), tmp_path / name, fps=fps)


def test_two_at_once_are_refused_and_a_damaged_table_is_told(tmp_path):
    wall, out = str(write_video(tmp_path / "wall.mp4", flat_frames(3))), tmp_path / "out"
    with hold(out, "wait"), pytest.raises(EmotionError, match="another process is working on"):
        analyse_video(Brightness(), wall, out)
    analyse_video(Brightness(), wall, out)
    whole = (out / "faces.csv").read_bytes()
    lines = whole.splitlines(keepends=True)
    for damaged in (
        whole[:-3],
        b"".join(lines[:-1]),
        b"".join([*lines[:2], b"1,2,3\n", lines[3]]),
        b"",
        b"\xff" + whole,
    ):
        (out / "faces.csv").write_bytes(damaged)
        with pytest.raises(InputError, match=r"faces\.csv: is damaged; delete it"):
            analyse_video(Brightness(), wall, out)
    (out / "faces.csv").unlink()
    analyse_video(Brightness(), wall, out)
    assert (out / "faces.csv").read_bytes() == whole


def test_what_is_refused_leaves_no_folder(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError):
        analyse_video(Brightness(), str(tmp_path / "text.mp4"), tmp_path / "out")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError):
        analyse_video(Brightness(), str(tmp_path / "images"), tmp_path / "out", fps=5)
    assert not (tmp_path / "out").exists()
    wall = str(write_video(tmp_path / "wall.mp4", flat_frames(3)))
    with pytest.raises(InputError, match=r"cannot write to .*text\.mp4.out: Not a directory; choose another --output"):
        analyse_video(Brightness(), wall, tmp_path / "text.mp4" / "out")


@pytest.mark.parametrize("killed", ["write_json", "PartTable.finish"])
def test_a_kill_at_the_end_loses_nothing(tmp_path, monkeypatch, killed):
    def kill(*args):
        raise KeyboardInterrupt

    wall, out = str(write_video(tmp_path / "wall.mp4", flat_frames(3))), tmp_path / "out"
    expected = analyse_video(Brightness(), wall, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(f"emotion_utils.deploy.video.analyse.{killed}", kill)
        with pytest.raises(KeyboardInterrupt):
            analyse_video(Brightness(), wall, out)
    monkeypatch.setattr(analyse, "iterate_chunks", kill)
    assert analyse_video(Brightness(), wall, out) == expected
    assert (out / "faces.csv").read_bytes() == (tmp_path / "whole" / "faces.csv").read_bytes()
    assert not list(out.glob("*.part*"))


def test_time_with_a_face_follows_the_step(scene, tmp_path):
    for number, (image, _) in enumerate(scene[:5]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    summary = analyse_video(Brightness(), str(tmp_path), tmp_path / "out", fps=1, annotate=True)
    assert [track["seconds"] for track in summary["tracks"]] == [4.0, 4.0]
    drawing = (tmp_path / "out" / "timeline.svg").read_text()
    assert drawing.count("<polygon") == 2 * len(CLASSES), "bands are not interrupted"


def test_times_far_apart_are_drawn_and_copied(tmp_path):
    for number, image in zip((1, 20_260_101_120_000_005), flat_frames(2), strict=True):
        cv2.imwrite(str(tmp_path / f"im{number}.png"), image)
    summary = analyse_video(Brightness(), str(tmp_path), tmp_path / "out", fps=15, annotate=True)
    assert summary["last_s"] > 1e15
    assert (tmp_path / "out" / "timeline.svg").read_text().count("<path") < 15
    assert any("more than 6 hours apart" in note for note in summary["notes"])


def test_skipped_frames_have_no_rows_and_times_stay_true(clip, tmp_path):
    analyse_video(Brightness(), str(clip[0]), tmp_path, every=3, seconds=2.0)
    rows = pd.read_csv(tmp_path / "faces.csv")
    assert rows["frame"].drop_duplicates().tolist() == [n for n in range(0, 36, 3) if clip[1][n] < 2]
    shown = clip[1][::3]
    np.testing.assert_allclose(rows.groupby("frame")["time_s"].first(), shown[shown < 2], atol=1.1e-3)


def test_no_face_at_all_is_said(tmp_path):
    summary = analyse_video(Brightness(), str(write_video(tmp_path / "wall.mp4", flat_frames(5))), tmp_path / "out")
    assert "no face was found in 5 frames" in summary["notes"]
    assert "no face was found" in (tmp_path / "out" / "timeline.svg").read_text()


def test_a_camera_ends_at_an_interrupt_and_keeps_what_it_saw(scene, tmp_path, monkeypatch):
    class Camera:
        total, step_s, is_live, stopped, notes, jumps = 0, 0.0, True, False, (), ()

        def stop(self):
            self.stopped = True

        def __iter__(self):
            for number, (image, _) in enumerate(scene):
                if self.stopped:
                    return
                yield Frame(number, number / FPS, image)

    def interrupt(done, total):
        if done == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(analyse, "open_frames", lambda source, fps: Camera())
    summary = analyse_video(Brightness(), "0", tmp_path, progress=lambda what, unit: interrupt)
    assert summary["smoothing"] == "causal"
    assert 12 <= summary["frames"] < len(scene)
    assert pd.read_csv(tmp_path / "faces.csv")["frame"].nunique() == summary["frames"]
    with pytest.raises(InputError, match="--annotate needs a file"):
        analyse_video(Brightness(), "0", tmp_path / "other", annotate=True)


def test_the_timeline_answers_to_the_pointer_and_asks_nobody(analysed, browser):
    folder, summary, rows = analysed
    browser.get((folder / "timeline.html").as_uri())
    assert len(browser.find_elements("css selector", "figure img")) == len(summary["tracks"])
    place = browser.execute_script(
        "const b = document.querySelector('svg').getBoundingClientRect(); return [b.left, b.top, b.width]"
    )
    left, top, width = place
    scale = width / 960
    at_s = 1.0
    x = left + scale * (110 + at_s / summary["last_s"] * (960 - 110 - 16))
    browser.execute_script(
        "document.querySelector('svg').dispatchEvent(new PointerEvent('pointermove', {clientX: arguments[0], "
        "clientY: arguments[1]}))",
        x, top + scale * 60,
    )  # fmt: skip
    told = browser.find_element("id", "told").text
    track = rows[rows["track"] == summary["tracks"][0]["track"]]
    near = track.iloc[(track["time_s"] - at_s).abs().argmin()]
    shown = dict(re.findall(r"(\w+) (\d+)%", told))
    assert told.startswith("1.0 s, track 1:")
    assert {name: int(value) for name, value in shown.items()} == pytest.approx(
        {name: 100 * near[f"smoothed_{name}"] for name in CLASSES}, abs=1.0
    )
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_classes_of_any_name_are_in_the_timeline(analysed, tmp_path):
    names = ["DATA", "FACES", "<b>LEGEND"]
    renamed = {f"smoothed_{old}": f"smoothed_{new}" for old, new in zip(CLASSES, names, strict=True)}
    write_timeline(analysed[2].rename(columns=renamed), tmp_path, names, None)
    page = (tmp_path / "timeline.html").read_text()
    assert json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["classes"] == names
    for name in ("DATA", "FACES", "&lt;b&gt;LEGEND"):
        assert page.count(f">{name}</text>") == page.count(f" {name}</span>") == 1


@pytest.mark.parametrize(("width_px", "is_narrow"), [(390, True), (1440, False)])
def test_on_a_telephone_all_classes_are_named_beside_their_colours(analysed, browser, width_px, is_narrow):
    screen = {"width": width_px, "height": 800, "deviceScaleFactor": 1, "mobile": is_narrow}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        browser.get((analysed[0] / "timeline.html").as_uri())
        shown = browser.execute_script(
            "return [...document.querySelectorAll('.legend')].map(e => e.getBoundingClientRect().right * "
            "(e.getBoundingClientRect().width > 0))"
        )
        assert [right > 0 for right in shown] == [is_narrow, not is_narrow]
        assert max(shown) <= width_px
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px
        text_px = browser.execute_script(
            "return 13 * document.querySelector('svg').getBoundingClientRect().width / 960"
        )
        assert text_px >= 12
        if is_narrow:
            spans = browser.find_elements("css selector", "p.legend span")
            colours = [each.find_element("tag name", "i").value_of_css_property("background-color") for each in spans]
            rgb = [tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5)) for colour in COLOURS]
            assert [each.text for each in spans] == CLASSES
            assert [tuple(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours] == rgb[: len(CLASSES)]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_faces_the_page_shows_none(clip, tmp_path):
    analyse_video(Brightness(), str(clip[0]), tmp_path, show_faces=False, seconds=0.5)
    assert "<img" not in (tmp_path / "timeline.html").read_text()


def test_python_gives_the_rows_of_the_table(clip, analysed):
    rows = pd.DataFrame(Classifier(Brightness()).video(clip[0]))
    pd.testing.assert_frame_equal(rows, analysed[2], check_dtype=False)
