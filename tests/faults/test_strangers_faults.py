"""Faults of folders that somebody else made: models and runs that are damaged, or meant to do harm."""

import json
import os

import pytest
import torch
from click.testing import CliRunner
from face_files import encode, make_image
from safetensors.torch import load_file, save_file

from emotion_utils.artefacts import ARTEFACTS
from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.deploy.part_table import PartTable
from emotion_utils.errors import InputError
from emotion_utils.files import file_sha256
from emotion_utils.models.card import save_model
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.network import make_network
from emotion_utils.pipeline import run_pipeline
from emotion_utils.run import Run

PROVENANCE = {"name": "random", "kind": "random", "source": "seed 0", "sentence": "random"}


def emotion(*arguments):
    """Its exit status and its one line."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


@pytest.fixture
def model_dir(tmp_path):
    """Of a model, beside an image for it."""
    (tmp_path / "face.png").write_bytes(encode(make_image(1)))
    design = {"architecture": "resnet18", "num_classes": 2, "dropout": 0.0}
    save_model(make_network(design, IMAGENET.at(32), PROVENANCE, seed=0), tmp_path / "model", ("happy", "sad"))
    return tmp_path / "model"


def change_card(model_dir, **changes):
    path = model_dir / "model.json"
    card = json.loads(path.read_text())
    for part, change in changes.items():
        card[part] = card[part] | change if isinstance(card.get(part), dict) else change
    path.write_text(json.dumps(card))


def change_weights(model_dir, change):
    path = model_dir / "model.safetensors"
    state = {key: value.clone() for key, value in load_file(path).items()}
    change(state)
    save_file(state, path)
    change_card(model_dir, sha256=file_sha256(path))


UPSAMPLE = {"relu": ["Upsample", "scale_factor=90000.0, mode='nearest'", {}]}
CONVOLUTION = ["Conv2d", "3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3)", {}]
VIEWS = {"used": 1, "val_count": 9, "val_correct": {"1": 5}, "seconds": {"1": 1.0}}
CARDS = {
    "input.size_px should be": {"input": {"size_px": 10**6}},
    "input.mean.1 should be": {"input": {"mean": [0.5, None, 0.5]}},
    "class_names: a name is there twice": {"class_names": ["sad", "sad"]},
    "crop should be": {"crop": "?"},
    "views should be": {"views": True},
    "views.used should be": {"views": VIEWS | {"used": True}},
    "views: used should be": {"views": VIEWS | {"used": 3}},
    "input.source_px should be less than or equal to": {"input": {"source_px": 10**12}},
    "input.source_px should be greater than or equal to": {"input": {"source_px": -1}},
    "input.is_synthetic should be": {"input": {"is_synthetic": 1}},
    "input.flip: nothing of this version": {"input": {"flip": True}},
    "do not fit their network (conv1.bias is missing)": {"design": {"edits": {"conv1": CONVOLUTION}}},
    "unknown architecture 'vgg19'": {"design": {"architecture": "vgg19"}},
    "design.edits should be": {"design": {"edits": "all"}},
    "the edited layer 'relu' cannot be built": {"design": {"edits": {"relu": [1, 2]}}},
    "RNN is no layer": {"design": {"edits": {"relu": ["RNN", "1, 1, num_layers=100000", {}]}}},
    "an argument is larger than": {"design": {"edits": {"relu": ["ZeroPad2d", "10000000", {}]}}},
    "Upsample makes": {"design": {"edits": UPSAMPLE}},
    "no layer can be put there": {"design": {"edits": {"forward": ["ReLU", "", {}]}}},
    "'sigmoid' cannot be built": {"design": {"edits": {"sigmoid": ["ReLU", "1or 2", {}]}}},
    "its arguments are too long": {"design": {"edits": {"relu": ["ReLU", "(" * 9000, {}]}}},
    "'system' cannot be built": {"design": {"edits": {"system": ["ReLU", "__import__('os').system('true')", {}]}}},
}


@pytest.mark.fault(
    "a model's folder that holds nonsense: wrong types, sizes, layers, number formats, a pipe, a folder",
    "E",
    "one line that names file and field; nothing large is made and nothing waited for",
)
def test_hostile_model(model_dir, tmp_path, recwarn):
    before = (model_dir / "model.json").read_text()
    for complaint, changes in CARDS.items():
        change_card(model_dir, **changes)
        status, said = emotion("predict", model_dir, tmp_path)
        assert (status, said.count("\n")) == (2, 1)
        assert complaint in said
        assert not [warning for warning in recwarn if warning.category is SyntaxWarning]
        (model_dir / "model.json").write_text(before)
    change_weights(model_dir, lambda state: state.update({"fc.1.bias": torch.zeros(2, dtype=torch.float64)}))
    assert "fc.1.bias is torch.float64, not torch.float32" in emotion("predict", model_dir, tmp_path)[1]
    change_weights(model_dir, lambda state: state.update({"fc.1.bias": torch.zeros(3)}))
    assert "do not fit their network (fc.1.bias is 3, not 2)" in emotion("predict", model_dir, tmp_path)[1]
    change_weights(model_dir, lambda state: state.update({"fc.1.bias": torch.zeros(2), "fc.2.bias": torch.zeros(2)}))
    assert "do not fit their network (it has no fc.2.bias)" in emotion("predict", model_dir, tmp_path)[1]
    for name in ("model.safetensors", "model.json"):
        (model_dir / name).unlink()
        os.mkfifo(model_dir / name)
        status, said = emotion("predict", model_dir, tmp_path)
        assert (status, f"{name}: a pipe in place of a file" in said) == (2, True)


@pytest.mark.fault(
    "a run folder that holds nonsense: wrong types, NaN, deep JSON, other bytes than UTF-8, pipes, devices",
    "E",
    "`verify` and `train` name file and field or row in one line",
)
def test_hostile_run(make_run):
    run = make_run(images=60, epochs=2)
    (run.root / "checksums.sha256").write_text("")
    path = run.root / "data" / "audit.json"
    for content in (b"[" * 10**6, b"\xff\xfe", b'{"classes": NaN}', b'{"classes": ["a"]}', b"[]", b"null"):
        path.write_bytes(content)
        for command in (["verify", run.root], ["train", "r18_scratch_emotion", "--run", run.root]):
            status, said = emotion(*command)
            assert (status, said.count("\n")) == (2, 1)
            assert str(path) in said
    path = run.root / "run.json"
    for content in (b"{}", b'{"config": 1, "stages": {}}', b'{"config": {"seed": "x"}, "stages": {}}'):
        path.write_bytes(content)
        status, said = emotion("verify", run.root)
        assert (status, f"{path}: config" in said) == (2, True)
    path.unlink()
    os.mkfifo(path)
    assert emotion("verify", run.root)[0] == 2


@pytest.mark.fault(
    "a model's folder or a run folder that names code",
    "E",
    "never run unless the person names the file (`--trust-code`, `--set modules`); the line says which file it is",
)
def test_code_of_strangers(model_dir, make_run, tmp_path):
    code = tmp_path / "evil.py"
    code.write_text(f"open({str(tmp_path / 'harm')!r}, 'w')")
    architecture = {"title": "mine", "depth_groups": ["head"], "module": str(code)}
    change_card(model_dir, design={"architecture": "evil"}, architecture=architecture)
    status, said = emotion("predict", model_dir, tmp_path)
    assert (status, f"built by code, {code}; read it" in said) == (2, True)
    assert not (tmp_path / "harm").exists()

    run = make_run(images=60, epochs=2)
    facts = run.facts
    facts["config"] |= {"modules": [str(code)], "models": ["evil"]}
    facts["config"]["recipes"]["evil"] = facts["config"]["recipes"]["r18_pre_emotion"]
    run.write("facts", facts)
    status, said = emotion("train", "evil", "--run", run.root)
    assert (status, f"name code, {code}; read it" in said) == (2, True)
    Run.open(run.root)
    assert not (tmp_path / "harm").exists()
    assert emotion("train", "evil", "--run", run.root, "--trust-code", code)[0] == 2  # it registers nothing
    assert (tmp_path / "harm").exists()


# -- links -------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    """A folder and a file elsewhere, which must stay as they are."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("mine")
    return folder


