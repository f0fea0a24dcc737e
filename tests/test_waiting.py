"""How torch's threads wait: what is set where a program starts, and that torch hears of it."""

import os
import subprocess
import sys

import pytest

from emotion_utils.waiting import POLICY_VARIABLE, SPINS, SPINS_VARIABLE, limit_spinning

COMMAND = f"""
import os, sys
from emotion_utils.cli import main
main.main(["settings"], standalone_mode=False)
assert "torch" not in sys.modules, "torch reads the variable when it is loaded"
print("then", os.environ.get("{SPINS_VARIABLE}"))
import torch
torch.ones(1)
"""


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, {SPINS_VARIABLE: str(SPINS)}),
        ({SPINS_VARIABLE: ""}, {SPINS_VARIABLE: str(SPINS)}),
        ({SPINS_VARIABLE: "infinity"}, {SPINS_VARIABLE: "infinity"}),
        ({POLICY_VARIABLE: "active"}, {POLICY_VARIABLE: "active"}),
        ({POLICY_VARIABLE: "passive", SPINS_VARIABLE: "7"}, {POLICY_VARIABLE: "passive", SPINS_VARIABLE: "7"}),
    ],
)
def test_a_persons_own_word_stays(own, expected):
    environment = {"PATH": "/bin", **own}
    limit_spinning(environment)
    assert environment == {"PATH": "/bin", **expected}


@pytest.mark.parametrize(("own", "expected"), [({}, str(SPINS)), ({SPINS_VARIABLE: "77"}, "77")])
def test_the_command_says_it_before_torch_is_loaded_and_torch_hears_it(own, expected):
    """libgomp itself prints what it goes by, when it is asked to."""
    clean = {name: value for name, value in os.environ.items() if name not in (SPINS_VARIABLE, POLICY_VARIABLE)}
    result = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env={**clean, **own, "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"then {expected}"
    if SPINS_VARIABLE not in result.stderr:
        pytest.skip("this torch does not compute with libgomp")
    assert f"{SPINS_VARIABLE} = '{expected}'" in result.stderr


@pytest.mark.slow
def test_a_policy_would_be_overruled_which_is_why_it_counts_as_a_word():
    """The reason for leaving the variable alone beside OMP_WAIT_POLICY, asked of libgomp."""
    found = []
    for more in ({}, {SPINS_VARIABLE: str(SPINS)}):
        result = subprocess.run(
            [sys.executable, "-c", "import torch"],
            env={**os.environ, SPINS_VARIABLE: "", POLICY_VARIABLE: "passive", "OMP_DISPLAY_ENV": "verbose"} | more,
            capture_output=True, text=True,
        )  # fmt: skip
        found.append([line.split("=")[1] for line in result.stderr.splitlines() if SPINS_VARIABLE + " =" in line])
    if not found[0]:
        pytest.skip("this torch does not compute with libgomp")
    assert "'0'" in found[0][0]
    assert f"'{SPINS}'" in found[1][0]
