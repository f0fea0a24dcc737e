import pytest

from emotion_utils.sources.class_names import match_names, renaming_note, unknown_note


@pytest.mark.parametrize(
    ("spelling", "class_name"),
    [
        ("Anger", "angry"), ("ANGRY", "angry"), ("Happiness", "happy"), ("joy", "happy"), ("Sadness", "sad"),
        ("fearful", "fear"), ("Surprised", "surprise"), ("disgusted", "disgust"), ("Neutrality", "neutral"),
        ("angry 😀", "angry"), ("✨ Happy ❤️", "happy"), ("0_sad😢", "sad"),
    ],
)  # fmt: skip
def test_case_and_synonyms_do_not_matter(spelling, class_name):
    assert match_names([spelling]) == {spelling: class_name}


def test_numbers_and_unknown_names_stay_as_they_are():
    names = ["0", "3", "Confused", "радость", "怒り"]
    assert match_names(names) == {name: name for name in names}


def test_unknown_names_that_differ_only_in_case_are_one_class():
    assert match_names(["bored", "Bored"]) == {"Bored": "Bored", "bored": "Bored"}


def test_composed_and_decomposed_letters_are_one_class():
    assert len(set(match_names(["sorpr\u00e9s", "sorpre\u0301s"]).values())) == 1


def test_note_tells_only_what_was_renamed():
    assert renaming_note(match_names(["Joy", "sad"])) == "class names taken as: Joy -> happy"
    assert renaming_note(match_names(["happy", "sad"])) == ""
    assert renaming_note(match_names(["\u00dcberraschung", "U\u0308berraschung"])) == ""  # they look the same


@pytest.mark.parametrize("word", ["Freude", "joie", "alegr\u00eda", "alegria", "gioia", "\u559c\u60a6", "Ahegao"])
def test_word_that_is_no_known_emotion_stays_a_class_and_is_told_beside_known_ones(word):
    assert match_names(["happy", word])[word] == word
    note = unknown_note(["Joy", "sad", word])
    assert f"): {word}; it stays a class of its own: rename" in note
    assert "): a, 0; they stay classes of their own" in unknown_note(["a", "happy", "0"])
    assert unknown_note(["happy", "Sadness"]) == unknown_note([word, "0", "1"]) == ""
