"""Sentences about what the models were given: images, weights, a seed. No torch."""

from __future__ import annotations

from typing import Any

from emotion_utils.config import SPLITS
from emotion_utils.model_table import get_architecture
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.settings import data_name

UNEVEN = 1.2  # times the smallest class: from here on the largest is worth a remark
STARTS = {
    "proxy": "starts from proxy weights",
    "official": "starts from published weights",
    "random": "starts from random weights",
    "file": "starts from weights given by the user",
}


def count_splits(results: Results) -> dict[str, int]:
    """Kept images of each split."""
    return {split: int((results.kept["split"] == split).sum()) for split in SPLITS}


def tell_data(results: Results) -> Prose:
    prose = Prose(results, "data")
    counts, used = count_splits(results), len(results.kept)
    if results.config.data == "synthetic":
        prose.say("The faces are drawn by this project from facial action units; none of them shows a real person.")
    else:
        prose.say("The faces come from {name}.", name=data_name(results.config))
    total = len(results.manifest)
    start = "All {total:count} images are used" if used == total else "Of {total:count} images {used:count} are used"
    prose.say(
        f"{start}: {{train:count}} for training, {{val:count}} for validation and {{test:count}} for the test, or "
        "{train_share:pct0}, {val_share:pct0} and {test_share:pct0} ({figure}).",
        total=total, used=used, figure=Ref("fig-balance"), **counts,
        **{f"{split}_share": count / used for split, count in counts.items()},
    )  # fmt: skip
    _say_people(prose)
    _say_balance(prose)
    prose.paragraph()
    aside = len(results.quarantined)
    if aside:
        verb, what = ("image was", "reason") if aside == 1 else ("images were", "reasons")
        prose.say(
            f"{{count:Words}} {verb} set aside; {{table}} gives the {what}.", count=aside, table=Ref("tbl-quarantine")
        )
    else:
        prose.say("No image had to be set aside.")
    _say_augmentation(prose)
    return prose


def _say_people(prose: Prose) -> None:
    named = prose.results.kept[prose.results.kept["group"] != ""]
    if named.empty:
        prose.say("The data do not say who is shown, so the same person may be in training and test.")
        return
    splits = named.groupby("group")["split"].nunique()
    people, shared = len(splits), int((splits > 1).sum())
    if shared:
        prose.say(
            "They show {people:count} people, {shared:count} of them in more than one split, which makes the test "
            "easier than one with strangers.", people=people, shared=shared,
        )  # fmt: skip
    else:
        prose.say("They show {people:count} people, none of them in more than one split.", people=people)


def _say_balance(prose: Prose) -> None:
    sizes = prose.results.kept["label"].value_counts().reindex(prose.results.class_names, fill_value=0)
    if sizes.max() > UNEVEN * sizes.min():
        prose.say(
            "The classes are of unequal size, from {small:count} images of {rare} to {large:count} of {common}.",
            small=int(sizes.min()), rare=Label(sizes.idxmin()), large=int(sizes.max()), common=Label(sizes.idxmax()),
        )  # fmt: skip


def _say_augmentation(prose: Prose) -> None:
    augment = prose.results.config.augment
    steps = [
        (augment.flip, "mirrored in {flip:pct0} of the cases"),
        (augment.rotate_deg, "turned by up to {rotate_deg:plain}°"),
        (augment.scale, "zoomed by up to {scale:pct0}"),
        (augment.shift, "shifted by up to {shift:pct0}"),
        (max(augment.brightness, augment.contrast, augment.saturation), "changed in colour by up to {colour:pct0}"),
    ]
    used = [words for amount, words in steps if amount]
    if not used:
        prose.say("Training shows every image as it is.")
        return
    listed = ", ".join(used[:-1]) + " and " + used[-1] if len(used) > 1 else used[0]
    values = augment.model_dump() | {"colour": steps[-1][0]}
    prose.say(f"In training, and only there, each image is at random {listed}.", **values)
    for model in prose.results.models:
        strength = prose.results.config.recipes[model].augment_strength
        if strength != 1:
            prose.say("For {model} these ranges count {strength:plain} times.", model=Model(model), strength=strength)


def tell_architectures(results: Results) -> Prose:
    prose = Prose(results, "architectures")
    for model in results.models:
        prose.item()
        kind = results.weights_kind(model)
        origin = results.cards[model]["provenance"]["sentence"].split(", sha256")[0]  # the checksum stands in a table
        prose.say(
            f"{{model}} is a {{title}} that {STARTS[kind]}{'' if kind == 'random' else ' ({origin})'}.",
            model=Model(model), title=_describe_architecture(results, model)["title"], origin=origin,
        )  # fmt: skip
        _say_phases(prose, model)
    prose.paragraph()
    they, have = ("All of them see", "have") if len(results.models) > 1 else ("It sees", "has")
    prose.say(
        f"{they} faces of {{size:count}} by {{size:count}} pixels and {have} {{k:words}} outputs, one for each class.",
        size=results.config.image_size_px,
        k=len(results.class_names),
    )
    return prose


def _describe_architecture(results: Results, model: str) -> dict[str, Any]:
    """Title and depth groups of a network, as its model.json has them; before release 2 it had only its name."""
    card = results.cards[model]
    if "architecture" in card:
        return card["architecture"]
    architecture = get_architecture(card["design"]["architecture"])
    return {"title": architecture.title, "depth_groups": list(architecture.depth_groups)}


def _say_phases(prose: Prose, model: str) -> None:
    first, *later = [
        phase
        for phase in prose.results.config.recipes[model].phases
        if phase.epoch <= len(prose.results.histories[model])
    ]
    if not later:
        if first.train_from == _describe_architecture(prose.results, model)["depth_groups"][0]:
            prose.say("It is trained from end to end, from the first epoch on.")
        else:
            prose.say("Only what lies from {start} to the output is trained.", start=first.train_from)
        return
    places = " and ".join(f"from {{part{n}}} on in epoch {{epoch{n}:count}}" for n in range(len(later)))
    values = {f"part{n}": phase.train_from for n, phase in enumerate(later)}
    values |= {f"epoch{n}": phase.epoch for n, phase in enumerate(later)}
    prose.say(
        f"At first it is trained from {{start}} to the output; the frozen layers before that join in, {places}.",
        start=first.train_from, **values,
    )  # fmt: skip


def say_weights(prose: Prose) -> None:
    """Which models rest on proxy weights, and what their results therefore are no statement about."""
    proxies = prose.results.proxies
    if proxies:
        verb = "start" if len(proxies) > 1 else "starts"
        prose.say(
            f"{{models}} {verb} from proxy weights, which this project trained on rendered images; what they reach "
            "is no statement about the published weights of VGGFace or ImageNet.",
            models=[Model(model) for model in proxies],
        )
