"""The pipeline, on notebooks of two cells: what is run, what is skipped, and what a failure leaves behind."""

import json

import pytest
import torch
from face_files import encode, make_image, write_folder
from filelock import FileLock
from two_notebooks import FIRST, MAKE, SECOND, write_notebook

from emotion_utils import pipeline
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.pipeline import run_pipeline
from emotion_utils.stages import Stage, stages_of


def run_once(root, **options):
    said = []
    run_pipeline(root, resolve_config("smoke"), say=said.append, **options)
    return [line for line in said if line.startswith("[")]


def test_finished_stages_are_skipped_until_something_changes(small, tmp_path):
    root = tmp_path / "run"
    run_once(root)
    assert (root / "b").read_text() == "made!"
    assert all("up to date" in line for line in run_once(root))

    (root / "b").write_text("tampered")
    assert run_once(root)[0].endswith("up to date")
    assert (root / "b").read_text() == "made!"

    write_notebook(small / f"{FIRST}.ipynb", MAKE.replace("made", "changed"))
    run_once(root)
    assert (root / "b").read_text() == "changed!"


def test_failure_names_notebook_cell_error_and_log_and_keeps_what_was_finished(small, tmp_path):
    root = tmp_path / "run"
    write_notebook(small / f"{SECOND}.ipynb", "print('before')\nraise RuntimeError('the reason')")
    with pytest.raises(EmotionError, match=r"06_comparison, cell \d+: RuntimeError: the reason; see .*\.ipynb"):
        run_once(root)
    assert (root / "a").read_text() == "made"
    log = (root / "notebooks" / f"{SECOND}.log").read_text()
    assert "before" in log
    assert "the reason" in log
    assert "the reason" in (root / "notebooks" / f"{SECOND}.ipynb").read_text()
    assert list(json.loads((root / "run.json").read_text())["stages"]) == [FIRST]


@pytest.mark.parametrize("checks", [1, 3])  # of the first stage, and of the report
def test_code_that_changes_under_a_run_ends_it_with_one_line(small, tmp_path, monkeypatch, checks):
    codes = iter(["as it was"] * checks + ["updated"])
    monkeypatch.setattr(pipeline, "package_sha256", lambda: next(codes))
    monkeypatch.setattr(pipeline, "is_up_to_date", lambda *_: True)
    with pytest.raises(EmotionError, match="has changed since this run began: run the same command again"):
        run_once(tmp_path / "run")


