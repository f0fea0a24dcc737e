"""Every command and every block of Python in README and docs, taken from the text and run as it stands there.

The data are small. A command that makes a run is followed to where its first notebook would start.
"""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from click.testing import CliRunner
from face_files import encode, make_image
from PIL import Image

from emotion_utils import cli, pipeline, provenance
from emotion_utils.model_table import MODELS
from emotion_utils.models.card import save_model
from emotion_utils.models.zoo import build_model
from emotion_utils.published.study import read_published
from emotion_utils.synthetic.faces import render_path, synthetic_table

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", PROJECT / "reports" / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(
    r"(?<!`)`((?:\./run|emotion |pip |apt-get |brew |source |wsl |EMOTION_\w+=[^\s`]+ )[^`]+)`(?!`)", re.DOTALL
)
ONLY_NAMED = re.compile(r"emotion( [a-z-]+)+")  # a command that the text speaks of, without what it is given
SMALL_MODEL = PROJECT / "emotion_utils" / "deploy" / "small" / "tiny_emotion.onnx"
CLASSES = ("angry", "happy", "sad")
EMOTIONS = {"angry": 0, "happy": 3, "sad": 4}  # FER2013's numbers

TRAINS = "trains for minutes or longer"
NETWORK = "needs a network"
TOOL = "installs packages or programs"
TESTS = "is what runs the tests"
MACHINE = "needs a machine of that kind"
OFFICIAL = "needs official weights, which need a network"
PATTERN = "names a pattern, not a command"
NOT_RUN = {  # what a command begins with, and why no test runs it
    "!git clone": NETWORK,
    "conda env create": TOOL,
    "pip install": TOOL,
    "apt-get install": TOOL,
    "brew install": TOOL,
    "wsl --install": MACHINE,
    "source .venv/bin/activate": "changes the shell that it is typed in",
    "jupyter lab": "stays until somebody ends it",
    "./run_tests.sh": TESTS,
    "EMOTION_FUZZ_INPUTS": TESTS,
    "scripts/gpu_": MACHINE,
    "scripts/example_report.sh": "makes a whole run; test_example_report.py checks what it made",
    "torchrun": "needs several machines or GPUs; training/test_launch.py starts what they start",
    "ssh-keygen": "asks for a passphrase; report/test_signature.py signs",
    "emotion verify": "e2e/test_installed.py verifies what it made, test_example_report.py docs/example",
    "emotion bench": TRAINS,
    "emotion search": f"{TRAINS}; search/test_model_search.py searches",
    "emotion train": f"{TRAINS}; e2e/test_smoke_run.py trains",
    "emotion weights fetch": f"{NETWORK}; models/weights/test_fetch.py fetches from a server of its own",
    "emotion weights convert": "needs 580 MB of weights; models/weights/test_conversion.py converts",
    "keras-vggface-weights-converter": "needs 580 MB of weights; models/weights/test_conversion.py converts",
    "emotion export reports/demo/models/r18_pre_emotion --int8": "needs a run's images; deploy/test_quantise.py",
    "emotion export reports/demo/models/r18_pre_emotion [--int8]": "needs a run's images; deploy/test_quantise.py",
    "emotion export small.onnx": "needs the file of the command before; deploy/test_page.py makes pages",
    "emotion export reports/demo/models/r18_pre_emotion --to page": "needs npm; deploy/test_page.py makes pages",
    "emotion export reports/tiny": f"{TRAINS} before",
    "emotion evaluate MODEL_DIR": PATTERN,
    "emotion COMMAND --help": PATTERN,
    "EMOTION_WEIGHTS_DIR=DIR": OFFICIAL,
    "./run_all.sh --data faces --profile paper": OFFICIAL,
    "./run_all.sh --data kaggle:owner/name": NETWORK,
}
IS_PATTERN = "recipes.tiny_emotion.teacher=[...]"  # to be filled in by hand
# Words that stand for something.
STANDS_FOR = {
    "--like FILE": "--like run.json", "FILE": "tables.json", "PATH...": "photo.jpg", "DIR": "folder",
    "recipes.r18_pre_emotion.weights=NAME": "recipes.r18_pre_emotion.weights=random",
}  # fmt: skip


