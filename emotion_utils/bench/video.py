"""Smoothing over time, judged on synthetic sequences whose expression is known at every frame.

Persons are none that a model was trained on, and half of them choose while the other half judge. What is measured says
nothing of real video: heads are synthetic, expressions posed, and frames differ by background, light and noise more
than those of a camera do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from emotion_utils.deploy.video.smoothing import smooth
from emotion_utils.devices import pick_device
from emotion_utils.errors import InputError
from emotion_utils.evaluation.statistics import percentile_interval
from emotion_utils.models.card import load_model
from emotion_utils.models.network import EmotionNet
from emotion_utils.store.augment import to_unit
from emotion_utils.synthetic.action_units import PROTOTYPES
from emotion_utils.synthetic.clips import draw_course, emotion_at, render_sequence
from emotion_utils.training.repeatable import deterministic

FPS = 15
HOLD_S = (1.2, 3.0)  # shortest and longest time of an expression
SECONDS = 12.0
TIME_CONSTANTS_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)
MOST_LAG_S, MOST_FLIPS = 0.3, 0.2  # of a way that may be chosen
FIRST_PERSON = 7_000_000  # seeds of persons that no table of synthetic faces uses
FEATURES, HIDDEN, ROUNDS, RATE = 12, 12, 300, 0.01  # of the recurrent head: inputs, units, passes, learning rate


@dataclass(frozen=True)
class Sequence_:
    """A face over time: times in s (n,), true class (n,), probabilities (n, k) and features (n, f) of the model."""

    person: int
    times_s: np.ndarray
    truth: np.ndarray
    probs: np.ndarray
    features: np.ndarray


def bench_video(model_dir: Path, *, persons: int = 24, seed: int = 0) -> pd.DataFrame:
    """A row for each way to read a sequence, over the persons that judge.

    Columns: way; accuracy per frame with acc_low and acc_high (bootstrap over persons); lag_s, the median time from a
    change of the expression to the first frame that is read as the new one; flips_a_minute, changes of the answer
    beyond those of the expression; chosen ("yes": on the persons that choose, the most accurate average of those whose
    lag is at most MOST_LAG_S and whose flips are at most MOST_FLIPS of the raw answers').
    """
    net, card = load_model(model_dir, pick_device())
    names = list(card["class_names"])
    unknown = sorted(set(names) - set(PROTOTYPES))
    if unknown:
        raise InputError(f"{model_dir}: synthetic faces do not show {', '.join(unknown)}; give a model of what they do")
    if persons < 4 or persons % 2:
        raise InputError(f"--persons {persons}: an even number of 4 and more, as half of them choose")
    made = [_make_sequence(net, names, FIRST_PERSON + person, seed) for person in range(persons)]
    choosing, judging = made[: persons // 2], made[persons // 2 :]
    ways = _list_ways(choosing, len(names), seed)
    chosen = _choose({name: [way(each) for each in choosing] for name, way in ways.items()}, choosing)
    rows = []
    for name, way in ways.items():
        answers = [way(each) for each in judging]
        right = np.array([np.mean(a == each.truth) for a, each in zip(answers, judging, strict=True)])
        low, high = _interval(right, seed)
        rows.append({
            "way": name, "accuracy": right.mean(), "acc_low": low, "acc_high": high,
            "lag_s": median_lag(answers, judging), "flips_a_minute": flips_a_minute(answers, judging),
            "chosen": "yes" if name in chosen else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


def median_lag(answers: Sequence[np.ndarray], sequences: Sequence[Sequence_]) -> float:
    """Seconds from a change of the truth to the first frame with the new answer; one that is missed counts whole."""
    lags = []
    for answer, each in zip(answers, sequences, strict=True):
        changes = np.flatnonzero(np.diff(each.truth)) + 1
        for start, end in zip(changes, [*changes[1:], len(each.truth)], strict=True):
            hits = np.flatnonzero(answer[start:end] == each.truth[start])
            until = start + hits[0] if len(hits) else end - 1
            lags.append(each.times_s[until] - each.times_s[start])
    return float(np.median(lags))


def flips_a_minute(answers: Sequence[np.ndarray], sequences: Sequence[Sequence_]) -> float:
    """Changes of the answer beyond those of the truth, in a minute."""
    extra = sum(
        max(0, np.count_nonzero(np.diff(answer)) - np.count_nonzero(np.diff(each.truth)))
        for answer, each in zip(answers, sequences, strict=True)
    )
    return 60 * extra / sum(each.times_s[-1] - each.times_s[0] for each in sequences)


def _make_sequence(net: EmotionNet, names: Sequence[str], person: int, seed: int) -> Sequence_:
    rng = np.random.default_rng([seed, person])
    course, times_s = draw_course(names, SECONDS, HOLD_S, rng), np.arange(int(SECONDS * FPS)) / FPS
    images = np.stack(list(render_sequence(person, seed, course, times_s, net.input_spec.size_px)))
    truth = np.array([list(names).index(emotion_at(course, time_s)) for time_s in times_s])
    probs, features = _read(net, images)
    return Sequence_(person, times_s, truth, probs, features)


@torch.inference_mode()
def _read(net: EmotionNet, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, k) and what the last layer of the head is given (n, f), of uint8 (n, S, S, 3)."""
    head = [module for module in net.network.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    handle = head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].flatten(1).cpu()))
    try:
        with deterministic():
            device = next(net.parameters()).device
            batches = torch.from_numpy(images).permute(0, 3, 1, 2).split(32)
            logits = torch.cat([net(to_unit(batch.to(device))).cpu() for batch in batches])
    finally:
        handle.remove()
    return torch.softmax(logits.double(), dim=1).numpy(), torch.cat(seen).double().numpy()


