"""A network while it learns: one step on a batch, one look at a whole split, and all that the next step depends on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from emotion_utils.config import Phase, Recipe, RunConfig
from emotion_utils.data.augment import augment, resize_images, to_unit
from emotion_utils.data.loader import Batch, Dataset, iterate_batches
from emotion_utils.training import schedule
from emotion_utils.training.convolution import quicken_convolutions
from emotion_utils.training.distributed import Team
from emotion_utils.training.numerics import Numerics, asked_for
from emotion_utils.training.optimizer import clip_gradients, collect_gradients, make_optimizer
from emotion_utils.training.recovery import Kept, MicroBatches, SpikeGuard, copy_norm_buffers, restore_norm_buffers
from emotion_utils.training.repeatable import DROPOUT, MIXUP, key_dropouts, mix_pairs, sample_keys

EVALUATION_BATCH_SIZE = 64

Tell = Callable[..., None]  # tell(kind, **details): one event


class Learner:
    """Network, optimizer, averaged weights and guards; `state()` holds everything that the next step depends on."""

    def __init__(
        self, net: nn.Module, class_weights: torch.Tensor, config: RunConfig, recipe: Recipe, team: Team, tell: Tell
    ) -> None:
        self.net = net.to(team.device)
        if team.device.type == "cpu":
            quicken_convolutions(self.net)
        self.class_weights = class_weights.to(team.device)
        self.config, self.recipe, self.team, self.tell = config, recipe, team, tell
        self.augment = config.augment.scaled(recipe.augment_strength)
        self.dropouts = key_dropouts(self.net)
        self.groups = self.net.depth_groups
        self.optimizer = make_optimizer(schedule.parameter_groups(self.groups, recipe), recipe.lr, team.device)
        self.micro, self.guard = MicroBatches(self.net, tell), SpikeGuard()
        parameters = self.net.named_parameters() if recipe.ema_decay else ()
        self.averaged = {name: parameter.detach().clone() for name, parameter in parameters}
        self.steps_taken, self.numerics = 0, Numerics()
        self.use(asked_for(recipe, team.device))

    def use(self, numerics: Numerics) -> None:
        """Computes in these from now on."""
        if numerics.layout != self.numerics.layout:
            self.net.to(memory_format=numerics.layout)
        self.numerics = numerics
        self.scaler = torch.amp.GradScaler(self.team.device.type, enabled=numerics.autocast == torch.float16)
        self._call = self.net
        if numerics.compiled:
            for dropout in self.dropouts:  # numpy draws their masks, which no compiler has to know
                dropout.forward = torch.compiler.disable(dropout.forward)
            self._call = torch.compile(self.net)

    @property
    def lr(self) -> float:
        """The head's rate in the last step."""
        return self.optimizer.param_groups[-1]["lr"]

    def enter(self, phase: Phase) -> int:
        """Freezes what the phase does not train; returns the number of trainable parameters."""
        schedule.apply_phase(self.net, self.groups, phase)
        return sum(parameter.numel() for parameter in self.net.parameters() if parameter.requires_grad)

    # -- one step ----------------------------------------------------------------------------------

    def step(self, batch: Batch, *, epoch: int, number: int, rate_factor: float) -> tuple[float, float] | None:
        """Forward, backward and update on a global batch, of which `batch` is this process's share.

        Returns (summed loss, correct images) of all shares, or None if the step was skipped. `number` is its place in
        the epoch (1-based). Raises Rollback after too many skipped steps.
        """
        kept = copy_norm_buffers(self.net)
        portions = self.micro.run(len(batch.ids), self._portion(batch, epoch), kept) if batch.ids else []
        sums = [sum(column) for column in zip(*portions, strict=True)] or [0.0, 0.0]
        loss, correct = self.team.sum_step(self.net, sums)
        collect_gradients(self.optimizer)
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.optimizer, self.recipe.clip_norm)
        if self._overflows(loss, norm):
            self._skip(kept)
            self.tell("scale_lowered", epoch=epoch, step=number, scale=self.scaler.get_scale())
            return None
        complaint = self.guard.complaint(loss, norm)
        if complaint:
            self._skip(kept)
            self.tell("spike_skipped", epoch=epoch, step=number, reason=complaint, ids=self.team.gather(batch.ids))
            self.guard.count_skip()
            return None
        self._update(rate_factor)
        return loss, correct

    def _overflows(self, loss: float, norm: float) -> bool:
        """Whether the gradients are too large for float16 only because they are scaled, as happens now and then."""
        return self.scaler.get_scale() > 1 and math.isfinite(loss) and not math.isfinite(norm)

    def _skip(self, kept: Kept) -> None:
        """Leaves weights and norm statistics as they were before the step."""
        restore_norm_buffers(kept)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _portion(self, batch: Batch, epoch: int) -> Callable[[slice], tuple[float, float]]:
        """A function that adds the gradient of a slice of `batch` and returns its (summed loss, correct images).

        Both are of the images as the network saw them, against their own labels, without smoothing or class weights,
        so that training and validation can be laid side by side.
        """
        seed, recipe, device = self.config.seed, self.recipe, self.team.device
        images = resize_images(batch.images.to(device), schedule.size_at(recipe, epoch))
        inputs = augment(images, batch.ids, config=self.augment, seed=seed, epoch=epoch)
        labels = batch.labels.to(device)
        targets = labels
        if recipe.mixup:
            keys = sample_keys(batch.ids, MIXUP, seed, epoch)
            targets = F.one_hot(labels, len(self.class_weights)).float()
            inputs, targets = mix_pairs(inputs, targets, keys, recipe.mixup)
        dropout_keys = sample_keys(batch.ids, DROPOUT, seed, epoch)

        def run(part: slice) -> tuple[float, float]:
            for dropout in self.dropouts:
                dropout.set_keys(dropout_keys[part])
            logits = self.forward(inputs[part])
            loss = F.cross_entropy(
                logits, targets[part], self.class_weights, label_smoothing=recipe.label_smoothing, reduction="sum"
            )
            self.scaler.scale(loss / batch.total).backward()
            plain = F.cross_entropy(logits.detach(), labels[part], reduction="sum")
            return float(plain), float((logits.argmax(1) == labels[part]).sum())

        return run

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits float32, whatever the layers compute in."""
        low = self.numerics.autocast
        if self.numerics.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.team.device.type, low, enabled=low is not None):
            return self._call(inputs).float()

    def _update(self, rate_factor: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * rate_factor * self.guard.rate_factor
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps_taken += 1
        if self.averaged:  # follows faster in the beginning, when the first weights are still far off
            weight = 1 - min(self.recipe.ema_decay, (1 + self.steps_taken) / (10 + self.steps_taken))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.averaged.values()), list(self.net.parameters()), weight)

    # -- validation --------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, dataset: Dataset) -> tuple[float, int]:
        """Summed cross entropy and number of correct images, in eval mode; each image counts once, in any team."""
        self.net.eval()
        batches = iterate_batches(
            dataset, batch_size=EVALUATION_BATCH_SIZE * self.team.size, seed=0, epoch=0, shuffle=False,
            rank=self.team.rank, world_size=self.team.size,
        )  # fmt: skip
        portions = [part for b in batches if b.ids for part in self.micro.run(len(b.ids), self._judgement(b))]
        loss, correct = self.team.sum([sum(column) for column in zip(*portions, strict=True)] or [0.0, 0.0])
        return loss, int(correct)

    def _judgement(self, batch: Batch) -> Callable[[slice], tuple[float, float]]:
        """A function that returns (summed loss, correct images) of a slice of `batch`."""
        inputs, labels = to_unit(batch.images.to(self.team.device)), batch.labels.to(self.team.device)
        weights = self.weights()

        def run(part: slice) -> tuple[float, float]:
            logits = torch.func.functional_call(self.net, weights, (inputs[part],))
            loss = F.cross_entropy(logits, labels[part], reduction="sum")
            return float(loss), float((logits.argmax(1) == labels[part]).sum())

        return run

    def weights(self) -> dict[str, torch.Tensor]:
        """What is validated and kept: the network's state, with the averaged parameters if there are any."""
        return self.net.state_dict() | self.averaged

    # -- the state between two steps ---------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """A copy, on the CPU."""
        return {
            "net": copy_to_cpu(self.net.state_dict()),
            "optimizer": copy_to_cpu(self.optimizer.state_dict()),
            "averaged": copy_to_cpu(self.averaged),
            "steps_taken": self.steps_taken,
            "guard": self.guard.state(),
            "micro_batch": self.micro.size,
            "numerics": asdict(self.numerics),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to what `state()` returned; the state itself stays as it is."""
        self.use(Numerics(**state["numerics"]))
        self.scaler.load_state_dict(state["scaler"])
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.averaged = {name: tensor.to(self.team.device, copy=True) for name, tensor in state["averaged"].items()}
        self.steps_taken, self.micro.size = state["steps_taken"], state["micro_batch"]
        self.guard = SpikeGuard(**copy.deepcopy(state["guard"]))


def copy_to_cpu(value: Any) -> Any:
    """A deep copy of nested dicts and lists with every tensor on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copy_to_cpu(inner) for key, inner in value.items()}
    return [copy_to_cpu(inner) for inner in value] if isinstance(value, list) else value
