"""Several trainings of the same model: the variation over random seeds. No torch."""

from __future__ import annotations

from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Figures, frame_of

RATES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "best_val": "Best val"}


def say_seeds(prose: Prose) -> None:
    """From how many random seeds each model was trained, and what that leaves open."""
    results = prose.results
    each = "Each model was" if len(results.models) > 1 else "The model was"
    if results.seeds is None:
        prose.say(
            f"{each} trained once, with random seed {{seed:count}}; how much these figures vary with the seed is not "
            "known.", seed=results.config.seed,
        )  # fmt: skip
        return
    prose.say(
        f"{each} trained {{times:times}}, with the random seeds {{first:count}} to {{last:count}}; the report "
        "shows the training with seed {first:count}, as decided before any result was known, and {table} gives the "
        "variation over the seeds.",
        times=results.config.seeds, first=results.config.seed, last=results.config.seed + results.config.seeds - 1,
        table=Ref("tbl-seeds"),
    )  # fmt: skip


def write_seeds(results: Results) -> Prose:
    """Mean and spread of each model; nothing where there is one training."""
    prose = Prose(results, "seeds")
    if results.seeds is None:
        return prose
    for model, table in results.seeds.items():
        rates = table["accuracy"]
        prose.item()
        prose.say(
            "{model} has a mean accuracy of {mean:pct} on the test images over {times:words} trainings, with a "
            "standard deviation of {spread:points} and a range from {low:pct} to {high:pct}.",
            model=Model(model), mean=float(rates.mean()), times=len(rates), spread=float(rates.std()),
            low=float(rates.min()), high=float(rates.max()), metric="test accuracy", comparison="seeds",
        )  # fmt: skip
    prose.paragraph()
    prose.say("The highest of several accuracies was selected by the test images and is biased upwards.")
    return prose


def seeds_table(results: Results) -> Shown:
    """Each training of each model, then mean and standard deviation; empty where there is one training."""
    if results.seeds is None:
        return Shown()
    rows = []
    for model, table in results.seeds.items():
        best = table["accuracy"].idxmax()
        for row in table.itertuples():
            seed = f"{row.seed}, best of {len(table)}" if row.Index == best else f"{row.seed}"
            rows.append([Model(model), seed, *(getattr(row, name) for name in RATES)])
        spread = [Figures(f"{table[name].mean():.4f} ± {table[name].std():.4f}") for name in RATES]
        rows.append([Model(model), "mean ± sd", *spread])
    frame = frame_of(rows, ["Model", "Seed", *RATES.values()])
    caption = "Every training of every model; the other tables show the first of each."
    note = "Best: the highest accuracy on the test images, which is biased upwards as they selected it."
    return show_table(results, "tbl-seeds", frame, caption, note, may_break=True, decimals=4, groups=frame["Model"])
