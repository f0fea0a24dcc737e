"""The table of faults, read from the marks of all tests: `python tests/faults/matrix.py` writes README.md."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
ANSWERS = {
    "E": "a clear error, and nothing is lost",
    "Q": "set aside with its reason",
    "R": "recovers by itself and writes it down",
    "W": "goes on, warns and writes it down",
}
HEAD = """# What goes wrong, and what happens then

Each row is a test, of this folder or of the one that it names; further details of each room are tested beside it. The
table is written from the marks of the tests: `python tests/faults/matrix.py`.

{answers}
"""


class Row(NamedTuple):
    """What a test's mark says."""

    fault: str
    answer: str  # letters of ANSWERS, in the order in which they come
    happens: str
    test: str
    group: str


def read_rows() -> list[Row]:
    """The rows of all test files, those of this folder first; a mark elsewhere names its `group`."""
    rows = []
    for path in sorted(FOLDER.parent.rglob("test_*.py"), key=lambda path: (path.parent != FOLDER, path)):
        is_here = path.parent == FOLDER
        text = path.read_text(encoding="utf-8")
        for function in ast.parse(text).body if "mark.fault(" in text else ():
            for decorator in getattr(function, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                    told = [ast.literal_eval(argument) for argument in decorator.args]
                    named = {word.arg: ast.literal_eval(word.value) for word in decorator.keywords}
                    name = function.name if is_here else f"{path.relative_to(FOLDER.parent)}::{function.name}"
                    group = path.stem.removeprefix("test_").removesuffix("_faults") if is_here else named["group"]
                    rows.append(Row(*told, name, group))
    return rows


def write_table(rows: list[Row]) -> str:
    """README.md."""
    parts = [HEAD.format(answers="\n".join(f"- **{letter}**: {meaning}" for letter, meaning in ANSWERS.items()))]
    for group in dict.fromkeys(row.group for row in rows):
        parts.append(f"## {group.capitalize()}\n\n| fault | | what happens | test |\n|---|---|---|---|")
        mine = [row for row in rows if row.group == group]
        parts[-1] += "".join(f"\n| {r.fault} | {r.answer} | {r.happens} | `{r.test}` |" for r in mine) + "\n"
    return "\n".join(parts)


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(write_table(read_rows()), encoding="utf-8")
