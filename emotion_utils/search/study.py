"""Where a search keeps its trials: a journal file in the run folder, or a database that many machines share.

A trial whose process was killed is failed and queued again: at the next start where a journal is kept, whose only user
holds a lock; and where a database is kept, by whoever notices that its heartbeat has stopped.
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import Timeout
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.history import best_epoch
from emotion_utils.locks import lock_file

HEARTBEAT_S = 30
GRACE_S = 120  # without a heartbeat: the trial's machine is gone
CREATION_ATTEMPTS = 4  # of the tables, which machines that start together get in each other's way with
MAX_RETRIES = 3  # a trial that takes its machine down each time is left alone in the end


@contextmanager
def open_study(
    name: str, folder: Path, storage: str | None, sampler: BaseSampler, pruner: BasePruner
) -> Iterator[optuna.Study]:
    """The study `name`, made if it is not there. `storage`: a database's address, or None for a journal in `folder`.

    Raises InputError for a database that cannot be used, EmotionError where another process uses the journal.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the search says it in its own words
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # heartbeats are called so since version 2.8
    if storage:
        yield _create(name, _open_database(storage), sampler, pruner)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(lock_file(folder / ".lock", 0))
        except Timeout:
            told = f"another search works in {folder}: wait for it, or share a database (--storage)"
            raise EmotionError(told) from None
        journal = folder / "journal.log"
        _mend(journal)
        study = _create(name, JournalStorage(JournalFileBackend(str(journal))), sampler, pruner)
        _retry_killed(study)
        yield study


def _create(name: str, storage: optuna.storages.BaseStorage, sampler: BaseSampler, pruner: BasePruner) -> optuna.Study:
    return optuna.create_study(
        study_name=name, storage=storage, sampler=sampler, pruner=pruner, direction="maximize", load_if_exists=True
    )


def _open_database(address: str) -> RDBStorage:
    driver = "postgresql+psycopg://"
    url = driver + address.removeprefix("postgresql://") if address.startswith("postgresql://") else address
    for attempt in range(CREATION_ATTEMPTS):
        try:
            return RDBStorage(
                url,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(MAX_RETRIES),
            )
        except (ArgumentError, ImportError):
            raise InputError(
                "--storage: expected an address such as postgresql://user:password@host/database"
            ) from None
        except (SQLAlchemyError, StorageInternalError) as error:
            failure = error
        if not isinstance(failure, IntegrityError | ProgrammingError):
            break
        time.sleep(attempt + random.random())  # another machine makes the same tables at this moment
    reason = str(getattr(failure, "orig", None) or failure).strip().partition("\n")[0]
    raise InputError(f"--storage: the database cannot be used: {reason}")


def _mend(journal: Path) -> None:
    """Takes away what a kill left: a line that was not finished, and the lock of the process that wrote it."""
    Path(f"{journal}.lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        with journal.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _retry_killed(study: optuna.Study) -> None:
    """Fails trials that nobody runs any more, and queues them again."""
    retry = RetryHeartbeatStaleTrialCallback(MAX_RETRIES)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        retry(study, trial)


# -- what its trials say ---------------------------------------------------------------------------


def ended_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that were completed or pruned, each configuration once, by number."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [trial for trial in ended if "same_as" not in trial.user_attrs]


def was_killed(trial: FrozenTrial) -> bool:
    """Whether its process ended before the trial did: its configuration is still to be tried."""
    return trial.state == TrialState.FAIL and "same_as" not in trial.user_attrs


def find_twin(study: optuna.Study, number: int, key: str) -> FrozenTrial | None:
    """The trial that has tried this configuration or, with a lower number, is running it."""
    for trial in study.get_trials(deepcopy=False):
        same = trial.user_attrs.get("key") == key and "same_as" not in trial.user_attrs
        ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        if same and (ended or (trial.state == TrialState.RUNNING and trial.number < number)):
            return trial
    return None


def trial_row(trial: FrozenTrial) -> dict[str, Any]:
    """A line of search.csv; accuracies 0-1."""
    facts = trial.user_attrs
    val_accs = facts.get("val_accs", [])
    return {
        "trial": trial.number,
        "key": facts["key"],
        "sampler": facts["sampler"],
        "lr": facts["lr"],
        "weight_decay": facts["weight_decay"],
        "augment_strength": facts["augment_strength"],
        "state": trial.state.name.lower(),
        "epochs": len(val_accs),
        "best_epoch": best_epoch(val_accs) or 0,
        "val_acc": max(val_accs, default=float("nan")),
        "seconds": facts.get("seconds", 0.0),
        "reason": facts.get("reason", ""),
    }
