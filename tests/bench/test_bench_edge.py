"""`emotion bench edge`: times that a machine which is busy at times leaves alone, and what can be measured."""

import numpy as np
import pandas as pd
import pytest

from emotion_utils.bench import edge
from emotion_utils.bench.edge import Candidate, bench_edge, list_models, measure
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.run import Run


@pytest.fixture
def clock(monkeypatch):
    """A clock that calls of a network advance."""
    now = [0.0]
    monkeypatch.setattr(edge.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(edge.time, "process_time", lambda: now[0])
    monkeypatch.setattr(edge, "count_workers", lambda: 2)
    return now


def test_times_are_those_of_quiet_moments(clock):
    def takes(ms):
        def predict(faces):
            assert faces.shape[1:] == (8, 8, 3)
            clock[0] += ms / 1000 * (1 + (clock[0] % 1 < 0.6)) * len(faces)  # twice as slow for most of each second

        return lambda threads: predict

    ways = dict(zip(edge.WAYS, map(takes, (8, 4, 2)), strict=True))
    same = dict.fromkeys(edge.WAYS, 1.5)
    table = pd.DataFrame(measure(Candidate("net", 8, ways, same, {"INT8": 0.7}), rounds=5))
    assert table["threads"].tolist() == [1, 1, 1, 2, 2, 2]
    assert table["way"].tolist() == list(edge.WAYS) * 2
    for batch in edge.BATCHES:
        np.testing.assert_allclose(table[f"ratio_{batch}"], [1, 2, 4] * 2)
        np.testing.assert_allclose(table[f"ms_{batch}"], [8, 4, 2] * 2)
    np.testing.assert_array_equal(table["accuracy"][:3], [np.nan, np.nan, 0.7])


def test_only_models_and_runs_that_have_one_are_measured(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    for folder in (tmp_path, run.root):
        with pytest.raises(InputError, match="is neither the folder of a trained model nor a run that has one"):
            list_models(folder)
    models = [run.model_dir(name) for name in run.config.models[1:]]
    for model in models:
        model.mkdir(parents=True)
        for name in ("predictions.csv", "model.json"):
            (model / name).touch()
    assert list_models(run.root) == models
    assert list_models(models[0]) == models[:1]


@pytest.mark.slow
def test_networks_of_random_weights_are_measured_in_each_form(monkeypatch):
    monkeypatch.setattr(edge, "NETWORKS", [("tiny_emotion", 32)])
    monkeypatch.setattr(edge, "TURN_S", 0.001)
    table = bench_edge(rounds=1)
    assert table["way"].tolist()[:3] == list(edge.WAYS)
    assert (table.drop(columns=["accuracy", "model", "way"]) > 0).all(axis=None)
    mb = table.set_index("way")["mb"].groupby(level=0).first()
    assert mb["PyTorch"] == pytest.approx(mb["ONNX"], rel=0.15)
    assert mb["INT8"] < 0.5
