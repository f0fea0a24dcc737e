"""The project's notebooks, copied to where somebody can change them. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from emotion_utils.errors import InputError
from emotion_utils.files import write_text
from emotion_utils.provenance import NOTEBOOKS_DIR


def copy_notebooks(folder: Path) -> list[Path]:
    """Writes each notebook to `folder`, made if it is not there, and returns the paths in order.

    Raises InputError, with nothing written, where another file of such a name is there.
    """
    texts = {
        folder / source.name: source.read_text(encoding="utf-8") for source in sorted(NOTEBOOKS_DIR.glob("*.ipynb"))
    }
    for path, text in texts.items():
        if path.is_symlink() or (path.exists() and (not path.is_file() or path.read_bytes() != text.encode())):
            raise InputError(f"{path}: is there already and has been changed; name another folder")
    try:
        for path, text in texts.items():
            write_text(path, text)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: is no folder; name another one") from None
    return list(texts)
