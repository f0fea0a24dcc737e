"""A search: nothing runs twice, what was killed goes on, and the best of many is not taken at its word."""

import json
import multiprocessing
import signal
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import tiny_search
from tiny_training import MODEL, TinyNet, make_dataset

from emotion_utils.devices import CPU
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.search import model_search, study
from emotion_utils.search.trials import GRID, MIDDLE, SPACE, grid_points, settings_of_best, trial_config
from emotion_utils.training.epochs import EpochLoop


@pytest.fixture
def trained(monkeypatch):
    """Puts the small network in place; the list gets the configuration of each training that begins."""
    tiny_search.use_tiny_parts(monkeypatch.setattr)
    begun, original = [], EpochLoop.fit
    monkeypatch.setattr(EpochLoop, "fit", lambda loop, **how: begun.append(loop.config) or original(loop, **how))
    return begun


def recipe_of(config):
    recipe = config.recipes[MODEL]
    return recipe.lr, recipe.weight_decay, recipe.augment_strength


def test_each_trial_is_a_training_with_its_own_recipe_and_the_table_says_what_came_out(tmp_path, trained):
    run = tiny_search.make_run(tmp_path)
    table = model_search.search_model(run, MODEL, trials=5)
    assert [recipe_of(config) for config in trained] == [
        (row.lr, row.weight_decay, row.augment_strength) for row in table.itertuples()
    ]
    assert len({recipe_of(config) for config in trained}) == 5
    for row in table.itertuples():
        folder = run.model_dir(MODEL) / "search" / row.key[:12] / "models" / MODEL
        history = pd.read_csv(folder / "history.csv")
        assert row.val_acc == history["val_acc"].max()
        assert (row.epochs, row.best_epoch) == (len(history), history["val_acc"].idxmax() + 1)
        assert not (folder / "checkpoint.pt").exists()
    stored, summary = run.read_search(MODEL)
    pd.testing.assert_frame_equal(stored, table.fillna({"reason": ""}), check_dtype=False)
    complete = table[table["state"] == "complete"]
    assert summary["best"] == complete.loc[complete["val_acc"].idxmax(), "trial"]
    assert summary["val_acc"] == complete["val_acc"].max()
    assert summary["seconds"] == pytest.approx(table["seconds"].sum(), abs=0.1)


def test_resumed_searches_of_both_kinds_add_trials_and_run_none_twice(tmp_path, trained):
    run = tiny_search.make_run(tmp_path)
    model_search.search_model(run, MODEL, sampler="grid", trials=3)
    model_search.search_model(run, MODEL, sampler="grid", trials=3)
    assert len(trained) == 3
    model_search.search_model(run, MODEL, sampler="tpe", trials=5)
    table = model_search.search_model(run, MODEL, sampler="grid", trials=7)
    assert table["sampler"].tolist() == ["grid"] * 3 + ["tpe"] * 2 + ["grid"] * 2
    assert len({recipe_of(config) for config in trained}) == len(trained) == len(table) == 7


def test_what_is_proposed_twice_is_looked_up(tmp_path, trained, monkeypatch):
    run = tiny_search.make_run(tmp_path)
    model_search.search_model(run, MODEL, trials=1)
    points = iter([MIDDLE, MIDDLE, MIDDLE | {"lr_doublings": 1.0}])

    def propose(trial):
        point = next(points)
        return {name: trial.suggest_float(name, value, value) for name, value in point.items()}

    monkeypatch.setattr(model_search, "propose", propose)
    table = model_search.search_model(run, MODEL, trials=2)
    assert len(trained) == len(table) == 2
    assert table["trial"].tolist() == [0, 3]


def test_a_sampler_begins_with_the_recipe_as_it_is(tmp_path, trained):
    run = tiny_search.make_run(tmp_path)
    model_search.search_model(run, MODEL, trials=1)
    assert recipe_of(trained[0]) == recipe_of(run.config)


