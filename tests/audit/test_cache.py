"""An audit that is found again is the one that was made, and nothing else is ever taken for it."""

import json

import pandas as pd
import pytest
from face_files import encode, faces, make_image, write_folder

from emotion_utils.audit import cache as audit_cache
from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.cache import audit_once
from emotion_utils.sources.source import open_source


@pytest.fixture
def folder(tmp_path):
    odd = {'sad/a, "b"\nc.png': encode(make_image(77)), "sad/page.png": b"<html>"}
    return write_folder(tmp_path / "data", faces("happy", "sad") | odd)


@pytest.fixture
def counted(monkeypatch):
    """The sources that were really audited."""
    made = []

    def audit(source, **options):
        made.append(options)
        return audit_images(source, **options)

    monkeypatch.setattr(audit_cache, "audit_images", audit)
    return made


def test_audit_is_made_once_and_comes_back_as_it_was(folder, tmp_path, counted):
    expected_manifest, expected_audit = audit_images(open_source(str(folder)))
    for _ in range(2):
        manifest, audit = audit_once(open_source(str(folder)), cache=tmp_path)
        pd.testing.assert_frame_equal(manifest, expected_manifest, check_dtype=False)
        assert audit == expected_audit
    assert len(counted) == 1


def test_other_bytes_names_choices_or_code_are_another_audit(folder, tmp_path, counted, monkeypatch):
    audit_once(open_source(str(folder)), cache=tmp_path)
    audit_once(open_source(str(folder)), cache=tmp_path, crop="auto")
    audit_once(open_source(str(folder), classes=("sad", "happy")), cache=tmp_path)
    (folder / "sad" / "page.png").write_bytes(encode(make_image(78)))
    manifest, _ = audit_once(open_source(str(folder)), cache=tmp_path)
    assert (manifest["status"] == "kept").all()
    (folder / "sad" / "page.png").rename(folder / "sad" / "leaf.png")
    audit_once(open_source(str(folder)), cache=tmp_path)
    monkeypatch.setattr(audit_cache, "closure_sha256", lambda code: "other")
    audit_once(open_source(str(folder)), cache=tmp_path)
    assert len(counted) == 6


def lose_a_key(record):
    audit = json.loads((record / "audit.json").read_text(encoding="utf-8"))
    (record / "audit.json").write_text(json.dumps({key: audit[key] for key in audit if key != "faces"}))


def change_a_row(record):
    path = record / "manifest.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("kept", "lost", 1), encoding="utf-8")


@pytest.mark.fault("a damaged record of an audit", "R", "made again, and said", group="data")
@pytest.mark.parametrize(
    "harm",
    [lose_a_key, change_a_row, lambda record: (record / "audit.json").unlink(),
     lambda record: (record / "checksums.json").write_bytes(b"\xff[[[")],
)  # fmt: skip
def test_damaged_record_is_made_again_and_said(folder, tmp_path, counted, harm):
    expected, audit = audit_once(open_source(str(folder)), cache=tmp_path)
    (record,) = (path for path in (tmp_path / "audits").iterdir() if path.is_dir())
    harm(record)
    said = []
    manifest, again = audit_once(open_source(str(folder)), cache=tmp_path, say=said.append)
    pd.testing.assert_frame_equal(manifest, expected)
    assert again == audit
    assert said == [f"the audit in {record} was damaged and is made again"]
    assert len(counted) == 2
