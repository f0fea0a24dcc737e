import shutil

import cv2
import numpy as np
import pytest

from emotion_utils.bench import data as bench
from emotion_utils.bench import plain
from emotion_utils.bench.scale import measure_scale


@pytest.fixture
def folder(tmp_path):
    """40 images of two classes, one of them twice."""
    rng = np.random.default_rng(0)
    for number in range(40):
        image = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        target = tmp_path / "data" / ("happy", "sad")[number % 2] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), image)
    (tmp_path / "data" / "sad" / "copy.png").write_bytes((tmp_path / "data" / "sad" / "1.png").read_bytes())
    return tmp_path / "data"


def test_each_way_to_a_store_is_timed_over_the_same_images(folder):
    table = bench.bench_store(str(folder), size_px=16, rounds=1).set_index("way")
    stages = ["open", "audit", "split", "store"]
    assert table.index.tolist() == ["plain", *stages, "files to store", "first run", "new run", "later run"]
    assert set(table["images"]) == {40}
    np.testing.assert_allclose(table["images_per_second"], 40 / table["seconds"])
    assert table.loc["files to store", "seconds"] == pytest.approx(table.loc[["open", "store"], "seconds"].sum())
    assert table.loc["first run", "seconds"] == pytest.approx(table.loc[stages, "seconds"].sum())


def test_plain_way_has_to_unpack_an_archive_first(folder, tmp_path):
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    seconds = bench.bench_store(packed, size_px=16, rounds=1).set_index("way")["seconds"]
    assert seconds["plain from archive"] == pytest.approx(seconds["plain"] + seconds["unpack"])


def test_each_ratio_is_that_of_the_measured_rates(folder):
    table = bench.bench_store(str(folder), size_px=16, rounds=2).set_index("way")
    for ratio, rate in (("ratio", "images_per_second"), ("ratio_per_core", "images_per_core_second")):
        np.testing.assert_allclose(table[ratio], table[rate] / table.loc["plain", rate])


def test_batches_are_timed_at_each_size_beside_the_plain_way(folder, monkeypatch):
    monkeypatch.setattr(bench, "BATCH_SECONDS", 0.05)
    monkeypatch.setattr(plain, "WORKERS", 0)
    table = bench.bench_batches(str(folder), sizes_px=(16, 24), rounds=1)
    assert table[["size_px", "way"]].to_numpy().tolist() == [[16, "plain"], [16, "store"], [24, "plain"], [24, "store"]]
    assert (table["images_per_second"] > 0).all()
    assert table["ratio"][table["way"] == "plain"].tolist() == [1, 1]


def test_generated_images_go_through_every_stage():
    row = measure_scale(700)
    assert row["images"] == 700
    assert row["total_s"] == pytest.approx(sum(row[stage] for stage in row if stage.endswith("_s")) - row["total_s"])
