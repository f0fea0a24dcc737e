"""Whatever is in a file: it is read, or refused in one line. Nothing else ever comes out of a parser.

EMOTION_FUZZ_INPUTS=100000 pytest tests/fuzz tries that many inputs for each; guided.py lets coverage guide them.
"""

import pytest
from changed_files import changed, many
from hypothesis import given
from hypothesis import strategies as st
from targets import TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_damage_is_refused_in_one_line(target, tmp_path):
    seeds, attempt = target(tmp_path)
    for seed in seeds:
        attempt(seed)

    @many
    @given(st.sampled_from(seeds).flatmap(changed))
    def check(content):
        attempt(content)

    check()
