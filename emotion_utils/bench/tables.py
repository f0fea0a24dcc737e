"""Tables of measurements, as text and as a CSV file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from emotion_utils.errors import InputError

SHARES = (  # columns of rates between 0 and 1
    "found", "recall", "chosen_wrong", "contained", "cropped",
    "val_acc", "unseen", "unseen_flipped", "best", "accuracy", "of_bare",
    "acc_low", "acc_high", "macro_f1", "f1_low", "f1_high", "gain", "gain_low", "gain_high", "seed_sd",
)  # fmt: skip


class Measured(NamedTuple):
    """A table of measurements and its title; the terminal shows its first rows if `shown` says how many."""

    title: str
    table: pd.DataFrame
    shown: int | None = None


def format_table(measured: Measured) -> str:
    """Title and table as aligned text; ratios as 3.1x, numbers with their significant digits."""
    table = measured.table.head(measured.shown if measured.shown is not None else len(measured.table))
    columns = {name: [_format_cell(name, value) for value in column] for name, column in table.items()}
    lines = [measured.title]
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = [pd.api.types.is_string_dtype(column) for column in table.dtypes]
    for row in rows:
        cells = zip(row, widths, words, strict=True)
        lines.append("  " + "  ".join(cell.ljust(w) if word else cell.rjust(w) for cell, w, word in cells).rstrip())
    if more := len(measured.table) - len(table):
        lines.append(f"  ... and {more:,} more: --csv FILE lists them all")
    return "\n".join(lines)


def write_csv(path: Path, tables: Iterable[Measured]) -> None:
    """All tables in one file, one below the other: the first column is its title; missing cells are empty."""
    joined = pd.concat([each.table.assign(table=each.title) for each in tables], ignore_index=True)
    joined.insert(0, "table", joined.pop("table"))
    try:
        joined.to_csv(path, index=False)
    except OSError as error:
        raise InputError(f"--csv {path}: cannot be written ({error.strerror})") from None


def _format_cell(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "-"
    if name.startswith("ratio"):
        return f"{value:.2f}x"
    if name in SHARES:
        return f"{value:.1%}"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}"