def is_untouched(outside):
    return [path.name for path in outside.iterdir()] == ["file"] and (outside / "file").read_text() == "mine"


@pytest.mark.fault(
    "links in a run folder that lead out of it: any artefact, any folder, the lock, a link swapped in later",
    "E",
    "refused by name: nothing is written, emptied or deleted elsewhere; the run folder itself may be a link",
)
@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_links_that_lead_out_of_a_run(small, tmp_path, outside, name):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    path = run.path(name, "r18_pre_emotion")
    path.parent.mkdir(parents=True, exist_ok=True)
    for place, target in ((path, outside / "file"), (path, outside / "new"), (path.parent, outside)):
        if place == run.root:
            continue
        if place == path.parent:
            path.unlink()
            place.rmdir()
        else:
            place.unlink(missing_ok=True)
        place.symlink_to(target)
        write = run.append if path.suffix == ".jsonl" else lambda *to: run.write(to[0], {}, *to[1:])
        for attempt in (lambda: write(name, "r18_pre_emotion"), lambda: run_pipeline(run.root, run.config)):  # noqa: B023
            with pytest.raises(InputError, match=r"is a link|no run\.json"):
                attempt()
        assert is_untouched(outside)


@pytest.mark.fault(
    "hard links in a run folder: the lock, lines that are added to", "E", "refused by name; the other file stays"
)
def test_lock_and_hard_links_empty_no_other_file(small, tmp_path, outside):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    for make, complaint in ((os.symlink, "is a link"), (os.link, "is a hard link")):
        make(outside / "file", run.root / ".lock")
        with pytest.raises(InputError, match=complaint):
            run_pipeline(run.root, run.config)
        (run.root / ".lock").unlink()
    run.append("events", "tiny", kind="x")
    run.path("events", "tiny").unlink()
    os.link(outside / "file", run.path("events", "tiny"))
    with pytest.raises(InputError, match="is a hard link"):
        run.append("events", "tiny", kind="x")
    assert is_untouched(outside)


