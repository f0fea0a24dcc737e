"""What views of an image gain and cost is reported from model.json, and held against the predictions."""

import pytest

from emotion_utils.errors import EmotionError
from emotion_utils.files import read_json, write_json
from emotion_utils.report.claims import check_claim
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.settings import weights_table

MODEL = "r18_pre_emotion"


def give_views(run, used, alone=0, together=0):
    """The card of a model that answers with `used` views; it gets `alone` and `together` images more right than so."""
    best = run.read("history", MODEL)["val_acc"].max()
    val = run.read("predictions", MODEL).query("split == 'val'")
    right = int((val["label"] == val["predicted"]).sum())
    facts = {"used": used, "val_count": len(val), "seconds": {"1": 1.5, str(used): 1.5 * used + 0.2 * (used > 1)}}
    facts["val_correct"] = {"1": round(best * len(val)) + alone, str(used): right + together}
    path = run.model_dir(MODEL) / "model.json"
    write_json(path, read_json(path) | {"views": facts})
    return facts


def said(results):
    claims = [claim for claim in collect_claims(results) if "views" in claim.text]
    for claim in claims:
        check_claim(claim)
    return [claim.text for claim in claims]


def test_what_they_gain_and_cost_stands_in_a_sentence_and_a_table(make_run):
    run = make_run()
    assert said(read_results(run)) == []
    assert "Views" not in weights_table(read_results(run)).html
    facts = give_views(run, 10)
    alone, together = (facts["val_correct"][count] / facts["val_count"] for count in ("1", "10"))
    results = read_results(run)
    assert said(results) == [
        f"{MODEL} answers with the mean over 10 views of each image, mirrored and shifted; its accuracy on the "
        f"validation images is {together:.1%} so and {alone:.1%} with one view, and an answer takes 10.1 times as long."
    ]
    html = weights_table(results).html
    assert f"{alone:.4g}, {together:.4g}" in html
    assert "1.5, 15.2" in html


def test_where_one_view_was_chosen_the_table_alone_says_so(make_run):
    run = make_run()
    give_views(run, 1)
    assert said(read_results(run)) == []
    assert "Views of each image" in weights_table(read_results(run)).html


@pytest.mark.parametrize("wrong", [{"alone": -20}, {"together": -20}], ids=str)
def test_a_card_that_the_history_or_the_predictions_contradict_is_refused(make_run, wrong):
    run = make_run()
    give_views(run, 2, **wrong)
    with pytest.raises(EmotionError, match="not of one training"):
        read_results(run)
