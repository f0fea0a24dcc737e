"""The data: how many images, of whom, how they were split and augmented, and a figure of the classes. No torch."""

from __future__ import annotations

from emotion_utils.audit.lines import difference_line, found_line
from emotion_utils.config import SPLITS
from emotion_utils.figures.data import plot_class_balance
from emotion_utils.figures.style import figure_svg
from emotion_utils.report.claims import Label, Model, Ref, join_words
from emotion_utils.report.exhibits import Shown, number_exhibits, show_figure
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.shortcuts import say_shortcuts

FLIPS = {
    "random": "flipped with a probability of {flip:pct0}",
    "alternating": "flipped in the first epoch with a probability of {flip:pct0} and then in every other one",
}
UNEVEN = 1.2  # times the smallest class: from here on the largest is worth a remark
BALANCE_WIDTH_IN = 4.2  # still readable on a phone


def count_splits(results: Results) -> dict[str, int]:
    """Kept images of each split."""
    return {split: int((results.kept["split"] == split).sum()) for split in SPLITS}


def write_data(results: Results) -> Prose:
    prose = Prose(results, "data")
    counts, used = count_splits(results), len(results.kept)
    if results.config.data == "synthetic":
        prose.say("The faces are synthetic, made by this project from facial action units; none shows a real person.")
    else:
        prose.say("The faces come from {name}.", name=results.data_name)
        _say_origin(prose)
    total = len(results.manifest)
    start = "All {total:count} images are used" if used == total else "Of {total:count} images, {used:count} are used"
    prose.say(
        f"{start}: {{train:count}} for training, {{val:count}} for validation and {{test:count}} for testing, or "
        "{train_share:pct0}, {val_share:pct0} and {test_share:pct0} ({figure}).",
        total=total, used=used, figure=Ref("fig-balance"), **counts,
        **{f"{split}_share": count / used for split, count in counts.items()},
    )  # fmt: skip
    _say_splits(prose)
    _say_auxiliary(prose)
    say_targets(prose)
    say_persons(prose)
    _say_balance(prose)
    say_shortcuts(prose)
    prose.paragraph()
    aside = len(results.quarantined)
    if aside:
        verb, what = ("image was", "reason") if aside == 1 else ("images were", "reasons")
        prose.say(
            f"{{count:Words}} {verb} set aside; {{table}} gives the {what}.", count=aside, table=Ref("tbl-quarantine")
        )
    else:
        prose.say("No image had to be set aside.")
    _say_doubtful_labels(prose)
    _say_augmentation(prose)
    return prose


def _say_origin(prose: Prose) -> None:
    """What the data were read as, whether that is the original, and how far those agree who labelled it."""
    audit = prose.results.audit
    if found := found_line(audit):
        prose.say("They were {found}.", found=found)
    if difference := difference_line(audit):
        prose.say("They are {difference}.", difference=difference)
    if agreement := audit.get("agreement"):
        if contradicted := agreement.get("contradicted", 0):
            prose.say(
                "People voted on {images:count} of them beside the labels: on average {share:pct} of the votes are for "
                "the label, and on {contradicted:count} images another class has more.",
                images=agreement["images"], share=agreement["share"], contradicted=contradicted,
            )  # fmt: skip
        elif agreement.get("fractional"):
            prose.say(
                "Their labels are the largest of shares: on average that of the label is {share:pct}.",
                share=agreement["share"],
            )  # fmt: skip
        else:
            prose.say(
                "Their labels are votes: on average {share:pct} of the votes on an image are for its label, which "
                "bounds how often any model can agree with one more of these people.", share=agreement["share"],
            )  # fmt: skip


def _say_doubtful_labels(prose: Prose) -> None:
    """What speaks for wrong labels: those that a simple model doubts, and near duplicates with several labels."""
    suspects, near = prose.results.audit["suspects"], prose.results.audit["near_duplicates"]
    if suspects["judged"] and suspects["doubted"]:
        prose.say(
            "A logistic regression on histograms of gradients, which agrees with {accuracy:pct0} of {judged:count} "
            "labels of images that it did not learn from, doubts {doubted:count} of them ({table}): weak evidence of "
            "wrong labels, as it errs itself.",
            accuracy=suspects["accuracy"], judged=suspects["judged"], doubted=suspects["doubted"],
            table=Ref("tbl-data"),
        )  # fmt: skip
    if mixed := near["mixed_labels"]:
        clusters, have = ("cluster", "has") if mixed == 1 else ("clusters", "have")
        prose.say(
            f"{{mixed:Words}} {clusters} of near duplicates {have} more than one label, which may be a label error or "
            "two expressions of one person.", mixed=mixed,
        )  # fmt: skip


