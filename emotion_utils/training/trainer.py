"""From a network, its data and a recipe to a trained model in the run folder: for notebooks and command alike."""

from __future__ import annotations

import copy
from collections.abc import Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel
from torch import nn

from emotion_utils.audit.training_images import describe_start
from emotion_utils.errors import InputError
from emotion_utils.model_table import MODELS, get_spec, import_if_trusted, import_trusted, require_code
from emotion_utils.models.card import load_model
from emotion_utils.models.network import EmotionNet, assemble_network, record_edits
from emotion_utils.models.weights.choice import needed_proxies
from emotion_utils.models.zoo import build_model
from emotion_utils.progress import Progress
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Batch, Dataset, open_split, restore_images
from emotion_utils.training.distributed import ALONE, is_main_process
from emotion_utils.training.epochs import EpochLoop
from emotion_utils.training.fingerprint import Fingerprint, data_sha256, network_sha256, take_fingerprint
from emotion_utils.training.launch import processes_to_start, train_in_processes
from emotion_utils.training.model_folder import CARD_FILE, finish_replacement
from emotion_utils.training.one_process import train_here
from emotion_utils.training.pretext import ensure_proxies

OTHER = {"network": "another network", "recipe": "another recipe", "data": "other images"}


class FirstStep(NamedTuple):
    """The state of a network after the first step, and the factor of its learning rates in that step (warm-up)."""

    state: dict[str, torch.Tensor]
    rate_factor: float


def new_model(run: Run, model: str, recipe: Recipe | None = None, *, progress: Progress | None = None) -> EmotionNet:
    """The network as it stands before the first step: the weights that `recipe` asks for below a random head.

    Without a `recipe` that of the run's settings counts. `progress` follows the making of proxy weights, which takes a
    minute or two the first time.
    """
    config = run.config
    import_if_trusted(config.modules)
    if model not in MODELS:
        import_trusted()
    if model not in MODELS:
        require_code(config.modules)
    recipe, classes = recipe or config.recipes[model], run.class_names()  # refused before minutes of work
    auxiliary = len(run.taught_classes()) - len(classes)
    weights, size_px = recipe.weights or config.weights, config.image_size_px
    ensure_proxies(needed_proxies(model, weights, size_px), progress, quick=config.profile == "smoke")
    net = build_model(
        model, num_classes=len(classes), auxiliary=auxiliary, image_size_px=size_px,
        dropout=recipe.dropout, weights=weights, seed=config.seed, stem=recipe.stem,
    )  # fmt: skip
    if net.design.get("full_head") and recipe.progressive_resizing:
        raise InputError(f"recipes.{model}.progressive_resizing: VGGFace's own head takes images of one size")
    net.built = network_sha256(net)
    return net


def train_model(run: Run, model: str, *, progress: Progress | None = None) -> pd.DataFrame:
    """Trains `model` as the settings of the run say, and returns its history.

    A model in its folder that was trained so before is loaded; any other is replaced.
    """
    net = new_model(run, model)
    restore_images(run)
    splits = open_split(run, "train"), open_split(run, "val")
    finish_replacement(run.model_dir(model))
    trainer = Trainer(net, *splits, run.config.recipes[model], run=run, model=model)
    trainer.retrain = not trainer.is_trained
    return trainer.fit(progress)


