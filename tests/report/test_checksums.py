"""The list of files: its rows, files too large to be hashed, and what it does not name."""

import os

import pytest

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import MOST_JSON_BYTES, refuse_links_below
from emotion_utils.report.checksums import CHECKSUMS, changed_files, read_checksums, unlisted_files

SHA256 = "0123456789abcdef" * 4


def write_list(root, *names):
    (root / CHECKSUMS).write_text("".join(f"{SHA256}  {name}\n" for name in names), encoding="utf-8", newline="")


@pytest.mark.parametrize("blank", ["\x85", "\u2028", "\x0b", "\x0c", "\x1c", "\r"])
def test_rows_end_at_newlines_alone(tmp_path, blank):
    name = f"figures/a{blank}{SHA256}  figures/b"
    write_list(tmp_path, name, "figures/c")
    assert list(read_checksums(tmp_path)) == [name, "figures/c"]


@pytest.mark.parametrize("content", [f"{SHA256}  a\n\n", "\n", f"{SHA256}  a\n{SHA256}  a"])
def test_row_that_names_no_file_is_refused(tmp_path, content):
    (tmp_path / CHECKSUMS).write_text(content, encoding="utf-8")
    with pytest.raises(EmotionError, match=r"row [12]: not a checksum"):
        read_checksums(tmp_path)


@pytest.mark.parametrize("name", ["zz.png", "data/audit.json", "predictions.csv", "model.safetensors", "a", "a.mp4"])
def test_file_too_large_for_its_kind_is_not_hashed(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(4 << 40)
    write_list(tmp_path, name)
    with pytest.raises(InputError, match=rf"{name}: larger than [\d,]+ MB, so not what this file should hold"):
        changed_files(tmp_path)
    os.truncate(path, MOST_JSON_BYTES)  # which is hashed, and is another
    assert changed_files(tmp_path) == [name]


def test_folders_without_files_are_named_however_deep_they_are(tmp_path):
    write_list(tmp_path, "figures/a.png")
    deep = f"data/{'/'.join('d' * 40)}"
    for name in ("figures/b.png", deep):
        os.makedirs(tmp_path / name)
    (tmp_path / "figures" / "a.png").touch()
    assert unlisted_files(tmp_path) == [f"{deep}/", "figures/b.png/"]


def test_folder_too_deep_to_be_read_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(25):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    with pytest.raises(InputError, match="cannot be read"):
        refuse_links_below(tmp_path)


@pytest.mark.fault("sparse files of a run that together are larger than any disk", "E", "none of them is hashed",
                   group="runs")  # fmt: skip
def test_files_too_large_together_are_not_hashed(tmp_path):
    names = [f"w{number}.safetensors" for number in range(33)]
    for name in names:
        with (tmp_path / name).open("wb") as file:
            file.truncate(4 << 30)
    write_list(tmp_path, *names)
    with pytest.raises(InputError, match=r"132 GB are listed in checksums\.sha256, more than the 128 of any run"):
        changed_files(tmp_path)
