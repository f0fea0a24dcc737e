"""The format of a file of weights, by its first bytes. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from emotion_utils.errors import InputError

HEAD_BYTES = 512
ADVICE = "delete it and fetch it again, or choose another file"


def file_kind(path: Path) -> str:
    """One of "hdf5", "torch" or "safetensors". Raises InputError that says what was found instead."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file of weights") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith((b"PK\x03\x04", b"\x80\x02")):
        return "torch"
    if len(head) > 8 and head[8:9] == b"{":
        return "safetensors"
    raise InputError(f"{path}: expected weights (HDF5, PyTorch or safetensors), found {_describe(head)}; {ADVICE}")


def _describe(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file"
    if text.startswith(b"version https://git-lfs"):
        return "a Git-LFS pointer, not the file that it points to"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "an HTML page"
    return f"something else (it starts with {head[:8]!r})"
