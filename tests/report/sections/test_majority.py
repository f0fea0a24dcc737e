"""What most people saw is set beside the labels, where votes came beside labels and only there."""

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from emotion_utils.evaluation.vote_majority import find_majorities
from emotion_utils.report.claims import check_claim
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.results import read_results
from emotion_utils.sources.votes import write_votes

MODEL = "r18_pre_emotion"
CLASSES = ("angry", "happy", "sad")


def images(*votes, label="happy"):
    texts = [write_votes(each) for each in votes]
    return pd.DataFrame({"id": [str(n) for n in range(len(texts))], "label": label, "votes": texts})


@pytest.mark.parametrize(
    ("votes", "majority"),
    [
        ({"happy": 6, "sad": 4}, "happy"),
        (
            {"happy": 5, "sad": 1, "angry": 1, "fear": 1, "neutral": 1, "surprise": 1},
            "happy",
        ),  # single votes are dropped
        ({"happy": 5, "sad": 5}, None),  # more than half is needed
        ({"happy": 4, "sad": 3, "angry": 3}, None),
        ({"neutral": 9, "happy": 1}, None),  # not one of the classes
        ({"unknown": 8, "happy": 2}, None),
        ({"NF": 10}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_majority_is_counted_as_the_authors_of_ferplus_do(votes, majority):
    other = {"sad": 10}  # another image, on which the label is not the majority
    found = find_majorities(images(votes, other), CLASSES).set_index("id")
    assert found["majority"].get("0") == majority
    if majority:
        assert found["share"]["0"] == pytest.approx(votes[majority] / sum(votes.values()))


def test_labels_that_are_the_majority_are_not_compared_with_it():
    assert find_majorities(images({"happy": 9, "sad": 1}, {"happy": 10}), CLASSES).empty
    assert find_majorities(images({"happy": 10}).drop(columns="votes"), CLASSES).empty


def said(results):
    claims = [claim for claim in collect_claims(results) if "majority" in claim.template]
    for claim in claims:
        check_claim(claim)
    return [claim.text for claim in claims]


def give_votes(run):
    """Of the test images every third has none, and every fifth of the others is one that most call neutral or angry."""
    manifest = run.read("manifest")
    test = (manifest["split"] == "test").to_numpy()
    votes, majorities = [""] * len(manifest), {}
    for place, (row, label) in enumerate(manifest.loc[test, "label"].items()):
        if place % 3 == 0:
            continue
        most = {0: "neutral", 1: "angry"}.get(place % 5, label)
        votes[row] = write_votes({most: 8, "fear": 2})
        majorities |= {manifest["id"][row]: most} if most in CLASSES else {}
    run.write("manifest", manifest.assign(votes=votes))
    return pd.Series(majorities)


def test_each_model_stands_beside_the_majority_and_the_label(make_run):
    run = make_run()
    assert said(read_results(run)) == []
    majority = give_votes(run)
    first, *models = said(read_results(run))
    tests = run.read("predictions", MODEL).query("split == 'test'").set_index("id")
    rows = tests.loc[majority.index]
    right = int((rows["predicted"] == majority).sum())
    low, high = proportion_confint(right, len(rows), method="wilson")
    assert f"{len(rows)} of {len(tests)} have a majority that is one of these classes; on average 80.0%" in first
    assert f"The label is this majority for {(rows['label'] == majority).mean():.1%}" in first
    assert len(models) == 3
    assert models[2] == (
        f"Of these images, {MODEL} names {right / len(rows):.1%} as the majority does (95% interval {low:.1%} to "
        f"{high:.1%}) and {(rows['label'] == rows['predicted']).mean():.1%} as the label does."
    )
