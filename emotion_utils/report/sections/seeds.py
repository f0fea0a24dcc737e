"""Several trainings of the same model: how far chance alone moves its figures. No torch."""

from __future__ import annotations

import pandas as pd

from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, html_table, safe_model, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import rate

COLUMNS = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "best_val": "Best val"}


def say_seeds(prose: Prose) -> None:
    """From how many seeds each model was trained, and what that leaves open."""
    results = prose.results
    each = "Each model was" if len(results.models) > 1 else "The model was"
    if results.seeds is None:
        prose.say(
            f"{each} trained once, from seed {{seed:count}}; how far another seed would move these figures is not "
            "known.", seed=results.config.seed,
        )  # fmt: skip
        return
    prose.say(
        f"{each} trained {{times:words}} times, from the seeds {{first:count}} to {{last:count}}; what is shown is the "
        "training from {first:count}, chosen before any result, and {table} says how far the seed moves it.",
        times=results.config.seeds, first=results.config.seed, last=results.config.seed + results.config.seeds - 1,
        table=Ref("tbl-seeds"),
    )  # fmt: skip


def tell_seeds(results: Results) -> Prose:
    """Mean and spread of each model; nothing where there is one training."""
    prose = Prose(results, "seeds")
    if results.seeds is None:
        return prose
    for model, table in results.seeds.items():
        rates = table["accuracy"]
        prose.item()
        prose.say(
            "{model} is right in {mean:pct} of the test images on average over {times:words} trainings, with a "
            "standard deviation of {spread:points} and from {low:pct} to {high:pct}.",
            model=Model(model), mean=float(rates.mean()), times=len(rates), spread=float(rates.std()),
            low=float(rates.min()), high=float(rates.max()), metric="test accuracy", comparison="seeds",
        )  # fmt: skip
    prose.paragraph()
    prose.say("The highest of several trainings is chosen by the test images and says nothing about new ones.")
    return prose


def seeds_table(results: Results) -> Shown:
    """Each training of each model, then mean and standard deviation; empty where there is one training."""
    if results.seeds is None:
        return Shown("")
    groups = []
    for model, table in results.seeds.items():
        name = safe_model(results, model)
        rows = [[name, str(int(row.seed)), *_figures(table, row)] for row in table.itertuples()]
        spread = [f"{table[column].mean():.4f} ± {table[column].std():.4f}" for column in COLUMNS]
        groups.append([*rows, [name, "<strong>mean ± sd</strong>", *(f"<strong>{cell}</strong>" for cell in spread)]])
    head = ("Model", "Seed", *COLUMNS.values())
    caption = "Every training of every model; the other tables show the first of each."
    note = "best of: the highest accuracy on the test images, which chose it."
    table = html_table(head, groups, words=(0, 1))
    return show_table(results, "tbl-seeds", table, caption, note, may_break=True)


def _figures(table: pd.DataFrame, row: tuple) -> list[str]:
    cells = [rate(getattr(row, column), 4) for column in COLUMNS]
    if row.Index == table["accuracy"].idxmax():
        cells[0] = f"best of {len(table)}: {cells[0]}"
    return cells
