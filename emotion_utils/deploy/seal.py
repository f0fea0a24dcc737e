"""The last entry of an exported file: SHA-256 of all bytes before it, so that a changed one is noticed. No onnx needed.

The parts of a protobuf message may stand in any order, so an entry of an ONNX file's metadata can simply be appended.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from emotion_utils.errors import InputError

KEY = b"emotion_utils_sha256"
DIGEST_BYTES = 64  # in hexadecimal
METADATA, NAME, VALUE = b"\x72", b"\x0a", b"\x12"  # ModelProto.metadata_props, and an entry's key and value
# All of the entry but the digest; each part behind its length, which one byte can say.
_BODY = NAME + bytes([len(KEY)]) + KEY + VALUE + bytes([DIGEST_BYTES])
HEAD = METADATA + bytes([len(_BODY) + DIGEST_BYTES]) + _BODY
SIZE = len(HEAD) + DIGEST_BYTES
CHUNK_BYTES = 1 << 18
ALTERED = "was changed after it was exported, or damaged on its way here: copy it again, or export the model again"


def seal(content: bytes) -> bytes:
    """An ONNX file's content, with the entry behind it."""
    return content + HEAD + hashlib.sha256(content).hexdigest().encode()


def check_seal(path: Path) -> bool:
    """Whether the file ends with such an entry: those of earlier versions have none.

    Raises InputError where the content is not the one that the entry was made of, and where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            left = file.seek(0, os.SEEK_END) - SIZE
            file.seek(max(0, left))
            entry = file.read()
            if not entry.startswith(HEAD):
                return False
            file.seek(0)
            digest = hashlib.sha256()
            while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if entry[len(HEAD) :] != digest.hexdigest().encode():
        raise InputError(f"{path}: {ALTERED}")
    return True
