"""What training had to deal with, in words: a line for somebody who watches, headings and sentences for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from emotion_utils.printable import count_of
from emotion_utils.progress import format_duration

LINES = {
    "phase": "epoch {epoch}: {phase} is trained, {trainable_parameters:,} parameters",
    "grow": "epoch {epoch}: images of {size_px} px",
    "resumed": "continues from its checkpoint, epoch {epoch}, step {step}",
    "checkpoint_refused": "starts over: its checkpoint does not fit ({reason})",
    "memory_backoff": "out of memory with {micro_batch_before} images at a time; now {micro_batch}",
    "spike_skipped": "epoch {epoch}, step {step} skipped: {reason}",
    "scale_lowered": "epoch {epoch}, step {step}: float16 overflowed, gradients are now scaled by {scale:g}",
    "numerics_refused": "training continues without {tried}, which fails here: {reason}",
    "graph_refused": "steps are not recorded as a CUDA graph: {reason}",
    "rollback": "epoch {epoch} starts again at {rate_factor:g} times the learning rate",
    "early_stop": "stopped after epoch {epoch}: {reason}",
    "best_epoch": "epoch {epoch} is kept, val accuracy {val_acc:.3f}",
}
COLUMNS = {
    "memory_backoff": "Out of memory", "spike_skipped": "Steps skipped", "rollback": "Rollbacks",
    "early_stop": "Stopped early", "resumed": "Resumed",
}  # fmt: skip
TROUBLE = ("memory_backoff", "spike_skipped", "rollback", "early_stop", "checkpoint_refused", "kernel_restarted")


def event_lines(event: Mapping[str, Any]) -> list[str]:
    """One event as lines for somebody who watches; none for a kind that needs no mention."""
    kind = event["kind"]
    if kind == "started" and event.get("batch_rate_factor", 1.0) != 1.0:
        return [f"batches of {event['batch_size']}, learning rates times {event['batch_rate_factor']:.3g}"]
    if kind == "preflight":
        numerics = event["precision"] + ", compiled" * event["compiled"]
        expected = f"about {format_duration(event['seconds'])} and {event['memory_mb'] / 1024:.1f} GB expected"
        return [f"{expected}, in {numerics}", *(f"warning: {warning}" for warning in event["warnings"])]
    if kind == "shortened":
        return [f"{count_of(event['epochs'], 'epoch')} in place of {event['planned']}, as many as the budget allows"]
    return [LINES[kind].format(**event)] if kind in LINES else []


def event_sentences(events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A model's events as sentences of the report without their subject: templates (`report.claims`), and values."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        kinds.setdefault(event["kind"], []).append(event)
    for before, after in pairwise(kinds.get("phase", [])):
        values = {"epoch": after["epoch"], "phase": after["phase"], "many": after["trainable_parameters"]}
        values["few"] = before["trainable_parameters"]
        yield (
            "trained {few:count} parameters at first, and {many:count} from epoch {epoch:count} on ({phase}: the first "
            "and the last of the layers that learn).", values,
        )  # fmt: skip
    for event in kinds.get("shortened", []):
        values = {"epochs": event["epochs"], "planned": event["planned"]}
        yield (
            "had {epochs:count} epochs in place of {planned:count}, the whole schedule within the time allowed.",
            values,
        )
    if backoffs := kinds.get("memory_backoff"):
        values = {"times": len(backoffs), "size": backoffs[-1]["micro_batch"]}
        yield "ran out of memory {times:times}; its batches were then split into micro-batches of {size:count}.", values
        if any(backoff.get("batchnorm_by_portion") for backoff in backoffs):
            reason = "batch normalisation uses the images of a micro-batch, which are fewer"
            yield f"therefore learned slightly differently than with whole batches: {reason}.", {}
    if spikes := kinds.get("spike_skipped"):
        steps = "a step" if len(spikes) == 1 else "{steps:words} steps"
        yield f"skipped {steps} with an extreme loss or gradient.", {"steps": len(spikes)}
    if rollbacks := kinds.get("rollback"):
        yield "was rolled back {times:times} and continued at a lower learning rate.", {"times": len(rollbacks)}
    if resumed := kinds.get("resumed"):
        yield "was interrupted and continued from its checkpoint {times:times}.", {"times": len(resumed)}
    for event in kinds.get("kernel_restarted", []):
        yield "had to be restarted ({reason}).", {"reason": event["reason"]}
    for event in kinds.get("checkpoint_refused", []):
        yield "started over, as its checkpoint did not fit ({reason}).", {"reason": event["reason"]}
    for event in kinds.get("early_stop", []):
        yield "stopped after epoch {epoch:count}: {reason}.", {"epoch": event["epoch"], "reason": event["reason"]}
