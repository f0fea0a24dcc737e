"""Train, val and test: every class in its proportion, and no person and no copy of an image in two splits. No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.audit.audit import kind_of
from emotion_utils.audit.auxiliary import choose_teaching, describe_teaching, separate
from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.leaks import find_leaks, settle_leaks
from emotion_utils.audit.stratify import share_out
from emotion_utils.audit.ties import join_ties
from emotion_utils.config import SPLITS, RunConfig
from emotion_utils.counter_rng import id_keys, mix_keys
from emotion_utils.errors import InputError
from emotion_utils.printable import count_of

SHARE_TOLERANCE = 0.02  # how far a class's share in a split may be from its share in the whole,
IMAGE_TOLERANCE = 2  # or so many images of the split, where these are more: whole images can be no more exact
NONE_LEFT = "no usable image left"
MAX_REASONS = 3  # that an error names


def divide_images(
    manifest: pd.DataFrame, config: RunConfig, auxiliary: Collection[str] = ()
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The manifest of `audit_images` with groups and splits, leaks settled, and what was found and done (JSON).

    Images of `auxiliary` classes only teach: those that are tied to val or test, or come in them, get no split.

    groups {rule, persons, line}; leaks {choice, line, as_given (records of leaks.find_leaks for the split that
    comes with the data, else None), at_random (likewise for a split that ignores ties, where none comes, else None),
    as_used}; splits {brought (names), seed, deviation, class_name, split, within_tolerance, line, drawn_val (a line
    where val is drawn from a train that came with a test), val_judges (whether that test is the data's val)};
    auxiliary (see auxiliary.describe_teaching) where there are such classes. Raises InputError where no split can be
    made, or where too much of a brought one leaks.
    """
    groups, groups_line = find_groups(manifest, config.group)
    manifest = manifest.assign(group=groups)
    val_judges = config.lone_val == "test" and set(manifest["split"]) - {""} == {"train", "val"}
    if val_judges:
        manifest = manifest.assign(split=manifest["split"].replace("val", "test"))
    manifest, others = separate(manifest, auxiliary)
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
        "splits": {
            "brought": brought, "seed": config.seed, **measure_balance(divided),
            "drawn_val": _tell_drawn_val(divided, settled, val_judges), "val_judges": val_judges,
        },
    }  # fmt: skip
    if len(others):
        others = choose_teaching(others, divided)
        facts["auxiliary"] = describe_teaching(others)
        divided = pd.concat([divided, others]).sort_index()
    return divided, facts


def assign_splits(
    manifest: pd.DataFrame, *, val_fraction: float, test_fraction: float, seed: int, min_images_per_class: int = 3
) -> pd.DataFrame:
    """`manifest` with `split` filled for the rows whose status is kept, and empty for the others.

    Rows that share an id, image, cluster or group (see audit_images; the last three may be missing), directly or
    through others, go to the same split. Only ids, labels, these ties and the seed decide: not paths, not the order of
    rows.

    A split that comes with the data is respected (what leaks in it is not looked for here: see leaks.settle_leaks):
    - train, val and test: taken as they are;
    - train and test: val is taken from train, in the proportion of the fractions;
    - train and val: that val is halved into val and test.

    Raises InputError where a class has fewer than `min_images_per_class` images or is missing from a split.
    """
    kept = (manifest["status"] == "kept").to_numpy()
    rows = manifest[kept]
    if rows.empty:
        raise InputError(f"no usable image is left: {tell_reasons(manifest)}")
    _check_class_sizes(manifest, min_images_per_class)
    brought = rows["split"].fillna("").to_numpy(dtype=object)
    draw, sides = _plan(brought, val_fraction, test_fraction)
    split = np.where(draw, "", brought)
    if draw.any():
        split[draw] = _draw(rows[draw], sides, seed)
    _check_every_class_everywhere(manifest, split, draw)
    result = np.full(len(manifest), "", dtype=object)
    result[kept] = split
    return manifest.assign(split=result)


def measure_balance(manifest: pd.DataFrame) -> dict[str, Any]:
    """How evenly the classes came out: the largest deviation of a class's share in a split from its share in all.

    Keys: deviation (0-1), class_name, split, within_tolerance, and `line`, which says it to a person.
    """
    rows = manifest[manifest["split"] != ""]
    counts = pd.crosstab(rows["label"], rows["split"]).reindex(columns=list(SPLITS), fill_value=0)
    sizes = counts.sum().clip(lower=1)
    deviation = (counts / sizes).sub(counts.sum(axis=1) / len(rows), axis=0).abs()
    class_name, split = deviation.stack().idxmax()
    allowed = np.maximum(SHARE_TOLERANCE, IMAGE_TOLERANCE / sizes)
    within = bool((deviation <= allowed + 1e-12).all(axis=None))
    worst = float(deviation.loc[class_name, split])
    found = {"deviation": worst, "class_name": class_name, "split": split, "within_tolerance": within}
    return found | {"line": balance_line(found)}


def balance_line(found: Mapping[str, Any]) -> str:
    """What `measure_balance` found, for a person."""
    worst = f"{100 * found['deviation']:.1f} points ({found['class_name']} in {found['split']})"
    why = f": more than {100 * SHARE_TOLERANCE:g} points, because whole groups stay together"
    return f"class shares differ from the whole by at most {worst}{'' if found['within_tolerance'] else why}"