def _say_splits(prose: Prose) -> None:
    """That the validation images of the data judge here, where they do."""
    if prose.results.audit["splits"].get("val_judges"):
        prose.say(
            "The data come with training and validation images: theirs for validation are the test images here, and "
            "those that choose the epoch are drawn from theirs for training."
        )


def say_targets(prose: Prose) -> None:
    """What is learned in place of the labels, where people voted."""
    targets = prose.results.config.targets
    if targets == "label":
        return
    what = {
        "votes": "the shares of the votes for each class, not the label",
        "both": "the mean of the label and of the shares of the votes for each class",
    }[targets]
    prose.say(
        f"In training the networks learn {what}; an image without votes for these classes keeps its label. Validation "
        "and test go by the labels."
    )


def _say_auxiliary(prose: Prose) -> None:
    """Which classes teach beside those that the report is about."""
    if teaching := prose.results.auxiliary:
        prose.say(
            "Beside them, {count:count} images of further classes ({names}) only teach: in training the networks learn "
            "to tell these from the others as well, and their answers are renormalised to the classes of this report. "
            "Copies of validation and test images and images of their persons are not among them.",
            count=sum(teaching.values()), names=[Label(name) for name in teaching],
        )  # fmt: skip
        for model in prose.results.models:
            if (share := prose.results.recipe(model).auxiliary_until) < 1:
                prose.say(
                    "{model} has them in the first {share:pct0} of its epochs alone.", model=Model(model), share=share
                )


def say_persons(prose: Prose) -> None:
    """How many persons there are, and whether any is in more than one split."""
    named = prose.results.kept[prose.results.kept["group"] != ""]
    if named.empty:
        prose.say("The data do not identify the persons, so the same person may be in training and test.")
        return
    splits = named.groupby("group")["split"].nunique()
    persons, shared = len(splits), int((splits > 1).sum())
    if shared:
        prose.say(
            "They show {people:count} persons, {shared:count} of them in more than one split, which makes the test "
            "easier than one on persons never seen before.", people=persons, shared=shared,
        )  # fmt: skip
    else:
        prose.say("They show {people:count} persons, none of them in more than one split.", people=persons)


def _say_balance(prose: Prose) -> None:
    sizes = prose.results.kept["label"].value_counts().reindex(prose.results.class_names, fill_value=0)
    if sizes.max() > UNEVEN * sizes.min():
        alone = {size for size, times in sizes.value_counts().items() if times == 1}
        of_rare = " of {rare}" if sizes.min() in alone else ""
        of_common = " of {common}" if sizes.max() in alone else ""
        prose.say(
            f"The classes are imbalanced, from {{small:count}} images{of_rare} to {{large:count}}{of_common}.",
            small=int(sizes.min()), rare=Label(sizes.idxmin()), large=int(sizes.max()), common=Label(sizes.idxmax()),
        )  # fmt: skip


def _say_augmentation(prose: Prose) -> None:
    augment = prose.results.config.augment
    colour = max(augment.brightness, augment.contrast, augment.saturation)
    steps = [
        (augment.flip, FLIPS[augment.flip_order]),
        (augment.rotate_deg, "rotated by up to {rotate_deg:plain}°"),
        (augment.scale, "scaled by up to {scale:pct0}"),
        (augment.shift, "shifted by up to {shift:pct0}"),
        (colour, "changed in colour by up to {colour:pct0}"),
        (augment.erase, "partly covered with a probability of {erase:pct0}"),
    ]
    used = [words for amount, words in steps if amount]
    if not used:
        prose.say("Training uses the images without augmentation.")
        return
    unsaid = {"flip_order", "erase_area"} | ({"erase"} if not augment.erase else set())  # an earlier version had none
    values = augment.model_dump(exclude=unsaid) | {"colour": colour}
    prose.say(f"For training only, each image is randomly {join_words(used)}.", **values)
    for model in prose.results.models:
        strength = prose.results.recipe(model).augment_strength
        if strength != 1:
            prose.say(
                "For {model} these ranges are multiplied by {strength:plain}.", model=Model(model), strength=strength
            )
        if any(edit.startswith("augment: ") for edit in prose.results.edits(model)):
            prose.say(
                "The notebook of {model} changed these ranges; {table} has its own.",
                model=Model(model), table=Ref("tbl-settings"),
            )  # fmt: skip


def balance_figure(results: Results) -> Shown:
    """Images per class and split."""
    figure = plot_class_balance(results.manifest, results.class_names)
    figure.set_size_inches(BALANCE_WIDTH_IN, figure.get_figheight())
    counts = "; ".join(f"{name} {int((results.kept['label'] == name).sum())}" for name in results.class_names)
    svg = figure_svg(figure, "balance", f"Bars of images per class: {counts}.")
    table = number_exhibits(results)["tbl-splits"]
    caption = f'Images per class and split (<a href="#tbl-splits">{table}</a>).'
    return show_figure(results, "fig-balance", [svg], caption, columns=1, width_px=480)
