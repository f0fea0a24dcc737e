"""The YAML head of a model card: what Hugging Face's hub reads of it. No torch.

Its fields are those of hub-docs/modelcard.md. The hub takes names of data sets and licences as identifiers, so names
that came with the data are brought to such; the text of the card has them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from emotion_utils.printable import printable
from emotion_utils.report.results import Results
from emotion_utils.report.sections.data_card import dataset_of, state_licence
from emotion_utils.report.tables import Estimate

TASK = "image-classification"
PROJECT, PROJECT_LICENCE = "emotion_utils", "mit"
NOT_STATED = ("not stated", "not stated by its authors", "")
# The repository on the hub that holds just the weights which a source of models.weights.registry has.
ON_THE_HUB = {"resnet18_imagenet": "timm/resnet18.tv_in1k"}
METRICS = {  # of the hub, with the arguments that they are computed with
    "accuracy": ("accuracy", {}),
    "precision": ("precision", {"average": "macro"}),
    "recall": ("recall", {"average": "macro"}),
    "f1-score": ("f1", {"average": "macro"}),
}


def card_head(results: Results, model: str, rates: Mapping[str, Estimate]) -> str:
    """The head between its lines of dashes; `rates` are those of METRICS on the test split."""
    synthetic = results.config.data == "synthetic"
    data = _identifier(f"{PROJECT} synthetic" if synthetic else dataset_of(results).get("name") or results.data_name)
    base = ON_THE_HUB.get(results.cards[model]["provenance"]["name"])
    head = {
        **_licence(results, model),
        "library_name": PROJECT,
        "pipeline_tag": TASK,
        **({"base_model": base} if base else {}),
        "datasets": [data],
        "metrics": [metric for metric, _ in METRICS.values()],
        "tags": _tags(results, model),
        "model-index": [
            {
                "name": _line(model),
                "results": [
                    {
                        "task": {"type": TASK, "name": "Facial emotion, guessed from an image"},
                        "dataset": {"type": data, "name": _line(results.data_name), "split": "test"},
                        "metrics": [_metric(name, rate) for name, rate in rates.items()],
                    }
                ],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)}---\n"


def _metric(name: str, rate: Estimate) -> dict[str, Any]:
    metric, arguments = METRICS[name]
    words = f"{'macro ' if arguments else ''}{metric}, 95% interval {rate.low:.3f} to {rate.high:.3f}"
    found = {"type": metric, "value": round(rate.value, 4), "name": words}
    return found | ({"args": arguments} if arguments else {})


def _tags(results: Results, model: str) -> list[str]:
    card = results.cards[model]
    is_there = {
        "synthetic-data": results.config.data == "synthetic",
        "proxy-weights": model in results.proxies,
        "distilled": "teacher" in card.get("training", {}),
    }
    return ["facial-expression-recognition", "emotion", *(tag for tag, there in is_there.items() if there)]


def _licence(results: Results, model: str) -> dict[str, str]:
    """Of the weights: that of the project where all that made them is its own; else theirs, as far as it is stated."""
    stated = licences(results, model)
    if set(stated.values()) <= {"MIT"}:
        return {"license": PROJECT_LICENCE}
    if any(licence in NOT_STATED for licence in stated.values()):
        return {"license": "unknown"}
    others = [licence for licence in stated.values() if licence != "MIT"]
    return {"license": "other", "license_name": _identifier(" and ".join(dict.fromkeys(others)))}


def licences(results: Results, model: str) -> dict[str, str]:
    """The licence of each thing that the weights were made from."""
    card = results.cards[model]
    origin = card["provenance"]
    found = {"the data": "MIT" if results.config.data == "synthetic" else state_licence(results)}
    if origin["kind"] != "random":
        start = "MIT" if origin["kind"] == "proxy" else origin.get("licence") or "not stated"
        found["the weights that it starts from"] = start
    if "teacher" in card.get("training", {}):
        found["the models that taught it"] = "not stated"
    return found


def _identifier(name: str) -> str:
    """Lower case, with letters, digits, dots and dashes alone."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:90] or "unnamed"


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
