"""Ablation: what each part of the training contributes, by leaving it out. No torch."""

from __future__ import annotations

from emotion_utils.ablation import REASONS
from emotion_utils.evaluation.statistics import ALPHA, LEVEL
from emotion_utils.report.claims import UNDECIDED, Model, Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import MINUS, Estimate, Figures, frame_of, p_value

DIFFERENCE = f"Difference, with{MINUS}without"


def write_ablation(results: Results) -> Prose:
    """Which parts make a difference, which do not show one, and what a part could not be left out of."""
    prose = Prose(results, "ablation")
    if not results.config.ablate:
        return prose
    if results.ablations:
        _say_comparisons(prose)
        _say_limits(prose)
    for part in results.config.ablate:
        ablated = [each.model for each in results.ablations if each.part == part]
        others = [Model(model) for model in results.models if model not in ablated]
        if others:
            prose.say(
                f"Ablation of {{part}} does not apply to {{models}}: each {REASONS[part]}."
                if len(others) > 1
                else f"Ablation of {{part}} does not apply to {{models}}, which {REASONS[part]}.",
                part=part, models=others,
            )  # fmt: skip
    return prose


def _say_comparisons(prose: Prose) -> None:
    results = prose.results
    seeds = results.config.seeds
    prose.say(
        "In an ablation a model is trained again without one part of its training, with all else unchanged, from the "
        f"same {'seeds' if seeds > 1 else 'seed'}; {{table}} compares accuracies on the same test images.",
        table=Ref("tbl-ablation"),
    )  # fmt: skip
    undecided, rows = [], zip(results.ablations, results.ablation_comparisons.itertuples(), strict=True)
    for ablation, found in rows:
        if found.p_holm > ALPHA:
            undecided.append((ablation, found))
            continue
        helps = found.difference > 0
        ends = sorted((abs(found.low), abs(found.high))) if found.low * found.high > 0 else None
        values = {"low": ends[0], "high": ends[1]} if ends else {}
        prose.say(
            f"Without {{part}} the accuracy of {{model}} is {{difference:points}} {'lower' if helps else 'higher'}"
            f"{' ({low:points} to {high:points}; ' if ends else ' ('}adjusted {{p_holm:p}}).",
            part=ablation.part, model=Model(ablation.model), difference=abs(found.difference), p_holm=found.p_holm,
            metric="test accuracy", comparison="ablation", **values,
        )  # fmt: skip
    for part in dict.fromkeys(ablation.part for ablation, _ in undecided):
        same = [(ablation, found) for ablation, found in undecided if ablation.part == part]
        prose.say(
            f"Without {{part}} the accuracy of {{models}} does not differ significantly "
            f"({'smallest ' if len(same) > 1 else ''}adjusted {{p:p}}).",
            part=part, models=[Model(ablation.model) for ablation, _ in same],
            p=min(found.p_holm for _, found in same), metric="test accuracy", comparison=UNDECIDED,
        )  # fmt: skip


def _say_limits(prose: Prose) -> None:
    """What else than the part may stand behind a difference."""
    results = prose.results
    if results.config.seeds == 1:
        prose.say("With one training each, a difference may also be due to the random seed.")
    for ablation in results.ablations:
        model = Model(ablation.model)
        if not ablation.is_same_network:
            prose.say(
                "Without {part}, {model} has other layers too: its own head belongs to its weights.",
                part=ablation.part, model=model,
            )  # fmt: skip
        if len(set(ablation.epochs)) > 1:
            prose.say(
                "Without {part}, {model} was trained for {without:count} epochs in place of {count:count}.",
                part=ablation.part, model=model, count=ablation.epochs[0], without=ablation.epochs[1],
            )  # fmt: skip


def ablation_table(results: Results) -> Shown:
    """A row for each part that a model was trained without; empty where nothing was left out."""
    if not results.ablations:
        return Shown()
    rows, several = [], results.config.seeds > 1
    for ablation, found in zip(results.ablations, results.ablation_comparisons.itertuples(), strict=True):
        by_seed = (ablation.correct - ablation.correct_without).mean(axis=1)
        spread = [Figures(f"{100 * by_seed.std(ddof=1):.1f}")] if several else []
        rows.append([
            Model(ablation.model), ablation.part, 100 * ablation.correct.mean(), 100 * ablation.correct_without.mean(),
            Estimate(100 * found.difference, 100 * found.low, 100 * found.high), *spread, p_value(found.p_holm),
        ])  # fmt: skip
    columns = ["Model", "Without", "Accuracy", "without it", DIFFERENCE, *["SD over seeds"] * several, "p (Holm)"]
    frame = frame_of(rows, columns)
    formats = {"Accuracy": ".1f", "without it": ".1f", DIFFERENCE: "+.1f"}
    caption = "Ablation: accuracy on the test split with and without one part of the training, in percent."
    means = f"Accuracies are means over {results.config.seeds} seeds. " if several else ""
    note = (
        f"{means}Difference: in percentage points; positive where the part helps. In brackets: bootstrap intervals over"
        f" the test images that hold together at {LEVEL:.0%} (Bonferroni, {len(rows)}). p: exact paired permutation "
        f"test, corrected by Holm's method for {len(rows)}."
    )
    return show_table(
        results, "tbl-ablation", frame, caption, note, formats=formats, groups=frame["Model"], merge=("Model",)
    )
