"""The model card, models/<model>/README.md: uses, data, results and origin of a model, from the run's own figures.

Hugging Face shows it, and `emotion verify` makes it again from the artefacts and compares the two. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from emotion_utils.artefacts import CLEAN
from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.statistics import LEVEL, percentile_interval, wilson_interval
from emotion_utils.evaluation.strata import select_stratum
from emotion_utils.history import best_epoch
from emotion_utils.report.card_head import METRICS, card_head, licences
from emotion_utils.report.claims import Label, Model, check_claim
from emotion_utils.report.data_tables import split_table
from emotion_utils.report.names import safe_markdown
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.architectures import describe_architecture, say_phases, say_start, say_teacher
from emotion_utils.report.sections.corruptions import sum_at_highest_severity
from emotion_utils.report.sections.data import say_persons, say_targets
from emotion_utils.report.sections.data_card import dataset_of, find_facts
from emotion_utils.report.sections.fairness import (
    FAIRNESS_NOTE,
    find_groups,
    group_rows,
    say_group_differences,
    say_ungrouped,
)
from emotion_utils.report.sections.metrics import METRICS as TITLES
from emotion_utils.report.sections.metrics import learned_nothing, majority
from emotion_utils.report.sections.reproduce import MACHINE
from emotion_utils.report.sections.settings import COLOUR
from emotion_utils.report.sections.shortcuts import divide_tests
from emotion_utils.report.tables import MISSING, Estimate
from emotion_utils.run import Run

NOT_FOR = """\
- **Inferring emotions at work or in education.** The EU's AI Act (Regulation (EU) 2024/1689, Art. 5(1)(f)) prohibits \
it, except for medical or safety reasons. Elsewhere it counts emotion recognition among the high-risk uses (Annex III) \
and asks that the persons concerned be told (Art. 50(3)).
- **Finding out what somebody feels**, thinks or intends, or whether somebody is honest, ill or dangerous. The model \
guesses what annotators saw in an image. A face is no measurement of a feeling.
- **Decisions about persons**: hiring, marks, credit, insurance, policing, borders, health, surveillance.
- **Persons who have not agreed to it**, and images of another kind than those below, until it is measured on them: \
`emotion evaluate` does that."""
FOR = """\
- Teaching and research: how such models are built, compared and mistaken.
- A baseline for another model on the same data and split.
- A demonstration to persons who have agreed to it, with its errors in view."""
LOAD = """\
```python
from emotion_utils import load_classifier

classifier = load_classifier("path/to/this/folder")
for face in classifier(["photo.jpg"]):
    print(face.image, face.label, face.probabilities, face.box)
```

Faces are found, cut out and resized as for training. `probabilities` follow the order of the classes above."""

NAMES_A_PERSON = ("People", "Persons")  # the finding of the data card that has one as an example


def write_cards(run: Run, results: Results) -> None:
    """Writes the card of each model."""
    for model in results.models:
        run.write("readme", make_card(results, model), model)


def make_card(results: Results, model: str) -> str:
    """The card as Markdown. The same artefacts give the same text."""
    rates = _find_rates(results, model)
    sections = {
        "Uses that it is not for": NOT_FOR,
        "Intended uses": FOR,
        "Model": _describe_model(results, model),
        "Data": _describe_data(results),
        "Results": _describe_results(results, model, rates),
        "Selection": _describe_selection(results, model),
        "Groups of persons": _describe_groups(results, model),
        "How to load it": LOAD,
        "Environment": _describe_environment(results),
        "Licence": _describe_licence(results, model),
        "Citation": _describe_citation(results, model),
    }
    parts = [f"# {safe_markdown(model)}", _open(results, model)]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return card_head(results, model, rates) + "\n" + "\n\n".join(parts) + "\n"


def _markdown(prose: Prose) -> str:
    """The text, each sentence of which is checked as those of the report are."""
    for claim in prose.claims:
        check_claim(claim)
    return prose.markdown()


def _table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers stand on the right, an Estimate has its interval behind it."""
    shown = [[_cell(value) for value in row] for row in rows]
    lines = [list(names), ["---"] + ["---:"] * (len(names) - 1), *shown]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, Estimate):
        return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
    if isinstance(value, str):
        return safe_markdown(value)
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


# -- what it is ------------------------------------------------------------------------------------


def _open(results: Results, model: str) -> str:
    """What the model is, in a sentence, and what no reader may miss."""
    prose = Prose(results, "card")
    prose.say(
        "{model} guesses which of {k:words} emotions ({classes}) annotators would see in an image of a face. It does "
        "not know what anybody feels.",
        model=Model(model), k=len(results.class_names), classes=[Label(name) for name in results.class_names],
    )  # fmt: skip
    notes = []
    if results.config.data == "synthetic":
        notes.append(
            "**Synthetic faces alone** taught and tested it. Nothing here says how it does on images of persons."
        )
    if model in results.proxies:
        notes.append(
            "**Proxy weights** of this project, made from synthetic images, are what it starts from, not the published "
            "ones. Its results say nothing about those."
        )
    return "\n\n".join([_markdown(prose), *(f"> {note}" for note in notes)])


