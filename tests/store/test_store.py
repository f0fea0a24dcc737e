import json
import os
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from memory_source import memory_source, random_images

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.store import store as store_module
from emotion_utils.store.store import (
    StoreDamage,
    build_store,
    open_store,
    resize_square,
    store_path,
)


@pytest.fixture
def source():
    return memory_source(150)


def path_of(source, size_px):
    return store_path(source.manifest["id"], size_px)


def test_each_row_holds_the_image_of_its_id(source):
    store = build_store(source, source.manifest, size_px=24)
    images = dict(zip(source.files, random_images(150), strict=True))
    assert store.images.shape == (150, 24, 24, 3)
    assert store.images.dtype == np.uint8
    for row in source.manifest.itertuples():
        np.testing.assert_array_equal(store.images[store.rows([row.id])[0]], images[row.path])


def test_rows_come_in_the_order_asked_for_and_strangers_are_refused(source):
    store = build_store(source, source.manifest, size_px=8)
    ids = source.manifest["id"].sample(frac=1, random_state=0).tolist()
    assert [store.ids[row] for row in store.rows(ids)] == ids
    with pytest.raises(EmotionError, match="ffff is not in the store"):
        store.rows([ids[0], "f" * 64])


def test_only_kept_images_are_in_it_and_each_once(source):
    source.files["sad/copy.png"] = source.files["angry/0000.png"]
    manifest = source.manifest
    manifest.loc[manifest["label"] == "happy", "status"] = "quarantined"
    store = build_store(source, manifest, size_px=8)
    assert sorted(store.ids) == sorted(set(manifest["id"][manifest["label"] != "happy"]))


def test_a_later_run_reads_no_image_again(source):
    build_store(source, source.manifest, size_px=8)
    source.reads.clear()
    again = build_store(source, source.manifest.sample(frac=1, random_state=1), size_px=8)
    assert not source.reads
    assert "earlier run" in again.note


def test_content_size_and_kernel_decide_the_name_and_nothing_else(source, monkeypatch):
    ids = source.manifest["id"].tolist()
    path = store_path(ids, 8)
    assert store_path(reversed(ids), 8) == path
    others = {path, store_path(ids, 9), store_path(ids[1:], 8)}
    monkeypatch.setattr(store_module, "KERNEL", "another")
    assert len({*others, store_path(ids, 8)}) == 4


def test_two_builds_write_the_same_bytes(source, tmp_path):
    for cache in ("a", "b"):
        build_store(source, source.manifest, size_px=8, cache=tmp_path / cache)
    first, second = (sorted(p for p in (tmp_path / c).rglob("*.*") if p.suffix in (".npy", ".json")) for c in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert len(first) == 3


def test_few_and_many_threads_make_the_same_store(source, tmp_path):
    threads = []
    stores = []
    for side in (24, 240):
        seen = set()
        source.read = lambda path, seen=seen: (seen.add(threading.get_ident()), source.files[path])[1]
        manifest = source.manifest.assign(width=side, height=side)
        stores.append(build_store(source, manifest, size_px=8, cache=tmp_path / str(side)))
        threads.append(len(seen))
    assert threads[0] == 1
    np.testing.assert_array_equal(stores[0].images, stores[1].images)


# -- damage ----------------------------------------------------------------------------------------


def cut_short(path):
    os.truncate(path / "images.npy", os.path.getsize(path / "images.npy") - 100)


def flip_a_bit(path):
    with (path / "images.npy").open("r+b") as file:
        file.seek(-50, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-50, os.SEEK_END)
        file.write(bytes([byte ^ 4]))


def lose_the_ids(path):
    (path / "ids.npy").unlink()


def mix_up_the_ids(path):
    ids = np.load(path / "ids.npy")
    np.save(path / "ids.npy", ids[::-1])


def garble_the_facts(path):
    (path / "store.json").write_text("{", encoding="utf-8")


def forget_blocks(path):
    facts = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps(facts | {"checksums": facts["checksums"][:1]}))


def swap_two_images(path):
    images = np.load(path / "images.npy", mmap_mode="r+")
    assert not np.array_equal(images[0], images[1])
    images[[0, 1]] = images[[1, 0]]
    images.flush()


@pytest.mark.fault(
    "decoded images that are damaged or in another order", "R", "noticed, and decoded again", group="data"
)
@pytest.mark.parametrize(
    "harm", [cut_short, flip_a_bit, swap_two_images, lose_the_ids, mix_up_the_ids, garble_the_facts, forget_blocks]
)
def test_a_damaged_store_is_noticed_decoded_again_and_the_note_says_so(source, harm):
    before = np.array(build_store(source, source.manifest, size_px=8).images)
    harm(path_of(source, 8))
    with pytest.raises(StoreDamage):
        open_store(path_of(source, 8))
    again = build_store(source, source.manifest, size_px=8)
    np.testing.assert_array_equal(again.images, before)
    assert "again: the store at" in again.note