def _tell_drawn_val(divided: pd.DataFrame, settled: pd.DataFrame, val_judges: bool) -> str:
    if set(settled["split"]) - {""} != {"train", "test"}:
        return ""
    counts = divided["split"].value_counts()
    came = "lone_val=test: the data's val is the test here" if val_judges else "the data come with train and test"
    return f"{came}; val, which chooses, is {counts['val']:,} of the {counts['train'] + counts['val']:,} train images"


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


def _plan(brought: np.ndarray, val_fraction: float, test_fraction: float) -> tuple[np.ndarray, dict[str, float]]:
    """Which rows are drawn (bool (N,)), and the share of each side among them."""
    present = set(brought) - {""}
    train_fraction = 1 - val_fraction - test_fraction
    if len(present) <= 1:  # nothing, or one folder called train: no split at all
        return np.ones(len(brought), dtype=bool), dict(
            zip(SPLITS, (train_fraction, val_fraction, test_fraction), strict=True)
        )
    blank = int((brought == "").sum())
    if blank:
        raise InputError(f"{blank} images have no split while others have: give a split for all of them or for none")
    if "train" not in present:
        raise InputError("the data come with val and test but without train: add it, or leave the split out")
    if "test" not in present:
        return brought == "val", {"val": 0.5, "test": 0.5}
    if "val" not in present:
        share = val_fraction / (train_fraction + val_fraction)
        return brought == "train", {"train": 1 - share, "val": share}
    return np.zeros(len(brought), dtype=bool), {}


def _draw(rows: pd.DataFrame, shares: dict[str, float], seed: int) -> np.ndarray:
    labels = pd.factorize(rows["label"], sort=True)[0]
    keys = mix_keys(id_keys(rows["id"]), seed)
    sides = share_out(labels, join_ties(rows), keys, np.array(list(shares.values())))
    return np.array(list(shares), dtype=object)[sides]


def tell_reasons(manifest: pd.DataFrame) -> str:
    """The commonest reasons for which images were set aside, with how many and one of them each, in full."""
    aside = manifest[manifest["status"] != "kept"]
    kinds = aside["reason"].map(kind_of)
    first = aside.loc[~kinds.duplicated()].set_index(kinds[~kinds.duplicated()])
    return "; ".join(
        f"{count:,} {kind} (e.g. {first.loc[kind, 'path']}{first.loc[kind, 'reason'].removeprefix(kind)})"
        for kind, count in kinds.value_counts().head(MAX_REASONS).items()
    )


def _check_class_sizes(manifest: pd.DataFrame, least: int) -> None:
    kept = manifest.loc[manifest["status"] == "kept", "label"].value_counts()
    counts = {name: int(kept.get(name, 0)) for name in sorted(set(manifest["label"]) - {""})}
    small = [name for name, count in counts.items() if count < least]
    if small:
        reasons = tell_reasons(manifest[manifest["label"] == small[0]])
        raise InputError(
            f"class {small[0]!r} has {count_of(counts[small[0]], 'usable image') if counts[small[0]] else NONE_LEFT}, "
            f"at least {least} are needed to fill train, val and test: add images or leave the class out with --classes"
            + (f"; set aside were {reasons}" if reasons else "")
            + "".join(f"; class {name!r} has {counts[name]}" for name in small[1:])
        )


def _check_every_class_everywhere(manifest: pd.DataFrame, split: np.ndarray, draw: np.ndarray) -> None:
    """Raises InputError for a class without an image in a split; `split` and `draw` are of the kept rows alone."""
    rows = manifest[manifest["status"] == "kept"]
    counts = pd.crosstab(rows["label"].to_numpy(), split).reindex(columns=list(SPLITS), fill_value=0)
    lacking = [(counts.index[at], counts.columns[side]) for at, side in np.argwhere(counts.to_numpy() == 0)]
    if not lacking:
        return
    class_name, side = lacking[0]
    others = "".join(f"; so it is with {name!r} in {part}" for name, part in lacking[1:])
    of_class = (rows["label"] == class_name).to_numpy()
    if side in set(split[~draw]) or not draw[of_class].any():  # as the data have it
        aside = tell_reasons(manifest[(manifest["label"] == class_name) & (manifest["split"] == side)])
        has = ", ".join(f"{count:,} in {part}" for part, count in counts.loc[class_name].items() if count)
        raise InputError(
            f"class {class_name!r} has no image in {side} as the data are split ({has})"
            + (f"; set aside there were {aside}" if aside else "")
            + f"{others}: add images of it, leave it out with --classes, or draw a new split with --set leaks=redraw"
        )
    drawn = of_class & draw
    units = len(np.unique(join_ties(rows[draw])[of_class[draw]]))
    raise InputError(
        f"class {class_name!r} has no image in {side}: its {count_of(int(drawn.sum()), 'image')} "
        f"{'is' if drawn.sum() == 1 else 'are'} of {count_of(units, 'person')} or groups of copies, and each stays in "
        f"one split; images of at least {len(SPLITS) - len(set(split[~draw]))} are needed{others}: add some, leave "
        "the class out with --classes" + (", or --set group=none" if (rows.loc[drawn, "group"] != "").any() else "")
    )
