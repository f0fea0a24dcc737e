"""Videos that the tests write themselves, frame by frame, with the times that they choose."""

from fractions import Fraction

import av
import numpy as np

from emotion_utils.models.input_spec import IMAGENET


def write_video(path, frames, *, times_s=None, fps=25, codec="libx264", pix_fmt="yuv420p", options=(), shape=None,
                turned=0, sound_s=0.0, sound_codec="aac", sound_rate=8000, per_second=1000,
                container_options=()):  # fmt: skip
    """Writes uint8 RGB frames; `shape` is that of a pixel (width over height), `turned` what a viewer has to turn."""
    with av.open(str(path), "w", options=dict(container_options)) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, per_second)
        if shape:
            stream.codec_context.sample_aspect_ratio = Fraction(shape)
        if turned:
            stream.set_display_rotation(turned)
        sound = container.add_stream(sound_codec, rate=sound_rate) if sound_s else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = round(1000 * times_s[number]) if times_s is not None else number * 1000 // fps
            frame.time_base = Fraction(1, per_second)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            tone = (8000 * np.sin(np.arange(int(8000 * sound_s)) / 3)).astype(np.int16)[None]
            given = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            given.rate = 8000
            for frame in av.AudioResampler(format=sound.codec_context.format, layout="mono", rate=sound_rate).resample(
                given
            ):
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def flat_frames(count, height=64, width=96):
    """Grey frames, each with its number as its brightness, and a red corner at the top left."""
    frames = [np.full((height, width, 3), 20 + 5 * number, np.uint8) for number in range(count)]
    for frame in frames:
        frame[: height // 4, : width // 4] = (255, 0, 0)
    return frames


def number_of(image):
    """Which of `flat_frames` an image is."""
    height, width = image.shape[:2]
    return round((np.median(image[height // 2 :, width // 2 :]) - 20) / 5)


class Brightness:
    """A model whose answer follows from the mean brightness of a face."""

    class_names = ("angry", "happy", "sad")
    input_spec = IMAGENET.at(32)
    facts = ("brightness",)

    def __init__(self, fails_after=None):
        self.faces, self.fails_after = 0, fails_after

    def predict(self, faces):
        self.faces += len(faces)
        if self.fails_after is not None and self.faces > self.fails_after:
            raise KeyboardInterrupt
        light = faces.reshape(len(faces), -1).mean(axis=1) / 64
        logits = np.stack([light, 4 - light, np.ones(len(faces))], axis=1)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
