"""An evaluation as files: its tables, and one self-contained page made with the report's template."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from emotion_utils.artefacts import FRAME_COLUMNS, MANIFEST_COLUMNS
from emotion_utils.config import name_data
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.evaluation.unseen_metrics import COLUMNS, tabulate_metrics
from emotion_utils.evaluation.vote_majority import MAJORITY_ACCURACY, find_majorities, measure_majority
from emotion_utils.figures.style import theme_svgs
from emotion_utils.files import read_json, replacing, write_csv, write_json
from emotion_utils.provenance import REPORTS_DIR, describe_environment
from emotion_utils.report import evaluation as parts
from emotion_utils.report.claims import check_claim, join_words
from emotion_utils.report.evaluation import EvaluationResults
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.names import safe, safe_model
from emotion_utils.report.page.html import fill_template, number_headings
from emotion_utils.report.page.render import check_links

if TYPE_CHECKING:
    from emotion_utils.evaluation.evaluate import Evaluation

TOOLS = ("nbconvert", "nbformat", "nh3")  # that make a page
PAGE, PREDICTIONS, METRICS, MANIFEST = "evaluation.html", "predictions.csv", "metrics.csv", "manifest.csv"
FACTS = "evaluation.json"  # what makes a folder that of an evaluation
CALIBRATION = (
    "A model is calibrated if, of the answers given with some probability, just that share is correct. A model that is "
    "calibrated on its own test images need not be on others."
)
ALIKE = (
    "A model may do well on one kind of images and badly on another, or have learned what else than the face tells a "
    "label. These are images that are alike in that."
)


def default_folder(model_dir: Path, data: str) -> Path:
    """reports/<run>-<model>-on-<data>, without the run for a model outside one."""
    parts = [part for part in model_dir.resolve().parts if part != "models"]
    inside = "models" in model_dir.resolve().parts[:-1]
    above = model_dir.resolve().parts[::-1].index("models") + 1 if inside else 1
    words = [*parts[-above:], "on", Path(name_data(data)).stem]
    return REPORTS_DIR / re.sub(r"[^\w.-]+", "-", "-".join(words))


def check_output(folder: Path, model_sha256: str, data: str) -> None:
    """Raises InputError where `folder` cannot be written or holds anything but an evaluation of this model on these
    data, or no page can be made."""
    missing = [name for name in TOOLS if find_spec(name) is None]
    if missing:
        raise InputError(f"a page needs {', '.join(missing)}: pip install 'emotion-utils[report]'")
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        raise InputError(f"cannot write to {folder}: {place} is no folder; name another --output")
    if not os.access(place, os.W_OK):
        raise InputError(f"cannot write to {folder}: change the permissions of {place}, or name another --output")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    path = folder / FACTS
    if not path.is_file():
        raise InputError(
            f"{folder}: holds something that is no evaluation and would be mixed up; name another --output"
        )
    try:
        facts = read_json(path)
        same = facts["model_sha256"] == model_sha256 and facts["data"] == data
    except (InputError, KeyError, TypeError):
        raise InputError(f"{path}: not readable; remove the folder or name another --output") from None
    if not same:
        raise InputError(f"{folder}: holds the evaluation of another model or of other data; name another --output")


def write_evaluation(evaluation: Evaluation, folder: Path) -> EvaluationResults:
    """Writes the page, predictions.csv, metrics.csv, manifest.csv and evaluation.json into `folder`.

    Raises InputError where that cannot be written, EmotionError where the page is not complete.
    """
    groups = evaluation.kept["group"]
    metrics = tabulate_metrics(evaluation.predictions, groups, evaluation.class_names, evaluation.divide())
    metrics = pd.concat([metrics, tabulate_majority(evaluation)], ignore_index=True)
    results = EvaluationResults(evaluation, name_data(evaluation.data), metrics)
    page = make_page(results)
    manifest = evaluation.manifest
    columns = [*MANIFEST_COLUMNS, "cluster", *FRAME_COLUMNS]
    try:
        write_json(folder / FACTS, describe(evaluation))
        write_csv(folder / PREDICTIONS, evaluation.predictions)
        write_csv(folder / METRICS, metrics)
        write_csv(folder / MANIFEST, manifest[columns])
        with replacing(folder / PAGE) as temporary:
            temporary.write_text(theme_svgs(page), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; name another --output") from None
    return results


def tabulate_majority(evaluation: Evaluation) -> pd.DataFrame:
    """The accuracy against the majority of the votes, as a row of metrics.csv; none where nobody voted."""
    kept = evaluation.kept
    found = find_majorities(kept, evaluation.class_names)
    if found.empty:
        return pd.DataFrame()
    rate = measure_majority(found, evaluation.predictions, kept["group"])
    persons = kept.loc[found["id"], "group"].replace("", pd.NA).nunique()
    row = ("", "", MAJORITY_ACCURACY, rate.value, rate.low, rate.high, rate.images, persons)
    return pd.DataFrame([row], columns=list(COLUMNS))


def describe(evaluation: Evaluation) -> dict[str, Any]:
    """What evaluation.json holds."""
    return {
        "model": evaluation.model,
        "model_sha256": evaluation.card["sha256"],
        "data": evaluation.data,
        "fingerprint": evaluation.audit["fingerprint"],
        "class_names": list(evaluation.class_names),
        "absent": list(evaluation.absent),
        "left_out": dict(evaluation.others),
        "images": evaluation.audit["images"],
        "evaluated": evaluation.audit["kept"],
        "reasons": evaluation.audit["reasons"],
        "seen": evaluation.seen,
        "seen_unknown": evaluation.training.unknown,
        "persons": evaluation.groups_line,
        "environment": describe_environment(),
    }


def make_page(results: EvaluationResults) -> str:
    """The whole page, its figures in the colours of paper. Raises EmotionError where a part of it is missing."""
    import nbformat

    cells = []
    for title, text, shown in _contents(results):
        cells.append(nbformat.v4.new_markdown_cell(f"## {title}\n\n{text}"))
        output = nbformat.v4.new_output("display_data", data={"text/html": shown.html})
        cells.append(nbformat.v4.new_code_cell(outputs=[output], metadata={"tags": ["remove-input"]}))
    notebook = nbformat.v4.new_notebook(cells=cells)
    title = f"{results.model} on {results.data_name}"
    description = f"{title}: metrics of a trained model on images that it has never seen."
    page = fill_template(notebook, title, description, _front(results), number_headings(notebook))
    missing = [name for key, name in results.exhibits.items() if f'id="{key}"' not in page]
    if missing:
        raise EmotionError(f"the page lacks {', '.join(missing)}")
    check_links(page)
    return page


def _contents(results: EvaluationResults) -> Iterator[tuple[str, str, Shown]]:
    """Each section: title, fixed text, and what was computed."""
    result, data, caveat = (write(results) for write in (parts.write_result, parts.write_data, parts.write_caveat))
    for claim in (*result.claims, *data.claims, *caveat.claims):
        check_claim(claim)
    yield "Result", "", result.show() + parts.metrics_table(results)
    yield "Data", "", data.show() + parts.aside_table(results)
    yield "Classes", "", parts.classes_table(results) + parts.confusion_figure(results)
    yield "Calibration", CALIBRATION, parts.reliability_figure(results)
    if results.strata:
        yield "Images that are alike", ALIKE, parts.strata_table(results)
    yield "What this does not show", "", caveat.show()


def _describe_training(evaluation: Evaluation) -> str:
    """What the model learned from, as far as that is known, and what its training started from."""
    data = evaluation.training.data
    return f"{f'on {data}, ' if data else ''}from: {evaluation.card['provenance']['sentence']}"


def _front(results: EvaluationResults) -> str:
    evaluation = results.evaluation
    card, environment = evaluation.card, describe_environment()
    facts = {
        "Model": safe_model(results.model, results.proxies),
        "Trained": safe(_describe_training(evaluation)),
        "Data": f"{safe(results.data_name)}, {len(evaluation.predictions):,} images",
        "Input": f"{card['input']['size_px']} px, faces {safe(card.get('crop', 'auto'))}",
        "Revision": safe(environment["git_revision"]),
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in facts.items())
    classes = join_words(safe(name) for name in evaluation.class_names)
    return (
        f'<header class="title"><p class="kicker">Evaluation</p><h1>{safe(results.model)}</h1>'
        f'<p class="lead">Telling {classes} faces apart in {safe(results.data_name)}</p>'
        f'<dl class="meta">{rows}</dl></header>'
    )
