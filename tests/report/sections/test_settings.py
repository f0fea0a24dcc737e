"""A model that a notebook trained otherwise than the settings say is reported with what it was trained with."""

from emotion_utils.files import read_json, write_json
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.settings import settings_table

MODEL = "r18_scratch_emotion"


def test_edits_are_reported_and_the_recipe_is_the_one_that_was_used(make_run):
    run = make_run()
    before = read_results(run)
    path = run.model_dir(MODEL) / "model.json"
    recipe = run.config.recipes[MODEL].model_dump(mode="json") | {"lr": 0.0625, "epochs": 30}
    edits = [f"recipes.{MODEL}.lr: 0.0625 in place of 0.001", "network: fc edited in the notebook"]
    training = {"network": "a", "recipe": "b", "data": "c", "folder": "edited-00000000"}
    training |= {"recipe_used": recipe, "edits": edits}
    write_json(path, read_json(path) | {"training": training})
    results = read_results(run)
    assert "0.0625" in settings_table(results).html
    assert "fc edited in the notebook" in settings_table(results).html
    assert "0.0625" not in settings_table(before).html
    said = [claim.text for claim in collect_claims(results) if "not trained as the settings" in claim.text]
    assert said == [
        "It was not trained as the settings of the run say; the notebook that trained it changed "
        f"recipes.{MODEL}.lr and network (Table A5)."
    ]
    assert not [claim for claim in collect_claims(before) if "not trained as" in claim.text]
