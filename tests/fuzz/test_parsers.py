"""Whatever is in a file: it is read, or refused in one line. Nothing else ever comes out of a parser.

EMOTION_FUZZ_INPUTS=100000 pytest tests/fuzz tries that many inputs for each; guided.py lets coverage guide them.
"""

import os
import subprocess
import sys
from pathlib import Path

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


ATHERIS = """import ast, sys
from importlib.util import find_spec
from pathlib import Path
def instrument_imports(include):
    parts = [*ast.walk(ast.parse(Path(sys.argv[0]).with_name("targets.py").read_text(encoding="utf-8")))]
    names = {each.module for each in parts if isinstance(each, ast.ImportFrom)}
    names |= {alias.name for each in parts if isinstance(each, ast.Import) for alias in each.names}
    sys.exit(", ".join(sorted(name for name in names if find_spec(name.partition(".")[0]) is None)) or 0)
"""


def test_guided_fuzzing_finds_all_that_its_targets_import(tmp_path):
    """By the path that it sets itself, with a stand-in for atheris, which the tests do not need."""
    (tmp_path / "atheris.py").write_text(ATHERIS)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    command = [sys.executable, Path(__file__).with_name("guided.py"), "settings"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
