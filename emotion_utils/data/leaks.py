"""The leak ladder: how many held-out pictures a model has met in training, as the data came."""

from __future__ import annotations

from typing import Any

import pandas as pd


def count_leaks(manifest: pd.DataFrame) -> dict[str, Any] | None:
    """Counts of held-out images that training holds too, each step of the ladder without the steps before it.

    `manifest` has the columns split (as the data brought it), picture, cluster, group (see audit_images). Returns
    held_out (test, or val where there is no test), images (usable ones in it), exact_copy (the same pixels),
    near_copy (nearly the same picture), same_person, clean; None where the data brings no split.
    """
    usable = manifest[manifest["picture"] >= 0]
    train = usable[usable["split"] == "train"]
    held_out = next((split for split in ("test", "val") if (usable["split"] == split).any()), None)
    if held_out is None or train.empty:
        return None
    images = usable[usable["split"] == held_out]
    steps = {
        "exact_copy": images["picture"].isin(train["picture"]),
        "near_copy": (images["cluster"] != "") & images["cluster"].isin(train["cluster"]),
        "same_person": (images["group"] != "") & images["group"].isin(train["group"]),
    }
    ladder: dict[str, Any] = {"held_out": held_out, "images": len(images)}
    met = pd.Series(False, index=images.index)
    for name, leaks in steps.items():
        ladder[name] = int((leaks & ~met).sum())
        met |= leaks
    return {**ladder, "clean": int((~met).sum())}
