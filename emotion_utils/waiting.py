"""How torch's threads wait for one another. Imports no torch: it reads these variables once, when it is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping

SPINS_VARIABLE, POLICY_VARIABLE = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
# How often an idle thread looks for work before it sleeps; libgomp's own count is 300,000, which takes milliseconds.
# Alone, both are equally fast. Beside another program, a thread that waits awake keeps the one that all wait for off
# its core: on two cores with a busy program each, a step of ResNet18 (48 px, batches of 64) took 1.7 to 2.1
# times its time alone, and 1.9 to 5.9 times with libgomp's count (four runs of `emotion bench train`).
SPINS = 1000


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Sets the variable that programs started with `environment` read, and this one if it has not loaded torch yet.

    A person's own value stays, and so does OMP_WAIT_POLICY, which the variable would overrule.
    """
    if not environment.get(POLICY_VARIABLE) and not environment.get(SPINS_VARIABLE):
        environment[SPINS_VARIABLE] = str(SPINS)
