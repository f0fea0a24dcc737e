"""Random runs, and the awkward ones: no sentence claims what its figures do not carry."""

import re
from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest
from fake_run import HOSTILE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from emotion_utils.report.claims import AHEAD, WINNER, check_claim
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.page.page_tables import parse_html, read_tables, squeeze, squeeze_text
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.reproduce import machine_tables

MODELS = ("VGG16_emotion", "r18_scratch_emotion", "r18_pre_emotion")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A run that the tests change in memory."""
    return read_results(fake_run.make_run(tmp_path_factory.mktemp("base") / "run"))


def with_answers(base, classes, labels, answers):
    """`base` with these labels and each model's answers (numbers of classes) for its test images."""
    names, models = np.array(classes), [*MODELS, *(f"model {number}" for number in range(7))]
    tests = {model: table_of(names, labels, given) for model, given in zip(models, answers, strict=False)}
    like = {model: base.models[place % 3] for place, model in enumerate(tests)}
    recipes = {model: base.config.recipes[like[model]] for model in tests}
    return replace(
        base, class_names=tuple(classes), tests=tests, vals=tests, robustness={}, saliency=None,
        config=base.config.model_copy(update={"models": tuple(tests), "recipes": recipes}),
        histories={model: base.histories[like[model]] for model in tests},
        cards={model: base.cards[like[model]] for model in tests},
        events={model: base.events[like[model]] for model in tests},
        manifest=base.manifest.assign(label=names[np.arange(len(base.manifest)) % len(names)]),
    )  # fmt: skip


def table_of(names, labels, answers):
    """Rows with the answers and probabilities that go with them, each image's its own."""
    rng = np.random.default_rng(len(labels))
    probs = rng.dirichlet(np.ones(len(names)), size=len(labels))
    rows, tops = np.arange(len(labels)), probs.argmax(axis=1)
    probs[rows, tops], probs[rows, answers] = probs[rows, answers], probs[rows, tops].copy()
    table = pd.DataFrame({
        "id": [f"{place:04d}" for place in rows], "label": names[labels], "predicted": names[answers]
    })  # fmt: skip
    return pd.concat([table, pd.DataFrame(probs, columns=list(names))], axis=1)


def holm(p_values):
    order = np.argsort(p_values)
    steps = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def pairs_that_differ(results):
    """(ahead, behind) for each pair that exact McNemar with Holm tells apart, worked out here."""
    right = {model: (t["label"] == t["predicted"]).to_numpy() for model, t in results.tests.items()}
    models = list(right)
    pairs = [(a, b) for n, a in enumerate(models) for b in models[n + 1 :]]
    only = [(int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())) for a, b in pairs]
    adjusted = holm([binomtest(a, a + b).pvalue if a + b else 1.0 for a, b in only]) if pairs else []
    return {
        (a, b) if x > y else (b, a)
        for (a, b), (x, y), p in zip(pairs, only, adjusted, strict=True)
        if p <= 0.05
    }  # fmt: skip


@st.composite
def answered(draw):
    k, models, count = draw(st.integers(2, 10)), draw(st.integers(1, 10)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = rng.integers(0, draw(st.integers(1, k)), count)
    answers = []
    for _ in range(models):
        kind = draw(st.sampled_from(["random", "constant", "good", "perfect", "wrong", "same"]))
        guess = rng.integers(0, k, count)
        answers.append({
            "random": guess,
            "constant": np.full(count, rng.integers(0, k)),
            "good": np.where(rng.random(count) < 0.9, labels, guess),
            "perfect": labels,
            "wrong": (labels + 1) % k,
            "same": answers[0] if answers else guess,
        }[kind])  # fmt: skip
    plain = [f"class {number}" for number in range(k)]
    return draw(st.sampled_from([plain, [*HOSTILE, *plain][:k]])), labels, answers


@given(answered())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_winner_that_is_none_whatever_the_predictions(base, case):
    results = with_answers(base, *case)
    allowed = pairs_that_differ(results)
    for claim in collect_claims(results):
        check_claim(claim)
        assert "\n" not in claim.text
        html = claim.html(set())
        assert "<script" not in html
        assert squeeze(html) == squeeze_text(claim.text)
        if claim.comparison == AHEAD:
            assert {(claim.values["model"], other) for other in claim.values["others"]} <= allowed
        else:
            assert not WINNER.search(claim.template), claim.text


@st.composite
def histories(draw):
    epochs = draw(st.integers(1, 12))
    number = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5]), st.just(float("nan")))
    columns = {name: draw(st.lists(number, min_size=epochs, max_size=epochs)) for name in ("train_acc", "val_acc")}
    loss = st.one_of(st.floats(0, 20), st.sampled_from([0.0, float("nan"), float("inf")]))
    columns |= {name: draw(st.lists(loss, min_size=epochs, max_size=epochs)) for name in ("train_loss", "val_loss")}
    return pd.DataFrame({"epoch": range(1, epochs + 1), "phase": "stem-head", "seconds": 1.0, **columns})


