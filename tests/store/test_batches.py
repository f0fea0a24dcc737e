from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from memory_source import CLASSES, memory_source, random_images

from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import write_csv
from emotion_utils.run import Run
from emotion_utils.store import batches as loader
from emotion_utils.store.balance import sampler_weights
from emotion_utils.store.batches import Dataset, iterate_batches, open_split, restore_images
from emotion_utils.store.store import build_store, store_path

SIZE_PX = 32


def dataset_of(count, labels=None):
    """Image i is filled with the number i and has the id `id i`."""
    images = np.repeat(np.arange(count, dtype=np.uint8), 12).reshape(count, 2, 2, 3)
    labels = torch.tensor(labels if labels is not None else [i % 3 for i in range(count)])
    return Dataset(images, np.arange(count), labels, [f"id {i:03d}" for i in range(count)], CLASSES)


def epoch_of(dataset, batch_size=8, seed=0, epoch=1, shuffle=True, **more):
    return list(iterate_batches(dataset, batch_size=batch_size, seed=seed, epoch=epoch, shuffle=shuffle, **more))


def ids_in(batches):
    return [name for batch in batches for name in batch.ids]


# -- one epoch -------------------------------------------------------------------------------------


def test_every_image_comes_once_with_its_own_label_and_id():
    for batch in epoch_of(dataset_of(50)):
        assert batch.images.shape[1:] == (3, 2, 2)
        assert batch.images.dtype == torch.uint8
        assert batch.labels.dtype == torch.int64
        numbers = batch.images[:, 0, 0, 0].tolist()
        assert batch.ids == [f"id {number:03d}" for number in numbers]
        assert batch.labels.tolist() == [number % 3 for number in numbers]
    assert sorted(ids_in(epoch_of(dataset_of(50)))) == dataset_of(50).ids


def test_without_shuffling_the_order_is_that_of_the_ids():
    assert ids_in(epoch_of(dataset_of(50), shuffle=False)) == dataset_of(50).ids


def test_seed_and_epoch_decide_the_order_and_the_batch_size_does_not():
    dataset = dataset_of(50)
    order = ids_in(epoch_of(dataset))
    assert ids_in(epoch_of(dataset, batch_size=13)) == order
    assert ids_in(epoch_of(dataset, epoch=2)) != order
    assert ids_in(epoch_of(dataset, seed=1)) != order


def test_the_order_of_some_images_is_that_which_they_have_among_all():
    dataset = dataset_of(50)
    part = Dataset(dataset.images, dataset.rows[::3], dataset.labels[::3], dataset.ids[::3], CLASSES)
    assert ids_in(epoch_of(part)) == [name for name in ids_in(epoch_of(dataset)) if name in part.ids]


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (1, 4, [1]), (5, 8, [5])]
)
def test_a_lone_last_image_joins_the_batch_before_it(count, batch_size, sizes):
    assert [len(batch.ids) for batch in epoch_of(dataset_of(count), batch_size)] == sizes


def test_a_short_last_batch_can_be_dropped():
    assert [len(batch.ids) for batch in epoch_of(dataset_of(10), 4, drop_last=True)] == [4, 4]


def test_an_epoch_can_be_capped():
    dataset = dataset_of(50)
    assert ids_in(epoch_of(dataset, max_steps=2)) == ids_in(epoch_of(dataset))[:16]


# -- the weighted sampler --------------------------------------------------------------------------

RARE = [0] * 40 + [1] * 8 + [2] * 2


def weighted(epoch=1, **more):
    dataset = dataset_of(50, RARE)
    return epoch_of(dataset, epoch=epoch, weights=sampler_weights(dataset.labels.numpy(), 3), **more)


def test_the_sampler_draws_all_classes_equally_often():
    batches = weighted()
    counts = np.bincount(torch.cat([batch.labels for batch in batches]), minlength=3)
    assert counts.sum() == 50
    assert counts.tolist() == pytest.approx([50 / 3] * 3, abs=1)


