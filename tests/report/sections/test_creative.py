"""What the report says of looking and covering follows from the stored tables, and only from them."""

import re

import pytest

from emotion_utils.errors import EmotionError
from emotion_utils.files import write_csv
from emotion_utils.report.claims import check_claim
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.creative import occlusion_figure, saliency_figures, write_occlusion, write_saliency


def said(prose):
    return [claim.text for claim in prose.claims]


def test_question_is_answered_for_each_model_by_its_own_figures(make_results):
    results = make_results()
    texts = said(write_occlusion(results))
    assert texts[0].startswith("The question was fixed before anything was measured: is sad recognised by the mouth?")
    assert re.search(r"must miss at least 11 images of sad that it recognised before; there are \d+\.", texts[2])
    for model, text in zip(results.models, texts[3:], strict=True):
        assert text.startswith(f"The recall of {model} for the")
        assert "with the mouth covered it is 0.0% " in text
        assert text.endswith("yes, it needs the mouth.")


def test_no_need_is_claimed_where_covering_changes_nothing(make_run):
    run = make_run()
    covered = run.read("covered")
    own = {model: run.read("predictions", model).set_index("id")["predicted"] for model in run.config.models}
    covered["predicted"] = [own[model][name] for model, name in zip(covered["model"], covered["id"], strict=True)]
    run.write("covered", covered)
    texts = said(write_occlusion(read_results(run)))
    assert all(text.endswith("it is not shown to need the mouth.") for text in texts[3:])


def test_too_few_images_are_not_taken_for_evidence_against_a_need(make_run):
    run = make_run(images=120)
    texts = said(write_occlusion(read_results(run)))
    assert len(texts) == 9
    assert [bool(re.match(r"It recognised \d+ of them before, too few for this", text)) for text in texts[3:]] == (
        [False, True] * 3
    )


def test_control_is_named_beside_the_features_that_are_not_favoured(make_run):
    run = make_run()
    table = run.read("saliency")
    table[["brows", "eyes", "mouth", "forehead", "elsewhere"]] = 0.02, 0.02, 0.02, 0.5, 0.44
    run.write("saliency", table)
    first, second, *_ = said(write_saliency(read_results(run)))
    assert "not shown to favour brows, eyes or mouth" in first
    assert second == "The forehead, which has no such feature, has 50% on 12%."


def test_maps_like_those_of_random_networks_are_not_taken_for_learned(make_run):
    run = make_run()
    run.write("randomised", run.read("randomised").assign(correlation=0.9))
    texts = said(write_saliency(read_results(run)))
    assert sum("too high for the maps" in text for text in texts) == 3
    assert not any("depend on what was learned" in text for text in texts)


def test_every_sentence_is_borne_out_by_its_values(make_results):
    results = make_results(classes=("<b>", "a|b", "new\nline"))
    for prose in (write_saliency(results), write_occlusion(results)):
        for claim in prose.claims:
            check_claim(claim)


def test_run_without_measurements_says_so_and_shows_nothing(make_run):
    run = make_run()
    for path in run.path("regions").parent.iterdir():
        path.unlink()
    results = read_results(run)
    assert said(write_saliency(results)) == ["Saliency was not measured in this run."]
    assert saliency_figures(results).html == occlusion_figure(results).html == ""


@pytest.mark.parametrize("name", ["covered", "saliency", "randomised"])
def test_measurements_of_other_images_are_refused_with_file_and_row(make_run, name):
    run = make_run()
    table = run.read(name)
    table.loc[3, "id"] = "another"
    write_csv(run.path(name), table)
    with pytest.raises(EmotionError, match=rf"{name}\.csv, row 5: .*run 05_creative_element again"):
        read_results(run)


def test_measurements_of_a_model_that_was_trained_again_since_are_refused(make_run):
    run = make_run()
    weights = {model: run.read("model_card", model)["sha256"][:12] for model in run.read("covered")["model"].unique()}
    table = run.read("covered")
    run.write("covered", table.assign(weights_sha256=table["model"].map(weights)))
    assert read_results(run).saliency is not None
    weights["r18_scratch_emotion"] = "0" * 12
    run.write("covered", table.assign(weights_sha256=table["model"].map(weights)))
    with pytest.raises(EmotionError, match=r"other weights of r18_scratch_emotion than model\.json has: run 05"):
        read_results(run)


def test_measurements_of_another_model_are_refused(make_run):
    run = make_run()
    table = run.read("covered")
    write_csv(run.path("covered"), table[table["model"] != "VGG16_emotion"])
    with pytest.raises(EmotionError, match=r"covered\.csv"):
        read_results(run)
