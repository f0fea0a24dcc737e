"""The images and tables that tell what the audit found, in notebook 01 and in the data card."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from emotion_utils.audit.audit import audit_images, complete_audit
from emotion_utils.audit.lines import audit_lines, faces_line, near_duplicates_line, split_line, suspects_line
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.figures.audit import plot_crops, plot_distances, plot_pairs, plot_suspects
from emotion_utils.report.data_tables import leak_table, quarantine_table
from emotion_utils.report.exhibits import show_images
from emotion_utils.report.sections.data_card import data_card
from emotion_utils.sources.source import source_of


@pytest.fixture
def folder(tmp_path):
    """Forty images of noise in two classes; each sixth one is the one before it, a little darker."""
    rng = np.random.default_rng(0)
    before = None
    for number in range(40):
        coarse = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC)
        if number % 6 == 5:
            image = before.point(lambda value: int(0.9 * value) + 8)
        path = tmp_path / ("happy" if number % 2 else "sad") / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        image.save(path)
        before = image
    return str(tmp_path)


@pytest.fixture
def prepared(folder):
    """(config, source, manifest, audit, suspects): the source audited and divided."""
    config = resolve_config("smoke", data=folder)
    source = source_of(config)
    manifest, audit = audit_images(source)
    manifest, division = divide_images(manifest, config)
    suspects = manifest.head(3)[["id", "label"]].assign(suggested="bored", score=0.1)
    suspects.attrs = {"judged": 40, "doubted": 5, "accuracy": 0.5}
    return config, source, manifest, complete_audit(audit, manifest, division, suspects), suspects


def test_thresholds_stand_in_the_figure_of_distances(prepared):
    near = prepared[3]["near_duplicates"]
    left, right = plot_distances(near).axes
    assert f"up to {near['threshold_bits']} bits" in left.texts[0].get_text()
    assert f"from {near['min_similarity']:.2f} on" in right.texts[0].get_text()
    assert sum(bar.get_height() for bar in right.patches) == near["candidates"]


def test_galleries_show_what_was_found(prepared):
    _, source, manifest, audit, suspects = prepared
    pairs = plot_pairs(source, manifest, audit["near_duplicates"])
    assert len([axes for axes in pairs.axes if axes.images]) == 2 * min(9, audit["near_duplicates"]["pairs"]) > 0
    shown = plot_suspects(source, manifest, suspects)
    assert [axes.get_title() for axes in shown.axes if axes.images] == [f"{x}\nor bored?" for x in suspects["label"]]
    assert plot_crops(source, manifest) is None
    cut = manifest.assign(face_left=-9, face_top=20, face_side=60)
    assert sum(bool(axes.images) for axes in plot_crops(source, cut).axes) == 14


def test_no_image_is_drawn_where_faces_are_not_to_be_shown(prepared):
    config, source, manifest, audit, _ = prepared
    hidden = config.model_copy(update={"show_faces": False})
    assert isinstance(show_images(config, plot_pairs, source, manifest, audit["near_duplicates"]), Figure)
    assert "as <code>show_faces</code> is off" in show_images(hidden, pytest.fail, "drawn all the same").html
    assert "no such images" in show_images(config, plot_crops, source, manifest).html


def test_leak_table_adds_up_to_the_images_of_each_split(prepared):
    manifest, audit = prepared[2], prepared[3]
    table = leak_table(audit["leaks"])
    assert table.columns.name == "in a random split"
    assert (table.drop(columns="images").sum(axis=1) == table["images"]).all()
    assert len(table) == 3
    assert manifest["split"].ne("").sum() == 40


def test_quarantine_table_has_a_column_for_each_kind_of_reason_and_not_for_each_image():
    reasons = [
        "",
        "exact duplicate: of a.png",
        "exact duplicate: of b.png",
        "in val too: near copy: c.png",
        "tiny: 3 x 3",
    ]
    manifest = pd.DataFrame({"label": "happy", "reason": reasons, "status": ["kept"] + ["quarantined"] * 4})
    table = quarantine_table(manifest)
    assert table.loc["happy"].to_dict() == {"kept": 1, "exact duplicate": 2, "in val too": 1, "tiny": 1, "all": 5}


def test_lines_say_what_the_audit_holds(prepared):
    audit = prepared[3]
    assert suspects_line(audit["suspects"]) == (
        "5 of 40 labels are in doubt, according to a logistic regression on histograms of gradients that agrees with "
        "50% of all"
    )
    assert split_line(audit) == "drawn from seed 0"
    assert split_line(audit | {"splits": {"brought": ["test", "train"], "seed": 0}}) == (
        "as it comes with the data (test, train), val drawn from it"
    )
    assert faces_line(audit) == "crop=never: every image is used whole"
    faces = {"crop": "auto", "missed_are": "kept", "detector": "D", "cropped": 3, "filled": 0, "missed": 1}
    assert faces_line({"faces": faces | {"not_searched": 0, "several": 2}}) == (
        "crop=auto: 3 cut to the face; 1 in which no face was found, kept (D, the largest taken of several in 2)"
    )
    assert audit["groups"]["line"] in audit_lines(audit)
    assert all(audit_lines(audit))


def test_one_cluster_is_no_clusters(prepared):
    near = prepared[3]["near_duplicates"] | {"clusters": 1, "mixed_labels": 0}
    assert ", in 1 cluster of up to" in near_duplicates_line({"near_duplicates": near})


def test_what_was_set_aside_is_counted_with_the_commonest_reasons(prepared):
    audit = prepared[3]
    assert not any(line.startswith("set aside") for line in audit_lines(audit | {"quarantined": 0, "reasons": {}}))
    reasons = {"an empty file": 1, "cut off": 5, "HEIC": 2, "too small": 1, "of one colour": 1, "no image": 1}
    said = "set aside: 11 images (cut off: 5; HEIC: 2; an empty file: 1; too small: 1; other reasons: 2); "
    assert said + "data/manifest.csv has each" in audit_lines(audit | {"quarantined": 11, "reasons": reasons})


def test_data_card_tells_origin_licence_counts_and_what_was_done(make_results):
    results = make_results()
    config = results.config.model_copy(update={"data": "/home/someone/faces.zip", "licence": "CC BY 4.0 <b>"})
    object.__setattr__(results, "config", config)
    html = data_card(results).html
    assert "faces.zip" in html
    assert "/home/someone" not in html
    assert "CC BY 4.0 &lt;b&gt;" in html
    assert "602 found, 600 used" in html
    assert "1 exact duplicate" in html
    assert "9 of 600 labels are in doubt" in html
