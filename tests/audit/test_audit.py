import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from face_files import encode, faces, make_image, write_folder, write_zip
from PIL import Image

from emotion_utils.artefacts import FRAME_COLUMNS, MANIFEST_COLUMNS, NUMBER_PROPERTIES, TEXT_PROPERTIES
from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source, source_of


def audit_of(tmp_path, files, **options):
    source = open_source(str(write_folder(tmp_path / "data", files)), **options)
    manifest, audit = audit_images(source)
    return manifest.set_index("path"), audit


def test_good_images_are_kept_with_id_and_size(tmp_path):
    files = faces("happy", "sad")
    source = open_source(str(write_zip(tmp_path / "f.zip", files)))
    calls = []
    manifest, audit = audit_images(source, progress=lambda done, total: calls.append((done, total)))
    more = ["image", "cluster", *FRAME_COLUMNS, *TEXT_PROPERTIES, *NUMBER_PROPERTIES]
    assert list(manifest.columns) == [*MANIFEST_COLUMNS, *more]
    assert manifest["path"].tolist() == sorted(files)
    assert (manifest["status"] == "kept").all()
    assert (manifest[["width", "height"]] == 40).all(axis=None)
    assert manifest["id"].str.fullmatch("[0-9a-f]{64}").all()
    assert audit["classes"] == ["happy", "sad"]
    assert (audit["images"], audit["kept"], audit["quarantined"]) == (4, 4, 0)
    assert audit["fingerprint"] == source.fingerprint()
    assert calls == [(4, 4)]


def test_audit_can_be_written_as_json_and_is_the_same_for_any_number_of_workers(tmp_path):
    files = faces("happy", "sad", count=150)
    source = open_source(str(write_folder(tmp_path / "data", files)))
    one, other = (audit_images(source, workers=workers) for workers in (1, 4))
    assert json.loads(json.dumps(one[1])) == other[1]
    pd.testing.assert_frame_equal(one[0], other[0])


def test_every_fault_is_set_aside_with_its_reason_and_counted(tmp_path):
    jpeg = encode(make_image(7, 100), "JPEG")
    bad = {
        "sad/cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "sad/page.jpg": (b"<html>moved</html>", "not an image but an HTML page"),
        "sad/empty.png": (b"", "empty file"),
        "sad/tiny.png": (encode(make_image(1, 12)), "tiny"),
        "sad/plain.png": (encode(np.full((40, 40, 3), 9, np.uint8)), "constant"),
        "sad/other.heic": (b"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC image"),
    }
    manifest, audit = audit_of(tmp_path, faces("happy", "sad") | {name: data for name, (data, _) in bad.items()})
    for name, (_, words) in bad.items():
        assert manifest.loc[name, "status"] == "quarantined"
        assert manifest.loc[name, "reason"].startswith(words)
    assert audit["quarantined"] == len(bad) == sum(audit["reasons"].values())
    assert audit["per_class"] == {"happy": {"images": 2, "kept": 2}, "sad": {"images": 8, "kept": 2}}
    assert manifest["id"].is_unique


def test_conversions_are_counted(tmp_path):
    files = faces("happy", "sad")
    files["happy/grey.jpg"] = encode(make_image(30)[:, :, 0], "JPEG")
    files["happy/palette.png"] = encode(Image.fromarray(make_image(31)).quantize(32))
    _, audit = audit_of(tmp_path, files)
    assert audit["conversions"] == {"grey": 1, "palette": 1}


def test_first_of_equal_files_is_kept_and_ids_are_unique(tmp_path):
    files = faces("happy", "sad") | {"happy/a copy.png": encode(make_image(0)), "happy/z.png": encode(make_image(0))}
    manifest, audit = audit_of(tmp_path, files)
    assert manifest.loc["happy/0.png", "status"] == "kept"
    for path in ("happy/a copy.png", "happy/z.png"):
        assert manifest.loc[path, "reason"] == "exact duplicate: of happy/0.png"
    assert audit["duplicates"] == {"exact": 2, "pixels": 0}
    assert manifest["id"].is_unique
    same = manifest.loc[["happy/0.png", "happy/a copy.png", "happy/z.png"], "image"]
    assert same.nunique() == 1


def test_equal_pixels_in_different_files_are_copies(tmp_path):
    files = faces("happy", "sad") | {"happy/again.bmp": encode(make_image(0), "BMP")}
    manifest, audit = audit_of(tmp_path, files)
    assert manifest.loc["happy/again.bmp", "reason"] == "same pixels: of happy/0.png"
    assert audit["duplicates"] == {"exact": 0, "pixels": 1}


def test_equal_pixels_of_another_shape_are_no_copies(tmp_path):
    wide = np.arange(32 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 64, 3)
    files = faces("happy", "sad") | {"sad/wide.png": encode(wide), "sad/high.png": encode(wide.reshape(64, 32, 3))}
    manifest, _ = audit_of(tmp_path, files)
    assert (manifest["status"] == "kept").all()


def test_image_under_two_labels_is_set_aside_altogether(tmp_path):
    files = faces("happy", "sad") | {f"sad/x{number}.png": encode(make_image(0)) for number in range(3)}
    manifest, audit = audit_of(tmp_path, files)
    rows = manifest[manifest["image"] == manifest.loc["happy/0.png", "image"]]
    assert (rows["status"] == "quarantined").all()
    assert len(rows) == 4
    assert rows.loc["sad/x1.png", "reason"] == (
        "two labels: the same image is happy/0.png (happy), sad/x0.png (sad), sad/x2.png (sad)"
    )
    assert audit["conflicts"]["pictures"] == 1
    assert audit["conflicts"]["images"] == 4
    assert audit["reasons"] == {"two labels": 4}


