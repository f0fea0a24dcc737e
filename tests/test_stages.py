"""What is run again when a file of the package changes: on a copy of the package, with the real notebooks."""

import hashlib
import shutil

import fake_run
import pytest
from two_notebooks import write_notebook

from emotion_utils import import_closure
from emotion_utils.config import resolve_config
from emotion_utils.files import write_json
from emotion_utils.model_table import STUDY_MODELS
from emotion_utils.provenance import PACKAGE_DIR
from emotion_utils.run import Run
from emotion_utils.stages import Stage, forget, is_up_to_date, mark_done, stages_of, take_inputs

ORIGINS = {"data": "data", **dict.fromkeys(STUDY_MODELS, "random")}


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy") / "emotion_utils"
    return shutil.copytree(PACKAGE_DIR, root, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def changed(copied, tmp_path, monkeypatch):
    """changed(file) -> (notebooks that run again, models that are trained again) where this file has changed."""
    monkeypatch.setattr(import_closure, "PACKAGE_DIR", copied)
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    stages = stages_of(run.config)

    def compare(file):
        before = [take_inputs(run, stage, ORIGINS) for stage in stages]
        path = copied / file
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "\n# changed\n", encoding="utf-8")
        after = [take_inputs(run, stage, ORIGINS) for stage in stages]
        path.write_text(text, encoding="utf-8")
        pairs = list(zip(stages, before, after, strict=True))
        again = {stage.notebook[:2] for stage, old, new in pairs if old.inputs != new.inputs}
        return again, {stage.model for stage, old, new in pairs if old.model_inputs != new.model_inputs}

    return compare


def test_changed_plot_runs_only_the_notebooks_that_import_it_and_trains_nothing(changed):
    assert changed("figures/audit.py") == ({"01"}, set())
    assert changed("figures/examples.py") == ({"05"}, set())


def test_changed_figure_of_the_model_notebooks_leaves_none_of_their_pages_stale(changed):
    again, trained = changed("figures/results.py")
    assert {"02", "03", "04"} <= again
    assert not again & {"01"}
    assert trained == set()


def test_changed_audit_of_printed_tables_trains_nothing(changed):
    assert changed("published/audit.py") == ({"06"}, set())


def test_changed_text_of_a_section_runs_the_comparison_alone(changed):
    assert changed("report/sections/seeds.py") == ({"06"}, set())


@pytest.mark.parametrize(
    "file", ["training/optimizer.py", pytest.param("models/zoo.py", marks=pytest.mark.slow), "store/augment.py"]
)
def test_changed_training_trains_every_model(changed, file):
    again, trained = changed(file)
    assert {"02", "03", "04"} <= again
    assert trained == set(STUDY_MODELS)


@pytest.mark.parametrize(
    "file",
    [
        "cli.py",
        "pipeline.py",
        pytest.param("bench/train.py", marks=pytest.mark.slow),
        pytest.param("report/page/template/screen.css", marks=pytest.mark.slow),
    ],
)
def test_what_no_notebook_imports_runs_none(changed, file):
    assert changed(file) == (set(), set())


def test_report_is_written_again_after_the_test_images_were_opened_or_a_search_was_made(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    *_, comparison = stages_of(run.config)
    seen = {take_inputs(run, comparison, ORIGINS)}
    (run.root / "data").mkdir()
    run.note_test_opening("an edited model")
    seen.add(take_inputs(run, comparison, ORIGINS))
    (run.root / "models" / STUDY_MODELS[0]).mkdir(parents=True)
    (run.root / "models" / STUDY_MODELS[0] / "search.csv").touch()
    seen.add(take_inputs(run, comparison, ORIGINS))
    assert len(seen) == 3


# -- what stays of a stage that runs again -----------------------------------------------------------


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A stage that trained a model, and its run: (run, stage, inputs)."""
    monkeypatch.setattr("emotion_utils.stages.NOTEBOOKS_DIR", tmp_path)
    model = STUDY_MODELS[0]
    run, stage = Run.create(tmp_path / "run", resolve_config("smoke")), Stage("02", (), ("weights",), model)
    write_notebook(tmp_path / "02.ipynb", "import emotion_utils.errors")
    monkeypatch.setattr(Stage, "source", tmp_path / "02.ipynb")
    inputs = take_inputs(run, stage, ORIGINS)
    (run.root / "weights").write_text("trained")
    run.notebooks_dir.mkdir()
    (run.notebooks_dir / "02.ipynb").touch()
    mark_done(run, stage, inputs, 1.0, None)
    assert is_up_to_date(run, stage, inputs)
    return run, stage, inputs


def test_model_stays_where_only_what_shows_it_has_changed(finished):
    run, stage, inputs = finished
    other = inputs._replace(inputs="another figure")
    assert not is_up_to_date(run, stage, other)
    assert forget(run, stage, other)
    assert (run.root / "weights").read_text() == "trained"
    assert stage.notebook not in run.facts["stages"]


def test_model_goes_where_its_training_or_the_notebook_has_changed_or_a_file_was_touched(finished):
    run, stage, inputs = finished
    write_notebook(stage.source, "import emotion_utils.errors  # edited")
    assert take_inputs(run, stage, ORIGINS).model_inputs != inputs.model_inputs
    facts = run.facts
    assert not forget(run, stage, inputs._replace(model_inputs="another optimizer"))
    assert not (run.root / "weights").exists()
    (run.root / "weights").write_text("somebody's")
    run.write("facts", facts)
    assert not forget(run, stage, inputs)


def test_what_a_killed_run_had_trained_stays_and_what_was_not_whole_goes(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke", ["seeds=3", "ablate=augmentation"]))
    stage = next(stage for stage in stages_of(run.config) if stage.model == STUDY_MODELS[0])
    inputs = take_inputs(run, stage, ORIGINS)
    assert not forget(run, stage, inputs)  # it begins
    card = fake_run.make_card(stage.model, ("a", "b"), "proxy") | {"sha256": hashlib.sha256(b"weights").hexdigest()}
    folders = {name: run.root / "models" / stage.model / name for name in ("", "seed-1", "without-augmentation")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_bytes(b"weights")
        write_json(folder / "model.json", card)
    (folders["seed-1"] / "model.safetensors").write_bytes(b"half")

    def there():
        return [name for name, folder in folders.items() if (folder / "model.json").exists()]

    assert not forget(run, stage, inputs)  # it was killed, and begins again
    assert there() == ["", "without-augmentation"]
    assert not forget(run, stage, inputs._replace(model_inputs="another optimizer"))
    assert there() == []
    assert not forget(run, stage, inputs)  # of the other one nothing counts
    write_json(folders[""] / "model.json", card)
    run.write("facts", run.facts | {"begun": {}})
    assert not forget(run, stage, inputs)  # whose it is, nothing says
    assert there() == []
