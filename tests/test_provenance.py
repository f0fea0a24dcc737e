"""What is recorded about a run's origin."""

import shutil

from emotion_utils import provenance


def test_code_hash_follows_content_and_names_but_not_caches(tmp_path, monkeypatch):
    room = tmp_path / "data"
    (room / "__pycache__").mkdir(parents=True)
    (room / "one.py").write_text("1")
    monkeypatch.setattr(provenance, "PACKAGE_DIR", tmp_path)
    first = provenance.code_sha256(["data"])
    (room / "__pycache__" / "one.pyc").write_bytes(b"compiled")
    assert provenance.code_sha256(["data"]) == first
    shutil.move(room / "one.py", room / "two.py")
    renamed = provenance.code_sha256(["data"])
    (room / "two.py").write_text("2")
    assert len({first, renamed, provenance.code_sha256(["data"])}) == 3


def test_environment_names_what_a_reader_needs_to_repeat_the_run():
    facts = provenance.describe_environment()
    assert facts["python"].count(".") == 2
    assert facts["cpu_cores"] >= 1
    assert facts["memory_gb"] > 0
    assert {"torch", "pandas"} <= facts["versions"].keys()


def test_folder_outside_any_checkout_has_no_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PROJECT_DIR", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_revision() == "unknown"
