"""What is recorded about a run's origin."""

from emotion_utils import provenance


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
