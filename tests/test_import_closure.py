"""Which files a piece of code rests on, in a package of a few lines."""

import pytest

from emotion_utils import import_closure
from emotion_utils.import_closure import closure_sha256, imported_files
from emotion_utils.provenance import PACKAGE_DIR

FILES = {
    "__init__.py": "",
    "base.py": "",
    "unused.py": "import emotion_utils.base",
    "room/__init__.py": "",
    "room/top.py": "from emotion_utils.room import lower\n",
    "room/lower.py": "def late():\n    from emotion_utils.base import thing\n\nNAMES = 'table.json', 'sheets'\n",
    "room/typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from emotion_utils.base import Thing\n",
    "room/table.json": "{}",
    "room/notes.txt": "",
    "room/sheets/page.css": "",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of that package, which stands for this one."""
    root = tmp_path / "emotion_utils"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(import_closure, "PACKAGE_DIR", root)
    return root


def names(package, code):
    return [path.relative_to(package).as_posix() for path in imported_files(code)]


def test_imports_are_followed_into_functions_with_the_data_files_that_are_named(package):
    assert names(package, "import json\nfrom emotion_utils.room.top import anything") == [
        "__init__.py", "base.py", "room/__init__.py", "room/lower.py", "room/sheets/page.css", "room/table.json",
        "room/top.py",
    ]  # fmt: skip


def test_a_module_may_be_imported_from_its_room_or_by_its_name(package):
    from_room = names(package, "from emotion_utils.room import typed as other")
    assert (
        from_room
        == names(package, "import emotion_utils.room.typed")
        == ["__init__.py", "room/__init__.py", "room/typed.py"]
    )


def test_what_only_a_type_checker_imports_is_left_out(package):
    assert "base.py" not in names(package, "from emotion_utils.room import typed")


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("base.py", True),
        ("room/table.json", True),
        ("room/__init__.py", True),
        ("unused.py", False),
        ("room/notes.txt", False),
    ],
)
def test_checksum_follows_the_content_of_these_files_and_no_others(package, file, counts):
    code = "from emotion_utils.room import top"
    before = closure_sha256(code)
    (package / file).write_text("'changed'")
    assert (closure_sha256(code) != before) == counts


def test_checksum_follows_names(package):
    code = "from emotion_utils.room import top"
    before = closure_sha256(code)
    (package / "room" / "lower.py").rename(package / "room" / "deeper.py")
    (package / "room" / "top.py").write_text("from emotion_utils.room import deeper\n")
    renamed = closure_sha256(code)
    (package / "room" / "deeper.py").rename(package / "room" / "lower.py")
    assert len({before, renamed, closure_sha256(code)}) == 3


def test_data_files_of_this_package_are_found_by_the_modules_that_read_them():
    report = {path.name for path in imported_files("import emotion_utils.report.page.render")}
    assert {path.name for path in (PACKAGE_DIR / "report" / "page" / "template").iterdir()} <= report
    assert PACKAGE_DIR / "published" / "published.json" in imported_files("import emotion_utils.published.study")


def test_modules_named_by_a_string_and_public_names_count():
    names = {path.relative_to(PACKAGE_DIR).as_posix() for path in imported_files("from emotion_utils import Trainer")}
    assert {"training/trainer.py", "training/worker.py", "models/resnet.py", "training/optimizer.py"} <= names
    assert not [name for name in names if name.startswith(("report", "figures", "published", "bench"))]