def _describe_model(results: Results, model: str) -> str:
    card, prose = results.cards[model], Prose(results, "card")
    spec, origin = card["input"], card["provenance"]
    prose.say(
        "It is of the architecture {title}. It takes images of {size:count} by {size:count} pixels in {order} and has "
        "{k:words} outputs. Colour in training: {colour}.",
        title=describe_architecture(results, model)["title"], size=spec["size_px"], order=spec["channel_order"],
        k=len(results.class_names), colour=COLOUR[spec.get("colour", "")],
    )  # fmt: skip
    views = card.get("views", {}).get("used", 1)
    if views > 1:
        prose.say("Its probabilities are means over {views:count} views of each image.", views=views)
    prose.paragraph()
    prose.say(
        "Start: {origin} ({kind}); trained on {source}.",
        origin=origin["sentence"], kind=origin["kind"], source=origin.get("trained_on") or "nothing",
    )  # fmt: skip
    say_start(prose, model)
    say_targets(prose)
    say_teacher(prose, model)
    say_phases(prose, model)
    if edits := results.edits(model):
        prose.say("The notebook that trained it changed the settings of the run: {edits}.", edits=edits)
    prose.paragraph()
    prose.say("The checksum of the weights, model.safetensors, is {sha256}.", sha256=card["sha256"])
    return _markdown(prose)


def _describe_data(results: Results) -> str:
    prose = Prose(results, "card")
    say_persons(prose)
    facts = [row for part in find_facts(results) for row in part if row[0] not in NAMES_A_PERSON]
    counts = split_table(results.manifest, results.class_names).astype(int)
    rows = [[name, *map(int, row)] for name, row in zip(counts.index, counts.to_numpy(), strict=True)]
    lines = "\n".join(f"- **{name}**: {safe_markdown(text)}" for name, text in facts)
    return "\n\n".join([_markdown(prose), lines, _table(["Images", *map(safe_markdown, counts.columns)], rows)])


# -- what it reaches -------------------------------------------------------------------------------


def _find_rates(results: Results, model: str) -> dict[str, Estimate]:
    """Accuracy and macro averages on the test split."""
    averages = results.reports[model].iloc[len(results.class_names) + 1]  # by place: a class may be called so
    rates = {"accuracy": _rate(count_correct(results.tests[model]), results.test_size)}
    for name in [name for name in METRICS if name != "accuracy"]:
        rates[name] = Estimate(float(averages[name]), *map(float, results.macro[model].loc[name]))
    return rates


def _rate(correct: int, count: int) -> Estimate | None:
    return Estimate(correct / count, *wilson_interval(correct, count)) if count else None


def _describe_results(results: Results, model: str, rates: dict[str, Estimate]) -> str:
    test, prose = results.tests[model], Prose(results, "card")
    right, found = count_correct(test), results.calibrations[model]
    label, share = majority(test["label"])
    prose.say(
        "On the test split {model} is right on {right:count} of {count:count} images, {rate:pct} ({level:pct0} "
        "interval {low:pct} to {high:pct}). Always naming {label} would be right on {share:pct}.",
        model=Model(model), right=right, count=len(test), rate=rates["accuracy"].value, level=LEVEL,
        low=rates["accuracy"].low, high=rates["accuracy"].high, label=Label(label), share=share,
    )  # fmt: skip
    if learned_nothing(right, len(test), share):
        prose.say("This alone does not show that it learned more than which class is frequent.")
    if results.seeds:
        spread = results.seeds[model]["accuracy"]
        prose.say(
            "Trained from {seeds:count} seeds, its mean accuracy is {mean:pct}, with a standard deviation of "
            "{deviation:points}.", seeds=len(spread), mean=float(spread.mean()), deviation=float(spread.std()),
        )  # fmt: skip
    calibration = {
        "Calibration error (ECE)": Estimate(found.ece, found.ece_low, found.ece_high),
        "Brier score": found.brier,
    }
    if found.helps:
        scaled = Estimate(found.ece_after, found.ece_after_low, found.ece_after_high)
        calibration |= {"Fitted temperature": found.temperature, "Calibration error at that temperature": scaled}
    rows = [*((TITLES[name], rate) for name, rate in rates.items()), *calibration.items()]
    parts = [_markdown(prose), _table(["Metric", f"Value ({LEVEL:.0%} interval)"], rows)]
    if found.helps:
        scaling = Prose(results, "card")
        scaling.say(
            "What the model answers is not scaled by the temperature. To scale it, raise each probability to a power, "
            "the inverse of {temperature:rate}, and divide it by the sum over the classes; the most probable class "
            "stays.",
            temperature=found.temperature,
        )  # fmt: skip
        parts.append(_markdown(scaling))
    parts += ["### Each class", _tabulate_classes(results, model)]
    parts += ["### Robustness to corruptions", _tabulate_corruptions(results, model)]
    if results.has_shortcuts:
        parts += ["### Within images that are alike in what else tells labels", _tabulate_strata(results, model)]
    return "\n\n".join(parts)