@given(histories())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_history_can_be_told(base, history):
    results = replace(base, histories={**base.histories, MODELS[0]: history.assign(images_per_second=10.0, lr=1e-3)})
    claims = collect_claims(results)
    for claim in claims:
        check_claim(claim)
        assert "nan" not in re.findall(r"\w+", claim.text.lower())
    said = [c for c in claims if c.metric == "validation accuracy" and c.values["model"] == MODELS[0]]
    finite = history[np.isfinite(history[["train_acc", "val_acc", "train_loss", "val_loss"]]).all(axis=1)]
    if said:
        assert said[0].values["best"] == finite["val_acc"].max()
        assert said[0].values["epoch"] == finite.loc[finite["val_acc"].idxmax(), "epoch"]
    else:
        assert finite.empty or len(history) == 1


def text_of(results, section=None):
    return " ".join(claim.text for claim in collect_claims(results) if section in (None, claim.section))


def test_tie_is_told_as_a_tie(base):
    labels = np.arange(60) % 3
    answers = np.where(np.arange(60) < 50, labels, (labels + 1) % 3)
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [answers] * 3))
    assert "share the highest accuracy and do not differ significantly" in text
    assert "more accurate" not in text


def test_clear_difference_names_the_model_that_is_ahead(base):
    labels = np.arange(60) % 3
    wrong = (labels + 1) % 3
    half = np.where(np.arange(60) < 30, labels, wrong)
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [half, half, labels]))
    assert "r18_pre_emotion is more accurate than VGG16_emotion and r18_scratch_emotion (by 50.0 points or more" in text


def test_model_that_learned_nothing_is_said_to_have_shown_nothing(base):
    labels = np.arange(60) % 3
    results = with_answers(base, fake_run.CLASSES, labels, [np.zeros(60, int), labels])
    text = text_of(results)
    assert "VGG16_emotion predicts angry for every test image" in text
    assert "Always predicting one class would have an accuracy of 33.3%; the interval of VGG16_emotion reaches" in text
    assert "its accuracy alone does not show that it learned more" in text


def test_weakest_class_and_what_it_is_taken_for(base):
    labels = np.repeat([0, 1, 2], 20)
    answers = labels.copy()
    answers[20:26] = 2  # six happy faces called sad
    answers[26] = 0  # and one angry
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [answers]), "in-depth analysis")
    assert "has its lowest recall for happy: 13 of 20 images or 65.0% (95% interval 43.3% to 81.9%)" in text
    assert "Of the 7 that it misses, it mistakes 6 for sad." in text
    assert "No class is shown to have a lower precision than all others." in text  # 20 of 26, but 20 of 21 beside it


def test_lowest_precision_is_named_where_its_interval_is_below_all_others(base):
    labels = np.repeat([0, 1, 2], 40)
    answers = labels.copy()
    answers[40:60] = 2
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [answers]), "in-depth analysis")
    assert "precision is lowest for sad: 40 of 60 predictions are correct" in text


def test_equal_classes_and_few_errors_are_not_singled_out(base):
    labels = np.repeat([0, 1, 2], 20)
    answers = labels.copy()
    answers[[20, 21, 22, 23]] = [0, 0, 2, 2]  # happy is called angry and sad, twice each
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [answers]), "in-depth analysis")
    assert "The lowest recall of VGG16_emotion for any class is 80.0%." in text
    assert "The errors in the class with the lowest recall (4) show no preference for another class." in text
    assert "none is shown to be recognised less often than another" in text
    assert "No class is shown to have a lower precision" not in text  # two share the lowest: nothing is said of them
    assert not re.search("lowest recall for|mostly|precision is lowest", text)


