"""From a run's configuration to its images: the source that it names, and who may meet whom. No torch."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emotion_utils.audit.audit import count_images
from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.leaks import find_leaks, settle_leaks
from emotion_utils.audit.splits import assign_splits, measure_balance
from emotion_utils.config import RunConfig
from emotion_utils.sources.source import Source, open_source


def source_of(config: RunConfig) -> Source:
    """The source that `config` names. Raises InputError where it cannot be used."""
    return open_source(
        config.data,
        classes=config.classes,
        seed=config.seed,
        synthetic_images=config.synthetic_images,
        lenient=config.lenient,
    )


def divide_images(manifest: pd.DataFrame, config: RunConfig) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The manifest of `audit_images` with groups and splits, leaks settled, and what was found and done (JSON).

    groups {rule, persons, line}; leaks {choice, line, as_given (records of leaks.find_leaks for the split that the data
    bring, else None), at_random (likewise for a split that knows no ties, where the data bring none, else None),
    as_used}; splits {brought (names), seed, deviation, class_name, split, within_tolerance, line}. Raises InputError
    where no split can be made, or where too much of a brought one leaks.
    """
    groups, groups_line = find_groups(manifest, config.group)
    manifest = manifest.assign(group=groups)
    brought = sorted(set(manifest["split"]) - {""})
    as_given = find_leaks(manifest) if len(brought) > 1 else None
    settled, leaks_line = settle_leaks(manifest, config.leaks)
    divided = _assign(settled, config)
    as_used = find_leaks(divided)
    at_random = find_leaks(_divide_blindly(manifest, config)) if as_given is None else None
    facts = {
        "groups": {"rule": config.group, "persons": int(groups[groups != ""].nunique()), "line": groups_line},
        "leaks": {
            "choice": config.leaks,
            "line": leaks_line,
            "as_given": _records(as_given),
            "at_random": _records(at_random),
            "as_used": _records(as_used),
        },
        "splits": {"brought": brought, "seed": config.seed, **measure_balance(divided)},
    }
    return divided, facts


def complete_audit(
    audit: dict[str, Any], manifest: pd.DataFrame, division: dict[str, Any], suspects: pd.DataFrame
) -> dict[str, Any]:
    """The audit of `audit_images` with what became known since: counts, the division, suspected labels.

    suspects {judged, doubted, accuracy (0-1, None where nothing was judged), features, listed: records path, label,
    suggested, score}: see label_suspects.find_label_suspects.
    """
    paths = manifest.set_index("id")["path"]
    listed = suspects.assign(path=suspects["id"].map(paths))[["path", "label", "suggested", "score"]]
    return {
        **audit,
        **count_images(manifest, audit["classes"]),
        **division,
        "suspects": {**suspects.attrs, "listed": listed.to_dict("records")},
    }


def _assign(manifest: pd.DataFrame, config: RunConfig) -> pd.DataFrame:
    return assign_splits(
        manifest,
        val_fraction=config.val_fraction,
        test_fraction=config.test_fraction,
        seed=config.seed,
        min_images_per_class=config.min_images_per_class,
    )


def _divide_blindly(manifest: pd.DataFrame, config: RunConfig) -> pd.DataFrame:
    """As a split by single images would be, copies among them, with the ties left in to be counted."""
    readable = manifest["image"] >= 0
    blind = manifest.assign(group="", cluster="", image=-1, status=readable.map({True: "kept", False: "quarantined"}))
    return manifest.assign(split=_assign(blind, config)["split"])


def _records(ladder: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    return None if ladder is None else ladder.to_dict("records")