def _tabulate_classes(results: Results, model: str) -> str:
    rows = []
    for place, name in enumerate(results.class_names):
        counts, rates = results.confusions[model].to_numpy(), results.reports[model].iloc[place]
        hits = int(counts[place, place])
        f1 = Estimate(float(rates["f1-score"]), *percentile_interval(results.resampled[model][1][:, place]))
        called, images = int(counts[:, place].sum()), int(counts[place].sum())
        rows.append([name, _rate(hits, called), _rate(hits, images), f1, images])
    note = f"In brackets: {LEVEL:.0%} intervals, Wilson's for rates of images, bootstrap over images for the others."
    return f"{_table(['Class', 'Precision', 'Recall', 'F1', 'Images'], rows)}\n\n{note}"


def _tabulate_corruptions(results: Results, model: str) -> str:
    if model not in results.robustness:
        return "Not measured."
    counts = sum_at_highest_severity(results.robustness[model]).astype(int)
    rows = [
        ["clean" if kind == CLEAN else kind, _rate(int(row["correct"]), int(row["count"])), int(row["count"])]
        for kind, row in counts.iterrows()
    ]
    return _table(["Corruption, highest severity", "Accuracy", "Images"], rows)


def _tabulate_strata(results: Results, model: str) -> str:
    parts = [
        (stratum.name, select_stratum(results.tests[model], stratum))
        for strata in divide_tests(results) for stratum in strata
    ]  # fmt: skip
    return _table(
        ["Test images", "Accuracy", "Images"],
        [[name, _rate(count_correct(part), len(part)), len(part)] for name, part in parts],
    )


def _describe_groups(results: Results, model: str) -> str:
    measured = find_groups(results, model)
    if measured is None:
        return "Not measured: whether it is as accurate for one group of persons as for another is not known."
    prose = Prose(results, "card")
    say_ungrouped(prose)
    say_group_differences(prose, model)
    table = _table(["Group", "Correct", "Accuracy", "Macro F1"], group_rows(measured))
    return "\n\n".join([_markdown(prose), table, FAIRNESS_NOTE])


def _describe_selection(results: Results, model: str) -> str:
    history, prose = results.histories[model], Prose(results, "card")
    best = best_epoch(history["val_acc"])
    prose.say(
        "Of {epochs:count} epochs the one with the best validation accuracy is kept: epoch {epoch:count}, {val:pct}. "
        "That figure is biased upwards, as the same images select and judge; the test images took no part.",
        epochs=len(history), epoch=best, val=float(history["val_acc"].max()),
    )  # fmt: skip
    if model in results.searches:
        summary = results.searches[model][1]
        prose.say(
            "A search compared {trials:count} settings on the validation images ({best:pct} for the best, "
            "{corrected:pct} corrected for the choice).",
            trials=summary["trials"], best=summary["val_acc"], corrected=summary["corrected_val_acc"],
        )  # fmt: skip
    return _markdown(prose)


# -- where it comes from ---------------------------------------------------------------------------


def _describe_environment(results: Results) -> str:
    environment = dict(results.facts.get("environment", {}))
    versions = environment.pop("versions", {})
    rows = [
        (MACHINE.get(name, name.replace("_", " ")), str(value)) for name, value in {**environment, **versions}.items()
    ]
    rows += [("profile", results.config.profile), ("seed", str(results.config.seed))]
    return "\n".join(f"- {safe_markdown(name)}: {safe_markdown(value)}" for name, value in rows)


def _describe_licence(results: Results, model: str) -> str:
    stated = [f"- of {name}: {safe_markdown(licence)}" for name, licence in licences(results, model).items()]
    start = "The code is under the MIT licence. The weights may be used as far as the licences allow of what made them:"
    return "\n".join([start, "", *stated])


def _describe_citation(results: Results, model: str) -> str:
    return "\n".join(f"- {line}" for line in _citations(results, model))


def _citations(results: Results, model: str) -> Iterator[str]:
    card, revision = results.cards[model], results.facts.get("environment", {}).get("git_revision", "unknown")
    yield (
        f"The model: {safe_markdown(model)}, weights {card['sha256'][:12]}, made by "
        f"emotion\\_utils, revision {safe_markdown(revision)}."
    )
    if citation := dataset_of(results).get("citation"):
        yield f"The data: {safe_markdown(citation)}."
    if card["provenance"]["kind"] == "official":
        yield f"The weights that it starts from: {safe_markdown(card['provenance']['source'])}."
