"""Faces followed through clips whose true boxes are known."""

import json

import numpy as np
import pytest

from emotion_utils.deploy.video.frames import Frame
from emotion_utils.deploy.video.tracks import Tracker
from emotion_utils.synthetic.clips import Actor, render_clip

FPS = 12
CALM = (("neutral", 0.0),)


def follow(actors, seconds, **kwargs):
    """Of each frame the faces seen, and those that are there; and the tracker."""
    tracker = Tracker()
    frames = list(render_clip(actors, 480, 270, FPS, seconds, **kwargs))
    seen = [tracker.see(Frame(number, number / FPS, image)) for number, (image, _) in enumerate(frames)]
    return frames, seen, tracker


def actor(seed, *path, **kwargs):
    return Actor(seed, CALM, path, size_px=170, **kwargs)


def holds_middle(box, true):
    left, top, width, height = true
    across, down = left + width / 2 - box.left, top + height / 2 - box.top
    return 0.2 * box.width < across < 0.8 * box.width and 0.2 * box.height < down < 0.8 * box.height


def tracks_of(frames, seen, seed):
    """The tracks whose boxes lie on the face of a person, in the order of their first frames."""
    found = []
    for (_, known), faces in zip(frames, seen, strict=True):
        true = next((face.box for face in known if face.person_seed == seed), None)
        found += [face.track for face in faces if true and holds_middle(face.box, true)]
    return list(dict.fromkeys(found))


def test_each_face_keeps_its_track_while_both_move_past_each_other():
    frames, seen, tracker = follow(
        [actor(3, (0, 100, 90), (3, 380, 90)), actor(11, (0, 380, 215), (3, 100, 215))], 3.0, seed=1
    )
    ours, others = tracks_of(frames, seen, 3), tracks_of(frames, seen, 11)
    assert len(ours) == len(others) == 1
    assert ours != others
    shown = sum(len(faces) for faces in seen)
    assert shown >= 0.9 * 2 * len(frames)
    assert not tracker.covering


def test_faces_that_cover_each_other_are_named():
    tracker, pairs = Tracker(), set()
    actors = [actor(3, (0, 120, 130), (2, 360, 130)), actor(11, (0, 360, 135), (2, 120, 135))]
    for number, (image, _) in enumerate(render_clip(actors, 480, 270, FPS, 2.0)):
        tracker.see(Frame(number, number / FPS, image))
        pairs |= tracker.covering
    assert pairs


def test_who_leaves_ends_and_who_comes_back_later_is_new():
    frames, seen, _ = follow([actor(3, (0, 200, 140)), actor(11, (0, 380, 140), present_s=(0.5, 1.5))], 2.5)
    assert len(tracks_of(frames, seen, 3)) == 1
    assert len(tracks_of(frames, seen, 11)) == 1
    assert max(place for place, faces in enumerate(seen) if len(faces) == 2) / FPS < 1.5 + 0.25
    gone = list(render_clip([actor(3, (0, 200, 140))], 480, 270, FPS, 0.6))
    away = list(render_clip([], 480, 270, FPS, 2.0))
    tracker, numbers = Tracker(), set()
    for number, (image, _) in enumerate(gone + away + gone):
        numbers |= {face.track for face in tracker.see(Frame(number, number / FPS, image))}
    assert numbers == {1, 2}


def test_a_new_scene_begins_new_tracks_even_where_a_face_takes_the_place_of_another():
    one = list(render_clip([actor(3, (0, 240, 140))], 480, 270, FPS, 0.7, seed=1))
    other = list(render_clip([actor(11, (0, 240, 140))], 480, 270, FPS, 0.7, seed=4))
    tracker, cuts, numbers = Tracker(), [], []
    for number, (image, _) in enumerate(one + other):
        numbers.append({face.track for face in tracker.see(Frame(number, number / FPS, image))})
        cuts += [number] if tracker.is_cut else []
    assert cuts == [len(one)]
    assert set().union(*numbers[: len(one)]) == {1}
    assert set().union(*numbers[len(one) :]) == {2}


def test_brightness_that_flickers_is_no_cut():
    frames = [image for image, _ in render_clip([actor(3, (0, 240, 140))], 480, 270, FPS, 1.0)]
    tracker, numbers = Tracker(), set()
    for number, image in enumerate(frames):
        light = 0.6 if number % 4 == 2 else 1.0
        numbers |= {face.track for face in tracker.see(Frame(number, number / FPS, (light * image).astype(np.uint8)))}
    assert numbers == {1}


@pytest.mark.parametrize("stop", [1, 7])
def test_a_tracker_goes_on_where_another_stopped(stop):
    frames = [image for image, _ in render_clip([actor(3, (0, 100, 130), (2, 300, 150))], 480, 270, FPS, 1.5)]
    whole, parts = Tracker(), Tracker()
    expected = [whole.see(Frame(number, number / FPS, image)) for number, image in enumerate(frames)]
    for number in range(stop):
        parts.see(Frame(number, number / FPS, frames[number]))
    state = json.loads(json.dumps(parts.state()))
    resumed = Tracker()
    resumed.restore(state, Frame(stop - 1, (stop - 1) / FPS, frames[stop - 1]))
    rest = [resumed.see(Frame(number, number / FPS, frames[number])) for number in range(stop, len(frames))]
    assert rest == expected[stop:]
