"""Events of training in words: lines for somebody who watches, sentences for the report."""

import pytest

from emotion_utils.events import COLUMNS, LINES, TROUBLE, event_lines, event_sentences

PREFLIGHT = {
    "kind": "preflight", "seconds": 125, "memory_mb": 1536, "precision": "bfloat16", "compiled": False,
    "warnings": ["about 9 GB are needed"],
}  # fmt: skip


def test_the_forecast_is_told_with_its_warnings():
    assert event_lines(PREFLIGHT) == [
        "about 2 min 5 s and 1.5 GB expected, in bfloat16",
        "warning: about 9 GB are needed",
    ]


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        ({"kind": "started", "batch_size": 32}, []),
        ({"kind": "started", "batch_size": 128, "batch_rate_factor": 2.0}, ["batches of 128, learning rates times 2"]),
        ({"kind": "early_stop", "epoch": 3, "reason": "no gain"}, ["stopped after epoch 3: no gain"]),
        ({"kind": "of another version"}, []),
    ],
)
def test_only_what_matters_to_somebody_who_watches_has_a_line(event, lines):
    assert event_lines(event) == lines


def test_each_column_and_trouble_of_the_report_has_words():
    said = {"kernel_restarted": "restarted", "checkpoint_refused": "started over"}
    assert set(COLUMNS) | set(TROUBLE) <= set(LINES) | set(said)
    events = [{"kind": kind, "reason": "why"} for kind in said]
    assert [said[kind] in sentence for kind, (sentence, _) in zip(said, event_sentences(events), strict=True)] == [1, 1]


def test_sentences_count_what_happened_more_than_once():
    event = {"kind": "memory_backoff", "micro_batch_before": 32, "batchnorm_by_portion": False}
    events = [event | {"micro_batch": 16}, event | {"micro_batch": 8}, {"kind": "spike_skipped"}]
    (backoff, values), (spike, _) = event_sentences(events)
    assert backoff.startswith("ran out of memory {times:times}")
    assert values == {"times": 2, "size": 8}
    assert spike.startswith("skipped a step")
