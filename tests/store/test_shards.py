import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from memory_source import CLASSES, memory_source

import emotion_utils
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.run import Run
from emotion_utils.store import batches as loader
from emotion_utils.store import shards as shards_module
from emotion_utils.store.batches import iterate_batches, open_split, prepare_images, restore_images
from emotion_utils.store.shards import open_shards, shard_name, shards_path, write_shards
from emotion_utils.store.store import StoreDamage, build_store

SIZE_PX = 32
PACKAGE = Path(emotion_utils.__file__).parents[1]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A run that asks for shards, the images behind it, and its manifest: 60 train, 20 val, 20 test."""
    source = memory_source(100, SIZE_PX)
    run = Run.create(tmp_path / "run", resolve_config("smoke", image_size_px=SIZE_PX, store="shards"))
    manifest = source.manifest
    manifest["split"] = (["train"] * 3 + ["val", "test"]) * 20
    run.write("manifest", manifest)
    run.write("audit", {"classes": list(CLASSES)})
    monkeypatch.setattr(loader, "source_of", lambda config: source)
    return SimpleNamespace(run=run, source=source, manifest=manifest)


def write(prepared, **more):
    return write_shards(prepared.source, prepared.manifest, CLASSES, size_px=SIZE_PX, **more)


def epoch_of(dataset, **more):
    return list(iterate_batches(dataset, batch_size=8, seed=0, epoch=1, shuffle=True, **more))


def test_shards_and_store_hold_the_same_pixels_labels_and_ids(prepared):
    write(prepared)
    dataset = open_split(prepared.run, "train")
    batch = dataset.batch(np.arange(len(dataset)))
    expected = prepared.manifest[prepared.manifest["split"] == "train"].sort_values("id")
    store = build_store(prepared.source, prepared.manifest, size_px=SIZE_PX)
    assert batch.ids == expected["id"].tolist()
    assert [CLASSES[label] for label in batch.labels] == expected["label"].tolist()
    np.testing.assert_array_equal(batch.images.permute(0, 2, 3, 1), store.images[store.rows(batch.ids)])


def test_grey_images_come_back_with_three_equal_channels(prepared):
    for path in prepared.source.files:
        prepared.source.files[path] = _grey(prepared.source.files[path])
    manifest = prepared.source.manifest.assign(split="train")
    path = write_shards(prepared.source, manifest, CLASSES, size_px=SIZE_PX)
    store = build_store(prepared.source, manifest, size_px=SIZE_PX)
    images = open_shards(path, "train")[np.arange(100)]
    np.testing.assert_array_equal(images, store.images[store.rows(sorted(manifest["id"]))])
    assert (images[..., 0] == images[..., 2]).all()


def _grey(data):
    import cv2

    return cv2.imencode(".png", cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))[1].tobytes()


def test_an_epoch_from_shards_brings_every_image_once_with_its_pixels(prepared):
    write(prepared)
    dataset = open_split(prepared.run, "train")
    batches = epoch_of(dataset)
    assert sorted(name for batch in batches for name in batch.ids) == dataset.ids
    for batch in batches:
        positions = np.array([dataset.ids.index(name) for name in batch.ids])
        assert torch.equal(batch.images, dataset.batch(positions).images)
        assert batch.total == len(batch.ids)


def test_the_same_images_give_the_same_bytes(prepared, tmp_path):
    digests = []
    for cache in ("a", "b"):
        folder = write(prepared, cache=tmp_path / cache)
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.tar"))])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 48


def test_large_splits_get_more_shards_of_about_equal_size(prepared, monkeypatch):
    monkeypatch.setattr(shards_module, "SHARD_IMAGES", 3)
    counts = np.bincount(open_shards(write(prepared), "train").shards)
    assert counts.tolist() == [3] * 20


def test_the_index_points_at_the_images_in_the_tar(prepared):
    folder = write(prepared)
    with np.load(folder / "val.npz") as index:
        offsets, shards = index["offsets"], index["shards"]
    for number in range(3):
        with tarfile.open(folder / shard_name("val", number)) as tar:
            images = [member for member in tar if member.name.endswith(".png")]
        assert [member.offset_data for member in images] == offsets[shards == number].tolist()


def test_shards_are_written_once_and_progress_ends_with_all_images(prepared):
    seen = []
    path = write(prepared, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100)
    prepared.source.reads.clear()
    assert write(prepared) == path
    assert not prepared.source.reads


def test_split_label_and_size_decide_the_folder(prepared):
    manifest = prepared.manifest
    path = shards_path(manifest, CLASSES, SIZE_PX)
    assert shards_path(manifest.sample(frac=1, random_state=0), CLASSES, SIZE_PX) == path
    swapped = manifest.assign(split=manifest["split"].replace({"val": "test", "test": "val"}))
    assert len({path, shards_path(swapped, CLASSES, SIZE_PX), shards_path(manifest, CLASSES, 48)}) == 3


@pytest.mark.parametrize(
    ("store", "line"), [("shards", "100 images of 32 px in shards"), ("local", "100 images decoded")]
)
def test_the_setting_decides_what_is_prepared_and_the_training_reads_it(prepared, tmp_path, store, line):
    run = Run.create(tmp_path / "other", resolve_config("smoke", image_size_px=SIZE_PX, store=store))
    run.write("manifest", prepared.manifest)
    run.write("audit", {"classes": list(CLASSES)})
    assert prepare_images(run, prepared.source, prepared.manifest).startswith(line)
    prepared.source.reads.clear()
    assert len(open_split(run, "val")) == 20
    assert not prepared.source.reads


# -- what is missing or damaged --------------------------------------------------------------------


def test_a_shard_cut_short_is_noticed_and_written_again(prepared):
    path = write(prepared)
    os.truncate(path / shard_name("train", 2), 700)
    with pytest.raises(StoreDamage, match=r"train-000002\.tar is not what was written"):
        open_shards(path, "train")
    with pytest.raises(InputError, match=r"not what was written.* restore_images\(run\)"):
        open_split(prepared.run, "train")
    restore_images(prepared.run)
    assert len(open_split(prepared.run, "train")) == 60


def swap_two_shards(path):
    first, second = (path / shard_name("train", number) for number in (0, 1))
    first.rename(path / "moved")
    second.rename(first)
    (path / "moved").rename(second)


def flip_a_bit(path):
    data = bytearray((path / shard_name("train", 1)).read_bytes())
    data[len(data) // 2] ^= 1
    (path / shard_name("train", 1)).write_bytes(data)


def swap_two_images_in_the_index(path):
    with np.load(path / "train.npz") as index:
        arrays = dict(index)
    for name in ("offsets", "lengths"):
        arrays[name][[0, 1]] = arrays[name][[1, 0]]
    np.savez(path / "train.npz", **arrays)


def write_nonsense(path):
    (path / "shards.json").write_text('{"checksums": 3, "index_checksums": []}')


@pytest.mark.parametrize("harm", [swap_two_shards, flip_a_bit, swap_two_images_in_the_index, write_nonsense])
def test_damaged_shards_are_noticed_and_written_again(prepared, harm, capfd):
    path = write(prepared)
    before = open_split(prepared.run, "train").batch(np.arange(60)).images
    harm(path)
    with pytest.raises(StoreDamage):
        open_shards(path, "train")
    restore_images(prepared.run)
    assert torch.equal(open_split(prepared.run, "train").batch(np.arange(60)).images, before)
    assert capfd.readouterr() == ("", "")


def test_a_machine_needs_no_more_than_its_own_shards(prepared):
    path = write(prepared)
    for number in range(1, 16, 2):
        (path / shard_name("train", number)).unlink()
    dataset = open_split(prepared.run, "train")
    assert 0 < sum(len(batch.ids) for batch in epoch_of(dataset, rank=0, world_size=2)) < 60
    with pytest.raises(StoreDamage, match="is not on this machine"):
        epoch_of(dataset, rank=1, world_size=2)


def test_shards_that_the_cache_has_lost_are_restored_by_the_call_that_the_error_names(prepared):
    with pytest.raises(InputError, match=r"restore_images\(run\).* 01_data_preparation"):
        open_split(prepared.run, "train")
    restore_images(prepared.run)
    assert len(open_split(prepared.run, "train")) == 60


# -- two processes ---------------------------------------------------------------------------------

READ_OUR_WAY = """
import json, os, sys
from pathlib import Path
from emotion_utils.store.batches import iterate_batches, open_split
from emotion_utils.run import Run

rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
dataset = open_split(Run.open(sys.argv[1]), "train")
epochs = [
    [
        (batch.ids, batch.labels.tolist(), batch.images.sum((1, 2, 3)).tolist())
        for batch in iterate_batches(
            dataset, batch_size=8, seed=0, epoch=epoch, shuffle=True, rank=rank, world_size=world_size
        )
    ]
    for epoch in (1, 2)
]
Path(sys.argv[2], f"{rank}.json").write_text(json.dumps(epochs))
"""

READ_WITH_WEBDATASET = """
import json, os, sys
from pathlib import Path
import webdataset

rank = int(os.environ["RANK"])
files = sorted(str(file) for file in Path(sys.argv[1]).glob("train-*.tar"))
samples = webdataset.WebDataset(files, shardshuffle=False, nodesplitter=webdataset.split_by_node).decode("rgb8")
found = [(sample["__key__"], sample["cls"], int(sample["png"].sum())) for sample in samples]
Path(sys.argv[2], f"{rank}.json").write_text(json.dumps(found))
"""


def read_in_two_processes(script, argument, folder):
    """What two processes, started as torchrun starts them, found; each in the order in which it read."""
    (folder / "read.py").write_text(script)
    workers = [
        subprocess.Popen(
            [sys.executable, folder / "read.py", argument, folder],
            env={
                **os.environ,
                "PYTHONPATH": str(PACKAGE),
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "OMP_NUM_THREADS": "1",
            },
        )
        for rank in range(2)
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def facts_of(dataset):
    batch = dataset.batch(np.arange(len(dataset)))
    return set(zip(batch.ids, batch.labels.tolist(), batch.images.sum((1, 2, 3)).tolist(), strict=True))


@pytest.mark.slow
def test_two_processes_read_each_image_exactly_once_an_epoch(prepared, tmp_path):
    write(prepared)
    expected = facts_of(open_split(prepared.run, "train"))
    found = read_in_two_processes(READ_OUR_WAY, prepared.run.root, tmp_path)
    for epoch in range(2):
        steps = [process[epoch] for process in found]
        assert len(steps[0]) == len(steps[1]) == 8
        facts = [
            fact for batches in steps for ids, labels, sums in batches for fact in zip(ids, labels, sums, strict=True)
        ]
        assert len(facts) == 60
        assert set(facts) == expected
    assert found[0][0] != found[0][1]


@pytest.mark.slow
def test_the_webdataset_library_reads_the_same_from_our_shards(prepared, tmp_path):
    pytest.importorskip("webdataset", reason="the optional package webdataset is not installed")
    folder = write(prepared)
    expected = facts_of(open_split(prepared.run, "train"))
    found = read_in_two_processes(READ_WITH_WEBDATASET, folder, tmp_path)
    assert len(found[0]) + len(found[1]) == 60
    assert {tuple(fact) for process in found for fact in process} == expected
