"""A search for the learning rate, weight decay and strength of augmentation of one model, by validation accuracy alone.

Each trial is a training like any other, in a folder of its own that is named after the hash of its configuration: what
was killed continues from its checkpoint, and what was finished once is not run again. The test images are never opened.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from emotion_utils.devices import evaluation_batch_size
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.run import Run
from emotion_utils.search.selection_bias import METHOD, corrected_accuracy, pack_bits, unpack_bits
from emotion_utils.search.study import ended_trials, find_twin, open_study, trial_row, was_killed
from emotion_utils.search.trials import MIDDLE, changes, config_key, grid_points, propose, trial_config
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset, iterate_batches, open_split, restore_images
from emotion_utils.store.resident import keep_resident
from emotion_utils.training.cpu.allocation import reuse_freed_memory
from emotion_utils.training.distributed import Team, join_team
from emotion_utils.training.epochs import EpochLoop
from emotion_utils.training.repeatable import deterministic
from emotion_utils.training.teacher import add_teachers
from emotion_utils.training.trainer import new_model

SAMPLERS = ("tpe", "grid")
UNPRUNED_TRIALS = 4  # complete ones before any is pruned: a median of fewer says little
UNPRUNED_SHARE = 0.25  # of the epochs of a trial, which come before it may be pruned

Say = Callable[[str], None]


class _TakenElsewhere(Exception):
    """Another process is running this configuration."""


def search_model(
    run: Run, model: str, *, sampler: str = "tpe", trials: int = 20, epochs: int | None = None,
    minutes: float | None = None, storage: str | None = None, say: Say = lambda line: None,
) -> pd.DataFrame:  # fmt: skip
    """Tries configurations until `trials` different ones are done, all machines together, and returns their table.

    `sampler`: "tpe" proposes by what it has seen, "grid" goes through fixed points. `epochs`: of each trial; the run's
    own number if left out. No trial begins after `minutes`. Writes search.csv and search.json into the model's folder.
    Raises InputError or EmotionError for what cannot be used.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"unknown sampler {sampler!r}: choose one of {', '.join(SAMPLERS)}")
    with join_team() as team, deterministic(), reuse_freed_memory():
        if team.size > 1:
            raise InputError(
                "a search trains in one process: start it without torchrun, on more machines with --storage"
            )
        search = Search(run, model, team, sampler, epochs or run.config.recipes[model].epochs or run.config.epochs, say)
        return search.go(trials, minutes, storage)