def test_a_clip_that_cannot_be_made_is_refused_at_once(tmp_path):
    files = {f"{name}/{n:02d}.png": encode(make_image(n, 36)) for name in ("contempt", "happy") for n in range(10)}
    config = resolve_config("smoke", ["video=true"], data=str(write_folder(tmp_path / "data", files)))
    with pytest.raises(InputError, match="synthetic faces do not show contempt: leave video at false"):
        run_pipeline(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_the_first_notebook_may_open_a_run_that_the_command_has_made_with_settings(small, tmp_path):
    write_notebook(
        small / f"{FIRST}.ipynb",
        "from emotion_utils.run import Run\n"
        "run = Run.start(run_dir, profile=profile, data=data, seed=seed, settings=[])\n"
        "(run.root / 'a').write_text(str(run.config.image_size_px))",
    )
    config = resolve_config("smoke", ["image_size_px=40", "classes=[happy, sad]"])
    run_pipeline(tmp_path / "run", config, say=lambda line: None)
    assert (tmp_path / "run" / "a").read_text() == "40"


def test_notebook_that_writes_nothing_is_no_success(small, tmp_path):
    write_notebook(small / f"{FIRST}.ipynb", "pass")
    with pytest.raises(EmotionError, match="without writing a"):
        run_once(tmp_path / "run")


def test_bad_input_found_by_a_notebook_leaves_no_new_folder(small, tmp_path):
    write_notebook(
        small / f"{FIRST}.ipynb", "from emotion_utils.errors import InputError\nraise InputError('too few faces')"
    )
    with pytest.raises(InputError, match=r"^too few faces$"):
        run_once(tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


def test_bad_input_that_a_later_notebook_finds_leaves_what_is_finished(small, tmp_path):
    write_notebook(
        small / f"{SECOND}.ipynb", "from emotion_utils.errors import InputError\nraise InputError('no such layer')"
    )
    with pytest.raises(InputError, match=r"^no such layer$"):
        run_once(tmp_path / "run")
    assert (tmp_path / "run" / "a").read_text() == "made"


def test_second_process_is_refused_and_changes_nothing(small, tmp_path):
    root = tmp_path / "run"
    run_once(root)
    before = (root / "run.json").read_text()
    with FileLock(root / ".lock"), pytest.raises(EmotionError, match="another process"):
        run_once(root)
    assert (root / "run.json").read_text() == before


def test_fresh_starts_again_but_deletes_no_foreign_folder(small, tmp_path):
    root = tmp_path / "run"
    run_once(root)
    assert not any("up to date" in line for line in run_once(root, fresh=True))
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    for fresh in (True, False):
        with pytest.raises(InputError, match="holds files but no run"):
            run_once(foreign, fresh=fresh)
    assert [path.name for path in foreign.iterdir()] == ["chapter.txt"]
    assert (foreign / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "key", ["recipes.r18_pre_emotion.weights", "recipes.r18_pre_emotion.teacher", "votes", "rubric"]
)
def test_fresh_deletes_nothing_that_the_run_needs(small, tmp_path, key):
    root = tmp_path / "run"
    run_once(root)
    before = sorted(path.name for path in root.iterdir())
    (root / "needed").write_text("")
    config = resolve_config("smoke", ["models=[r18_pre_emotion]", f"{key}={root / 'needed'}"])
    with pytest.raises(InputError, match=rf"{key}: .*needed lies in .*run, which --fresh deletes"):
        pipeline._refuse_needed(root, config)
    pipeline._refuse_needed(tmp_path / "other", config)
    assert sorted(path.name for path in root.iterdir()) == sorted([*before, "needed"])


def test_stages_follow_the_models_asked_for():
    config = resolve_config("smoke", models=("r18_pre_emotion",))
    assert [stage.notebook for stage in stages_of(config)] == [
        "01_data_preparation", "04_resnet18_pretrained", "05_creative_element", "06_comparison",
    ]  # fmt: skip


def test_every_stage_has_its_notebook():
    assert all(stage.source.exists() for stage in stages_of(resolve_config("smoke")))


# -- what the models start from ----------------------------------------------------------------------


@pytest.fixture
def earlier(tmp_path):
    """A ResNet18 that an earlier run trained."""
    from emotion_utils.models.zoo import build_model, save_model

    net = build_model("r18_scratch_emotion", num_classes=2, image_size_px=32, weights="random", seed=3)
    folder = tmp_path / "fer" / "models" / "r18_scratch_emotion"
    save_model(net, folder, ["happy", "sad"])
    return folder


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("weights=official", "vggface_keras_notop: needed by VGG16_emotion and not on this machine"),
        ("recipes.r18_pre_emotion.weights=resnet18_imagenet", "resnet18-f37072fd.pth"),
        ("recipes.r18_pre_emotion.weights=none/such.pth", "there is no such file or folder of weights"),
        ("recipes.r18_pre_emotion.weights=imagenet", "unknown weights 'imagenet'"),
        ("recipes.VGG16_emotion.weights={earlier}", "VGG16_emotion is a vgg16"),
        ("recipes.r18_scratch_emotion.weights={earlier}", "r18_scratch_emotion starts from random weights"),
    ],
)
def test_weights_that_cannot_be_had_are_refused_before_anything_is_written(
    small, tmp_path, earlier, setting, complaint
):
    config = resolve_config("smoke", [setting.format(earlier=earlier)])
    with pytest.raises(InputError, match=complaint):
        run_pipeline(tmp_path / "run", config, say=pytest.fail)
    assert not (tmp_path / "run").exists()


def test_model_is_trained_again_when_what_it_starts_from_has_changed(small, tmp_path, earlier, monkeypatch):
    from emotion_utils.models.zoo import load_model, save_model

    stages = [Stage(FIRST, (), ("a",)), Stage(SECOND, ("a",), ("b",), "r18_pre_emotion")]
    monkeypatch.setattr(pipeline, "stages_of", lambda config: stages)
    config = resolve_config("smoke", [f"recipes.r18_pre_emotion.weights={earlier}"])
    root = tmp_path / "run"

    def run():
        said = []
        run_pipeline(root, config, say=said.append)
        return ["up to date" in line for line in said if line.startswith("[") and not line.endswith("s")]

    run()
    assert run() == [True, True]
    net, _ = load_model(earlier)
    with torch.no_grad():
        net.network.conv1.weight.mul_(2)
    save_model(net, earlier, ["happy", "sad"])
    assert run() == [True, False]
