"""What a kernel leaves beside its notebook, and who can reach it."""

import json
import os
import tempfile

import nbformat
import pytest

from emotion_utils import kernels
from emotion_utils.errors import InputError
from emotion_utils.kernels import execute_notebook
from emotion_utils.waiting import POLICY_VARIABLE, SPINS, SPINS_VARIABLE

TELL = """
import json, os, ipykernel
with open(ipykernel.get_connection_file(), encoding="utf-8") as file:
    place = json.load(file)["ip"]
folder = os.path.dirname(place)
told = {"folder": folder, "mode": os.stat(folder).st_mode & 0o777, "sockets": sorted(os.listdir(folder)),
        "beside": sorted(os.listdir(".")), "spins": os.environ.get("GOMP_SPINCOUNT")}
with open(target, "w", encoding="utf-8") as file:
    json.dump(told, file)
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What a kernel saw of its own sockets and variables."""
    for name in (SPINS_VARIABLE, POLICY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return ask_kernel(tmp_path)


def ask_kernel(tmp_path):
    source, target = tmp_path / "source" / "tell.ipynb", tmp_path / "told.json"
    source.parent.mkdir(parents=True)
    cells = [nbformat.v4.new_code_cell(f"target = {str(target)!r}"), nbformat.v4.new_code_cell(TELL)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "p"}})
    nbformat.write(notebook, source)
    execute_notebook(source, tmp_path / "executed" / "tell.ipynb", {}, cell_minutes=1, environment={})
    return json.loads(target.read_text(encoding="utf-8"))


def test_its_sockets_lie_in_a_folder_of_its_user_alone_and_not_beside_the_notebook(told, tmp_path):
    assert told["mode"] == 0o700
    assert sum(name.startswith("kernel-") for name in told["sockets"]) >= 5  # one per channel
    assert told["beside"] == ["tell.ipynb"]
    assert [path.name for path in (tmp_path / "source").iterdir()] == ["tell.ipynb"]


def test_its_threads_leave_cores_to_others_and_the_caller_keeps_its_own_variables(told):
    assert told["spins"] == str(SPINS)
    assert SPINS_VARIABLE not in os.environ


def test_longest_folder_for_temporary_files_that_sockets_fit_in_is_used(tmp_path, monkeypatch):
    longest = tmp_path / ("x" * (kernels.SOCKET_PATH_BYTES - len(str(tmp_path)) - len(kernels.SOCKET_NAME) - 2))
    longest.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(longest))
    assert ask_kernel(tmp_path / "run")["folder"].startswith(str(longest))
    longer = longest.rename(f"{longest}x")
    monkeypatch.setattr(tempfile, "tempdir", str(longer))
    assert kernels._socket_root() != str(longer)


def test_no_place_for_sockets_is_one_line_with_the_variable_that_mends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 90)))
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(InputError, match=r"too long for the sockets.*set TMPDIR"):
        kernels._socket_root()