def test_near_copies_share_a_cluster_and_stay(tmp_path):
    big = [make_image(seed, 96) for seed in range(60)]
    files = {f"{'happy' if seed % 2 else 'sad'}/{seed:02d}.png": encode(image) for seed, image in enumerate(big)}
    files["happy/near.jpg"] = encode(np.clip(big[0] * 0.9 + 8, 0, 255).astype(np.uint8), "JPEG", quality=60)
    files["sad/mirror.png"] = encode(big[0][:, ::-1])
    manifest, audit = audit_of(tmp_path, files)
    assert (manifest["status"] == "kept").all()
    cluster = manifest.loc["sad/00.png", "cluster"]
    assert cluster
    assert set(manifest.index[manifest["cluster"] == cluster]) == {"sad/00.png", "happy/near.jpg", "sad/mirror.png"}
    near = audit["near_duplicates"]
    assert (near["clusters"], near["images"], near["largest"], near["mixed_labels"]) == (1, 3, 3, 1)
    assert near["mirrored_pairs"] >= 1
    assert sum(near["similarity_histogram"]) == near["candidates"] >= near["pairs"] >= 2
    assert {example["path"] for example in near["examples"]} <= set(files)


def test_of_copies_on_two_sides_the_one_that_is_held_out_is_kept(tmp_path):
    files = faces("train/happy", "train/sad", "validation/happy", "test/sad", count=2)
    copied = encode(make_image(90))
    files |= dict.fromkeys(("train/sad/a.png", "train/sad/b.png", "validation/sad/a.png", "test/sad/a.png"), copied)
    manifest, audit = audit_of(tmp_path, files)
    assert manifest.loc["test/sad/a.png", "status"] == "kept"
    for path in ("train/sad/a.png", "train/sad/b.png", "validation/sad/a.png"):
        assert manifest.loc[path, "reason"] == "exact duplicate: of test/sad/a.png"
    assert audit["duplicates"] == {"exact": 3, "pixels": 0}
    assert manifest.loc["test/sad/a.png", "id"] == hashlib.sha256(copied).hexdigest()  # the store checks it
    assert manifest["id"].is_unique


def test_faults_of_a_table_are_set_aside_without_reading(tmp_path):
    rows = b"path,label\na/0.png,happy\na/1.png,sad\nb/9.png,sad\n"
    files = faces("a", "b", count=2) | {"l.csv": rows}
    manifest, audit = audit_of(tmp_path, files, lenient=True)
    assert manifest.loc["b/9.png", "reason"].startswith("the CSV names this file")
    assert manifest.loc["b/0.png", "reason"] == "no row in the CSV"
    assert (audit["kept"], audit["quarantined"]) == (2, 3)


def test_nothing_but_broken_files_is_no_crash(tmp_path):
    manifest, audit = audit_of(tmp_path, {"happy/0.png": b"x", "sad/0.png": b"y"})
    assert audit["kept"] == 0
    assert (manifest["cluster"] == "").all()
    assert audit["sizes"] is None


@pytest.mark.realdata
def test_near_duplicates_of_real_faces_are_of_one_person(shared_data):
    manifest, audit = audit_images(open_source(str(shared_data / "named_faces.zip")))
    assert (manifest["status"] == "kept").all()
    person = manifest["path"].str.extract(r"/(.+)_\d+\.jpg$")[0]
    clusters = person[manifest["cluster"] != ""].groupby(manifest["cluster"])
    assert 5 <= len(clusters) <= 20
    assert (clusters.nunique() > 1).sum() <= 1
    assert audit["conversions"] == {"grey": 712}


@pytest.mark.slow
@pytest.mark.realdata
def test_official_split_of_fer2013_leaks_and_is_mended_out_of_the_box(shared_data):
    classes = ("angry", "happy", "sad")  # more than half of the images
    config = resolve_config("demo", data=str(shared_data / "fer2013_original.zip"), classes=classes)
    source = source_of(config)
    manifest, audit = audit_images(source)
    assert audit["duplicates"]["exact"] > 400
    manifest, facts = divide_images(manifest, config)
    given, used = (
        {(r["tie"], r["split"]): r["images"] for r in facts["leaks"][key]} for key in ("as_given", "as_used")
    )
    assert given["exact copy", "val"] > 50
    assert given["near copy", "val"] > 100
    assert sum(used.values()) == 0
    held_out = manifest[manifest["path"].str.startswith("validation/")]
    moved = held_out[held_out["status"] == "quarantined"]["reason"].str.partition(":")[0]
    assert not moved.str.startswith("in ").any()


def test_classes_that_hold_the_same_images_are_refused_right_after_the_audit(tmp_path):
    images = [encode(make_image(seed)) for seed in range(24)]
    files = {f"{label}/{n}.png": images[n] for label in ("happy", "sad") for n in range(12)}
    files |= {f"angry/{n}.png": images[n] for n in range(12, 24)}
    config = resolve_config("smoke", data=str(write_folder(tmp_path / "data", files)))
    manifest, _ = audit_images(source_of(config))
    said = (
        r"class 'happy' has no usable image left, at least 10 .* set aside were 12 two labels "
        r"\(e\.g\. happy/0\.png: the same image is sad/0\.png \(sad\)\); class 'sad' has 0"
    )
    with pytest.raises(InputError, match=said):
        divide_images(manifest, config)