class Search:
    """The trials of one model on the training and validation images of a run."""

    def __init__(self, run: Run, model: str, team: Team, sampler: str, epochs: int, say: Say) -> None:
        self.run, self.model, self.team, self.sampler, self.epochs, self.say = run, model, team, sampler, epochs, say
        restore_images(run)
        train_set = add_teachers(open_split(run, "train"), run.config.recipes[model], run, model, team.device)[0]
        self.train_set, self.val_set = (
            keep_resident(dataset, team.device) for dataset in (train_set, open_split(run, "val"))
        )
        self.net = new_model(run, model)
        datasets = [[split.ids, split.labels.tolist(), split.class_names] for split in (self.train_set, self.val_set)]
        self.name = f"{model} {config_key(trial_config(run.config, model, MIDDLE, epochs), datasets)[:16]}"
        self.folder = run.model_dir(model) / "search"

    def go(self, trials: int, minutes: float | None, storage: str | None) -> pd.DataFrame:
        """Runs the trials that are still missing; see `search_model`."""
        began = time.monotonic()
        pruner = MedianPruner(UNPRUNED_TRIALS, n_warmup_steps=1 + max(1, round(UNPRUNED_SHARE * self.epochs)))
        with open_study(self.name, self.folder, storage, TPESampler(), pruner) as study:
            study.sampler = self._sampler(study, shared=bool(storage))
            if self.sampler == "tpe" and not study.get_trials(deepcopy=False):
                study.enqueue_trial(MIDDLE)  # what the recipe has now, for comparison
            while len(done := ended_trials(study)) < trials and self._has_next(study):
                if minutes and time.monotonic() - began > minutes * 60:
                    self.say(f"the {minutes:g} minutes are over; the same command continues the search")
                    break
                study.optimize(self._try, n_trials=1, catch=(_TakenElsewhere,))
                self._say_new(study, done)
                self._delete_checkpoints(study)
            return self._write(study)

    def _sampler(self, study: optuna.Study, shared: bool) -> TPESampler:
        """A resumed search must not draw the same points again; machines that share a study draw different ones."""
        seed = None if shared else self.run.config.seed + len(study.get_trials(deepcopy=False))
        return TPESampler(seed=seed, constant_liar=shared)

    def _has_next(self, study: optuna.Study) -> bool:
        """Whether there is something to try; the next point of a grid is queued."""
        if self.sampler == "tpe":
            return True
        known = study.get_trials(deepcopy=False)
        taken = {trial.user_attrs.get("key") for trial in known if not was_killed(trial)}
        for point in grid_points(self.run.config.seed):
            key = config_key(trial_config(self.run.config, self.model, point, self.epochs))
            if key not in taken:
                study.enqueue_trial(point, user_attrs={"key": key})
                return True
        return any(trial.state == TrialState.WAITING for trial in known)

    # -- one trial ---------------------------------------------------------------------------------

    def _try(self, trial: optuna.Trial) -> float:
        """The best validation accuracy of the configuration that `trial` proposes."""
        point = propose(trial)
        config = trial_config(self.run.config, self.model, point, self.epochs)
        facts = {"key": config_key(config), "sampler": self.sampler, **changes(self.run.config, self.model, point)}
        for name, value in facts.items():
            trial.set_user_attr(name, value)
        twin = find_twin(trial.study, trial.number, facts["key"])
        if twin is None:
            return self._train(trial, Run(self.folder / facts["key"][:12], config))
        trial.set_user_attr("same_as", twin.number)
        if twin.state == TrialState.RUNNING:
            raise _TakenElsewhere
        if twin.state == TrialState.PRUNED:
            raise optuna.TrialPruned
        return twin.value

    def _train(self, trial: optuna.Trial, run: Run) -> float:
        net = copy.deepcopy(self.net)
        loop = EpochLoop(net, self.train_set, self.val_set, run.config.recipes[self.model], run, self.model, self.team)
        loop.on_epoch.append(_Pruner(trial))
        try:
            loop.fit(preflight=self.team.device.type == "cuda")  # which chooses the numerics there
            net.load_state_dict(loop.best)
            trial.set_user_attr("right", pack_bits(find_correct(net, self.val_set, self.team.device)))
            return max(row["val_acc"] for row in loop.rows)
        except EmotionError as error:  # that training diverges at this rate is a result, too
            trial.set_user_attr("reason", str(error))
            raise optuna.TrialPruned from error
        except KeyboardInterrupt:
            trial.study.enqueue_trial(trial.params)
            raise
        finally:
            trial.set_user_attr("seconds", round(sum(row["seconds"] for row in loop.rows), 1))
            trial.set_user_attr("val_accs", [row["val_acc"] for row in loop.rows])

    def _delete_checkpoints(self, study: optuna.Study) -> None:
        """Deletes the checkpoints of trials that have ended."""
        for trial in ended_trials(study):
            folder = self.folder / trial.user_attrs["key"][:12] / "models" / self.model
            (folder / "checkpoint.pt").unlink(missing_ok=True)

    # -- what came out -----------------------------------------------------------------------------

    def _say_new(self, study: optuna.Study, done: list[FrozenTrial]) -> None:
        """A line for each trial that has ended beside those `done`."""
        for trial in ended_trials(study)[len(done) :]:
            row = trial_row(trial)
            fate = "pruned" if row["state"] == "pruned" else f"val accuracy {row['val_acc']:.3f}"
            self.say(
                f"trial {trial.number}: lr {row['lr']:g}, weight decay {row['weight_decay']:g}, augmentation "
                f"x{row['augment_strength']:g}: {fate} in {row['seconds']:.0f} s"
            )

    def _write(self, study: optuna.Study) -> pd.DataFrame:
        rows = [trial_row(trial) for trial in ended_trials(study)]
        complete = [trial for trial in ended_trials(study) if trial.state == TrialState.COMPLETE]
        if not complete:
            raise EmotionError(f"no trial of {self.model} was completed: give it more --trials or --minutes")
        table = pd.DataFrame(rows)
        best = max(complete, key=lambda trial: trial.value)
        correct = np.array([unpack_bits(trial.user_attrs["right"], len(self.val_set)) for trial in complete])
        self.run.write("search", table, self.model)
        self.run.write("search_summary", {
            "trials": len(table), "complete": len(complete), "epochs": self.epochs, "val_count": len(self.val_set),
            "seconds": round(float(table["seconds"].sum()), 1), "best": best.number, "val_acc": best.value,
            "corrected_val_acc": corrected_accuracy(correct, self._people(), self.run.config.seed), "method": METHOD,
        }, self.model)  # fmt: skip
        return table

    def _people(self) -> np.ndarray:
        """(N,): the person on each validation image; an image without a known person counts as a person of its own."""
        group = self.run.read("manifest").set_index("id").loc[self.val_set.ids, "group"]
        return group.where(group != "", "image " + group.index.to_series()).to_numpy()


class _Pruner:
    """Reports each epoch's validation accuracy, and prunes a trial that stays behind the others."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial, self._reported = trial, 0

    def __call__(self, rows: list[dict[str, Any]]) -> None:
        for row in rows[self._reported :]:  # after a resumed training more than one is new
            self._trial.report(row["val_acc"], row["epoch"])
        self._reported = len(rows)
        if self._trial.should_prune():
            raise optuna.TrialPruned


@torch.no_grad()
def find_correct(net: torch.nn.Module, dataset: Dataset, device: torch.device) -> np.ndarray:
    """bool (N,): whether `net` classifies each image correctly, in the order of the dataset's ids."""
    net.eval()
    correct = {}
    batch_size = evaluation_batch_size(device, dataset.size_px)
    for batch in iterate_batches(dataset, batch_size=batch_size, seed=0, epoch=0, shuffle=False):
        predicted = net(to_unit(batch.images.to(device))).argmax(1).cpu()
        correct |= zip(batch.ids, (predicted == batch.labels).tolist(), strict=True)
    return np.array([correct[name] for name in dataset.ids])
