"""`emotion bench`: what it prints and writes, with stand-ins for the measurements, which are tested elsewhere."""

import re

import pandas as pd
import pytest
from click.testing import CliRunner

from emotion_utils.bench import accuracy, contention, subjects, train
from emotion_utils.bench.tables import Measured, format_table, write_csv
from emotion_utils.cli import main
from emotion_utils.errors import InputError

STORE = pd.DataFrame({"way": ["plain", "store"], "images_per_second": [2000.0, 12345.6], "ratio": [1.0, 6.1728]})
CURVE = pd.DataFrame({"way": ["plain"], "seconds": [8.0], "unseen": [0.7]})
FACES = pd.DataFrame({"detector": ["one"], "recall": [0.9051], "cpu_ms": [float("nan")]})


@pytest.fixture
def measured(monkeypatch):
    """Which measurements were asked for, with what; none is made."""
    calls = []

    def stand_in(name, table):
        def measure(*args, **settings):
            calls.append((name, args, settings))
            return table

        return measure

    for name, table in {
        "bench_store": STORE,
        "bench_batches": STORE,
        "bench_scale": STORE,
        "bench_faces": FACES,
    }.items():
        monkeypatch.setattr(subjects, name, stand_in(name, table))
    monkeypatch.setattr(train, "bench_steps", stand_in("bench_steps", STORE))
    monkeypatch.setattr(train, "bench_memory", stand_in("bench_memory", STORE))
    monkeypatch.setattr(contention, "bench_contention", stand_in("bench_contention", STORE))
    monkeypatch.setattr(accuracy, "bench_accuracy", stand_in("bench_accuracy", [CURVE, CURVE.assign(way="quick")]))
    return calls


def test_a_table_is_aligned_and_its_numbers_are_readable():
    lines = format_table(Measured("images: store", STORE)).splitlines()
    assert lines == [
        "images: store",
        "  way    images_per_second  ratio",
        "  plain              2,000  1.00x",
        "  store             12,346  6.17x",
    ]


def test_rates_are_percent_and_what_was_not_measured_is_a_dash():
    assert format_table(Measured("f", FACES)).splitlines()[2].split() == ["one", "90.5%", "-"]


def test_long_table_is_cut_on_the_terminal_alone(tmp_path):
    measured = Measured("a", pd.concat([STORE] * 3, ignore_index=True), shown=2)
    lines = [line.split() for line in format_table(measured).splitlines()[2:]]
    assert lines[:2] == [["plain", "2,000", "1.00x"], ["store", "12,346", "6.17x"]]
    assert " ".join(lines[2]) == "... and 4 more: --csv FILE lists them all"
    write_csv(tmp_path / "all.csv", [measured])
    assert len(pd.read_csv(tmp_path / "all.csv")) == 6


@pytest.mark.parametrize("command", ["recipes", "transfer"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "models=[tiny_emotion]"], "--set models: this command decides it itself"),
        (["--set", "profile=demo"], "--set profile: this command decides"),
        (["--set", "epochs=20"], "--set epochs: give it as --epochs"),
        (["--set", "data=other"], "--set data: give it as --data"),
        (["--set", "image_size_px=auto"], "name the size in pixels"),
        (["--classes", ""], "2 to 10 class names"),
        (["--csv", "{tmp}/none/t.csv"], "there is no folder"),
        (["--output", "{tmp}/run"], "holds a run"),
    ],
)
def test_settings_that_a_comparison_of_trainings_decides_are_refused(tmp_path, command, options, said):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    options = [option.format(tmp=tmp_path) for option in options]
    result = CliRunner().invoke(main, ["bench", command, "--data", "faces", *options])
    assert result.exit_code == 2
    assert said in result.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["run", "run.json"]


def test_the_file_holds_every_table_unrounded(tmp_path):
    write_csv(tmp_path / "all.csv", [Measured("a", STORE), Measured("b", FACES)])
    table = pd.read_csv(tmp_path / "all.csv").set_index("table")
    assert table.loc["a", "ratio"].tolist() == [1.0, 6.1728]
    assert table.loc["b", "recall"] == 0.9051
    with pytest.raises(InputError, match="cannot be written"):
        write_csv(tmp_path / "missing" / "all.csv", [Measured("a", STORE)])


def test_each_subject_measures_the_data_it_is_given(measured, tmp_path):
    result = CliRunner().invoke(main, ["bench", "data", "--data", "faces.zip", "--scale", "--csv", f"{tmp_path}/t.csv"])
    assert result.exit_code == 0, result.output
    assert [(name, *args) for name, args, _ in measured] == [
        ("bench_store", "faces.zip"), ("bench_batches", "faces.zip"), ("bench_scale",),
    ]  # fmt: skip
    assert re.search(r"^faces.zip: augmented batches; .*\n  way ", result.output, re.MULTILINE)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 6
    measured.clear()
    CliRunner().invoke(main, ["bench", "faces", "--data", "faces.zip", "--images", "7"])
    assert measured == [("bench_faces", ("faces.zip",), {"images": 7})]


def test_the_curve_of_a_training_is_drawn_only_when_asked_for(measured):
    result = CliRunner().invoke(main, ["bench", "train", "--data", "faces.zip"])
    assert result.exit_code == 0, result.output
    assert measured == [
        ("bench_steps", ("faces.zip",), {"sizes_px": (48, 96), "batch_size": None, "workers": 2}),
        ("bench_memory", (), {}),
        ("bench_contention", (), {}),
    ]
    measured.clear()
    result = CliRunner().invoke(main, ["bench", "train", "--data", "faces.zip", "--classes", "sad,happy", "--curve"])
    assert result.exit_code == 0, result.output
    assert measured[3] == ("bench_accuracy", ("faces.zip",), {"classes": ("sad", "happy")})
    assert "time to an accuracy" in result.output
    assert CliRunner().invoke(main, ["bench", "train", "--curve"]).exit_code == 2


def test_without_a_subject_a_little_of_each_is_measured(measured):
    result = CliRunner().invoke(main, ["bench", "--data", "faces.zip"])
    assert result.exit_code == 0, result.output
    assert [name for name, *_ in measured] == [
        "bench_store",
        "bench_batches",
        "bench_faces",
        "bench_steps",
        "bench_memory",
    ]


def test_options_before_the_subject_are_refused_and_nothing_is_measured(measured):
    result = CliRunner().invoke(main, ["bench", "--data", "faces.zip", "faces"])
    assert result.exit_code == 2
    assert "emotion bench faces --data SPEC" in result.output
    assert not measured


def test_synthetic_faces_are_measured_as_files(measured, monkeypatch):
    monkeypatch.setattr(subjects, "SYNTHETIC_IMAGES", 3)
    names = []

    def bench_store(spec, **settings):
        from emotion_utils.sources.source import open_source

        names.extend(open_source(spec).table["path"])
        return STORE

    monkeypatch.setattr(subjects, "bench_store", bench_store)
    list(subjects.measure_data("synthetic"))
    assert len(names) == 3
    assert all(name.endswith(".jpg") for name in names)
