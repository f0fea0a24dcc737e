import re
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.lines import audit_lines
from emotion_utils.audit.originals import compare_with_original
from emotion_utils.audit.scan import digest_pixels
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.sources import known_sets
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.source import Source, open_source

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
REFERENCES = {digest for digests in known_sets.FER2013.references.values() for digest in digests}


def fer2013(read, changed=None, classes=CLASSES):
    """A source and manifest with FER2013's counts, or those of `changed`, whose images `read` makes."""
    counts = dict(known_sets.FER2013.counts["train"][0]) | (changed or {})
    labels = [name for name in classes for _ in range(counts[name])]
    paths = [f"{n}.png" for n in range(len(labels))]
    table = pd.DataFrame({"path": paths, "label": labels, "group": "", "split": "train"})
    source = Source("x", "folder", table, read, classes, dataset=known_sets.FER2013)
    return source, table.assign(width=48, height=48, format="PPM")


def write_pgm(grey):
    return b"P5 48 48 255\n" + np.clip(np.rint(grey), 0, 255).astype(np.uint8).tobytes()


def like_original(path):
    """Deviation and mean difference of neighbours of FER2013, within what is allowed."""
    rng = np.random.default_rng(int(path.partition(".")[0]))
    smooth = np.linspace(-110, 110, 48)[:, None] * np.ones(48)
    return write_pgm(129 + smooth + rng.normal(0, 12.2, (48, 48)))


def equalised(path):
    rng = np.random.default_rng(int(path.partition(".")[0]))
    return write_pgm(rng.permutation(np.repeat(np.arange(256), 9)).reshape(48, 48))


def test_original_is_told_nothing():
    source, manifest = fer2013(like_original)
    assert compare_with_original(source, manifest, REFERENCES) == ""
    three = ("angry", "happy", "sad")
    source, manifest = fer2013(like_original, classes=three)
    assert compare_with_original(source, manifest, REFERENCES) == ""


def test_changed_pixels_are_told_with_the_figure():
    line = compare_with_original(*fer2013(equalised), set())
    assert line.startswith("not the original FER2013: its pixels were changed (deviation 0.2")
    assert line.endswith("results cannot be compared with published ones")


def test_pixels_that_only_the_reference_images_betray(tmp_path):
    line = compare_with_original(*fer2013(like_original), {"0" * 16})  # mirrored, say
    assert "its pixels were changed (none of 21 reference images is among them)" in line


def test_counts_and_sizes_are_compared():
    source, manifest = fer2013(like_original, {"happy": 7214})
    assert "train has 28,708 images, 28,709 in the original" in compare_with_original(source, manifest, REFERENCES)
    source, manifest = fer2013(like_original, {"happy": 7214, "sad": 4831})
    assert "train has 7,214 images of happy, 7,215" in compare_with_original(source, manifest, REFERENCES)
    source, manifest = fer2013(like_original)
    line = compare_with_original(source, manifest.assign(width=96), REFERENCES)
    assert "images of 96 x 48 pixels, 48 x 48 in the original" in line


def test_classes_in_other_words_are_compared_by_all_images_together():
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(45)], "label": ["Iloinen", "Vihainen", "Muu"] * 15})
    table = table.assign(group="", split=["train"] * 33 + ["test"] * 12, width=48, height=48, format="PNG")
    source = Source("x", "folder", table, like_original, ("Iloinen", "Muu", "Vihainen"), dataset=known_sets.FER2013)
    line = compare_with_original(source, table, set())
    assert line.startswith("not the original FER2013: 45 images, 35,887 in the original; results")
    complete = replace(source, others={"Surullinen": 35887 - 45})
    assert compare_with_original(complete, table, set()) == ""
    unknown = table.assign(split="extra")  # a part that the original has not: nothing is known of its size
    assert compare_with_original(source, unknown, set()) == ""


def test_formats_are_compared():
    table = pd.DataFrame({"path": ["a", "b"], "label": ["happy", "sad"], "group": "", "split": ""})
    source = Source("x", "folder", table, like_original, ("happy", "sad"), dataset=known_sets.JAFFE)
    manifest = table.assign(width=256, height=256, format="JPEG")
    line = compare_with_original(source, manifest, set())
    assert line.startswith(
        "not the original JAFFE: 2 images, 62 in the original; files of the format JPEG, TIFF in the"
    )
    assert "format" not in compare_with_original(source, manifest.assign(format="TIFF"), set())