def test_another_recipe_or_number_of_epochs_is_another_search(tmp_path, trained):
    run = tiny_search.make_run(tmp_path)
    model_search.search_model(run, MODEL, sampler="grid", trials=1)
    table = model_search.search_model(run, MODEL, sampler="grid", trials=1, epochs=2)
    assert len(trained) == 2
    assert table["epochs"].tolist() == [2]


def test_a_grid_ends_when_all_its_points_are_done(tmp_path, trained, monkeypatch):
    small = {"lr_doublings": (0.0, 1.0), "weight_decay_log10": (-2.0,), "augment_strength": (1.0,)}
    monkeypatch.setattr("emotion_utils.search.trials.GRID", small)
    table = model_search.search_model(tiny_search.make_run(tmp_path), MODEL, sampler="grid", trials=20)
    assert sorted(table["lr"]) == [0.01, 0.02]


def test_a_trial_that_stays_behind_is_pruned_by_its_validation_accuracy(tmp_path, trained, monkeypatch):
    accuracies = iter([*[0.4, 0.6, 0.8] * 4, 0.2, 0.2])

    def evaluate(learner, dataset):
        return 1.0, round(next(accuracies) * len(dataset))

    monkeypatch.setattr("emotion_utils.training.learner.Learner.evaluate", evaluate)
    table = model_search.search_model(tiny_search.make_run(tmp_path), MODEL, sampler="grid", trials=5)
    assert table["state"].tolist() == ["complete"] * 4 + ["pruned"]
    assert table["epochs"].tolist() == [3, 3, 3, 3, 2]


def test_a_rate_at_which_training_diverges_is_a_result_and_not_the_end(tmp_path, trained, monkeypatch):
    def fit(trainer, **how):
        if trainer.recipe.lr > 0.01:
            raise EmotionError("training diverges")
        return original(trainer, **how)

    original = EpochLoop.fit
    monkeypatch.setattr(EpochLoop, "fit", fit)
    table = model_search.search_model(tiny_search.make_run(tmp_path), MODEL, sampler="grid", trials=6)
    too_fast = table["lr"] > 0.01
    assert 0 < too_fast.sum() < 6
    assert (table.loc[too_fast, "reason"] == "training diverges").all()
    assert (table["state"] == "pruned").tolist() == too_fast.tolist()


def test_test_images_are_never_opened(tmp_path, trained, monkeypatch):
    opened = []
    monkeypatch.setattr(model_search, "restore_images", lambda run: None)
    monkeypatch.setattr(
        model_search, "open_split", lambda run, split: opened.append(split) or make_dataset(15, len(split))
    )
    monkeypatch.setattr(model_search.Search, "_people", lambda self: np.arange(15))
    model_search.search_model(tiny_search.make_run(tmp_path), MODEL, trials=1)
    assert opened == ["train", "val"]


# -- killed ----------------------------------------------------------------------------------------


PROCESSES = multiprocessing.get_context("forkserver")  # each begins clean, without importing torch anew
PROCESSES.set_forkserver_preload(["emotion_utils.search.model_search"])


def begin_search(folder, **options):
    process = PROCESSES.Process(target=tiny_search.search_as_a_process, args=(folder,), kwargs=options)
    process.start()
    return process


def search_in_a_process(folder, **options):
    """Its exit code; negative where a signal ended it."""
    process = begin_search(folder, **options)
    process.join()
    return process.exitcode


