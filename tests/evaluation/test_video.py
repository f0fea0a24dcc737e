import pandas as pd

from emotion_utils.evaluation.video import count_changes, match_truth

CLASSES = ("happy", "sad")
FACES = pd.DataFrame(
    [
        (0, 1, 10, 10, 20, 20, 0.9, 0.1, 0.8, 0.2),
        (0, 2, 80, 12, 20, 20, 0.3, 0.7, 0.2, 0.8),
        (1, 1, 12, 10, 20, 20, 0.4, 0.6, 0.7, 0.3),
        (2, None, *[None] * 8),
    ],
    columns=["frame", "track", "left", "top", "width", "height", *CLASSES, "smoothed_happy", "smoothed_sad"],
)
TRUTH = pd.DataFrame(
    [
        (0, 0.0, "one", "happy", 12, 12, 16, 16),
        (0, 0.0, "two", "sad", 82, 12, 16, 16),
        (1, 0.1, "one", "happy", 13, 12, 16, 16),
        (1, 0.1, "two", "sad", 82, 12, 16, 16),  # not found
        (2, 0.2, "one", "sad", 14, 12, 16, 16),  # nor this
    ],
    columns=["frame", "time_s", "person", "label", "left", "top", "width", "height"],
)


def test_each_face_is_matched_with_the_nearest_box():
    matched = match_truth(FACES, TRUTH, CLASSES)
    assert matched["found"].tolist() == [True, True, True, False, False]
    assert matched["raw"].tolist() == ["happy", "sad", "sad", "", ""]
    assert matched["smoothed"].tolist() == ["happy", "sad", "happy", "", ""]


def test_changes_are_counted_within_a_person_where_it_is_found():
    matched = match_truth(FACES, TRUTH, CLASSES)
    assert [count_changes(matched, column) for column in ("label", "raw", "smoothed")] == [0, 1, 0]
