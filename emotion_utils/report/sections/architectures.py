"""The architectures: what each model is, what it starts from and which layers are trained when. No torch."""

from __future__ import annotations

from typing import Any

from emotion_utils.model_table import get_architecture
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results

STARTS = {
    "proxy": "proxy weights", "official": "published weights", "random": "random weights",
    "file": "weights given by the user", "earlier": "a model that was trained before",
}  # fmt: skip


def write_architectures(results: Results) -> Prose:
    prose = Prose(results, "architectures")
    for model in results.models:
        prose.item()
        kind = results.start_kind(model)
        origin = results.cards[model]["provenance"]["sentence"].split(", sha256")[0]  # the checksum stands in a table
        title = describe_architecture(results, model)["title"]
        article = "an" if title[0] in "AEIO" else "a"
        prose.say(
            f"{{model}} is {article} {{title}} that starts from {STARTS[kind]}"
            f"{'' if kind == 'random' else ' ({origin})'}.",
            model=Model(model), title=title, origin=origin,
        )  # fmt: skip
        say_start(prose, model)
        say_teacher(prose, model)
        say_phases(prose, model)
        _say_edits(prose, model)
    prose.paragraph()
    they, have = ("All of them take", "have") if len(results.models) > 1 else ("It takes", "has")
    prose.say(
        f"{they} images of {{size:count}} by {{size:count}} pixels and {have} {{k:words}} outputs, one for each class.",
        size=results.config.image_size_px, k=len(results.class_names),
    )  # fmt: skip
    if results.auxiliary:
        prose.say(
            "In training there are outputs for the auxiliary classes beside them ({count:count} more).",
            count=len(results.auxiliary),
        )  # fmt: skip
    return prose


def describe_architecture(results: Results, model: str) -> dict[str, Any]:
    """Title and depth groups of a network, as its model.json has them; before release 2 it had only its name."""
    card = results.cards[model]
    if "architecture" in card:
        return card["architecture"]
    architecture = get_architecture(card["design"]["architecture"])
    return {"title": architecture.title, "depth_groups": list(architecture.depth_groups)}


def say_start(prose: Prose, model: str) -> None:
    """What a start from an earlier run has seen, and whether images of this test split were among it."""
    start = prose.results.cards[model].get("training", {}).get("start")
    if start is None:
        return
    of, named = (" of {data}", {"data": start["data"]}) if start.get("data") else ("", {})
    if start["unknown"]:
        prose.say(
            "What that start has seen is not known ({why}), so test images may be among it.", why=start["unknown"]
        )
    elif start["test_seen"]:
        prose.say(
            f"That start was trained on {{images:count}} images{of}, and {{seen:count}} of the {{test:count}} test "
            "images are among them: its results here are too good.",
            images=start["images"], seen=start["test_seen"], test=start["test_images"], **named,
        )  # fmt: skip
    else:
        prose.say(
            f"That start was trained and chosen on {{images:count}} images{of}; none of the {{test:count}} test images "
            "here is among them, by the checksums of the files.",
            images=start["images"], test=start["test_images"], **named,
        )  # fmt: skip


def say_teacher(prose: Prose, model: str) -> None:
    """What a distilled model learned from, and whether that knew its training or test images by heart."""
    teacher = prose.results.cards[model].get("training", {}).get("teacher")
    if teacher is None:
        return
    count = len(teacher["models"])
    titles = ", ".join(dict.fromkeys(each["title"] for each in teacher["models"]))
    prose.say(
        "It was distilled: {weight:pct0} of each of its targets are the probabilities of "
        + ("{count:words} models that were" if count > 1 else "a model that was")
        + " trained before ({titles}), for each image of those that were neither trained nor chosen on it.",
        weight=teacher["weight"], count=count, titles=titles,
    )  # fmt: skip
    if teacher["seen"]:
        prose.say(
            "For {seen:count} of the {images:count} training images there is no such teacher, which was allowed: "
            "all of them answered, though they learned the image or may have.",
            seen=teacher["seen"], images=teacher["images"],
        )  # fmt: skip
    if teacher["test_seen"]:
        prose.say(
            "Of the {test:count} test images {seen:count} were learned by a teacher, or may have been: the results "
            "here may be too good.", test=teacher["test_images"], seen=teacher["test_seen"],
        )  # fmt: skip


def say_phases(prose: Prose, model: str) -> None:
    epochs = len(prose.results.histories[model])
    first, *later = [phase for phase in prose.results.recipe(model).phases if phase.epoch <= epochs]
    if not later:
        if first.train_from == describe_architecture(prose.results, model)["depth_groups"][0]:
            prose.say("All of its layers are trained from the first epoch on.")
        else:
            prose.say("Only the layers from {start} to the output are trained.", start=first.train_from)
        return
    places = " and ".join(f"from {{part{n}}} on in epoch {{epoch{n}:count}}" for n in range(len(later)))
    values = {f"part{n}": phase.train_from for n, phase in enumerate(later)}
    values |= {f"epoch{n}": phase.epoch for n, phase in enumerate(later)}
    prose.say(
        f"At first only the layers from {{start}} to the output are trained; the frozen layers are unfrozen {places}.",
        start=first.train_from, **values,
    )  # fmt: skip


def _say_edits(prose: Prose, model: str) -> None:
    """That the notebook which trained it differed from the settings of the run, where it did."""
    edits = prose.results.edits(model)
    if edits:
        prose.say(
            "It was not trained as the settings of the run say; the notebook that trained it changed {changes} "
            "({table}).",
            changes=[Label(edit.partition(":")[0]) for edit in edits], table=Ref("tbl-settings"),
        )  # fmt: skip


def say_scope(prose: Prose) -> None:
    """What the results say nothing about: photographs where faces are synthetic, published weights behind proxies."""
    if prose.results.config.data == "synthetic":
        prose.say("All faces are synthetic: the results say nothing about photographs of people.")
    proxies = prose.results.proxies
    if proxies:
        verb = "start" if len(proxies) > 1 else "starts"
        prose.say(
            f"{{models}} {verb} from proxy weights, which this project trained on synthetic images; the results say "
            "nothing about the published weights of VGGFace or ImageNet.",
            models=[Model(model) for model in proxies],
        )