def _list_ways(choosing: Sequence[Sequence_], classes: int, seed: int) -> dict[str, Callable[[Sequence_], np.ndarray]]:
    def averaged(constant_s: float, ahead: bool) -> Callable[[Sequence_], np.ndarray]:
        return lambda each: np.array([
            smooth(each.times_s, each.probs, at_s, constant_s, ahead=ahead).argmax() for at_s in each.times_s
        ])  # fmt: skip

    ways: dict[str, Callable[[Sequence_], np.ndarray]] = {"raw": lambda each: each.probs.argmax(axis=1)}
    for ahead, words in ((False, "causal"), (True, "both ways")):
        ways |= {f"{words}, {constant_s:g} s": averaged(constant_s, ahead) for constant_s in TIME_CONSTANTS_S}
    return ways | {"GRU, causal": train_gru(choosing, classes, seed)}


def train_gru(sequences: Sequence[Sequence_], classes: int, seed: int) -> Callable[[Sequence_], np.ndarray]:
    """A recurrent head on the principal components of the frozen features, taught by `sequences`."""
    features = np.concatenate([each.features for each in sequences])
    middle = features.mean(axis=0)
    _, spread, axes = np.linalg.svd(features - middle, full_matrices=False)
    scale = spread[:FEATURES] / np.sqrt(len(features))

    def inputs(each: Sequence_) -> torch.Tensor:
        return torch.from_numpy((each.features - middle) @ axes[:FEATURES].T / np.maximum(scale, 1e-9)).float()

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        gru, head = nn.GRU(min(FEATURES, len(scale)), HIDDEN, batch_first=True), nn.Linear(HIDDEN, classes)
        optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=RATE, weight_decay=1e-3)
        given = torch.stack([inputs(each) for each in sequences])
        truth = torch.from_numpy(np.stack([each.truth for each in sequences]))
        for _ in range(ROUNDS):
            loss = nn.functional.cross_entropy(head(gru(given)[0]).flatten(0, 1), truth.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def read(each: Sequence_) -> np.ndarray:
        with torch.inference_mode():
            return head(gru(inputs(each)[None])[0])[0].argmax(dim=1).numpy()

    return read


def _choose(answers: dict[str, list[np.ndarray]], sequences: Sequence[Sequence_]) -> set[str]:
    """Of the causal averages and of those both ways the most accurate one that does what smoothing is for."""
    flips = {name: flips_a_minute(found, sequences) for name, found in answers.items()}
    right = {
        name: float(np.mean([np.mean(a == each.truth) for a, each in zip(found, sequences, strict=True)]))
        for name, found in answers.items()
    }
    calm = [
        name for name, found in answers.items()
        if flips[name] <= MOST_FLIPS * flips["raw"] and median_lag(found, sequences) <= MOST_LAG_S
    ]  # fmt: skip
    kinds = [[name for name in calm if name.startswith(kind)] for kind in ("causal", "both")]
    return {max(kind, key=right.__getitem__) for kind in kinds if kind}


def _interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over persons."""
    rng = np.random.default_rng([seed, 1])
    means = values[rng.integers(len(values), size=(2000, len(values)))].mean(axis=1)
    low, high = percentile_interval(means)
    return float(low), float(high)
