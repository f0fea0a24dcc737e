"""The copy of videos that are made badly, read back."""

import av
import numpy as np
import pytest
from made_videos import Brightness, flat_frames, number_of, write_video

from emotion_utils.deploy.video.analyse import analyse_video
from emotion_utils.deploy.video.annotate import ink_on
from emotion_utils.deploy.video.timeline import COLOURS


def annotate(path, folder, **kwargs):
    """The summary, and of the copy the frames, their times, and the first and last time of its sound."""
    summary = analyse_video(Brightness(), str(path), folder, annotate=True, **kwargs)
    with av.open(str(folder / "annotated.mp4")) as copy:
        heard = [packet for packet in copy.demux(audio=0) if packet.size] if copy.streams.audio else []
        span = [float(packet.pts * packet.time_base) for packet in (heard[0], heard[-1])] if heard else None
    with av.open(str(folder / "annotated.mp4")) as copy:
        frames = list(copy.decode(video=0))
    images = [frame.to_ndarray(format="rgb24") for frame in frames]
    return summary, images, np.array([frame.time for frame in frames]), span


def ticking(path, **kwargs):
    return write_video(path, flat_frames(30), fps=15, sound_s=2.0, **kwargs)


def test_sound_goes_on_with_the_frames_where_clips_are_put_together(tmp_path):
    path = tmp_path / "twice.ts"
    path.write_bytes(2 * ticking(tmp_path / "once.ts").read_bytes())
    summary, images, times_s, span = annotate(path, tmp_path / "out")
    assert [number_of(image) for image in images] == 2 * list(range(30))
    np.testing.assert_allclose(times_s, np.arange(60) / 15, atol=4e-3)
    assert span[0] < 0.2
    assert 3.7 < span[1] < 4.2
    assert [note for note in summary["notes"] if "jump by -1.9 s at 2.0 s" in note]


def test_sound_and_frames_begin_together_where_a_recording_begins_between_key_frames(tmp_path):
    data = ticking(tmp_path / "whole.ts", options={"g": "15"}).read_bytes()
    path = tmp_path / "late.ts"
    path.write_bytes(data[len(data) // 6 // 188 * 188 :])
    summary, images, _, span = annotate(path, tmp_path / "out")
    with av.open(str(path)) as source:
        shown = [frame.time for frame in source.decode(video=0)]
    first = shown[0]
    assert len(images) == len(shown) < 20
    assert number_of(images[-1]) == 29
    with av.open(str(path)) as source:
        heard = [float(packet.pts * packet.time_base) - first for packet in source.demux(audio=0) if packet.size]
    assert span == pytest.approx([min(time for time in heard if time >= 0), heard[-1]], abs=2e-3)
    assert any("cannot be decoded" in note for note in summary["notes"])
    assert not any("cut short" in note for note in summary["notes"])


@pytest.mark.parametrize(("rate", "written"), [(192_000, 96_000), (6_000, 8_000)])
def test_sound_gets_a_rate_that_aac_has(tmp_path, monkeypatch, rate, written):
    ticking(tmp_path / "~odd.mkv", sound_codec="pcm_s16le", sound_rate=rate)
    monkeypatch.chdir(tmp_path)
    assert annotate("./~odd.mkv", tmp_path / "out")[3][1] == pytest.approx(2.0, abs=0.2)
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as copy:
        assert copy.streams.audio[0].codec_context.sample_rate == written


def test_sound_that_cannot_be_kept_is_left_out_and_said(tmp_path, monkeypatch):
    data = ticking(tmp_path / "known.mkv").read_bytes()
    path = tmp_path / "unknown.mkv"
    path.write_bytes(data.replace(b"A_AAC", b"A_ZZZ"))
    summary, images, _, span = annotate(path, tmp_path / "out")
    assert (len(images), span) == (30, None)
    assert summary["notes"][-1] == "the copy has no sound: FFmpeg does not know its format"
    monkeypatch.setattr("emotion_utils.deploy.video.sound.IN_MP4", ("pcm_u8",))
    path = ticking(tmp_path / "refused.mkv", sound_codec="pcm_u8")
    summary, images, _, span = annotate(path, tmp_path / "other")
    assert (len(images), span) == (30, None)
    assert summary["notes"][-1].startswith("the copy has no sound: MP4 does not take it (")


def test_frames_of_any_size_and_time_are_in_the_copy(tmp_path):
    clips = [write_video(tmp_path / f"{n}.ts", flat_frames(9, *size)) for n, size in enumerate([(64, 96), (96, 64)])]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    summary, images, _, _ = annotate(path, tmp_path / "out")
    assert [number_of(image[:, 30:60]) for image in images] == 2 * list(range(9))
    assert any("size of its frames changes (at 0.4 s)" in note for note in summary["notes"])
    dot = write_video(tmp_path / "dot.mkv", flat_frames(3, 1, 1), codec="ffv1", pix_fmt="bgr0")
    assert [image.shape for image in annotate(dot, tmp_path / "dot")[1]] == 3 * [(2, 2, 3)]
    dense = write_video(
        tmp_path / "dense.nut", flat_frames(3), codec="ffv1", pix_fmt="bgr0", fps=1000, per_second=10**6
    )
    times_s = annotate(dense, tmp_path / "dense")[2]
    assert len(times_s) == 3
    assert np.diff(times_s).min() > 0


def test_sound_whose_rate_changes_is_kept(tmp_path):
    path = tmp_path / "both.ts"
    clips = [ticking(tmp_path / f"{rate}.ts", sound_codec="mp2", sound_rate=rate) for rate in (16_000, 24_000)]
    path.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    summary, _, _, span = annotate(path, tmp_path / "out")
    assert 3.7 < span[1] < 4.2
    assert not any("sound" in note for note in summary["notes"])


@pytest.mark.parametrize("colour", COLOURS)
def test_labels_stand_out_from_the_colour_of_their_class(colour):
    """WCAG 2.2 asks for a contrast of 4.5."""

    def luminance(rgb):
        share = np.array(rgb) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    rgb = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    dark, light = sorted([luminance(rgb), luminance(ink_on(rgb))])
    assert (light + 0.05) / (dark + 0.05) >= 4.5