def test_each_image_is_drawn_as_often_as_its_weight_asks():
    names = [name.split("#")[0] for name in ids_in(weighted())]
    times = [names.count(name) for name in dataset_of(50).ids]
    assert set(times[40:48]) <= {2, 3}  # 50 / 3 / 8 = 2.08
    assert set(times[48:]) <= {8, 9}  # 50 / 3 / 2 = 8.33
    assert set(times[:40]) <= {0, 1}


def test_draws_of_one_image_are_told_apart_and_carry_its_pixels():
    names = ids_in(weighted())
    assert len(set(names)) == 50
    assert {"id 048", "id 048#2", "id 048#8"} <= set(names)
    for batch in weighted():
        assert [int(name[3:6]) for name in batch.ids] == batch.images[:, 0, 0, 0].tolist()


def test_another_epoch_draws_other_images_of_the_common_class():
    first, again, second = (set(ids_in(weighted(epoch))) for epoch in (1, 1, 2))
    assert first == again
    assert first != second


# -- a prepared run --------------------------------------------------------------------------------


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A run whose data are 30 images of 3 classes, and the source behind it."""
    source = memory_source(30, SIZE_PX)
    run = Run.create(tmp_path / "run", resolve_config("smoke", image_size_px=SIZE_PX))
    manifest = source.manifest
    manifest["split"] = (["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 3
    run.write("manifest", manifest)
    run.write("audit", {"classes": list(CLASSES)})
    monkeypatch.setattr(loader, "source_of", lambda config: source)
    return SimpleNamespace(run=run, source=source, manifest=manifest)


def test_a_split_holds_its_own_images_sorted_by_id(prepared):
    images = dict(zip(prepared.source.files, random_images(30, SIZE_PX), strict=True))
    expected = prepared.manifest[prepared.manifest["split"] == "val"].sort_values("id")
    restore_images(prepared.run)
    dataset = open_split(prepared.run, "val")
    batch = dataset.batch(np.arange(len(dataset)))
    assert batch.ids == expected["id"].tolist()
    assert [CLASSES[label] for label in batch.labels] == expected["label"].tolist()
    for image, path in zip(batch.images, expected["path"], strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0), images[path])


def test_opening_a_split_only_reads(prepared):
    build_store(prepared.source, prepared.manifest, size_px=SIZE_PX)
    prepared.source.reads.clear()
    files = sorted(prepared.run.root.rglob("*"))
    restore_images(prepared.run)
    open_split(prepared.run, "test")
    assert not prepared.source.reads
    assert sorted(prepared.run.root.rglob("*")) == files


def test_images_that_the_cache_has_lost_are_restored_by_the_call_that_the_error_names(prepared):
    for _ in range(2):
        with pytest.raises(InputError, match=r"restore_images\(run\).* 01_data_preparation"):
            open_split(prepared.run, "train")
        restore_images(prepared.run)
        assert len(open_split(prepared.run, "train")) == 18
        (store_path(prepared.manifest["id"], SIZE_PX) / "ids.npy").unlink()


def test_an_empty_split_is_an_error_that_says_what_to_do(prepared):
    manifest = prepared.manifest
    prepared.run.write("manifest", manifest.assign(split=manifest["split"].replace("val", "train")))
    with pytest.raises(EmotionError, match="no image in val; start again with --fresh"):
        open_split(prepared.run, "val")


def test_a_label_that_is_no_class_of_the_run_is_an_error_that_names_it(prepared):
    restore_images(prepared.run)
    manifest = prepared.manifest
    prepared.run.write("audit", {"classes": list(CLASSES[:2])})
    write_csv(prepared.run.path("manifest"), manifest)
    with pytest.raises(InputError, match=f"'{CLASSES[2]}' is none of the classes"):
        open_split(prepared.run, "train")


def test_a_dataset_that_nothing_can_be_read_from_is_refused():
    dataset = dataset_of(6)
    for count in (0, -1):
        with pytest.raises(InputError, match=rf"take\({count}\): one image at least is needed; there are 6"):
            dataset.take(count)
    assert len(dataset.take(99)) == 6
    with pytest.raises(InputError, match="6 rows, 5 labels and 6 ids"):
        replace(dataset, labels=dataset.labels[:5])
