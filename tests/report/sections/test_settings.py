"""A model that a notebook trained otherwise than the settings say is reported with what it was trained with."""

from emotion_utils.files import read_json, write_json
from emotion_utils.report.claims import check_claim
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
        f"recipes.{MODEL}.lr and network (Table C2)."
    ]
    assert not [claim for claim in collect_claims(before) if "not trained as" in claim.text]
    assert "changed these ranges" not in " ".join(claim.text for claim in collect_claims(results))


def test_augmentation_of_a_model_that_a_notebook_changed_is_not_told_as_that_of_all(make_run):
    run = make_run()
    path = run.model_dir(MODEL) / "model.json"
    edits = ["augment: rotate_deg 60.0 in place of 15.0"]
    training = {"network": "a", "recipe": "b", "data": "c", "folder": "edited-00000000", "edits": edits}
    training["recipe_used"] = run.config.recipes[MODEL].model_dump(mode="json")
    write_json(path, read_json(path) | {"training": training})
    said = [claim.text for claim in collect_claims(read_results(run)) if "changed these ranges" in claim.text]
    assert said == [f"The notebook of {MODEL} changed these ranges; Table C2 has its own."]


def test_what_a_model_was_distilled_from_is_said_with_what_its_teachers_knew(make_run):
    run = make_run()
    path = run.model_dir(MODEL) / "model.json"
    assert "teacher" not in settings_table(read_results(run)).html
    folders = [f"/somewhere/fer-folds/fold-{fold}/models/r18_pre_emotion" for fold in (1, 2)]
    model = {"title": "ResNet18", "sha256": "0" * 64, "views": 1, "run": "fold", "unknown": "", "images": 200}
    teacher = {"models": [model | {"folder": folder} for folder in folders], "weight": 0.5, "temperature": 2.0}
    teacher |= {"images": 400, "seen": 7, "test_images": 60, "test_seen": 3}
    recipe = run.config.recipes[MODEL].model_dump(mode="json") | {"teacher": folders, "teacher_temperature": 2.0}
    training = {"network": "a", "recipe": "b", "data": "c", "folder": "edited-00000000"}
    training |= {"recipe_used": recipe, "edits": [], "teacher": teacher}
    write_json(path, read_json(path) | {"training": training})
    results = read_results(run)
    assert "fer-folds" not in (html := settings_table(results).html)
    assert "fold-1/models/r18_pre_emotion, fold-2/models/r18_pre_emotion" in html
    claims = [claim for claim in collect_claims(results) if "teacher" in claim.text or "distilled" in claim.text]
    for claim in claims:
        check_claim(claim)
    assert [claim.text for claim in claims] == [
        "It was distilled: 50% of each of its targets are the probabilities of two models that were trained before "
        "(ResNet18), for each image of those that were neither trained nor chosen on it.",
        "For 7 of the 400 training images there is no such teacher, which was allowed: all of them answered, though "
        "they learned the image or may have.",
        "Of the 60 test images 3 were learned by a teacher, or may have been: the results here may be too good.",
    ]
