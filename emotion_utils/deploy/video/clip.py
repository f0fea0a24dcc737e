"""The synthetic clip of notebook 07, and what is known of each of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from emotion_utils.deploy.video.containers import import_av, open_av
from emotion_utils.errors import InputError
from emotion_utils.files import replacing
from emotion_utils.synthetic.action_units import PROTOTYPES
from emotion_utils.synthetic.clips import Actor, draw_course, render_clip

WIDTH, HEIGHT, FPS = 640, 360, 15
HOLD_S = (1.4, 2.6)  # shortest and longest time of an expression
PERSONS = (7_100_000, 7_100_001)  # seeds of persons that no table of synthetic faces uses


def check_clip(class_names: Sequence[str]) -> None:
    """Raises InputError for classes that no synthetic face shows, and where nothing here writes videos."""
    unknown = sorted(set(class_names) - set(PROTOTYPES))
    if unknown:
        raise InputError(f"synthetic faces do not show {', '.join(unknown)}: leave video at false for these classes")
    import_av()


def plan_clip(class_names: Sequence[str], seconds: float, *, seed: int) -> list[Actor]:
    """Two persons side by side who show one of the classes after the other. Raises InputError as check_clip."""
    check_clip(class_names)
    rng = np.random.default_rng([seed, 10])
    actors = []
    for place, person in enumerate(PERSONS):
        course = draw_course(class_names, seconds, HOLD_S, rng)
        middle = WIDTH * (0.28 + 0.44 * place)
        path = ((0.0, middle - 20, 190.0), (seconds, middle + 20, 180.0))
        actors.append(Actor(person, tuple(course), path, 230))
    return actors


def write_clip(path: Path, actors: Sequence[Actor], seconds: float) -> pd.DataFrame:
    """An MP4 of WIDTH x HEIGHT at FPS frames a second; gives what is known of it.

    A row for each face in each frame: frame, time_s, person, label, left, top, width, height (pixels).
    """
    av, rows = import_av(), []
    with replacing(path) as temporary, open_av(temporary, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        for number, (image, known) in enumerate(render_clip(actors, WIDTH, HEIGHT, FPS, seconds)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            for face in known:
                box = dict(zip(("left", "top", "width", "height"), (round(side, 1) for side in face.box), strict=True))
                person, time_s = f"person {PERSONS.index(face.person_seed) + 1}", round(number / FPS, 6)
                rows.append({"frame": number, "time_s": time_s, "person": person, "label": face.emotion, **box})
        container.mux(stream.encode(None))
    return pd.DataFrame(rows)
