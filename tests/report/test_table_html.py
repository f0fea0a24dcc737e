"""The one formatter of all tables: each cell by what it is."""

import math

import pytest

from emotion_utils.report.claims import Model
from emotion_utils.report.page.page_tables import parse_html, read_tables
from emotion_utils.report.tables import MISSING, Best, Estimate, Figures, Markup, frame_of, p_value, table_html


def read(html):
    """Rows of cells."""
    (table,) = read_tables(parse_html(f'<figure class="table" id="t">{html}</figure>')).values()
    return table.rows


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234, "1,234"), (0.12345, "0.123"), (-0.5, "\N{MINUS SIGN}0.500"), (None, MISSING), (math.nan, MISSING),
        ("a <b>\n&", "a <b> &"), (Estimate(0.5, 0.25, 0.75), "0.5000 [0.250, 0.750]"), (Figures("< 1"), "< 1"),
        (Markup("<code>lr</code>"), "lr"), (Best(0.9), "0.900"), (Model("m"), "m\N{NO-BREAK SPACE}proxy"),
    ],
)  # fmt: skip
def test_a_cell_is_shown_by_what_it_is(value, shown):
    html = table_html(frame_of([[value]], ["x"]), proxies=["m"])
    assert read(html)[1] == [shown]
    assert "<b>" not in html


def test_columns_of_words_are_marked_and_columns_of_figures_are_not():
    html = table_html(frame_of([["a", 1, p_value(0.0001)], [Model("m"), None, p_value(0.2)]], ["w", "n", "p"]))
    assert html.count('<th scope="col" class="word">') == 1
    assert html.count('<td class="word">') == 2


def test_a_column_has_its_own_format_for_estimates_too():
    frame = frame_of([[0.00001, Estimate(5, -1, 6)]], ["lr", "points"])
    rows = read(table_html(frame, formats={"lr": "g", "points": "+.1f"}))
    assert rows[1] == ["1e-05", "+5.0 [\N{MINUS SIGN}1.0, +6.0]"]


def test_equal_cells_of_a_group_become_one_and_groups_are_set_apart():
    frame = frame_of([["a", 1, 0.5], ["a", 2, 0.5], ["a", 3, 0.5], ["b", 4, 0.5]], ["model", "epoch", "best"])
    html = table_html(frame, groups=[0, 0, 1, 1], merge=("model", "best"))
    assert html.count("<tbody>") == 2
    assert html.count('scope="rowgroup" class="word" rowspan="2"') == 1
    assert [len(row) for row in read(html)] == [3, 3, 1, 3, 3 - 1]


def test_names_of_groups_stand_above_them_where_asked():
    html = table_html(frame_of([[1], [2]], ["n"]), groups=["first", "second"], headings=True)
    assert read(html) == [["n"], ["first"], ["1"], ["second"], ["2"]]
