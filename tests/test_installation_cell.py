"""The first cell of each notebook, where the package is there, where a repository is, and where neither is."""

import json
import subprocess
import sys

import pytest

from emotion_utils.provenance import NOTEBOOKS_DIR

NOTEBOOKS = sorted(NOTEBOOKS_DIR.glob("*.ipynb"))
INSTALLS = """
import pathlib, sys
if pathlib.Path("broken").exists():
    sys.exit("error: no torch")
print("installing", *sys.argv[1:], file=sys.stderr)
print(sys.executable)
"""


def read_cell(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"][1]


CODE = "".join(read_cell(NOTEBOOKS[0])["source"])


@pytest.fixture
def here(tmp_path):
    """An empty folder `notebooks` of a repository whose script only says what it is asked for."""
    folder = tmp_path / "repository" / "notebooks"
    (folder.parent / "scripts").mkdir(parents=True)
    (folder.parent / "scripts" / "environment.py").write_text(INSTALLS, encoding="utf-8")
    (folder.parent / "emotion_utils").mkdir()
    (folder.parent / "emotion_utils" / "__init__.py").write_text("", encoding="utf-8")
    folder.mkdir()
    return folder


def run_cell(folder, *, before="", code=CODE):
    """In a Python that sees no installed package; then it says where it imports the package from."""
    then = "import emotion_utils; print(emotion_utils.__file__)"
    command = [sys.executable, "-I", "-S", "-c", "\n".join([before, code, then])]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_begins_with_the_same_cell_which_no_page_shows(path):
    cell = read_cell(path)
    assert "".join(cell["source"]) == CODE
    assert cell["metadata"]["tags"] == ["remove-cell", "installation"]


def test_package_that_is_there_is_left_as_it_is_and_nothing_is_said(here, tmp_path):
    package = tmp_path / "installed" / "emotion_utils" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("", encoding="utf-8")
    done = run_cell(here, before=f"import sys; sys.path.append({str(package.parents[1])!r})")
    assert (done.stdout, done.stderr) == (f"{package}\n", "")


@pytest.mark.parametrize("before", ["", "import sys; sys.path.append({!r})"], ids=["nothing", "a folder of its name"])
def test_repository_around_the_notebook_is_installed_into_the_kernel(here, before, tmp_path):
    (tmp_path / "beside" / "emotion_utils").mkdir(parents=True)  # Python takes it for a package without modules
    done = run_cell(here, before=before.format(str(tmp_path / "beside")))
    assert done.stderr == "installing --here report download\n"
    assert done.stdout == f"{here.parent / 'emotion_utils' / '__init__.py'}\n"


def test_address_is_cloned_once(here, tmp_path):
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=here.parent, check=True)
    code = CODE.replace('repository = ".."', f'repository = "file://{here.parent}"')
    code = code.replace("/tmp/emotion_utils", str(tmp_path / "clone"))
    for _ in range(2):
        done = run_cell(tmp_path, code=code)
        assert done.stdout == f"{tmp_path / 'clone' / 'emotion_utils' / '__init__.py'}\n", done.stderr


def test_what_stops_it_is_one_line(here, tmp_path):
    assert run_cell(tmp_path / "repository").stderr == (
        f"{tmp_path} does not hold emotion_utils: give `repository` in this cell its folder or address\n"
    )
    (here / "broken").touch()
    assert run_cell(here).stderr == "error: no torch\nemotion_utils could not be installed: see above\n"
