"""Where the report says what: its sections by name, and the topics that somebody may look for. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# The id of each section that a reference may lead to, and what the text calls it.
SECTIONS = {
    "sec-abstract": "the abstract",
    "sec-introduction": "Section 1",
    "sec-dataset-and-preprocessing": "Section 2",
    "sec-model-architectures": "Section 3",
    "sec-training-and-validation-accuracy": "Section 4",
    "sec-accuracy-analysis": "Section 5",
    "sec-classification-report-analysis": "Section 6",
    "sec-in-depth-analysis": "Section 6.1",
    "sec-challenges-faced-in-training": "Section 7",
    "sec-model-metrics": "Section 8",
    "sec-calibration-and-selective-prediction": "Section 8.1",
    "sec-robustness-to-corruptions": "Section 8.2",
    "sec-comparison-with-the-published-study": "Section 9",
    "sec-creative-element": "Section 10",
    "sec-saliency": "Section 10.1",
    "sec-occlusion": "Section 10.2",
    "sec-conclusion": "Section 11",
    "sec-references": "the references",
    "sec-data-card": "Appendix B",
    "sec-how-to-reproduce": "Appendix D",
    "sec-audit-of-the-published-tables": "Appendix F",
}


class Topic(NamedTuple):
    """`words`, in which * stands for any ending, and the sections, figures and tables that treat of them."""

    words: tuple[str, ...]
    places: tuple[str, ...]


TOPICS = (
    Topic(("question", "hypothes*", "objective*", "aim", "aims", "motivat*", "introduc*", "background"),
          ("sec-abstract", "sec-introduction")),
    Topic(("abstract", "summary", "claim*"), ("sec-abstract",)),
    Topic(("limit*", "weakness*", "threat*", "shortcoming*"), ("sec-abstract", "sec-conclusion")),
    Topic(("data", "dataset*", "preprocess*", "clean*", "image*"), ("sec-dataset-and-preprocessing", "tbl-data")),
    Topic(("split*", "leak*", "partition*", "held-out"), ("sec-dataset-and-preprocessing", "tbl-splits")),
    Topic(("exclu*", "duplicate*", "outlier*", "corrupt image*", "unreadable"), ("tbl-quarantine", "tbl-data")),
    Topic(("imbalance*", "balance*", "class distribution*"), ("fig-balance", "tbl-splits")),
    Topic(("augment*",), ("sec-dataset-and-preprocessing", "tbl-settings", "tbl-ablation")),
    Topic(("architecture*", "network*", "layer*", "vgg*", "resnet*"), ("sec-model-architectures",)),
    Topic(("pretrain*", "pre-train*", "transfer learning", "fine-tun*", "initial weights", "freez*", "unfreez*"),
          ("sec-model-architectures", "tbl-weights", "tbl-ablation")),
    Topic(("hyperparameter*", "hyper-parameter*", "settings", "learning rate*", "optimi?er*", "batch size*", "epochs"),
          ("tbl-settings",)),
    Topic(("tuning", "hyperparameter search", "grid search", "search*"), ("tbl-search",)),
    Topic(("training", "converge*", "overfit*", "underfit*", "loss", "learning curve*", "curves"),
          ("sec-training-and-validation-accuracy", "fig-curves", "tbl-epochs", "sec-accuracy-analysis")),
    Topic(("challenge*", "difficult*", "problems"), ("sec-challenges-faced-in-training", "tbl-events")),
    Topic(("precision", "recall", "f1*", "classification report*", "per class", "per-class"),
          ("sec-classification-report-analysis", "tbl-intervals")),
    Topic(("confusion*", "misclassif*", "error analysis", "errors"), ("fig-confusion", "sec-in-depth-analysis")),
    Topic(("accurac*", "metric*", "evaluat*", "performance", "compar*"), ("sec-model-metrics", "tbl-metrics")),
    Topic(("significan*", "statistical*", "hypothesis test*", "p-value*"), ("sec-model-metrics", "tbl-pairs")),
    Topic(("uncertain*", "confidence interval*", "interval*", "error bar*", "bootstrap*"),
          ("tbl-metrics", "tbl-intervals")),
    Topic(("seed*", "repeated runs", "variance", "standard deviation*"), ("tbl-seeds",)),
    Topic(("ablat*", "contribution of each*"), ("tbl-ablation",)),
    Topic(("calibrat*", "confidence scores", "overconfiden*", "reliability diagram*"),
          ("sec-calibration-and-selective-prediction", "fig-reliability", "tbl-calibration")),
    Topic(("robust*", "corruption*", "noise", "blur*"), ("sec-robustness-to-corruptions", "fig-corruptions")),
    Topic(("publish*", "literature", "related work", "prior work", "baseline*", "state of the art"),
          ("sec-comparison-with-the-published-study", "tbl-published")),
    Topic(("creativ*", "original*", "visuali*"), ("sec-creative-element",)),
    Topic(("interpretab*", "explain*", "saliency", "grad-cam", "gradcam"), ("sec-saliency", "fig-saliency")),
    Topic(("occlusion*", "face region*"), ("sec-occlusion", "fig-occlusion")),
    Topic(("fair*", "bias*", "demographic*", "subgroup*"), ("tbl-fairness",)),
    Topic(("conclusion*", "conclude*", "discuss*"), ("sec-conclusion",)),
    Topic(("reference*", "citation*", "cited", "bibliograph*"), ("sec-references",)),
    Topic(("reproduc*", "code", "repositor*", "command*"), ("sec-how-to-reproduce",)),
    Topic(("hardware", "software", "version*", "comput* resource*", "gpu*", "runtime*", "training time"),
          ("tbl-environment", "tbl-times")),
    Topic(("licen?e*", "provenance"), ("tbl-data", "tbl-weights")),
    Topic(("video*",), ("fig-video",)),
)  # fmt: skip


def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    parts = (re.escape(word).replace(r"\*", r"\w*").replace(r"\?", r"\w").replace(r"\ ", r"\s+") for word in words)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})(?![\w-])", re.IGNORECASE)


PATTERNS = [(_pattern(topic.words), topic) for topic in TOPICS]


class Match(NamedTuple):
    """The `words` of a criterion that are known, and the keys of the places that this report has for them."""

    words: list[str]
    places: list[str]


def match_topics(criterion: str, names: Mapping[str, str]) -> Match:
    """Both in the order of the criterion; `names` are of the sections, figures and tables of the report."""
    found = sorted((m.start(), m[0], topic) for pattern, topic in PATTERNS for m in pattern.finditer(criterion))
    words = dict.fromkeys(word.lower() for _, word, _ in found)
    places = dict.fromkeys(place for _, _, topic in found for place in topic.places if place in names)
    return Match(list(words), list(places))