def test_data_without_a_split_may_be_any_part_or_all():
    for counts in known_sets.FER2013.counts[""]:
        labels = [name for name, number in counts.items() for _ in range(number)]
        table = pd.DataFrame({"path": map(str, range(len(labels))), "label": labels, "group": "", "split": ""})
        source = Source("x", "folder", table, like_original, CLASSES, dataset=known_sets.FER2013)
        assert "in the original" not in compare_with_original(
            source, table.assign(width=48, height=48, format="PPM"), REFERENCES
        )


def test_what_is_not_known_is_not_compared(tmp_path):
    source, manifest = fer2013(equalised)
    assert compare_with_original(Source("x", "f", source.table, equalised, CLASSES), manifest, set()) == ""


@pytest.mark.parametrize("known", known_sets.KNOWN_SETS, ids=lambda known: known.name)
def test_rows_of_the_table_of_known_sets_are_whole(known):
    assert known.licence
    assert known.citation
    names = {name for counts in known.counts.values() for each in counts for name in each} - {""}
    assert names <= {*known.codes.values(), *("" for _ in ()), *CLASSES, "contempt"}
    for counts in known.counts.values():
        assert all(number > 0 for each in counts for number in each.values())


def test_official_totals():
    """As the papers print them."""
    totals = {
        known.name: {split: sum(counts[0].values()) for split, counts in known.counts.items()}
        for known in known_sets.KNOWN_SETS
    }
    assert totals["RAF-DB"] == {"train": 12271, "test": 3068}
    assert totals["FER2013"] == {"train": 28709, "val": 3589, "test": 3589, "": 28709}
    assert totals["AffectNet"] == {"train": 287651}
    assert totals["CK+"] == {"": 327}
    assert totals["JAFFE"] == {"": 213}
    assert totals["KDEF"] == {"": 4900}
    assert totals["RaFD"] == {"": 8040}


def test_votes_reach_the_manifest_and_how_far_people_agree_is_said(tmp_path):
    from face_files import encode, make_image

    rows = ["image,happy,sad"]
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(encode(make_image(number)))
        rows.append(f"{number}.png,{3 if number % 2 else 1},{1 if number % 2 else 3}")
    (tmp_path / "votes.csv").write_text("\n".join([*rows[:-1], "39.png,2,2"]))
    source = open_source(str(tmp_path / "votes.csv"))
    manifest, audit = audit_images(source)
    manifest, division = divide_images(manifest, resolve_config("smoke", data=str(tmp_path / "votes.csv")))
    assert manifest["votes"].tolist().count('{"happy": 1, "sad": 3}') == 20
    assert manifest.set_index("path").loc["39.png", "reason"] == "no majority: 2 happy, 2 sad"
    assert audit["agreement"] == {"images": 39, "share": 0.75, "unanimous": 0, "contradicted": 0}
    lines = audit_lines(audit | division | {"suspects": {"judged": 0}})
    assert (
        lines[0]
        == "read as votes.csv (path from image, votes from happy, sad): 39 images, 1 without a label, 2 classes "
        "(happy 19, sad 20)"
    )
    assert any("75.0% of the votes on an image are for its label" in line for line in lines)


# -- real data ---------------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize("changed", [False, True])
def test_an_equalised_copy_of_fer2013_is_told(shared_data, changed):
    source = open_source(str(shared_data / "fer2013_original.zip"))
    if changed:
        source = replace(source, read=lambda path, read=source.read: equalise(read(path)))
    manifest = source.table.assign(width=48, height=48, format="PPM")
    chosen = manifest[manifest["split"] == "train"]["path"]
    wanted = {path for path in chosen if path.endswith(("fer0014467.png", "fer0014082.png"))}
    digests = {digest_pixels(decode_rgb(source.read(path))).hex()[:16] for path in wanted}
    line = compare_with_original(source, manifest, digests)
    assert bool(re.search(r"its pixels were changed \(deviation 0\.\d+, 0\.255 in the original\)", line)) is changed
    assert bool(line) is changed


def equalise(data):
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return cv2.imencode(".png", cv2.equalizeHist(grey))[1].tobytes()
