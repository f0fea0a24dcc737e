"""Printed tables of results from a JSON or CSV file, every figure with the decimals that it was printed with. No torch.

JSON has the form of published.json beside this module: `table_1` holds per model the lists `train` and `val` (accuracy
per epoch) and `best_val`; every other `table_<n>_<model>` holds per class [precision, recall, F1, support], and may
hold `accuracy` [accuracy, images], `macro avg` and `weighted avg` (as a class); `split` may name shares of the data.

CSV has one line per row of a table, with a header, and the cells that a row does not have are empty:

    table,row,precision,recall,f1-score,support,train,val
    VGG16_emotion,happy,0.9655,0.9655,0.9655,145,,      a class, `macro avg` or `weighted avg`
    VGG16_emotion,accuracy,,,0.9630,432,,               the accuracy, as scikit-learn places it
    VGG16_emotion,1,,,,,0.644,0.840                     an epoch
    VGG16_emotion,best,,,,,,0.958                       the best validation accuracy, as printed

Columns that no row needs may be missing. `table` names the model; without it the file is one table, named after the
file, so that scikit-learn's report, saved by pandas, is read as it is. Its
`micro avg` is read as the accuracy where it is one.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.evaluation.metrics import REPORT_COLUMNS, SUMMARY_ROWS
from emotion_utils.files import read_bytes, refuse_repetition

RATES = REPORT_COLUMNS[:3]
MOST_BYTES = 20_000_000  # of a file of printed tables
MAX_DECIMALS = 12  # with more, a figure is a full float and not a printed one


@dataclass(frozen=True)
class Figures:
    """One row of a classification report as printed: rates 0-1 and the number of images (None: not printed)."""

    precision: float
    recall: float
    f1: float
    support: int | None


@dataclass(frozen=True)
class PrintedReport:
    """One classification report; what is None was not printed. `decimals`: places after the point, of all its rates."""

    name: str
    classes: Mapping[str, Figures]
    accuracy: float | None
    images: int | None
    averages: Mapping[str, Figures]  # of `macro avg` and `weighted avg` those that were printed
    decimals: int


@dataclass(frozen=True)
class PrintedCurves:
    """Accuracies per epoch, 0-1, of one model."""

    name: str
    train: tuple[float, ...]
    val: tuple[float, ...]
    best_val: float | None
    decimals: int


@dataclass(frozen=True)
class PrintedResults:
    """Everything that a file prints."""

    reports: tuple[PrintedReport, ...]
    curves: tuple[PrintedCurves, ...]
    split: Mapping[str, float] = field(default_factory=dict)  # share of the data (0-1) by split, where stated


def read_printed_results(path: str | Path) -> PrintedResults:
    """The tables in a JSON or CSV file (see the top of this module). Raises InputError naming file and place."""
    path = Path(path)
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; give a JSON or CSV file") from None
    results = parse_json(text, path.name) if text.lstrip()[:1] in ("{", "[") else _from_csv(text, path)
    if not results.reports and not results.curves:
        raise InputError(f"{path}: no table of results in it")
    return results


# -- the two forms, brought to rows of text --------------------------------------------------------


def parse_json(text: str, name: str) -> PrintedResults:
    """The tables in a JSON text; `name` stands before what is wrong with it. Raises InputError."""
    try:
        values = json.loads(
            text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=refuse_repetition
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not readable as JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{name}: expected an object of tables at the top")
    tables = {key: _need(value, dict, f"{name}, {key}") for key, value in values.items() if key.startswith("table_")}
    curves = [_curves_from_json(f"{name}, table_1", *item) for item in tables.pop("table_1", {}).items()]
    reports = [_report_from_json(f"{name}, {key}", key, rows) for key, rows in tables.items()]
    split = _need(values.get("split", {}), dict, f"{name}, split")
    shares = {key: _rate(f"{name}, split, {key}", value) for key, value in split.items()}
    return PrintedResults(tuple(reports), tuple(curves), shares)


def _curves_from_json(place: str, model: str, rows: Any) -> PrintedCurves:
    rows = _need(rows, dict, f"{place}, {model}")
    train, val = (_need(rows.get(key, []), list, f"{place}, {model}, {key}") for key in ("train", "val"))
    return _curves(f"{place}, {model}", model, train, val, rows.get("best_val", ""))


def _report_from_json(place: str, key: str, rows: dict[str, Any]) -> PrintedReport:
    table = {}
    for name, cells in rows.items():
        cells = _need(cells, list, f"{place}, {name}")
        if len(cells) != (2 if name == "accuracy" else 4):
            raise InputError(
                f"{place}, {name}: expected {'2' if name == 'accuracy' else '4'} figures, found {len(cells)}"
            )
        table[name] = ["", "", *cells] if name == "accuracy" else cells
    number, _, model = key.removeprefix("table_").partition("_")
    return _report(place, model or number, table)


def _from_csv(text: str, path: Path) -> PrintedResults:
    reader = csv.DictReader(text.splitlines(), strict=True)
    reports: dict[str, dict[str, list[str]]] = defaultdict(dict)
    epochs: dict[str, dict[str, list[str]]] = defaultdict(dict)
    try:
        columns = {("row" if name == "" else name.strip().lower()): name for name in reader.fieldnames or ()}
        if len(columns) < len(reader.fieldnames or ()):
            raise InputError(f"{path}: a column is there twice: {', '.join(reader.fieldnames)[:200]}")
        if "row" not in columns or not ({"val", "train"} & set(columns) or set(RATES) <= set(columns)):
            raise InputError(
                f"{path}: expected the columns row, {', '.join(RATES)}, support and, for epochs, train, val"
            )
        for cells in reader:
            row = {key: (cells[name] or "").strip() for key, name in columns.items()}
            place, table = f"{path}, line {reader.line_num}", row.get("table") or path.stem
            curve = [row.get("train", ""), row.get("val", "")]
            rows = epochs[table] if any(curve) else reports[table]
            if row["row"] in rows or None in cells:
                raise InputError(f"{place}: {'too many cells' if None in cells else 'this row appears twice'}")
            rows[row["row"]] = curve if any(curve) else [row.get(column, "") for column in REPORT_COLUMNS]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from None
    return PrintedResults(
        tuple(_report(f"{path}, {name}", name, rows) for name, rows in reports.items()),
        tuple(_curves_from_csv(f"{path}, {name}", name, rows) for name, rows in epochs.items()),
    )


def _curves_from_csv(place: str, name: str, rows: dict[str, list[str]]) -> PrintedCurves:
    best = rows.pop("best", ["", ""])[1]
    if list(rows) != [str(number) for number in range(1, len(rows) + 1)]:
        raise InputError(f"{place}: epochs must count 1, 2, 3 ..., found {', '.join(rows)}")
    train, val = ([cells[column] for cells in rows.values() if cells[column]] for column in (0, 1))
    return _curves(place, name, train, val, best)


# -- rows of text to figures -----------------------------------------------------------------------


def _report(place: str, name: str, rows: Mapping[str, list[str]]) -> PrintedReport:
    rows = _micro_to_accuracy(place, rows)
    strange = [row for row in rows if row.endswith(" avg") and row not in SUMMARY_ROWS]
    classes = {row: _figures(f"{place}, {row}", cells) for row, cells in rows.items() if row not in SUMMARY_ROWS}
    if strange or len(classes) < 2:
        raise InputError(
            f"{place}: " + (f"{strange[0]} is not a known row" if strange else "at least two classes are needed")
        )
    for row, figures in classes.items():
        if figures.support is None:
            raise InputError(f"{place}, {row}: the support (number of images) is missing")
    accuracy, images = None, None
    if "accuracy" in rows:
        *_, rate, count = rows["accuracy"]
        accuracy = _rate(f"{place}, accuracy", rate)
        images = None if count == rate else _count(f"{place}, accuracy", count)  # pandas repeats the rate there
    averages = {row: _figures(f"{place}, {row}", rows[row]) for row in SUMMARY_ROWS[1:] if row in rows}
    rates = [cell for row, cells in rows.items() for cell in (cells[2:3] if row == "accuracy" else cells[:3])]
    return PrintedReport(name, classes, accuracy, images, averages, _decimals(rates))


def _micro_to_accuracy(place: str, rows: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    """scikit-learn 0.20 printed `micro avg` in place of the accuracy, later ones do where classes are left out.

    It is the accuracy where precision, recall and F1 are equal.
    """
    if "micro avg" not in rows:
        return rows
    rates, count = rows["micro avg"][:3], rows["micro avg"][3]
    if "accuracy" in rows:
        raise InputError(f"{place}: both accuracy and micro avg: keep the one that was printed")
    if len({_number(f"{place}, micro avg", rate) for rate in rates}) > 1:
        raise InputError(
            f"{place}: micro avg is not an accuracy, as its precision and recall differ: some classes were left out of "
            "this report; delete the row to check the others"
        )
    others = {name: cells for name, cells in rows.items() if name != "micro avg"}
    return {**others, "accuracy": ["", "", rates[0], count]}


def _curves(place: str, name: str, train: list[str], val: list[str], best: str) -> PrintedCurves:
    series = [tuple(_rate(place, value) for value in values) for values in (train, val)]
    if train and val and len(train) != len(val):
        raise InputError(f"{place}: {len(train)} epochs of training but {len(val)} of validation")
    best_val = _rate(f"{place}, best", best) if best else None
    return PrintedCurves(name, *series, best_val, _decimals([*train, *val, *([best] if best else [])]))


def _figures(place: str, cells: list[str]) -> Figures:
    precision, recall, f1 = (_rate(place, cell) for cell in cells[:3])
    return Figures(precision, recall, f1, _count(place, cells[3]))


def _rate(place: str, text: str) -> float:
    number = _number(place, text)
    if not 0 <= number <= 1:
        raise InputError(f"{place}: {text} is not a rate between 0 and 1; divide percentages by 100")
    return number


def _count(place: str, text: str) -> int | None:
    if text == "":
        return None
    number = _number(place, text)
    if number < 0 or number != math.floor(number) or number > 1e9:
        raise InputError(f"{place}: {text} is not a number of images")
    return int(number)


def _number(place: str, text: str) -> float:
    try:
        number = float(Decimal(text)) if isinstance(text, str) else math.nan
    except (InvalidOperation, ValueError):  # ValueError: a signalling NaN
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{place}: {_quote(text)} is not a number")
    return number


def _quote(value: Any) -> str:
    return f"{value!r:.60}"


def _decimals(texts: Iterable[str]) -> int:
    """Places after the point of the longest figure: shorter ones of the same table lost their zeros."""
    places = [-int(Decimal(text).as_tuple().exponent) for text in texts]
    return min(max([0, *places]), MAX_DECIMALS)


def _need(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind):
        raise InputError(f"{place}: expected {'a list' if kind is list else 'an object'}, found {value!r}")
    return value