def test_errors_shared_by_two_classes_are_counted_and_not_called_most(base):
    labels = np.repeat([0, 1, 2], 20)
    answers = labels.copy()
    answers[20:30] = np.arange(10) % 2 * 2  # happy is called angry and sad, five times each
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [answers]), "in-depth analysis")
    assert "It mistakes the 10 that it misses for angry and sad, 5 each. So few errors do not show" in text


def test_class_below_the_best_but_not_below_all_is_not_called_the_lowest(base):
    labels = np.repeat([0, 1, 2], 20)
    answers = labels.copy()
    answers[20:27] = 2
    answers[40:46] = 1
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [answers]), "in-depth analysis")
    assert "The recall of VGG16_emotion differs between classes; for happy it is 13 of 20 images or 65.0%" in text
    assert "which class is recognised least often is not shown" in text


def test_accuracy_at_the_chance_level_is_called_so(base):
    labels = np.arange(60) % 3
    third = np.where(np.arange(60) < 21, labels, (labels + 1) % 3)
    results = with_answers(base, fake_run.CLASSES, labels, [third, labels])
    for section in ("abstract", "metrics", "conclusion"):
        assert "The interval of VGG16_emotion includes the chance level of three classes, 33.3%." in text_of(
            results, section
        )


def history_with(losses):
    epochs = np.arange(1, len(losses) + 1)
    return pd.DataFrame({
        "epoch": epochs, "phase": "stem-head", "lr": 1e-3, "train_loss": 1 / epochs, "train_acc": 0.5, "val_acc": 0.5,
        "val_loss": losses, "seconds": 1.0, "images_per_second": 10.0,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "overfits"), [((1, 1.5), False), ((2, 1, 1.5, 1.02, 1.5), False), ((2, 1, 1.2, 1.3, 1.4), True)]
)
def test_overfitting_takes_several_epochs(base, losses, overfits):
    histories = dict.fromkeys(MODELS, history_with((1, 0.9, 0.8))) | {MODELS[0]: history_with(losses)}
    results = replace(base, histories=histories)
    course, challenges = text_of(results, "accuracy analysis"), text_of(results, "challenges")
    assert ("which is overfitting" in course) == overfits
    assert ("too little or too briefly to call it overfitting" in course) != overfits
    assert "The validation loss of VGG16_emotion" in challenges
    assert ("VGG16_emotion overfits" in challenges) == overfits


def test_training_accuracy_with_auxiliary_classes_is_set_beside_nothing(base):
    assert "no higher than the validation accuracy" in text_of(
        replace(base, histories=dict.fromkeys(MODELS, history_with((1, 0.9)))), "accuracy analysis"
    )
    audit = base.audit | {"auxiliary": {"classes": {"fear": 40, "disgust": 0, "neutral": 30}}}
    for train_acc in (0.3, 0.9):
        histories = dict.fromkeys(MODELS, history_with((1, 0.9)).assign(train_acc=train_acc))
        course = text_of(replace(base, audit=audit, histories=histories), "accuracy analysis")
        assert f"The final training accuracy, {train_acc:.1%}, is that of 5 classes, with the auxiliary ones" in course
        assert "above the validation" not in course


@pytest.mark.parametrize(("share", "last"), [(0.5, 1), (1.0, None)])
def test_training_accuracy_after_the_auxiliary_classes_is_set_beside_validation(base, share, last):
    audit = base.audit | {"auxiliary": {"classes": {"fear": 40, "neutral": 30}}}
    history = history_with((1, 0.9)).assign(train_acc=0.9)
    recipe = base.config.recipes[MODELS[0]].model_copy(update={"auxiliary_until": share})
    config = base.config.model_copy(
        update={"epochs": 2, "models": MODELS, "recipes": base.config.recipes | dict.fromkeys(MODELS, recipe)}
    )
    results = replace(base, config=config, audit=audit, histories=dict.fromkeys(MODELS, history))
    course, data = text_of(results, "accuracy analysis"), text_of(results, "data")
    if last:
        assert f"Up to epoch {last} its training accuracy is that of 5 classes" in course
        assert "above the validation accuracy" in course
        assert "has them in the first 50% of its epochs alone" in data
    else:
        assert "is that of 5 classes, with the auxiliary ones, and does not compare" in course
        assert "epochs alone" not in data