@pytest.mark.fault("links in a run folder, and `--fresh`", "R", "deleted themselves; what they lead to stays")
def test_fresh_deletes_links_and_not_what_they_lead_to(small, tmp_path, outside):
    run = run_pipeline(tmp_path / "run", resolve_config("smoke"), say=str)
    (run.root / "data").symlink_to(outside)
    (run.root / "models").mkdir(exist_ok=True)
    (run.root / "models" / "x").symlink_to(outside / "file")
    run_pipeline(run.root, run.config, fresh=True, say=str)
    assert is_untouched(outside)
    assert not (run.root / "data").exists()
    assert not list(run.root.glob(".deleted-*"))


@pytest.mark.fault("a folder that `--fresh` may not delete", "E", "named; everything is back in its place")
def test_fresh_deletes_all_or_nothing(small, tmp_path, monkeypatch):
    run = run_pipeline(tmp_path / "run", resolve_config("smoke"), say=str)
    before = {path.relative_to(run.root): path.is_file() and path.read_bytes() for path in run.root.rglob("*")}
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: allowed(place, mode) and "notebooks" not in str(place))
    with pytest.raises(InputError, match=r"notebooks: cannot be deleted .* so nothing is"):
        run_pipeline(run.root, run.config, fresh=True, say=str)
    assert before == {path.relative_to(run.root): path.is_file() and path.read_bytes() for path in run.root.rglob("*")}


@pytest.mark.fault("the run folder itself is a link of its owner's", "R", "followed")
def test_run_folder_itself_may_be_a_link(small, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    run_pipeline(tmp_path / "run", resolve_config("smoke"), say=str)
    assert (tmp_path / "disk" / "run.json").exists()


@pytest.mark.fault(
    "a link, hard link or pipe where predict's table grows", "E", "refused; what it leads to is not touched"
)
@pytest.mark.parametrize("kind", ["link", "hard link", "dangling link", "pipe"])
def test_table_in_the_making_that_leads_elsewhere(tmp_path, kind):
    mine, part = tmp_path / "mine.txt", tmp_path / "faces.csv.part"
    mine.write_text("mine")
    place = {
        "link": lambda: part.symlink_to(mine), "hard link": lambda: part.hardlink_to(mine),
        "dangling link": lambda: part.symlink_to(tmp_path / "new.txt"), "pipe": lambda: os.mkfifo(part),
    }  # fmt: skip
    place[kind]()
    with pytest.raises(InputError, match=r"link|pipe"):
        PartTable(tmp_path / "faces.csv")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "new.txt").exists()


@pytest.mark.fault("a folder of somebody's own as --output", "E", "refused; nothing in it is deleted")
def test_folder_of_ones_own_is_left_as_it_is(tmp_path):
    for name in (".deleted-mails", ".emotion-deleted-by-me"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "letter.txt").write_text("mine")
    (tmp_path / "thesis.txt").write_text("mine")
    config = resolve_config("smoke", ["synthetic_images=30", "models=[r18_scratch_emotion]"])
    with pytest.raises(InputError, match="holds files but no run"):
        run_pipeline(tmp_path, config)
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == ["letter.txt", "letter.txt", "thesis.txt"]
