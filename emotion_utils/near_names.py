"""What somebody meant who misspelt a name: one way to ask back for settings, models and whatever else has a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], most: int = 2) -> str:
    """`; did you mean 'lr'?`, or nothing where no known name begins with `name`, is close to it or contains it."""
    by_folded = {each.casefold(): each for each in known}
    folded = name.strip().casefold()
    near = [each for each in by_folded if len(folded) > 2 and each.startswith(folded)][:most]
    near = near or (difflib.get_close_matches(folded, by_folded, n=1) if folded else [])
    near = near or [each for each in by_folded if len(folded) > 2 and folded in each][:most]
    return f"; did you mean {' or '.join(repr(by_folded[each]) for each in near)}?" if near else ""
