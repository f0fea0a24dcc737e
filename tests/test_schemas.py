"""What somebody else may have written into the JSON files of a run and of a model is refused by file and field."""

import itertools
import json
import os
import shutil
from contextlib import suppress

import pytest

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import MOST_NESTED, file_sha256, open_file, parse_json, read_bytes, read_json
from emotion_utils.models.card import read_card
from emotion_utils.report.results import read_results
from emotion_utils.report.verify import verify_run
from emotion_utils.run import Run

MODEL = "r18_pre_emotion"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    import fake_run

    return fake_run.make_run(tmp_path_factory.mktemp("schemas") / "run", images=60, epochs=2)


@pytest.fixture
def run(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "run")
    return Run.open(tmp_path / "run")


def change(path, place, value):
    """Puts `value` at the dotted place of a JSON file; of JSON lines, into the first line that has it."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    *parents, last = place.split(".")
    for number, line in enumerate(lines):
        document = inner = json.loads(line)
        for key in parents:
            inner = inner[int(key) if isinstance(inner, list) else key]
        if path.suffix != ".jsonl" or last in inner:
            inner[int(last) if isinstance(inner, list) else last] = value
            lines[number] = json.dumps(document)
            break
    path.write_text("\n".join(lines) + "\n")


NONSENSE = (None, [], {}, "x" * 200_000, -1, 1e299, True, [[[]]])


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("run.json", "config", []),
        ("run.json", "config.image_size_px", 10**9),
        ("run.json", "config.recipes", [1]),
        ("run.json", "stages", 3),
        ("run.json", "stages.01_data_preparation.seconds", "long"),
        ("run.json", "environment", None),
        ("run.json", "environment.git_revision", 5),
        ("run.json", "environment.versions", ["torch"]),
        ("data/audit.json", "classes", "happy"),
        ("data/audit.json", "classes.0", "happy"),
        ("data/audit.json", "classes.0", 7),
        ("data/audit.json", "faces.cropped", -1),
        ("data/audit.json", "faces", None),
        ("data/audit.json", "near_duplicates.images", 2.5),
        ("data/audit.json", "sizes.median", [96]),
        ("data/audit.json", "leaks.as_used.0.images", "two"),
        ("data/audit.json", "suspects.accuracy", None),
        ("data/audit.json", "suspects.accuracy", 1e9),
        ("data/audit.json", "reasons", {"damaged": "many"}),
        (f"models/{MODEL}/model.json", "class_names", ["happy"] * 3),
        (f"models/{MODEL}/model.json", "class_names", ["angry", "happy"]),
        (f"models/{MODEL}/model.json", "input.size_px", 10**8),
        (f"models/{MODEL}/model.json", "input.size_px", 48.0),
        (f"models/{MODEL}/model.json", "input.std", [0.1, 0.0, 0.1]),
        (f"models/{MODEL}/model.json", "input.mean", [0.1, 0.1]),
        (f"models/{MODEL}/model.json", "design.num_classes", True),
        (f"models/{MODEL}/model.json", "design.dropout", 1),
        (f"models/{MODEL}/model.json", "design.depth", 3),
        (f"models/{MODEL}/model.json", "design.edits", [1]),
        (f"models/{MODEL}/model.json", "provenance.kind", "best"),
        (f"models/{MODEL}/model.json", "provenance", "proxy"),
        (f"models/{MODEL}/model.json", "answers", [[0.5] * 3]),
        (f"models/{MODEL}/model.json", "answers.1", [0.5] * 4),
        (f"models/{MODEL}/model.json", "answers.1.2", "0.5"),
        (f"models/{MODEL}/model.json", "sha256", "0" * 63),
        (f"models/{MODEL}/model.json", "training", {"recipe_used": {"lr": "quick"}}),
        (f"models/{MODEL}/model.json", "training", None),
        (f"models/{MODEL}/model.json", "crop", "sideways"),
        (f"models/{MODEL}/events.jsonl", "kind", ["phase"]),
        (f"models/{MODEL}/events.jsonl", "micro_batch", "half"),
        (f"models/{MODEL}/events.jsonl", "trainable_parameters", None),
        (f"models/{MODEL}/events.jsonl", "batch_size", [16]),
        ("data/test_openings.jsonl", "reader", 7),
    ],
)
def test_field_that_is_not_what_it_should_be_is_named_with_its_file(run, name, place, value):
    change(run.root / name, place, value)
    with pytest.raises(InputError) as caught:
        read_results(Run.open(run.root))
    message = str(caught.value)
    field = [part for part in place.split(".") if not part.isdigit()][0 if value is None else -1]
    assert name.rpartition("/")[2] in message
    assert field in message or "class names" in message or "answers" in message
    assert len(message) < 1000


@pytest.mark.parametrize("name", ["run.json", "data/audit.json", f"models/{MODEL}/model.json"])
def test_nonsense_in_any_field_is_read_or_refused_in_a_line(run, name):
    """Each field is given two kinds of it, in turn: all kinds everywhere take minutes."""
    path = run.root / name
    before = path.read_text()
    document, kinds = json.loads(before), itertools.cycle(NONSENSE)
    for key, inner in document.items():
        places = [key, *(f"{key}.{part}" for part in inner)] if isinstance(inner, dict) else [key]
        for place, value in ((place, next(kinds)) for place in places for _ in range(2)):
            change(path, place, value)
            with suppress(EmotionError):  # which is one line
                read_results(Run.open(run.root))
            path.write_text(before)
        next(kinds)  # so that fields next to each other differ in what they are given


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: f"{value}"[:20])
def test_nonsense_in_a_claim_is_refused_in_a_line(run, value):
    claim = {
        "section": "data", "text": "a", "metric": "", "models": [], "comparison": "value", "values": {},
        "tolerance": 0.1,
    }  # fmt: skip
    path = run.root / "claims.json"
    for key in claim:
        path.write_text(json.dumps([claim | {key: value}]))
        with suppress(InputError):
            run.read("claims")
    for whole in (value, [value]):
        path.write_text(json.dumps(whole))
        if whole != []:
            with pytest.raises(InputError, match=r"claims\.json"):
                run.read("claims")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe{}", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}',
        b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1e999}', b'{"a": ' + b"9" * 400 + b"}",
        b"[" * 100_000, b"[" * (MOST_NESTED + 1) + b"]" * (MOST_NESTED + 1), b'{"a":' * 60 + b"1" + b"}" * 60,
    ],
)  # fmt: skip
def test_what_other_readers_take_for_something_else_is_no_json(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: not readable as JSON .*make it again with the notebook"):
        read_json(tmp_path / "x.json", "the notebook")


def test_json_as_deep_as_allowed_is_read():
    assert parse_json(b"[" * MOST_NESTED + b"]" * MOST_NESTED)


def put_in_place(path, kind):
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, kind):
    put_in_place(tmp_path / "x", kind)
    for read in (open_file, file_sha256, lambda path: read_bytes(path, 10), read_json):
        with pytest.raises(InputError, match=rf"x: a {kind} in place of a file"):
            read(tmp_path / "x")


def test_file_larger_than_any_of_its_kind_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"0" * 11)
    assert len(read_bytes(tmp_path / "x", 11)) == 11
    with pytest.raises(InputError, match="larger than"):
        read_bytes(tmp_path / "x", 10)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
@pytest.mark.parametrize(
    "name",
    ["run.json", "data/audit.json", "data/manifest.csv", "data/test_openings.jsonl", f"models/{MODEL}/model.json",
     f"models/{MODEL}/history.csv", f"models/{MODEL}/predictions.csv", f"models/{MODEL}/events.jsonl"],
)  # fmt: skip
def test_any_artefact_may_be_something_else(run, name, kind):
    put_in_place(run.root / name, kind)
    complaint = "is a link" if kind == "device" else f"a {kind} in place of a file"  # nobody but root makes a device
    with pytest.raises(InputError, match=complaint):
        read_results(Run.open(run.root))


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_verify_and_predict_name_what_is_no_file(run, kind):
    folder = run.model_dir(MODEL)
    put_in_place(folder / "model.json", kind)
    with pytest.raises(InputError, match=f"a {kind} in place of a file"):
        read_card(folder)
    put_in_place(run.root / "checksums.sha256", kind)
    with pytest.raises(InputError, match="is a link" if kind == "device" else f"a {kind} in place of a file"):
        verify_run(run.root)