def test_damage_to_the_very_last_byte_is_noticed():
    source = memory_source(3)
    build_store(source, source.manifest, size_px=5)  # 225 bytes: not a whole number of 64-bit words
    with (path_of(source, 5) / "images.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(StoreDamage, match="damaged pixels"):
        open_store(path_of(source, 5))


def test_each_block_of_a_large_store_is_checked_and_only_once(source, monkeypatch):
    build_store(source, source.manifest, size_px=8)
    path = path_of(source, 8)
    monkeypatch.setattr(store_module, "READ_BYTES", 1000)  # a block is read in parts
    open_store(path)
    monkeypatch.setattr(store_module, "map_ahead", lambda *_: pytest.fail("read again"))
    open_store(path)
    monkeypatch.undo()
    data = bytearray((path / "images.npy").read_bytes())
    for block in range(3):
        changed = data.copy()
        changed[128 + (block * 64 + 10) * 8 * 8 * 3] ^= 1
        (path / "images.npy").write_bytes(changed)
        with pytest.raises(StoreDamage, match="damaged pixels"):
            open_store(path)


def test_a_failing_build_leaves_nothing_behind(source, private_cache):
    source.files["sad/0149.png"] = b"no image"
    manifest = source.manifest
    with pytest.raises(EmotionError, match=r"sad/0149\.png: .*--fresh"):
        build_store(source, manifest, size_px=8)
    assert [p.suffix for p in (private_cache / "stores").iterdir()] in ([], [".lock"])
    with pytest.raises(InputError, match="no decoded images"):
        open_store(store_path(manifest["id"], 8))


def test_an_image_that_changed_since_the_audit_is_an_error(source):
    manifest = source.manifest
    source.files["sad/0149.png"] = source.files["sad/0146.png"]
    with pytest.raises(EmotionError, match=r"sad/0149\.png changed since the audit"):
        build_store(source, manifest, size_px=8)


def test_what_a_killed_build_left_is_removed(source):
    leftover = path_of(source, 8).parent / f".{path_of(source, 8).name}-killed"
    leftover.mkdir(parents=True)
    build_store(source, source.manifest, size_px=8)
    assert not leftover.exists()


def test_a_full_disk_is_told_before_anything_is_written(source, monkeypatch, private_cache):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(InputError, match="EMOTION_CACHE_DIR"):
        build_store(source, source.manifest, size_px=128)
    assert [file.suffix for file in (private_cache / "stores").iterdir()] == [".lock"]


def test_two_builders_at_once_decode_every_image_once(source):
    stores = []
    threads = [
        threading.Thread(target=lambda: stores.append(build_store(source, source.manifest, size_px=8))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(stores[0].images, stores[1].images)
    assert len(source.reads) == 150


# -- progress -----------------------------------------------------------------------


def test_progress_ends_with_all_images(source):
    seen = []
    build_store(source, source.manifest, size_px=8, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (150, 150)
    assert seen == sorted(seen)


# -- the square ------------------------------------------------------------------------------------


def test_shrinking_averages_areas():
    image = random_images(1, 48)[0]
    expected = image.reshape(12, 4, 12, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize_square(image, 12) - expected).max() <= 0.5 + 1e-6


def test_a_fine_stripe_pattern_becomes_even_grey():
    stripes = np.zeros((60, 60, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(resize_square(stripes, 20).astype(int) - 100).max() <= 34  # a third of a stripe: 2/3 or 4/3 of 100


def test_a_nearly_square_image_is_kept_whole():
    image = np.zeros((100, 108, 3), dtype=np.uint8)
    image[:, :6] = 255
    assert resize_square(image, 50)[:, 0].min() > 200


@pytest.mark.parametrize("turn", [False, True])
def test_of_a_long_image_the_centre_square_is_taken(turn):
    image = np.zeros((100, 160, 3), dtype=np.uint8)
    image[:, 30:130] = random_images(1, 100)[0]
    expected = resize_square(np.ascontiguousarray(image[:, 30:130]), 40)
    if turn:
        image, expected = image.transpose(1, 0, 2), expected.transpose(1, 0, 2)
    np.testing.assert_allclose(resize_square(np.ascontiguousarray(image), 40), expected, atol=1)


def test_an_image_of_the_right_size_is_not_touched():
    image = random_images(1, 32)[0]
    np.testing.assert_array_equal(resize_square(image, 32), image)
