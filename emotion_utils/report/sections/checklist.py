"""The reproducibility checklist (appendix), filled in from the run's own records, and the criteria of a rubric.

Its items are those of the Machine Learning Reproducibility Checklist and of the NeurIPS paper checklist. No torch.
"""

from __future__ import annotations

from typing import Any

from emotion_utils.evaluation.statistics import LEVEL
from emotion_utils.report.claims import Lead, Ref, join_words
from emotion_utils.report.places import SECTIONS, match_topics
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.data import count_splits
from emotion_utils.report.sections.reproduce import trained_devices

KINDS = {"proxy": "proxies", "official": "published ones", "random": "random ones", "file": "given ones"}


def write_checklist(results: Results) -> Prose:
    """An item a line: what the run did of it and where the report says so, or that it was not measured."""
    prose = _start(results, "checklist")
    for write in (_claims, _models, _data, _code, _training, _uncertainty, _cost, _society):
        write(prose)
    return prose


def write_rubric(results: Results) -> Prose:
    """The places that answer each criterion of the rubric; nothing without one."""
    prose = _start(results, "rubric")
    if results.rubric is None:
        return prose
    prose.say(
        "The criteria of {file}, each with the places of this report that treat of its words; whether they meet it is "
        "for the reader to judge.", file=results.rubric["file"],
    )  # fmt: skip
    for criterion in results.rubric["criteria"]:
        match = match_topics(criterion, prose.names)
        prose.item()
        if match.places:
            prose.say(
                "{criterion}: {places} (by {words}).", criterion=Lead(criterion), places=list(map(Ref, match.places)),
                words=match.words,
            )  # fmt: skip
        elif match.words:
            prose.say(
                "{criterion}: not measured in this run (by {words}).", criterion=Lead(criterion), words=match.words
            )
        else:
            prose.say("{criterion}: matched to no part of this report.", criterion=Lead(criterion))
    return prose


def _start(results: Results, section: str) -> Prose:
    prose = Prose(results, section, css="checklist")
    prose.names = {**SECTIONS, **results.exhibits}
    return prose


def _item(prose: Prose, item: str, answer: str | None, *places: str, **values: Any) -> None:
    """`answer` is a template; None, or that none of its places is in this report, is that nothing was measured."""
    there = [Ref(place) for place in places if place in prose.names]
    prose.item()
    if answer is None or (places and not there):
        prose.say("{item}: not measured.", item=Lead(item))
    else:
        where = " ({places})" if there else ""
        shown = {"places": there} if there else {}
        prose.say(f"{{item}}: {answer}{where}.", item=Lead(item), **values, **shown)


def _claims(prose: Prose) -> None:
    many = len(prose.results.models) > 1
    tested = "; a difference between models is only claimed where a corrected test finds it" if many else ""
    _item(prose, "Claims", f"each is computed from the stored predictions{tested}", "sec-abstract", "tbl-pairs")
    _item(prose, "Limits", "stated beside the answer", "sec-abstract", "sec-conclusion")
    _item(prose, "Theory", "none; all results are empirical")


def _models(prose: Prose) -> None:
    results = prose.results
    kinds = dict.fromkeys(KINDS[results.weights_kind(model)] for model in results.models)
    count = len(results.models)
    _item(prose, "Models", f"{{count:words}} network{'s' * (count > 1)}, with what each starts from",
          "sec-model-architectures", count=count)  # fmt: skip
    _item(prose, "Initial weights", f"{join_words(kinds)}, with source, checksum and licence", "tbl-weights")


