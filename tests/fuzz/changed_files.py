"""Files that are nearly right: a valid one with a few bytes replaced, as damage, haste and malice leave them."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

INPUTS = int(os.environ.get("EMOTION_FUZZ_INPUTS", "25"))  # for each parser
TOKENS = (
    b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\r\n\r\n", b" ", b"nan",
    b"inf", b"-1", b"-0", b"0", b"1e309", b"1e-400", b"0x10", b"1_000", b"9" * 5000, b"2.5", b"true", b"null",
    b"=cmd()", b"../", b"/", b"C:\\", b"{", b"}", b"[", b"]", b":", b"&a", b"*a", b"!!python/object:os.system", b"#",
    b"<script>", "\u202e\u0665\u00e9\U0001f600".encode(), b"\xed\xa0\x80", b"angry", b"train", b"id", b"emotion",
    b"48 48 48",
)  # fmt: skip
LENGTHS = (0, 1, 2, 8, 60, 10**6)
many = settings(
    max_examples=INPUTS, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@st.composite
def changed(draw, original: bytes):
    """`original` with up to four pieces replaced."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        token = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6)))
        data[place : place + draw(st.sampled_from(LENGTHS))] = token
    return bytes(data)
