"""The loop over epochs: batches to history.csv and the best epoch's weights, with checkpoints and rollbacks."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from emotion_utils.budget import training_seconds
from emotion_utils.files import replacing
from emotion_utils.history import best_epoch
from emotion_utils.progress import Progress, format_duration
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run
from emotion_utils.store.balance import class_weights, sampler_weights
from emotion_utils.store.batches import Batch, Dataset, iterate_batches
from emotion_utils.store.order import batch_bounds
from emotion_utils.store.resident import keep_resident
from emotion_utils.training import schedule
from emotion_utils.training.batch_size import REFERENCE, choose_batch_size
from emotion_utils.training.checkpoint import Checkpoint
from emotion_utils.training.distributed import Team
from emotion_utils.training.learner import Learner, StepUnderWay, copy_tensors
from emotion_utils.training.model_folder import CHECKPOINT_FILE, STALE
from emotion_utils.training.preflight import run_preflight
from emotion_utils.training.recovery import Rollback, StepFigures

ALWAYS_LOGGED = ("numerics_refused", "graph_refused")  # also of steps that do not count
CHECKPOINT_FORMAT = "3"  # counts the changes of what a checkpoint holds
OnEpoch = Callable[[list[dict[str, Any]]], None]  # the rows of the history so far


class EpochLoop:
    """The epochs of one training: history, best epoch, events, checkpoints. `Trainer` is what starts and ends it."""

    def __init__(
        self, net: nn.Module, train_set: Dataset, val_set: Dataset, recipe: Recipe, run: Run, model: str, team: Team,
        identity: str = "",
    ) -> None:  # fmt: skip
        self.run, self.model, self.config, self.recipe = run, model, run.config, recipe
        self.train_set, self.val_set = keep_resident(train_set, team.device), keep_resident(val_set, team.device)
        self.team = team
        labels, k = train_set.labels.numpy(), len(train_set.class_names)
        self.silent = False  # while steps are tried that do not count
        even = class_weights(labels, k) if self.config.balance == "class_weights" else np.ones(k, np.float32)
        self.drawn_alike = sampler_weights(labels, k) if self.config.balance == "sampler" else None
        self.only_teaches = labels >= len(val_set.class_names)
        self.batch_size = choose_batch_size(self.config, net, train_set, team)
        self.learner = Learner(
            net, torch.from_numpy(even), self.config, self.recipe, team, self.log_event, batch_size=self.usual_batch
        )
        self.epochs = self.recipe.epochs or self.config.epochs
        self.budget_s = training_seconds(self.recipe.budget_minutes)
        self.epoch, self.steps_done = 1, 0  # the epoch that is under way, and how many of its steps are done
        self.sums = {"loss": 0.0, "correct": 0.0, "count": 0, "seconds": 0.0}  # of this epoch
        self.rows: list[dict[str, Any]] = []
        self.on_epoch: list[OnEpoch] = []  # called at the end of each epoch, in the main process
        self.best: dict[str, torch.Tensor] = {}
        self.epoch_start: dict[str, Any] = {}  # the state to roll back to
        self.checkpoint = Checkpoint(run.model_dir(model) / CHECKPOINT_FILE, self._key(identity))

    @property
    def usual_batch(self) -> int:
        """Images of all batches but the last one of an epoch."""
        return min(self.batch_size, len(self.train_set))

    @property
    def steps_per_epoch(self) -> int:
        steps = len(batch_bounds(len(self.train_set), self.batch_size))
        return min(steps, self.config.max_steps_per_epoch or steps)

    # -- epochs ------------------------------------------------------------------------------------

    def fit(self, progress: Progress | None = None, *, preflight: bool = False) -> pd.DataFrame:
        """All epochs that are still to come; returns the whole history. `best` then holds the best epoch's weights.

        With `preflight`, a training that begins is measured and foretold first.
        """
        self._begin(preflight)
        while not self._is_over():
            try:
                self._train_epoch(progress)
            except Rollback:
                self._roll_back()
        history = pd.DataFrame(self.rows)
        best = best_epoch(history["val_acc"])
        self.log_event("best_epoch", epoch=best, val_acc=float(history["val_acc"][best - 1]))
        return history

    def follow(self, recipe: Recipe) -> None:
        """Goes by this recipe from now on, whose `epochs` are set: another course of the same training."""
        self.recipe = self.learner.recipe = recipe
        self.epochs = recipe.epochs

    def take_one(self, batch: Batch) -> None:
        """The first step of the training on `batch` alone."""
        self.learner.enter(schedule.phase_at(self.recipe, 1))
        self.learner.guard.start_epoch(self.steps_per_epoch)
        self.learner.step(batch._replace(total=len(batch.ids)), epoch=1, number=1, rate_factor=self.rate_factor(0))

    def _train_epoch(self, progress: Progress | None) -> None:
        phase = schedule.phase_at(self.recipe, self.epoch)
        trainable = self.learner.enter(phase)
        if self.steps_done == 0:
            self.learner.guard.start_epoch(self.steps_per_epoch)
            self.epoch_start = self._state()
            if phase.epoch == self.epoch:
                name = schedule.phase_name(phase, self.learner.groups)
                self.log_event("phase", epoch=self.epoch, phase=name, trainable_parameters=trainable)
            if self.epoch in [step.epoch for step in self.recipe.progressive_resizing]:
                self.log_event("grow", epoch=self.epoch, size_px=schedule.size_at(self.recipe, self.epoch))
        start = time.perf_counter() - self.sums["seconds"]
        self._take_steps(start, progress)
        if self.sums["count"]:
            self._close_epoch(phase, start)
        else:  # float16 overflowed in each of a few steps: once more, as the gradients are scaled less by now
            self.steps_done, self.sums = 0, dict.fromkeys(self.sums, 0)

    def _take_steps(self, start: float, progress: Progress | None) -> None:
        """The epoch's steps that are still to come. On a GPU, the next one begins before the last one is read."""
        under_way: deque[tuple[StepUnderWay, int]] = deque()

        def settle() -> StepFigures:
            step, images = under_way.popleft()
            figures = self.learner.settle(step)
            self._count(figures, images, time.perf_counter() - start)
            if progress and self.team.is_main_process:
                progress(self._all_steps_done(), self.epochs * self.steps_per_epoch)
            return figures

        for number, batch in enumerate(islice(self._batches(), self.steps_done, None), start=self.steps_done + 1):
            wants_to_write = self.team.is_main_process and self.checkpoint.is_due()
            step = self.learner.begin(
                batch, epoch=self.epoch, number=number, rate_factor=self.rate_factor(number - 1), pause=wants_to_write
            )
            under_way.append((step, batch.total))
            if len(under_way) > self.learner.lag and settle().pause:  # all processes read that at the same step
                while under_way:
                    settle()
                self._write_checkpoint_if_due()
        while under_way:
            settle()

    def _batches(self) -> Iterator[Any]:
        return iterate_batches(
            self.train_set, batch_size=self.batch_size, seed=self.config.seed, epoch=self.epoch, shuffle=True,
            weights=self.draw_weights(), rank=self.team.rank, world_size=self.team.size,
            max_steps=self.config.max_steps_per_epoch, device=self.team.device,
        )  # fmt: skip

    def draw_weights(self) -> np.ndarray | None:
        """float (N,): how likely each image is drawn in this epoch; None: each comes once."""
        teaches = self.recipe.teaches_auxiliary(self.epoch, self.epochs)
        if teaches or not self.only_teaches.any():
            return self.drawn_alike
        return np.where(self.only_teaches, 0.0, 1.0 if self.drawn_alike is None else self.drawn_alike)

    @property
    def batch_rate_factor(self) -> float:
        """How much larger than REFERENCE a batch is that was left to the machine, for SGD (Goyal et al. 2017), and the
        root of it for AdamW (Malladi et al. 2022)."""
        larger = self.batch_size / REFERENCE if self.config.batch_size == "auto" else 1.0
        return larger if self.recipe.optimizer == "sgd" else math.sqrt(larger)

    def _all_steps_done(self) -> int:
        return (self.epoch - 1) * self.steps_per_epoch + self.steps_done

    def rate_factor(self, step: int) -> float:
        """Of the recipe's rates, at `step` (0-based) of this epoch."""
        total, before = self.epochs * self.steps_per_epoch, (self.epoch - 1) * self.steps_per_epoch
        factor = schedule.rate_factor(self.recipe, before + step, total, self.steps_per_epoch)
        factor *= self.batch_rate_factor
        if self.recipe.schedule == "plateau":
            factor *= schedule.plateau_factor([row["val_loss"] for row in self.rows])
        return factor

    def _count(self, figures: StepFigures, images: int, seconds: float) -> None:
        """Adds a step to the epoch's sums; a skipped one taught nothing and counts for nothing."""
        self.steps_done += 1
        self.sums["seconds"] = seconds
        if not figures.skipped:
            self.sums["loss"] += figures.loss
            self.sums["correct"] += figures.correct
            self.sums["count"] += images

    def _close_epoch(self, phase: schedule.Phase, start: float) -> None:
        """Validates, writes the epoch's row, and keeps the weights if they are the best so far."""
        val_loss, val_correct = self.learner.evaluate(self.val_set)
        self.rows.append(self._row(phase, val_loss, val_correct, time.perf_counter() - start))
        if best_epoch([row["val_acc"] for row in self.rows]) == self.epoch:
            self.best = copy_tensors(self.learner.weights())
        self.epoch, self.steps_done, self.sums = self.epoch + 1, 0, dict.fromkeys(self.sums, 0)
        self.epoch_start = {}
        if self.team.is_main_process:
            self.run.write("history", pd.DataFrame(self.rows), self.model)
            for call in self.on_epoch:
                call(self.rows)
        self._write_checkpoint_if_due()

    def _row(self, phase: schedule.Phase, val_loss: float, val_correct: int, seconds: float) -> dict[str, Any]:
        count, correct = self.sums["count"], int(self.sums["correct"])
        return {
            "epoch": self.epoch,
            "phase": schedule.phase_name(phase, self.learner.groups),
            "lr": self.learner.lr,
            "train_loss": self.sums["loss"] / count,
            "train_acc": correct / count,
            "val_loss": val_loss / len(self.val_set),
            "val_acc": val_correct / len(self.val_set),
            "seconds": seconds,
            "images_per_second": count / self.sums["seconds"],
            "train_count": count,
            "train_correct": correct,
            "val_count": len(self.val_set),
            "val_correct": val_correct,
            "skipped_steps": self.learner.guard.skipped,
        }

    def _is_over(self) -> bool:
        """After the last epoch, or between two: no better one for long enough, or no time left."""
        if self.epoch > self.epochs or self.steps_done or not self.rows:
            return self.epoch > self.epochs
        waited = len(self.rows) - best_epoch([row["val_acc"] for row in self.rows])
        spent, last = self.team.sum([sum(row["seconds"] for row in self.rows), self.rows[-1]["seconds"]])
        reason = ""
        if waited >= (self.recipe.patience or self.epochs):
            reason = f"no better val_acc for {waited} epochs"
        elif (spent + last) / self.team.size > self.budget_s:
            reason = f"another epoch would outlast the {format_duration(self.budget_s)} that it may take"
        if reason:
            self.log_event("early_stop", epoch=self.epoch - 1, reason=reason)
        return bool(reason)

    # -- going back and going on -------------------------------------------------------------------

    def _roll_back(self) -> None:
        """To the start of the epoch, slower; the guard alone remembers."""
        guard = self.learner.guard
        guard.roll_back()
        self._restore(self.epoch_start)
        self.learner.guard = guard
        self.log_event("rollback", epoch=self.epoch, rollbacks=guard.rollbacks, rate_factor=guard.rate_factor)

    def _begin(self, preflight: bool = False) -> None:
        """From the checkpoint if it fits, else from the start; what a killed run wrote beyond it is taken back."""
        state, refusal = self.checkpoint.read()
        if self.team.is_main_process:
            self.checkpoint.clear()
            _cut_lines(self.run.path("events", self.model), state["events"] if state else 0)
        if refusal:
            self.log_event("checkpoint_refused", reason=refusal)
        if state:
            self._restore(state)
            self.epoch_start = state["epoch_start"]
            self.log_event("resumed", epoch=self.epoch, step=self.steps_done)
        else:
            if preflight:
                run_preflight(self)
            self.log_event(
                "started", device=str(self.team.device), processes=self.team.size, threads=torch.get_num_threads(),
                precision=self.learner.numerics.precision, compiled=self.learner.numerics.compiled,
                batch_size=self.batch_size, batch_rate_factor=self.batch_rate_factor, epochs=self.epochs,
            )  # fmt: skip
            self._clear_folder()
        if self.team.is_main_process:
            self.run.path("history", self.model).unlink(missing_ok=True)
            if self.rows:
                self.run.write("history", pd.DataFrame(self.rows), self.model)

    def _clear_folder(self) -> None:
        """Removes what an earlier training left, so that nothing is mixed."""
        for name in STALE if self.team.is_main_process else ():
            (self.run.model_dir(self.model) / name).unlink(missing_ok=True)

    def _write_checkpoint_if_due(self) -> None:
        if self.team.is_main_process and self.checkpoint.is_due():
            events = len(self.run.read("events", self.model))
            self.checkpoint.write(self._state() | {"epoch_start": self.epoch_start, "events": events})

    def _state(self) -> dict[str, Any]:
        """Everything that the next step depends on; what is replaced and never changed in place is not copied."""
        names = ("epoch", "steps_done", "best", "batch_size")
        copies = {"rows": list(self.rows), "sums": dict(self.sums), "learner": self.learner.state()}
        copies["recipe"] = self.recipe.model_dump(mode="json")
        return {name: getattr(self, name) for name in names} | copies

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.steps_done, self.best = state["epoch"], state["steps_done"], state["best"]
        self.batch_size = state["batch_size"]  # another machine would have chosen another
        if (recipe := Recipe.model_validate(state["recipe"])) != self.recipe:  # which was shortened
            self.follow(recipe)
        self.learner.batch_size = self.usual_batch
        self.rows, self.sums = list(state["rows"]), dict(state["sums"])
        self.learner.restore(state["learner"])

    def _key(self, identity: str) -> str:
        """What a checkpoint must have been made with to be of use here."""
        parts = [CHECKPOINT_FORMAT, self.config.fingerprint(), self.model, torch.__version__]
        parts += [self.recipe.model_dump_json(), str(getattr(self.learner.net, "provenance", "")), identity]
        for dataset in (self.train_set, self.val_set):
            parts += [" ".join(dataset.ids), str(dataset.labels.tolist()), " ".join(dataset.class_names)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def log_event(self, kind: str, **details: Any) -> None:
        """One line of events.jsonl; in a team, the first process speaks for all."""
        if self.team.is_main_process and (not self.silent or kind in ALWAYS_LOGGED):
            self.run.append("events", self.model, kind=kind, **details)


def _cut_lines(path: os.PathLike, count: int) -> None:
    """Keeps the first `count` lines of a file, if it is there."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        with replacing(path) as temporary:
            temporary.write_text("".join(lines[:count]), encoding="utf-8")
