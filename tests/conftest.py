"""What all tests share: no test writes into the user's cache, or runs code that another has trusted."""

import gc
import shutil
import signal
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


LONG_FILES = ("test_smoke_run.py", "test_verify.py", "test_trainer.py", "test_browser.py")  # more than a minute each


def pytest_collection_modifyitems(items):
    """Long files come first, so that of two processes none waits for the other's at the end."""
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def pytest_collection_finish():
    """Garbage collection leaves alone what all test modules have imported, a million objects that stay to the end.

    statsmodels collects in each correction for several tests, half a second each time with all of them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    """A cache of its own for each test."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EMOTION_CACHE_DIR", str(cache))
    yield cache
    shutil.rmtree(cache, ignore_errors=True)  # those of all tests together take gigabytes


@pytest.fixture(autouse=True)
def no_trusted_code(monkeypatch):
    """What a test trusts, no other does."""
    monkeypatch.setenv("EMOTION_TRUST_CODE", "")


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


@pytest.fixture
def make_run(tmp_path):
    """make_run(name, **what fake_run.make_run takes) -> a finished run that nobody trained, in a folder of its own."""
    import fake_run  # the report's rooms, which few tests need

    return lambda name="run", **kwargs: fake_run.make_run(tmp_path / name, **kwargs)


@pytest.fixture
def make_results(make_run):
    """The same, read."""
    from emotion_utils.report.results import read_results

    return lambda **kwargs: read_results(make_run(**kwargs))


BROWSER_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless Chromium that logs what a page asks for and complains of; skips where it is missing."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium or chromedriver is missing")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    opened.set_script_timeout(60)
    yield opened
    opened.quit()


@pytest.fixture
def sigint_heard():
    """This process and those that it starts hear SIGINT, also in a background job, where shells ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
