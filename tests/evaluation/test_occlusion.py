"""What covering costs: counted by hand, tested as statsmodels does it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from emotion_utils.evaluation.occlusion import (
    answer_question,
    choose_question,
    compare_occluded,
    randomisation_table,
    saliency_table,
)
from emotion_utils.evaluation.regions import RegionBox

IDS = [f"p{number:02d}" for number in range(24)]
LABELS = ["sad"] * 14 + ["happy"] * 10


def answers(wrong):
    """All right but the images `wrong`."""
    other = {"sad": "happy", "happy": "sad"}
    said = [other[label] if name in wrong else label for name, label in zip(IDS, LABELS, strict=True)]
    return pd.DataFrame({"id": IDS, "label": LABELS, "predicted": said})


@pytest.fixture
def compared():
    tests = {"a": answers({"p00"}), "b": answers(set())}
    covered = {
        ("a", "mouth"): set(IDS[:13]), ("a", "forehead"): {"p00", "p01"}, ("a", "eyes"): {"p00"},
        ("a", "brows"): set(),
        ("b", "mouth"): {"p02"}, ("b", "forehead"): set(), ("b", "eyes"): set(IDS[:10]), ("b", "brows"): set(),
    }  # fmt: skip
    tables = [answers(wrong).assign(model=model, region=region) for (model, region), wrong in covered.items()]
    shuffled = pd.concat(tables).sample(frac=1, random_state=0)  # rows are matched by id, not by place
    return compare_occluded(tests, shuffled, ("happy", "sad")).set_index(["model", "label", "region"]).sort_index()


def test_losses_and_gains_are_those_counted_by_hand(compared):
    row = compared.loc[("a", "sad", "mouth")]
    assert tuple(row[["count", "before", "after", "lost", "gained"]]) == (14, 13, 1, 12, 0)
    assert tuple(compared.loc[("a", "sad", "brows"), ["lost", "gained"]]) == (0, 1)
    assert tuple(compared.loc[("a", "happy", "mouth"), ["before", "after", "lost", "gained"]]) == (10, 10, 0, 0)


def test_p_values_are_those_of_the_sign_test_adjusted_for_all_rows(compared):
    for row in compared.itertuples():
        expected = binomtest(row.lost, row.lost + row.gained).pvalue if row.lost + row.gained else 1
        assert row.p_value == pytest.approx(expected)
    assert np.allclose(compared["p_holm"], multipletests(compared["p_value"], method="holm")[1])


def test_answer_is_yes_only_where_the_region_is_needed(compared):
    first, second = answer_question(compared.reset_index(), "sad", "mouth")
    assert first.needed
    assert first.worst == ["mouth"]
    assert (first.before, first.after, first.control) == (13 / 14, 1 / 14, 12 / 14)
    assert not second.needed
    assert second.worst == ["eyes"]


def test_harm_that_the_control_does_as_well_is_no_need():
    tests = {"a": answers(set())}
    tables = [answers(set(IDS[:14])).assign(model="a", region=region) for region in ("mouth", "forehead")]
    compared = compare_occluded(tests, pd.concat(tables), ("happy", "sad"))
    (answer,) = answer_question(compared, "sad", "mouth")
    assert answer.p_holm < 0.05
    assert not answer.needed


def test_question_falls_back_to_the_last_class():
    assert choose_question(("angry", "sad", "surprise")) == ("sad", "mouth")
    assert choose_question(("calm", "tense")) == ("tense", "mouth")


def test_mean_shares_lie_in_their_intervals_and_blank_maps_do_not_count():
    rng = np.random.default_rng(0)
    shares = np.vstack([rng.dirichlet([3, 2], 50), np.zeros((5, 2))])
    saliency = pd.DataFrame(shares, columns=["mouth", "elsewhere"]).assign(model="a")
    table = saliency_table(saliency, {"mouth": RegionBox(0, 0, 0.5, 0.5)}, seed=0).set_index("region")
    assert (table["images"] == 50).all()
    assert table.at["mouth", "share"] == pytest.approx(shares[:50, 0].mean())
    assert table["area"].to_dict() == {"mouth": 0.25, "elsewhere": 0.75}
    half = 1.96 * shares[:50, 0].std() / np.sqrt(50)
    assert table.at["mouth", "high"] - table.at["mouth", "share"] == pytest.approx(half, rel=0.2)


def test_resemblance_is_the_mean_of_each_step():
    rows = pd.DataFrame({"model": "a", "step": [1, 1, 2, 2], "group": ["head", "head", "stem", "stem"]})
    table = randomisation_table(rows.assign(correlation=[1.0, 0.5, 0.1, -0.1]), seed=0)
    assert list(table["correlation"]) == [0.75, 0.0]
    assert (table["low"] <= table["correlation"]).all()
    assert list(table["group"]) == ["head", "stem"]
