"""Frames as a viewer shows them, read from videos that were written frame by frame."""

import os
import wave

import av
import cv2
import numpy as np
import pytest
from made_videos import flat_frames, number_of, write_video

from emotion_utils.deploy.video import upright
from emotion_utils.deploy.video.frames import fingerprint, open_frames, read_again
from emotion_utils.errors import InputError


def is_red(pixel):
    red, green, blue = map(int, pixel)
    return red > 180 and green < 90 and blue < 90


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("mp4.mp4", {}),
        ("444.mkv", {"pix_fmt": "yuv444p"}),
        ("ten_bits.mkv", {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": {"x265-params": "log-level=none"}}),
        ("film.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "deadline": "realtime"}}),
        ("old.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ],
)
def test_every_frame_comes_once_in_order_whatever_the_codec(tmp_path, name, kwargs):
    shown = list(open_frames(write_video(tmp_path / name, flat_frames(12), **kwargs)))
    assert [frame.number for frame in shown] == list(range(12))
    assert [number_of(frame.image) for frame in shown] == list(range(12))
    assert all(is_red(frame.image[4, 4]) and not is_red(frame.image[4, -4]) for frame in shown)


def test_times_are_those_that_were_written_at_any_rate(tmp_path):
    gaps = np.random.default_rng(0).integers(15, 400, 20)
    times_s = (np.cumsum(gaps) - gaps[0]) / 1000
    shown = list(open_frames(write_video(tmp_path / "vfr.mkv", flat_frames(20), times_s=times_s + 3.5)))
    np.testing.assert_allclose([frame.time_s for frame in shown], times_s, atol=1.1e-3)


@pytest.mark.parametrize(("turned", "corner"), [(90, (-4, 4)), (180, (-4, -4)), (270, (4, -4))])
def test_a_video_that_is_to_be_turned_is(tmp_path, turned, corner):
    path = write_video(tmp_path / "turned.mp4", flat_frames(3), turned=turned)
    image = next(iter(open_frames(path))).image
    assert image.shape[:2] == ((96, 64) if turned != 180 else (64, 96))
    assert is_red(image[corner]), "counter-clockwise, as the display matrix says"


def test_pixels_become_square(tmp_path):
    path = write_video(tmp_path / "wide.mkv", flat_frames(3), shape="2/1")
    assert next(iter(open_frames(path))).image.shape == (64, 192, 3)


def test_lines_of_interlaced_frames_are_joined(tmp_path):
    bars = []
    for number in range(12):
        frame = np.zeros((64, 96, 3), np.uint8)
        for parity in (0, 1):
            left = 6 * number + 3 * parity
            frame[parity::2, left : left + 12] = 255
        bars.append(frame)
    path = write_video(tmp_path / "tv.mkv", bars, options={"x264-params": "interlaced=1:bframes=0"}, pix_fmt="yuv420p")
    frames = open_frames(path)
    shown = list(frames)
    # In a comb every second line differs from its neighbours.
    combs = [np.abs(np.diff(frame.image[8:-8, :, 1].astype(int), axis=0)).mean() for frame in shown[2:-2]]
    assert len(shown) == 12
    assert max(combs) < 0.5 * np.abs(np.diff(bars[4][..., 1].astype(int), axis=0)).mean()
    assert frames.notes == ["it is interlaced; the lines of each frame are joined (yadif)"]


def test_what_is_left_of_a_file_cut_short_is_kept_and_said(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(100)]
    whole = write_video(tmp_path / "whole.mkv", noise).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    frames = open_frames(cut)
    shown = list(frames)
    assert 40 < len(shown) < 60
    assert len(frames.notes) == 1
    assert "may be cut short" in frames.notes[0]
    assert f"{shown[-1].time_s:.1f} s of the 4.0 s" in frames.notes[0]


@pytest.mark.parametrize("name", ["a.mkv", "with_sound.mkv", "a.mp4"])
def test_a_small_part_that_is_missing_is_said_and_a_whole_file_is_not_blamed(tmp_path, name):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (32, 48, 3), dtype=np.uint8) for _ in range(45)]
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = write_video(tmp_path / name, noise, fps=15, sound_s=3.5 if "sound" in name else 0, container_options=options)
    frames = open_frames(path)
    assert len(list(frames)) == 45
    assert not frames.notes
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 88 // 100])
    assert len(list(frames)) < 43
    assert "may be cut short" in frames.notes[0]


@pytest.mark.parametrize(
    ("name", "packet", "options"),
    [("a.ts", 188, {}), ("sound.ts", 188, {}), ("a.m2ts", 192, {"mpegts_m2ts_mode": "1"}), ("fec.ts", 204, {})],
)
def test_a_transport_stream_that_ends_within_a_packet_is_cut_and_a_whole_one_is_not_blamed(
    tmp_path, name, packet, options
):
    path = write_video(
        tmp_path / name, flat_frames(40), sound_s=1.6 if name == "sound.ts" else 0, sound_codec="mp2", sound_rate=48000,
        container_options=options,
    )  # fmt: skip
    if packet == 204:
        written = path.read_bytes()
        path.write_bytes(
            b"".join(written[place : place + 188] + bytes(range(16)) for place in range(0, len(written), 188))
        )
    whole = path.read_bytes()
    assert len(whole) % packet == 0
    packets = len(whole) // packet
    begun = whole[packet // 2 :]  # a recording that begins within a packet
    for kept in (whole, whole[: packet * (packets - 7)], begun, whole + b"TAG" + bytes(125), whole[:-50] + whole):
        path.write_bytes(kept)
        frames = open_frames(path)
        assert len(list(frames)) > 20
        assert not [note for note in frames.notes if "cut short" in note]
    for left in (1, 3, 4, 5, packet // 2, packet - 1):
        for cut in (whole[: packet * (packets - 9) + left], begun[: -packet + left]):
            path.write_bytes(cut)
            frames = open_frames(path)
            assert len(list(frames)) > 20
            assert sum("cut short" in note for note in frames.notes) == 1


def test_names_that_ffmpeg_or_a_shell_reads_otherwise(tmp_path, monkeypatch):
    clip = write_video(tmp_path / "clip.mp4", flat_frames(2))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("12:30.mp4", "data:x.mp4", "./~x.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
        assert len(list(open_frames(name))) == 2
    assert len(list(open_frames("~/clip.mp4"))) == 2
    assert fingerprint("~/clip.mp4") == fingerprint(clip)


def test_thumbnails_are_frames_of_their_numbers(tmp_path):
    data = write_video(tmp_path / "a.ts", flat_frames(20), options={"g": "10"}).read_bytes()
    late, twice = tmp_path / "late.ts", tmp_path / "twice.ts"
    late.write_bytes(data[len(data) // 4 // 188 * 188 :])
    twice.write_bytes(2 * data)
    for path, seeks in ((late, True), (twice, False)):
        shown = {frame.number: frame for frame in open_frames(path)}
        wanted = {number: round(shown[number].time_s, 6) for number in (9, 2)}
        again = dict(read_again(path, wanted, seeks=seeks))
        assert {n: number_of(frame.image) for n, frame in again.items()} == {
            n: number_of(shown[n].image) for n in wanted
        }


def test_frames_that_avi_gives_no_times_of_their_own_are_evenly_apart(tmp_path):
    frames = open_frames(write_video(tmp_path / "b.avi", flat_frames(20), options={"bf": "3"}))
    times_s = [frame.time_s for frame in frames]
    np.testing.assert_allclose(times_s, np.arange(20) / 25, atol=2e-3)
    assert not frames.notes


def test_large_frames_are_held_small(tmp_path, monkeypatch):
    monkeypatch.setattr(upright, "LARGEST_PX", 48)
    first = next(iter(open_frames(write_video(tmp_path / "8k.mp4", flat_frames(3)))))
    assert first.image.shape == (32, 48, 3)
    assert first.scale == 0.5


def test_a_folder_of_numbered_images_is_in_the_order_of_the_numbers(tmp_path):
    for number, frame in zip((8, 9, 10, 12), flat_frames(4), strict=True):
        cv2.imwrite(str(tmp_path / f"shot2_{number}.png"), frame[..., ::-1])
    shown = list(open_frames(tmp_path, fps=10))
    assert [number_of(frame.image) for frame in shown] == [0, 1, 2, 3]
    assert [frame.time_s for frame in shown] == [0.0, 0.1, 0.2, 0.4], "an image is missing"
    assert [frame.number for frame in shown] == [0, 1, 2, 4]
    (tmp_path / "shot2_11.png").write_bytes(b"no image")
    frames = open_frames(tmp_path, fps=10)
    assert len(list(frames)) == 4
    assert "1 image left out, such as shot2_11.png" in frames.notes[0]
    os.mkfifo(tmp_path / "shot2_13.png")
    [note] = open_frames(tmp_path, fps=10).notes
    assert note == "1 name of no file left out (pipe, device, link to nothing), such as shot2_13.png"


def test_what_is_no_video_is_refused_in_a_line(tmp_path):
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4000))
    cv2.imwrite(str(tmp_path / "face.png"), flat_frames(1)[0])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "images").mkdir()
    for name in ("a1.png", "b1.png"):
        cv2.imwrite(str(tmp_path / "images" / name), flat_frames(1)[0])
    clip = write_video(tmp_path / "clip.mp4", flat_frames(2))
    (tmp_path / "unknown.mp4").write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        song, cover = container.add_stream("mp3", rate=8000), container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt, cover.disposition = (
            96,
            64,
            "rgb24",
            av.stream.Disposition.attached_pic,
        )
        container.mux(cover.encode(av.VideoFrame.from_ndarray(flat_frames(1)[0], format="rgb24")))
        container.mux(cover.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        silence.rate = 8000
        container.mux(song.encode(silence))
        container.mux(song.encode(None))
    for source, kwargs, words in [
        ("sound.wav", {}, r"has no video stream \(1 audio stream\)"),
        ("song.mp3", {}, r"has no video stream \(1 audio stream and a cover\)"),
        ("unknown.mp4", {}, "a format that FFmpeg does not know"),
        ("face.png", {}, "`emotion predict` reads images"),
        ("text.mp4", {}, "cannot be read as a video"),
        ("nowhere.mp4", {}, "there is no such file"),
        ("empty", {"fps": 25}, "holds no images"),
        ("images", {}, "--fps 25"),
        ("images", {"fps": 25}, "two images have the number 1"),
        (clip.name, {"fps": 0}, "more than 0"),
        (clip.name, {"fps": 25}, "times of its own"),
        ("/dev/null", {}, "is a device or a pipe"),
        ("77", {}, "camera 77"),
    ]:
        path = source if source in ("77",) else tmp_path / source
        with pytest.raises(InputError, match=words):
            list(open_frames(path, **kwargs))
