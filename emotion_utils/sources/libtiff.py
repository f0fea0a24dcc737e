"""What libtiff says while Pillow decodes: left alone it goes raw to the terminal, and damage goes unnoticed."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from emotion_utils.errors import InputError

_ABOUT_TAGS = (b"TIFFFetchNormalTag",)  # what cannot be read of them decides no pixel
_heard = threading.local()  # .by: what libtiff said in this thread; not there where nobody listens


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Raises InputError at its end where libtiff found an error in what was decoded meanwhile in this thread."""
    _heard.by = []
    try:
        yield
        if _heard.by:
            raise InputError(f"libtiff cannot decode all of it ({_heard.by[0]})")
    finally:
        del _heard.by


@ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
def _hear(module: bytes | None, text: bytes, values: int | None) -> None:
    if hasattr(_heard, "by") and module not in _ABOUT_TAGS:
        _heard.by.append((module or text).decode("ascii", "replace"))


def _listen() -> None:
    """Takes the place of libtiff's handler, which prints. A Pillow that has libtiff inside itself keeps that one."""
    library = ctypes.CDLL(Image.core.__file__)  # its symbols, and those of the libraries that it was linked with
    if hasattr(library, "TIFFSetErrorHandler"):
        library.TIFFSetErrorHandler(_hear)


_listen()