class Trainer:
    """Trains just the network, the data and the recipe that it is given.

    `fit` writes history.csv, events.jsonl, model.safetensors and model.json into the folder of `model` in the run, and
    goes on from the checkpoint there if a training was interrupted. If that folder holds a finished model, `fit` loads
    it in place of training where it was trained with this network, recipe and data; otherwise the training goes into a
    folder of its own below, unless `retrain` says to replace the model. model.json lists under `training` what differs
    from the settings of the run.

    Raises InputError where the network does not fit the classes of the data, or could not be read back from a folder.
    """

    def __init__(
        self, net: EmotionNet, train_set: Dataset, val_set: Dataset, recipe: Recipe, *, run: Run, model: str,
        retrain: bool = False,
    ) -> None:  # fmt: skip
        self.net, self.train_set, self.val_set, self.recipe = net, train_set, val_set, recipe.model_copy(deep=True)
        self.model, self.retrain, self.run = model, retrain, run
        self.history: pd.DataFrame | None = None
        if run.config.threads != "auto":
            torch.set_num_threads(run.config.threads)
        self.fingerprint = self._examine()

    def fit(self, progress: Progress | None = None) -> pd.DataFrame:
        """Trains, and returns a row per epoch; the network then has the weights of the best one.

        `run` is then the run as the folder that was trained into sees it. A second call trains nothing.
        """
        if self.history is None:
            self.fingerprint = self._examine()  # the cells may have changed the network since
            self.run, is_finished = self._choose_folder()
            if is_finished:
                _say(f"loaded {self.folder}: trained before with this network, recipe and data; "
                     "retrain = True trains it again")  # fmt: skip
                self._take_over()
            elif self._is_fitted:
                raise InputError("this network has been trained: run the cell that builds it, and train that one")
            else:
                self._train(progress)
            self.net.fitted = network_sha256(self.net), self.fingerprint.network
            self.history = self.run.read("history", self.model)
        return self.history

    def first_step(self, batch: Batch) -> FirstStep:
        """What the first step of the training makes of a copy of the network, on `batch`, on the CPU and in float32.

        Without what has no short form in PyTorch: dropout, mixup, class weights; and with images of the full size.
        """
        net = copy.deepcopy(self.net).cpu()
        for layer in net.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        recipe = self.recipe.model_copy(update={"precision": "float32", "mixup": 0.0, "progressive_resizing": ()})
        run = Run(self.run.root, self.run.config.model_copy(update={"balance": "none"}))
        loop = EpochLoop(net, self.train_set, self.val_set, recipe, run, self.model, ALONE)
        loop.take_one(batch)
        state = {name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
        return FirstStep(state, loop.rate_factor(0))

    @property
    def folder(self) -> Path:
        """Of the trained model."""
        return self.run.model_dir(self.model)

    def _examine(self) -> Fingerprint:
        """The fingerprint of what would be trained now. Raises InputError for what a model's folder could not hold."""
        if self.recipe.dropout != self.net.design["dropout"]:
            raise InputError(
                f"the network was built with dropout {self.net.design['dropout']}, and the recipe says "
                f"{self.recipe.dropout}: change the recipe before the network is built"
            )
        asked = get_spec(self.model).architecture_with(self.recipe.stem)
        if self.net.design["architecture"] != asked.name:
            raise InputError(
                f"the network was built as a {self.net.architecture.title}, and the recipe asks for stem="
                f"{self.recipe.stem}: change the recipe before the network is built"
            )
        for dataset in (self.train_set, self.val_set):
            _check_labels(dataset)
        record_edits(self.net)
        _check_network(self.net, self.train_set, self.val_set.class_names)
        found = take_fingerprint(self.net, self.train_set, self.val_set, self.recipe, self.run.config)
        self._is_fitted = self.net.fitted is not None and self.net.fitted[0] == found.network
        return found._replace(network=self.net.fitted[1]) if self._is_fitted else found

    def _train(self, progress: Progress | None) -> None:
        edits = self.find_edits()
        start = Path(self.net.provenance["source"]) if self.net.provenance["kind"] == "file" else None
        facts = {
            **self.fingerprint._asdict(),
            "folder": self._own_folder,
            "recipe_used": self.recipe.model_dump(mode="json"),
            "edits": edits,
        }
        if start is not None and start.is_dir():
            facts["start"] = describe_start(start, self.run.read("manifest"))
        if edits:
            _say("\n- ".join(["this training differs from the settings of the run:", *edits]))
        replaces = self._holds_model(self.run)
        if replaces:
            _say(f"the model in {self.folder} stays until the new one is finished")
        processes = processes_to_start(self.run.config)
        if processes == 1:
            train_here(
                self.net, self.train_set, self.val_set, self.recipe, self.run, self.model, facts, replaces, progress
            )
            return
        if self.fingerprint.data != _prepared_data(self.run):
            raise InputError("several processes open the prepared images themselves: edited data need processes=1")
        train_in_processes(
            self.run, self.model, processes, progress, net=self.net, recipe=self.recipe, facts=facts, replaces=replaces
        )
        self._take_over()

    def _take_over(self) -> None:
        """The network becomes that of the folder."""
        trained = load_model(self.folder)[0]
        self.net.load_state_dict(trained.state_dict())
        self.net.input_spec = trained.input_spec

    def _choose_folder(self) -> tuple[Run, bool]:
        """The run that sees the folder to train into, and whether the model in it is this one, finished."""
        finish_replacement(self.folder)
        if self.retrain or not self._holds_model(self.run):
            return self.run, False
        others = self._find_others(self.run)
        if not others:
            return self.run, True
        own = self.run.variant(self._own_folder)
        finish_replacement(own.model_dir(self.model))
        is_finished = self._holds_model(own) and not self._find_others(own)
        if not is_finished:
            what, where = " and ".join(OTHER[name] for name in others), own.model_dir(self.model)
            _say(f"{self.folder} was trained with {what} and stays; this model is trained into {where}; "
                 "retrain = True would replace it")  # fmt: skip
        return own, is_finished

    @property
    def _own_folder(self) -> str:
        return f"edited-{self.fingerprint.name}"

    @property
    def is_trained(self) -> bool:
        """Whether the folder of the model holds just this one, finished."""
        card = self.run.read("model_card", self.model) if self._holds_model(self.run) else {}
        return "training" in card and Fingerprint.read(card["training"]) == self.fingerprint

    def _holds_model(self, run: Run) -> bool:
        return (run.model_dir(self.model) / CARD_FILE).exists()

    def _find_others(self, run: Run) -> list[str]:
        """What of network, recipe and data the model in this folder was trained with otherwise."""
        known = run.read("model_card", self.model).get("training")
        if known is None:
            raise InputError(
                f"{run.model_dir(self.model)} was trained by an earlier version, which did not record with what; "
                "retrain = True trains it again"
            )
        stored = Fingerprint.read(known)
        return [name for name in Fingerprint._fields if getattr(stored, name) != getattr(self.fingerprint, name)]

    @property
    def is_edited(self) -> bool:
        """Whether the network is another one than was built."""
        return self.net.built != self.fingerprint.network

    def find_edits(self) -> list[str]:
        """What differs from the settings of the run, a line each; empty where nothing does."""
        settings = self.run.stored_config()
        found = _differences(f"recipes.{self.model}.", settings.recipes[self.model], self.recipe)
        found += _differences("", settings, self.run.config, leave={"recipes", "seed"})
        if self.is_edited:
            layers = self.net.design.get("edits", {})
            found.append(f"network: {', '.join(layers) or 'its weights'} edited in the notebook")
        if self.fingerprint.data != _prepared_data(self.run):
            found.append(f"data: {len(self.train_set):,} training and {len(self.val_set):,} validation images, edited")
        return found


def _say(line: str) -> None:
    if is_main_process():
        print(line)


def _prepared_data(run: Run) -> str:
    """The checksum of the images as the run has them."""
    return data_sha256(open_split(run, "train"), open_split(run, "val"))


def _check_labels(dataset: Dataset) -> None:
    """Raises InputError for labels that are none of the classes, as an edit may make them."""
    lowest, highest, last = int(dataset.labels.min()), int(dataset.labels.max()), len(dataset.class_names) - 1
    if lowest < 0 or highest > last:
        raise InputError(f"labels of {lowest} to {highest}: the classes are 0 to {last}")


@torch.inference_mode()
def _check_network(net: EmotionNet, dataset: Dataset, class_names: tuple[str, ...]) -> None:
    """Raises InputError where the network gives no logit for each class of `dataset`, which it learns, in training,
    and of `class_names` afterwards, or where its folder would hold another network."""
    if not all(parameter.requires_grad for parameter in net.parameters()):
        raise InputError("a layer was frozen by hand: which layers learn when is said by the phases of the recipe")
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    if len(names) < len(list(net.named_parameters(remove_duplicate=False))):
        raise InputError("a layer stands in two places of the network; make a copy of it (copy.deepcopy)")
    device = next(net.parameters()).device
    images = to_unit(dataset.batch(np.arange(min(2, len(dataset)))).images).to(device)
    was_training = net.training
    logits = net.eval()(images)
    for outputs, names in ((net.all_logits(images), dataset.class_names), (logits, class_names)):
        if tuple(outputs.shape) != (expected := (len(images), len(names))):
            raise InputError(
                f"the network gives outputs of shape {tuple(outputs.shape)} for {len(images)} images; {expected} are "
                f"needed, a logit for each of {', '.join(names)}"
            )
    rebuilt = assemble_network(net.design, net.input_spec, net.provenance, net.network.state_dict()).to(device).eval()
    net.train(was_training)
    if not torch.allclose(rebuilt(images), logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max())):
        raise InputError(
            "the network computes other than what its layers and weights say (a hook, a buffer or an own forward?), "
            "and a model's folder cannot hold that: write it as a file (docs/own_network.md)"
        )


def _differences(prefix: str, settings: BaseModel, used: BaseModel, leave: Set[str] = frozenset()) -> list[str]:
    """A line for each setting that was changed."""
    before, now = settings.model_dump(mode="json"), used.model_dump(mode="json")
    changed = [name for name in before if name not in leave and before[name] != now[name]]
    return [f"{prefix}{name}: {_tell_change(before[name], now[name])}" for name in changed]


def _tell_change(before: Any, now: Any) -> str:
    """Of settings within a setting, those alone that were changed."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return f"{now} in place of {before}"
    return ", ".join(f"{name} {now[name]} in place of {old}" for name, old in before.items() if now[name] != old)