def _data(prose: Prose) -> None:
    results = prose.results
    counts, aside = count_splits(results), len(results.quarantined)
    synthetic = results.config.data == "synthetic"
    _item(prose, "Data", "{count:count} images of {k:words} classes", "sec-dataset-and-preprocessing", "tbl-data",
          count=len(results.kept), k=len(results.class_names))  # fmt: skip
    _item(prose, "Splits", "{train:count} images to train, {val:count} to validate, {test:count} to test",
          "tbl-splits", **counts)  # fmt: skip
    _item(prose, "Images left out", "{aside:count}, each with its reason" if aside else "none", "tbl-quarantine"
          if aside else "sec-dataset-and-preprocessing", aside=aside)  # fmt: skip
    if synthetic:
        _item(prose, "Access to the data", "they are synthetic and made by the code from the seed", "tbl-data")
    else:
        _item(prose, "Access to the data", "{name}, not part of this report; licence: {licence}", "tbl-data",
              name=results.data_name, licence=results.config.licence)  # fmt: skip


def _code(prose: Prose) -> None:
    revision = prose.results.facts.get("environment", {}).get("git_revision", "unknown")
    _item(prose, "Code", "revision {revision}, and the command that makes this run again", "sec-how-to-reproduce",
          revision=revision)  # fmt: skip
    _item(prose, "Software", "the version of each package", "tbl-environment")


def _training(prose: Prose) -> None:
    results = prose.results
    seeds = results.config.seeds
    ended = seeds * (len(results.models) + len(results.ablations))
    trials = sum(summary["trials"] for _, summary in results.searches.values())
    _item(prose, "Settings", "all of every training", "tbl-settings")
    _item(prose, "Ranges of settings tried", "{trials:count} trials, chosen by validation accuracy", "tbl-search",
          trials=trials)  # fmt: skip
    _item(prose, "Choice of the model", "the epoch with the best validation accuracy; test images chose nothing",
          "tbl-epochs")  # fmt: skip
    _item(prose, "Trainings in the report", "{ended:count}", "tbl-settings", ended=ended)
    _item(prose, "Looks at the test images", "each one is counted", "tbl-openings")
    _item(prose, "Ablation", "{parts}, left out one at a time", "tbl-ablation", parts=list(results.config.ablate))


def _uncertainty(prose: Prose) -> None:
    results = prose.results
    _item(prose, "Metrics", "defined where they are used", "sec-classification-report-analysis", "sec-model-metrics")
    _item(prose, "Error bars", "intervals at {level:pct0} over test images", "tbl-metrics", "tbl-intervals",
          level=LEVEL)  # fmt: skip
    _item(prose, "Variation over seeds", "mean and standard deviation of {seeds:count} trainings", "tbl-seeds",
          seeds=results.config.seeds)  # fmt: skip
    _item(prose, "Tests", "exact McNemar tests, corrected by Holm's method", "tbl-pairs")
    _item(prose, "Calibration", "before and after temperature scaling", "fig-reliability", "tbl-calibration")
    _item(prose, "Robustness", "accuracy under corruptions of the images", "fig-corruptions", "tbl-robustness")


def _cost(prose: Prose) -> None:
    results = prose.results
    seconds = sum(float(history["seconds"].sum()) for history in results.histories.values())
    environment = results.facts.get("environment", {})
    known = {"processor": "processor", "cpu_cores": "processor cores", "memory_gb": "memory"}
    hardware = [words for key, words in known.items() if key in environment]
    hardware += ["device"] * bool(trained_devices(results))
    _item(prose, "Hardware", join_words(hardware) if hardware else None, "tbl-environment")
    _item(prose, "Time", "{seconds:duration} for the trainings shown, and that of the notebooks", "tbl-times",
          seconds=seconds)  # fmt: skip
    _item(prose, "Energy", None)


def _society(prose: Prose) -> None:
    synthetic = prose.results.config.data == "synthetic"
    persons = "no real person" if synthetic else "what they agreed to is not recorded by this run"
    _item(prose, "Persons in the images", persons)
    _item(prose, "Groups of persons compared", "accuracy of each", "tbl-fairness")
    _item(prose, "Uses and misuses", "in the card of each model, README.md beside its weights")
    _item(prose, "Language models", "none is part of the methods")
