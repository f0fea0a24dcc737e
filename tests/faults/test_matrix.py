"""The table is that of the tests, and every test has its row."""

import ast

from matrix import ANSWERS, FOLDER, read_rows, write_table


def test_readme_is_written_from_the_tests():
    written = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert written == write_table(read_rows()), "run python tests/faults/matrix.py"


def test_every_test_of_this_folder_has_a_row_with_a_known_answer():
    rows = read_rows()
    assert {letter for row in rows for letter in row.answer if letter.isalpha()} <= set(ANSWERS)
    marked = {row.test for row in rows}
    for path in sorted(FOLDER.glob("test_*_faults.py")):
        tests = [f.name for f in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(f, ast.FunctionDef)]
        assert {name for name in tests if name.startswith("test_")} <= marked
