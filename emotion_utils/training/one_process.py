"""The training itself in this process, alone or as its share of a team's, into a folder that it holds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError
from emotion_utils.models.card import save_model
from emotion_utils.models.network import EmotionNet
from emotion_utils.progress import Progress
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run
from emotion_utils.store.batches import Dataset
from emotion_utils.tracking import track
from emotion_utils.training.choose_views import choose_views
from emotion_utils.training.cpu.allocation import reuse_freed_memory
from emotion_utils.training.distributed import Team, join_team
from emotion_utils.training.epochs import EpochLoop
from emotion_utils.training.fingerprint import Fingerprint
from emotion_utils.training.model_folder import CARD_FILE, RETRAINING, hold_model, replace_model
from emotion_utils.training.repeatable import deterministic
from emotion_utils.training.seen_images import with_seen_images
from emotion_utils.training.teacher import add_teachers


def train_here(
    net: EmotionNet, train_set: Dataset, val_set: Dataset, recipe: Recipe, run: Run, model: str,
    facts: dict[str, Any], replaces: bool, progress: Progress | None = None,
) -> None:  # fmt: skip
    """The training itself, alone or as this process's share of a team's; `facts` go into model.json.

    What makes training quicker or repeatable changes layers, so a copy of the network is trained. A model that it
    `replaces` stays as it is until the new one is finished. Raises EmotionError where another process trains this one.
    """
    identity, folder = "".join(Fingerprint.read(facts)), run.model_dir(model)
    with join_team() as team, deterministic(), reuse_freed_memory(), _hold_together(team, folder, replaces):
        place = run.variant(RETRAINING) if replaces else run
        train_set, taught = add_teachers(train_set, recipe, run, model, team.device)
        loop = EpochLoop(copy.deepcopy(net), train_set, val_set, recipe, place, model, team, identity)
        with track(run, model) if team.is_main_process else nullcontext() as log_epoch:
            loop.on_epoch.append(log_epoch)  # called in the main process
            loop.fit(progress, preflight=True)
        net.load_state_dict(loop.best)
        if team.is_main_process:
            net.input_spec = with_seen_images(net.input_spec, train_set, run)
            facts = (
                facts | {"recipe_used": loop.recipe.model_dump(mode="json")} | ({"teacher": taught} if taught else {})
            )
            views = choose_views(net, val_set, run.config.views, team.device)
            save_model(net, place.model_dir(model), run.taught_classes(), crop=run.config.crop, training=facts, **views)
            if not run.model_folder:
                run.record(weights={model: net.provenance})
            loop.checkpoint.remove()
            if replaces:
                replace_model(folder)
        team.wait()  # nobody reads the model before it is there


@contextmanager
def _hold_together(team: Team, folder: Path, replaces: bool) -> Iterator[None]:
    """The main process holds the folder of the model; where it cannot, all processes raise its EmotionError."""
    refusal = ""
    with ExitStack() as held:
        if team.is_main_process:
            try:
                held.enter_context(hold_model(folder))
                if (folder / CARD_FILE).exists() and not replaces:
                    refusal = f"{folder}: another process has finished a model there meanwhile; run this again"
            except EmotionError as error:
                refusal = str(error)
        if refusal := "".join(team.gather([refusal])):
            raise EmotionError(refusal)
        yield
