"""What all tests share: no test writes into the user's cache."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    """A cache of its own for each test."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EMOTION_CACHE_DIR", str(cache))
    return cache


@pytest.fixture
def shared_data():
    """The folder of real faces beside the checkout; skips where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real faces are missing: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The folder of two notebooks of a cell each, which the pipeline runs in place of the real ones."""
    import two_notebooks

    folder = tmp_path / "notebooks"
    two_notebooks.put_in_place(folder, monkeypatch)
    return folder
