"""The format of a file of weights, by its content. Needs no torch."""

from __future__ import annotations

import zipfile
from pathlib import Path

from emotion_utils.errors import InputError
from emotion_utils.files import open_file

HEAD_BYTES = 512
ADVICE = "delete it and fetch it again, or choose another file"
SAVE_TENSORS = "torch.save(model.state_dict(), 'weights.pth')"
KERAS_WEIGHTS = "model.weights.h5"  # the HDF5 inside a .keras
# What people have instead: how it starts, what it is, and how to get weights out of it.
OTHERS = (
    (b"version https://git-lfs", "a Git-LFS pointer, not the file that it points to", "git lfs pull fetches it"),
    (b"<!doctype", "an HTML page", ADVICE),
    (b"<html", "an HTML page", ADVICE),
    (b"<?xml", "an HTML page", ADVICE),
    (b"<head", "an HTML page", ADVICE),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"matlab 5.0 mat-file", "a MATLAB file", "Keras, PyTorch and safetensors files of the same network are read"),
    (b"\x93numpy", "a NumPy array", "save all tensors of a network in one safetensors file"),
    (b"{", "a JSON text", "it describes a network and holds no weights: take the file beside it"),
)


def file_kind(path: Path) -> str:
    """One of "hdf5", "keras", "torch" or "safetensors". Raises InputError that says what was found instead."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder of weights")
    with open_file(path) as file:
        head = file.read(HEAD_BYTES)
    # First: the length that a safetensors file begins with may look like the start of a pickle or a zip archive.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if head.startswith(b"\x80\x02"):
        return "torch"
    if head[8:9] == b"{":  # cut short, or its length is wrong: the reader says so
        return "safetensors"
    found, advice = _describe(head)
    raise InputError(f"{path}: expected weights (HDF5, PyTorch or safetensors), found {found}; {advice}")


def _zip_kind(path: Path) -> str:
    """Three programs write zip files; a damaged one is left to PyTorch, whose files are zip files most often."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "torch"
    if KERAS_WEIGHTS in names:
        return "keras"
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        raise InputError(
            f"{path}: a TorchScript archive, which holds code; save its tensors: "
            f"torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pth')"
        )
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "torch"
    found = ", ".join(names[:3]) or "nothing"
    raise InputError(f"{path}: a zip archive of {found}; unpack it and name the file of weights in it")


def _describe(head: bytes) -> tuple[str, str]:
    """What a file that starts like this is, and what to do about it."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file", ADVICE
    if head[:1] == b"\x80" and head[1:2] in (b"\x03", b"\x04", b"\x05"):
        return (
            f"a Python pickle of protocol {head[1]}, which could run code",
            f"save the tensors alone where it was made: {SAVE_TENSORS}",
        )
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", "the Keras file that it was made from is read"
    for start, what, advice in OTHERS:
        if text.startswith(start):
            return what, advice
    return f"something else (it starts with {head[:8]!r})", ADVICE
