"""docs/example: its report holds, and is the one that the code of today makes."""

import re

from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.report import verify
from emotion_utils.run import Run

EXAMPLE = PROJECT_DIR / "docs" / "example"
MOST_MB = 6
OTHERWISE = re.compile(r"[^;]*(?:differently|which this version has|not of this version|changed since)[^;]*")


def test_example_report_is_that_of_this_version(monkeypatch):
    """Its sentences, tables and pages; its notebooks were left out."""
    monkeypatch.setattr(verify, "git_revision", lambda: "another")  # than the one that made its run
    said = verify.verify_run(EXAMPLE)
    assert "sentences and" in said
    assert OTHERWISE.findall(said) == [], "make it again: scripts/example_report.sh --again"


def test_example_report_shows_nobody_and_is_small():
    assert Run.open(EXAMPLE).config.data == "synthetic"
    files = [path for path in EXAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_MB * 1e6
    assert {path.suffix for path in files} == {".html", ".pdf", ".json", ".jsonl", ".csv", ".png", ".md", ".sha256"}