def read_commands(page):
    """Each command once, without comments, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    lines = [line for kind, block in BLOCK.findall(text) if not kind for line in block.replace("\\\n", " ").split("\n")]
    inline = [" ".join(found.split()) for found in INLINE.findall(BLOCK.sub("", text))]
    lines += [found for found in inline if not ONLY_NAMED.fullmatch(found) and " " in found]
    commands = [re.sub(r"\s+#\s.*$", "", line) for line in lines]
    return [" ".join(command.split()) for command in commands if command.strip() and not command.startswith("#")]


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in read_commands(page)))
MADE = [command for command in COMMANDS if not command.startswith(tuple(NOT_RUN)) and IS_PATTERN not in command]
RUNS = [command for command in MADE if command.startswith(("./run_all.sh", "emotion run"))]
OTHERS = [
    pytest.param(command, marks=pytest.mark.slow if command.startswith("emotion export") else ())
    for command in MADE
    if command not in RUNS
]


def words_of(command):
    """What click is given: optional words are taken, and others replaced by what they stand for."""
    for name, given in STANDS_FOR.items():
        command = re.sub(rf"(?<!\S){re.escape(name)}(?=[\s\]]|$)", given, command)
    program, *words = shlex.split(re.sub(r"\[(--[^\]]+)\]", r"\1", command))
    return ["run", *words] if program == "./run_all.sh" else words


@pytest.fixture(autouse=True)
def no_more_models():
    """Models that a command adds are forgotten after it."""
    yield
    for name in [name for name, spec in MODELS.items() if spec.module]:
        del MODELS[name]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with all that the commands name, as small as they take it."""
    folder = tmp_path_factory.mktemp("world")
    for number in range(90):
        label = CLASSES[number % 3]
        path = folder / "faces" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(make_image(number, 48)))
    shutil.copytree(folder / "faces", folder / "other_faces")
    shutil.make_archive(str(folder / "faces"), "zip", folder / "faces")
    _write_fer(folder)
    face = Image.fromarray(render_path(synthetic_table(3, CLASSES, 1)["path"].iloc[0], 1, 64))
    for name in ("photo.jpg", "anna.jpg", "team.jpg"):
        face.save(folder / name)
    (folder / "tables.json").write_text(json.dumps(read_published()), encoding="utf-8")
    page = (PROJECT / "docs" / "own_network.md").read_text(encoding="utf-8")
    (folder / "my_net.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    for run, model in (("demo", "r18_pre_emotion"), ("demo", "r18_scratch_emotion"), ("fer", "r18_scratch_emotion")):
        net = build_model(model, num_classes=3, image_size_px=32, weights="random", seed=1)
        save_model(net, folder / "reports" / run / "models" / model, CLASSES)
    (folder / "weights").mkdir()
    torch.save(torchvision.models.resnet18().state_dict(), folder / "weights" / "resnet18.pth")
    shutil.copyfile(PROJECT / "docs" / "example" / "run.json", folder / "run.json")
    return folder


def _write_fer(folder):
    """fer2013.csv and archives of it, with the table of votes that belongs to them."""
    usage = ["Training"] * 60 + ["PublicTest"] * 30 + ["PrivateTest"] * 30
    rng = np.random.default_rng(0)
    labels = [CLASSES[number % 3] for number in range(len(usage))]
    pixels = [" ".join(map(str, rng.integers(0, 256, 48 * 48))) for _ in usage]
    faces = pd.DataFrame({"emotion": map(EMOTIONS.get, labels), "pixels": pixels, "Usage": usage})
    faces.to_csv(folder / "fer2013.csv", index=False)
    for name in ("fer2013", "fer2013_original"):
        place = folder / f"of_{name}"
        place.mkdir()
        shutil.copyfile(folder / "fer2013.csv", place / "fer2013.csv")
        shutil.make_archive(str(folder / name), "zip", place)
        shutil.rmtree(place)
    votes = pd.DataFrame({"Usage": usage, "Image name": [f"fer{number:07}.png" for number in range(len(usage))]})
    for column in (
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
        "contempt",
        "unknown",
        "NF",
    ):
        said = {"happiness": "happy", "sadness": "sad", "anger": "angry"}.get(column)
        votes[column] = [10 * (label == said) for label in labels]
    votes.to_csv(folder / "fer2013new.csv", index=False)


@pytest.fixture
def here(world, tmp_path, monkeypatch):
    """A working folder with links to the world, where reports may be written."""
    for path in world.iterdir():
        if path.name != "reports":
            (tmp_path / path.name).symlink_to(path)
    for run in (world / "reports").iterdir():
        (tmp_path / "reports").mkdir(exist_ok=True)
        (tmp_path / "reports" / run.name).symlink_to(run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTION_OFFLINE", "1")
    monkeypatch.setattr(provenance, "REPORTS_DIR", tmp_path / "made")
    return tmp_path


def _command(words):
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0, result.output + result.stderr


@pytest.mark.parametrize("command", RUNS)
def test_command_that_makes_a_run_gets_as_far_as_its_first_notebook(command, here, monkeypatch):
    words = words_of(command)
    for path in (here / "reports").iterdir():
        if str(path.relative_to(here)) in words:
            path.unlink()
    started = []
    monkeypatch.setattr(pipeline, "_run_stages", lambda run, *_, **__: started.append(run))
    _command(words)
    assert [(run.root / "run.json").exists() for run in started] == [True]


@pytest.mark.parametrize("command", OTHERS)
def test_command_does_what_it_is_shown_for(command, here):
    if re.fullmatch(r"emotion predict (PATH\.\.\.|photo\.jpg)", command):
        _need_small_model()
    if command.startswith("emotion video"):
        _write_video(here / "holiday.mp4")
    _command(words_of(command))


def _need_small_model():
    if not SMALL_MODEL.exists():
        pytest.skip("no small model comes with this version")


def _write_video(path):
    from made_videos import write_video

    face = render_path(synthetic_table(3, CLASSES, 1)["path"].iloc[0], 1, 128)
    write_video(path, [face] * 3)


def test_list_of_what_is_not_run_names_nothing_that_is_gone():
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in COMMANDS)] == []
    assert any(IS_PATTERN in command for command in COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_the_documentation_runs(page, here):
    """But for statements that go on from those of a notebook, and the network, which e2e/test_own_network.py trains."""
    for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python" and page.name not in ("notebooks.md", "own_network.md"):
            if "load_classifier()" in block:
                _need_small_model()
            exec(compile(block, page.name, "exec"), {})
