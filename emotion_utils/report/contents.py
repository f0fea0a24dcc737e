"""What the report consists of: its generated texts and its tables, in their order. No torch."""

from __future__ import annotations

from collections.abc import Callable

from emotion_utils.report.claims import Claim
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections import (
    ablation,
    abstract,
    architectures,
    calibration,
    challenges,
    checklist,
    classification,
    conclusion,
    corruptions,
    creative,
    data,
    data_card,
    differences,
    fairness,
    introduction,
    metrics,
    published,
    published_audit,
    reproduce,
    seeds,
    settings,
    shortcuts,
    training,
    video,
)

TEXTS: dict[str, Callable[[Results], Prose]] = {
    "question": abstract.write_question,
    "answer": abstract.write_answer,
    "limits": abstract.write_limits,
    "rule": introduction.write_rule,
    "data": data.write_data,
    "architectures": architectures.write_architectures,
    "curves": training.write_curves,
    "classes": classification.write_classes,
    "challenges": challenges.write_challenges,
    "metrics": metrics.write_metrics,
    "seeds": seeds.write_seeds,
    "power": differences.write_power,
    "ablation": ablation.write_ablation,
    "calibration": calibration.write_calibration,
    "corruptions": corruptions.write_corruptions,
    "published": published.write_published,
    "images": creative.write_images,
    "saliency": creative.write_saliency,
    "occlusion": creative.write_occlusion,
    "video": video.write_video,
    "conclusion": conclusion.write_conclusion,
    "audit": published_audit.write_audit,
    "checklist": checklist.write_checklist,
    "rubric": checklist.write_rubric,
}
# What the cells of notebook 06 call; a table of the page that none of them makes is an error.
TABLES: tuple[Callable[[Results], Shown], ...] = (
    training.epochs_table,
    classification.report_tables,
    metrics.metrics_table,
    shortcuts.strata_table,
    metrics.pairs_table,
    ablation.ablation_table,
    published.published_comparison,
    classification.intervals_table,
    challenges.events_table,
    differences.differences_table,
    seeds.seeds_table,
    calibration.calibration_table,
    corruptions.corruptions_table,
    corruptions.corrupted_classes_table,
    creative.occlusion_table,
    data_card.data_card,
    data_card.split_tables,
    fairness.fairness_table,
    settings.weights_table,
    settings.settings_table,
    settings.search_table,
    reproduce.machine_tables,
    published.published_cells,
    published_audit.audit_tables,
)


def show_text(results: Results, name: str) -> Shown:
    """The generated text of one of TEXTS."""
    return TEXTS[name](results).show()


def collect_claims(results: Results) -> list[Claim]:
    """Every generated sentence of the report, in its order."""
    return [claim for write in TEXTS.values() for claim in write(results).claims]