def test_class_without_test_images_is_named(base):
    labels = np.arange(40) % 2
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [labels]), "in-depth analysis")
    assert "The test split has no image of sad." in text
    assert "classifies all 40 test images correctly" in text


def test_single_model_is_compared_with_nothing(base):
    labels = np.arange(30) % 3
    text = text_of(with_answers(base, fake_run.CLASSES, labels, [labels]))
    assert "With a single model there is nothing to compare." in text
    assert "McNemar" not in text


def test_events_are_told_and_their_absence_too(base):
    text = text_of(base, "challenges")
    assert "It ran out of memory once; its batches were then split into micro-batches of 16." in text
    assert "It therefore learned slightly differently than with whole batches" in text
    quiet = replace(base, events={model: [] for model in base.models})
    assert "No training was disturbed" in text_of(quiet, "challenges")
    assert "No training was disturbed" not in text


def test_a_collapse_and_a_rise_of_any_model_are_challenges(base):
    labels = np.arange(30) % 3
    collapsed = with_answers(base, fake_run.CLASSES, labels, [np.zeros(30, int), labels])
    collapsed = replace(collapsed, vals=collapsed.tests)
    text = text_of(collapsed, "challenges")
    assert "VGG16_emotion collapsed: it predicts angry for all 60 validation and test images." in text
    assert text.count("collapsed") == 1
    rising = {model: history_with((1, end)) for model, end in zip(MODELS, (1.02, 1.06, 1.004), strict=True)}
    text = text_of(replace(base, histories=rising), "challenges")
    assert f"The validation loss of {MODELS[1]} ends above its lowest value" in text
    assert f"The validation loss of {MODELS[0]} ends slightly above its lowest value, by 1% to 5%" in text
    assert "overfit" not in text


def test_proxies_and_single_seed_are_said(base):
    for section in ("abstract", "conclusion"):
        text = text_of(base, section)
        assert "VGG16_emotion and r18_pre_emotion start from proxy weights" in text
        assert "trained once, with random seed 0" in text


def test_people_in_two_splits_are_counted(base):
    manifest = base.manifest.copy()
    shared = manifest["group"] == "person_000"
    manifest.loc[manifest.index[shared][0], "split"] = "test"
    assert "100 persons, 1 of them in more than one split" in text_of(replace(base, manifest=manifest), "data")


def test_a_strength_of_augmentation_of_its_own_is_told(make_run):
    run = make_run()
    strengths = {"VGG16_emotion": 1.5}
    recipes = {
        model: recipe.model_copy(update={"augment_strength": strengths.get(model, 1.0)})
        for model, recipe in run.config.recipes.items()
    }
    run.config = run.config.model_copy(update={"recipes": recipes})
    text = " ".join(claim.text for claim in collect_claims(read_results(run)))
    assert text.count("these ranges are multiplied") == 1
    assert "For VGG16_emotion these ranges are multiplied by 1.5." in text


def test_openings_of_the_test_images_are_counted(base):
    edited = [f"VGG16_emotion/edited-{number}, {what}" for number in "ab" for what in ("seed 0", "corrupted images")]
    opened = replace(base, openings=["VGG16_emotion, seed 0", *edited, "a notebook", "a notebook"])
    assert "were read seven times in this run (Table D3)" in text_of(opened, "conclusion")
    table = read_tables(parse_html(machine_tables(opened).html))["tbl-openings"]
    assert table.rows[1:] == [["VGG16_emotion\xa0proxy", "5", "4"], ["a notebook", "2", "0"]]
    opened = replace(base, openings=["VGG16_emotion, seed 0", "VGG16_emotion/without-augmentation, seed 0"])
    table = read_tables(parse_html(machine_tables(opened).html))["tbl-openings"]
    assert table.rows[1:] == [["VGG16_emotion\xa0proxy", "2", "1"]]
    assert "There is no record" in text_of(replace(base, openings=[]), "conclusion")
