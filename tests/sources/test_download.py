import sys
import types

import pytest
from face_files import faces, write_folder, write_zip

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.sources.download import fetch
from emotion_utils.sources.source import open_source

FILE_LINK = "https://drive.google.com/file/d/1AbCdEfGhIjKlMnOp/view?usp=sharing"
FOLDER_LINK = "https://drive.google.com/drive/folders/1FoLdErFoLdErFoLd?usp=sharing"


@pytest.fixture
def drive(monkeypatch):
    """A stand-in for gdown: `serve` is called with the folder to fill; `asked` holds what was asked for."""
    module = types.ModuleType("gdown")
    module.asked = []

    def download(*, output, quiet, id=None, url=None):
        module.asked.append(id or url)
        return module.serve(output)

    module.download = module.download_folder = download
    monkeypatch.setitem(sys.modules, "gdown", module)
    return module


def write_file(name, data):
    def serve(output):
        with open(output + name, "wb") as file:
            file.write(data)
        return output + name

    return serve


def zip_bytes(tmp_path):
    return write_zip(tmp_path / "made.zip", faces("happy", "sad")).read_bytes()


def test_file_link_is_fetched_once_and_opened(drive, tmp_path):
    drive.serve = write_file("faces.zip", zip_bytes(tmp_path))
    for _ in range(2):
        source = open_source(FILE_LINK)
        assert source.classes == ("happy", "sad")
        assert len(source.read("sad/0.png")) > 100
    assert drive.asked == ["1AbCdEfGhIjKlMnOp"]


@pytest.mark.parametrize(
    "link",
    [
        "https://drive.google.com/uc?id=1AbCdEfGhIjKlMnOp",
        "https://drive.google.com/open?id=1AbCdEfGhIjKlMnOp&x=1",
        "https://drive.google.com/file/u/1/d/1AbCdEfGhIjKlMnOp/edit",
        "https://drive.usercontent.google.com/download?id=1AbCdEfGhIjKlMnOp&export=download&authuser=0",
    ],
)
def test_other_forms_of_the_link_name_the_same_file(drive, tmp_path, link):
    drive.serve = write_file("faces.zip", zip_bytes(tmp_path))
    fetch(link)
    assert drive.asked == ["1AbCdEfGhIjKlMnOp"]


@pytest.mark.fault("a link to Google Drive with a resource key", "R", "passed on", group="data")
def test_resource_key_of_a_file_is_passed_on(drive, tmp_path):
    """gdown 6 builds the address anew from the id alone, and Google answers 404 without the key."""
    drive.serve = lambda output: write_file("", zip_bytes(tmp_path))(output)
    fetch(f"{FILE_LINK}&resourcekey=0-aB_c1")
    (asked,) = drive.asked
    assert asked.startswith("https://drive.usercontent.google.com/download?id=1AbCdEfGhIjKlMnOp&")
    assert asked.endswith("&resourcekey=0-aB_c1")


def test_failed_folder_with_a_resource_key_says_that_it_cannot_be_passed_on(drive):
    def serve(output):
        raise RuntimeError("404")

    drive.serve = serve
    with pytest.raises(EmotionError, match="404; a folder's resourcekey cannot be passed on"):
        fetch(f"{FOLDER_LINK}&resourcekey=0-aB_c1")


def test_folder_link_is_a_folder(drive, tmp_path):
    drive.serve = lambda output: [write_folder(tmp_path.__class__(output), faces("happy", "sad"))]
    source = open_source(FOLDER_LINK)
    assert (source.kind, len(source.table)) == ("folder", 4)
    assert drive.asked == ["1FoLdErFoLdErFoLd"]


def test_web_page_in_place_of_a_file_leaves_nothing(drive, private_cache):
    drive.serve = write_file("faces.zip", b"\n<!DOCTYPE html><html>Sign in to continue</html>")
    with pytest.raises(InputError, match="gives a web page, not a file; share it"):
        open_source(FILE_LINK)
    assert not [path for path in private_cache.rglob("*") if path.name != "downloads"]


def test_download_that_ends_early_leaves_nothing_and_can_be_repeated(drive, tmp_path, private_cache):
    whole = zip_bytes(tmp_path)
    drive.serve = write_file("faces.zip", whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):
        open_source(FILE_LINK)
    assert not [path for path in private_cache.rglob("*") if path.name != "downloads"]
    drive.serve = write_file("faces.zip", whole)
    assert open_source(FILE_LINK).classes == ("happy", "sad")


@pytest.mark.parametrize("failure", [OSError("connection\nreset"), RuntimeError("quota exceeded"), None])
def test_failed_download_is_one_line_and_leaves_nothing(drive, private_cache, failure):
    def serve(output):
        write_file("faces.zip.part", b"PK\x03\x04")(output)
        if failure:
            raise failure

    drive.serve = serve
    with pytest.raises(EmotionError, match="the download failed") as error:
        open_source(FILE_LINK)
    assert "\n" not in str(error.value)
    assert not [path for path in private_cache.rglob("*") if path.name != "downloads"]


@pytest.mark.parametrize("spec", ["https://example.org/faces.zip", "ftp://drive.google.com/file/d/1AbCdEfGhIjKlMnOp"])
def test_other_addresses_are_refused(drive, spec):
    with pytest.raises(InputError, match="only Google Drive links and kaggle:owner"):
        open_source(spec)
    assert not drive.asked


def test_drive_link_that_names_nothing_is_refused(drive):
    with pytest.raises(InputError, match="names neither file nor folder"):
        open_source("https://drive.google.com/drive/my-drive")


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(InputError, match="pip install 'emotion-utils"):
        open_source(FILE_LINK)


def test_kaggle_data_set_is_opened_where_kagglehub_keeps_it(monkeypatch, tmp_path, capsys):
    module = types.ModuleType("kagglehub")

    def download(handle):
        print("99%|####", file=sys.stderr)  # its own bar, which a log would keep
        return str(write_folder(tmp_path / handle, faces("train/happy", "train/sad")))

    module.dataset_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    assert open_source("kaggle:somebody/faces").classes == ("happy", "sad")
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match="expected kaggle:owner/name"):
        open_source("kaggle:faces")

    def fail(handle):
        raise ValueError("404: no such data set")

    module.dataset_download = fail
    with pytest.raises(EmotionError, match=r"the download failed \(404"):
        open_source("kaggle:somebody/faces")