def outcome(folder):
    table = pd.read_csv(folder / "models" / MODEL / "search.csv")
    return table.drop(columns=["trial", "seconds"]).sort_values("key", ignore_index=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert search_in_a_process(folder) == 0
    return outcome(folder)


def events(folder):
    files = (folder / "models" / MODEL / "search").glob("*/models/*/events.jsonl")
    return [[json.loads(line)["kind"] for line in file.read_text().splitlines()] for file in sorted(files)]


@pytest.mark.slow
def test_a_killed_search_goes_on_in_the_middle_of_its_trial(tmp_path, undisturbed):
    assert search_in_a_process(tmp_path, kill_at=30) == -signal.SIGKILL  # in the second of three
    journal = tmp_path / "models" / MODEL / "search" / "journal.log"
    with journal.open("a") as file:
        file.write('{"op_code": 6, "wor')  # as if the kill had hit while a line was written
    Path(f"{journal}.lock").symlink_to(journal)
    assert search_in_a_process(tmp_path) == 0
    pd.testing.assert_frame_equal(outcome(tmp_path), undisturbed)
    assert sum("resumed" in kinds for kinds in events(tmp_path)) == 1


def test_two_searches_in_one_folder_do_not_mix(tmp_path):
    run = tiny_search.make_run(tmp_path)
    folder = run.model_dir(MODEL) / "search"
    parts = ("name", folder, None, optuna.samplers.RandomSampler(), optuna.pruners.NopPruner())
    with study.open_study(*parts), pytest.raises(EmotionError, match="another search works"), study.open_study(*parts):
        pass


@pytest.mark.slow
def test_a_stale_trial_of_a_database_is_tried_again(tmp_path, undisturbed, database):
    """Killed with a database: the heartbeat stops, and the next process takes the trial up."""
    assert search_in_a_process(tmp_path, storage=database, kill_at=30) == -signal.SIGKILL
    time.sleep(3)  # until the heartbeat is old
    assert search_in_a_process(tmp_path, storage=database) == 0
    assert sum("resumed" in kinds for kinds in events(tmp_path)) == 1
    pd.testing.assert_frame_equal(outcome(tmp_path), undisturbed)


def test_a_search_kept_in_a_file_of_sqlite_goes_on(tmp_path, trained):
    run, storage = tiny_search.make_run(tmp_path), f"sqlite:///{tmp_path / 'study.db'}"
    for trials in (1, 2):
        table = model_search.search_model(run, MODEL, sampler="grid", trials=trials, storage=storage)
        assert len(trained) == len(table) == trials


@pytest.mark.slow
def test_machines_that_share_a_database_share_the_work(tmp_path, postgresql):
    workers = [begin_search(tmp_path / name, storage=postgresql) for name in ("one", "two")]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    begun = [len(events(tmp_path / name)) for name in ("one", "two")]
    assert sum(begun) in (3, 4)  # the last trial of one may begin before the other's has ended


@pytest.mark.parametrize(
    ("address", "complaint"),
    [("nonsense", "expected an address"), ("postgresql://nobody@127.0.0.1:9/none", "cannot be used")],
)
def test_a_database_that_cannot_be_used_is_said_so(tmp_path, trained, address, complaint):
    with pytest.raises(InputError, match=complaint):
        model_search.search_model(tiny_search.make_run(tmp_path), MODEL, storage=address)


# -- points ----------------------------------------------------------------------------------------


def test_every_point_of_the_grid_is_one_that_the_sampler_can_propose():
    points = list(grid_points(seed=1))
    assert len({tuple(point.values()) for point in points}) == len(points) == np.prod([len(v) for v in GRID.values()])
    for name, space in SPACE.items():
        assert all(space._contains(value) for value in GRID[name])


def test_the_middle_of_the_space_is_the_recipe_itself(tmp_path):
    config = tiny_search.make_run(tmp_path).config
    there = trial_config(config, MODEL, MIDDLE, epochs=3).recipes[MODEL]
    assert there == config.recipes[MODEL].model_copy(update={"epochs": 3})


def test_the_best_is_told_with_the_settings_to_use_it(tmp_path, trained):
    run = tiny_search.make_run(tmp_path)
    model_search.search_model(run, MODEL, trials=2)
    told, command = settings_of_best(run, MODEL)
    table, summary = run.read_search(MODEL)
    best = table[table["trial"] == summary["best"]].iloc[0]
    assert f"--set recipes.{MODEL}.lr={best['lr']:g} " in command
    assert f"val accuracy {summary['val_acc']:.3f}" in told


def test_correctness_of_each_image_is_that_of_the_validation(tmp_path, trained):
    data = make_dataset(67, 2)
    trainer_net = TinyNet()
    right = model_search.find_correct(trainer_net, data, CPU)
    logits = trainer_net.eval()(model_search.to_unit(data.batch(np.arange(67)).images))
    assert right.tolist() == (logits.argmax(1) == data.labels).tolist()
