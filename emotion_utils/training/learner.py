"""A network while it learns: one step on a batch, one look at a whole split, and all that the next step depends on.

On a GPU nothing within a step waits for it: whether a step must be skipped is decided there, and read by `settle` when
the next one is already under way. A CPU has the answer at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from emotion_utils.config import RunConfig
from emotion_utils.counter_rng import id_keys, mix_keys
from emotion_utils.devices import CPU, Download, evaluation_batch_size, upload, wide_float
from emotion_utils.recipe import Phase, Recipe
from emotion_utils.store.augment import apply_changes, draw_changes, resize_images, to_unit
from emotion_utils.store.batches import Batch, Dataset, iterate_batches
from emotion_utils.training import schedule
from emotion_utils.training.cpu.convolution import replace_small_convs
from emotion_utils.training.distributed import Team
from emotion_utils.training.graph import RecordedWork
from emotion_utils.training.numerics import Numerics, asked_for
from emotion_utils.training.optimizer import OPTIMIZERS
from emotion_utils.training.recovery import BufferSnapshot, MicroBatches, SpikeGuard, StepFigures, is_out_of_memory
from emotion_utils.training.repeatable import DROPOUT, MIXUP, key_dropouts, mix_pairs

LogEvent = Callable[..., None]  # log_event(kind, **details)


class StepUnderWay(NamedTuple):
    """A step that was begun, and what is to be said of it if it turns out to be skipped."""

    figures: Download  # StepFigures
    ids: list[str]
    epoch: int
    number: int


class Learner:
    """Network, optimizer, averaged weights and guards; `state()` holds everything that the next step depends on."""

    def __init__(
        self, net: nn.Module, class_weights: torch.Tensor, config: RunConfig, recipe: Recipe, team: Team,
        log_event: LogEvent, *, batch_size: int,
    ) -> None:  # fmt: skip
        self.device = team.device
        self.net = net.to(self.device)
        if self.device.type == "cpu":
            replace_small_convs(self.net)
        has_cuda = self.device.type == "cuda"
        self.lag = 1 if has_cuda else 0  # steps that are begun before one is read
        self.prepares_on = self.device if has_cuda else CPU  # Apple's GPU lacks some of what augmentation needs
        self.class_weights = class_weights.to(self.device)
        self.config, self.recipe, self.team, self.batch_size = config, recipe, team, batch_size
        self.log_event = log_event
        self.augment = config.augment.scaled(recipe.augment_strength)
        self.dropouts = key_dropouts(self.net)
        self.evaluation_batch_size = evaluation_batch_size(self.device, config.image_size_px)
        self.groups = self.net.depth_groups
        self.optimizer = OPTIMIZERS[recipe.optimizer](schedule.parameter_groups(self.groups, recipe), recipe.lr)
        self.micro, self.guard = MicroBatches(self.net, log_event, self._release), SpikeGuard(self.device)
        self.averaged = {name: value.detach().clone() for name, value in self._followed().items()}
        self.one = torch.ones((), dtype=wide_float(self.device), device=self.device)
        self.steps_taken = 0 * self.one
        self.numerics: Numerics | None = None
        self._recorded: dict[tuple, RecordedWork] = {}
        self.use(asked_for(recipe, self.device))

    def use(self, numerics: Numerics) -> None:
        """Computes in these from now on; what was learned so far goes on in them."""
        before, self.numerics = self.numerics, numerics
        if numerics == before:
            return
        self._recorded.clear()
        if before is None or numerics.precision != before.precision:
            self.scaler = torch.amp.GradScaler(self.device.type, enabled=numerics.autocast == torch.float16)
        if numerics.channels_last != (before is not None and before.channels_last):
            self.net.to(memory_format=numerics.layout)
            self.averaged = self._laid_out(self.averaged)
        self.compiled = self.net
        if numerics.compiled:
            for dropout in self.dropouts:  # nothing that a compiler has to know
                dropout.forward = torch.compiler.disable(dropout.forward)
            self.compiled = torch.compile(self.net, dynamic=False)

    @property
    def lr(self) -> float:
        """The head's rate in the last step."""
        return self.optimizer.param_groups[-1]["lr"]

    def enter(self, phase: Phase) -> int:
        """Freezes what the phase does not train; returns the number of trainable parameters."""
        before = self._learning()
        schedule.apply_phase(self.net, self.groups, phase)
        if before != self._learning():
            self._recorded.clear()  # they would leave the gradients of another phase
            if self.numerics.compiled:
                torch._dynamo.reset()  # which compiles a network anew only so many times
        return sum(parameter.numel() for parameter in self.net.parameters() if parameter.requires_grad)

    def _learning(self) -> list[bool]:
        """Of each parameter, whether it learns."""
        return [parameter.requires_grad for parameter in self.net.parameters()]

    # -- one step ----------------------------------------------------------------------------------

    def step(self, batch: Batch, *, epoch: int, number: int, rate_factor: float) -> tuple[float, float] | None:
        """`begin` and `settle`, a step that is waited for: (summed loss, correct images), or None if it was skipped."""
        figures = self.settle(self.begin(batch, epoch=epoch, number=number, rate_factor=rate_factor))
        return None if figures.skipped else (figures.loss, figures.correct)

    def begin(self, batch: Batch, *, epoch: int, number: int, rate_factor: float, pause: bool = False) -> StepUnderWay:
        """Forward, backward and update on a global batch, of which `batch` is this process's share.

        A step whose loss or gradient explodes changes nothing. `number` is its place in the epoch (1-based). `pause` in
        one process lets all of them know that it wants to do something before the next step.
        """
        before = BufferSnapshot(self.net)
        results = self.micro.run(len(batch.ids), self.training_pass(batch, epoch), before) if batch.ids else []
        sums = [sum(column) for column in zip(*results, strict=True)] or [0 * self.one] * 2
        loss, correct, pause = self.team.sum_step(self.net, torch.stack([*sums, pause * self.one]))
        self.optimizer.collect()
        self.scaler.unscale_(self.optimizer)
        norm, scale = self.optimizer.measure_gradient(), self._scale()
        skip, usual = self.guard.judge(loss, norm)
        where = skip if self.lag else bool(skip)
        before.restore(where)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * rate_factor * self.guard.rate_factor
        self.optimizer.step_clipped(norm, self.recipe.clip_norm, where)
        self.scaler.update()
        self.optimizer.zero_grad()
        self._average(~skip)
        figures = StepFigures(loss, correct, norm, usual, skip, scale, self._scale(), pause)
        return StepUnderWay(
            Download(torch.stack([figure.to(self.one) for figure in figures])), batch.ids, epoch, number
        )

    def settle(self, step: StepUnderWay) -> StepFigures:
        """Waits for a step; one that was skipped becomes an event. Raises Rollback after too many of these."""
        figures = StepFigures(*step.figures.read())
        place = {"epoch": step.epoch, "step": step.number}
        if figures.skipped and figures.overflowed:
            self.log_event("scale_lowered", **place, scale=figures.scale_after)
        elif figures.skipped:
            self.log_event("spike_skipped", **place, reason=figures.reason, ids=self.team.gather(step.ids))
            self.guard.count_skip()
        return figures

    def _scale(self) -> torch.Tensor:
        """By how much float16's gradients are scaled now, and 1 without."""
        return self.scaler.scale(self.one)

    def training_pass(self, batch: Batch, epoch: int) -> Callable[[slice], tuple[torch.Tensor, torch.Tensor]]:
        """A function that adds the gradient of a slice of `batch` and returns its (summed loss, correct images).

        Both are of the images as the network saw them, against their own labels, without smoothing or class weights,
        so that training and validation can be laid side by side.
        """
        prepared: list[torch.Tensor] = []

        def run(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            if not prepared:  # here, where a lack of memory is dealt with
                prepared.extend(self._prepare(batch, epoch))
            given = [tensor[part] for tensor in prepared]
            is_usual = len(given[0]) == len(batch.ids) and batch.total == self.batch_size
            work = self._record(batch.total, given) if self.numerics.graphed and is_usual else None
            return work(given) if work else self._learn_from(batch.total, *given, is_usual=is_usual)

        return run

    def _prepare(self, batch: Batch, epoch: int) -> list[torch.Tensor]:
        """Inputs float (B, 3, H, W), targets, labels int64 (B,) and dropouts' keys int64 (B,), for `_learn_from`."""
        seed, recipe, keys = self.config.seed, self.recipe, id_keys(batch.ids)
        images = resize_images(upload(batch.images, self.prepares_on), schedule.size_at(recipe, epoch))
        changed = apply_changes(images, draw_changes(keys, config=self.augment, seed=seed, epoch=epoch))
        inputs = upload(changed, self.device)
        labels = upload(batch.labels, self.device)
        targets = labels if batch.targets is None else upload(batch.targets, self.device)
        if recipe.mixup:
            if batch.targets is None:
                targets = torch.eye(len(self.class_weights), device=self.device)[labels]
            inputs, targets = mix_pairs(inputs, targets, mix_keys(keys, MIXUP, seed, epoch), recipe.mixup)
        dropout_keys = upload(mix_keys(keys, DROPOUT, seed, epoch).view("int64"), self.prepares_on)
        return [inputs, targets, labels, dropout_keys]

    def _learn_from(
        self, total: int, inputs: torch.Tensor, targets: torch.Tensor, labels: torch.Tensor, keys: torch.Tensor,
        *, is_usual: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """Adds the gradient of some of the `total` images of a batch; see `training_pass`.

        Only the usual batch is compiled: another size would have the compiler make a kernel for all sizes, which then
        also serves the usual one, with other bits than in a training that is resumed behind it.
        """
        for dropout in self.dropouts:
            dropout.set_keys(keys)
        logits = self._forward_compiled(inputs) if self.numerics.compiled and is_usual else self.forward(inputs)
        smoothing = self.recipe.label_smoothing
        loss = F.cross_entropy(logits, targets, self.class_weights, label_smoothing=smoothing, reduction="sum")
        self.scaler.scale(loss / total).backward()
        plain = F.cross_entropy(logits.detach(), labels, reduction="sum")
        return plain.to(self.one.dtype), (logits.argmax(1) == labels).sum().to(self.one.dtype)

    def _record(self, total: int, given: list[torch.Tensor]) -> RecordedWork | None:
        """The recording of this kind of batch, made if need be; None, and from now on, where it cannot be made."""
        kind = (total, *(tensor.shape for tensor in given))
        if kind not in self._recorded:
            self._recorded.clear()  # each holds the memory of a step: one size at a time
            before = BufferSnapshot(self.net)
            try:
                work = partial(self._learn_from, total, is_usual=True)
                self._recorded[kind] = RecordedWork(self.net, work, given)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    torch.cuda.empty_cache()
                self.net.zero_grad(set_to_none=True)
                before.restore()
                self.use(replace(self.numerics, graphed=False))
                self.log_event("graph_refused", reason=str(error).strip().partition("\n")[0])
                return None
        return self._recorded[kind]

    def forward(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor] | None = None) -> torch.Tensor:
        """Logits float32, whatever the layers compute in; of `network` in place of the plain one."""
        low = self.numerics.autocast
        if self.numerics.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, low, enabled=low is not None):
            return (self.net if network is None else network)(inputs).float()

    def _forward_compiled(self, inputs: torch.Tensor) -> torch.Tensor:
        """Likewise, compiled; where that fails, plain from now on, and an event."""
        try:
            return self.forward(inputs, self.compiled)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self.use(replace(self.numerics, compiled=False))
            self.log_event("numerics_refused", tried="compiled", reason=str(error).strip().partition("\n")[0])
            return self.forward(inputs)

    def _release(self) -> bool:
        """Gives up the recorded steps, whose memory nothing else can use; whether there was one."""
        if not self._recorded:
            return False
        self.use(replace(self.numerics, graphed=False))
        self.log_event("graph_refused", reason="memory ran out beside the recorded step")
        return True

    @torch.no_grad()
    def _average(self, taken: torch.Tensor) -> None:
        """Lets the averaged weights and norm statistics follow the step, if it was taken."""
        self.steps_taken = self.steps_taken + taken
        if not self.averaged:
            return
        # Faster in the beginning, when the first weights are still far off.
        decay = ((1 + self.steps_taken) / (10 + self.steps_taken)).clamp(max=self.recipe.ema_decay)
        means, weights = list(self.averaged.values()), list(self._followed().values())
        if not self.lag:
            torch._foreach_lerp_(means, weights, float((1 - decay) * taken))
            return
        ways = torch._foreach_sub(weights, means)
        torch._foreach_mul_(ways, ((1 - decay) * taken).float())
        torch._foreach_add_(means, ways)

    def _followed(self) -> dict[str, torch.Tensor]:
        """What is averaged: parameters and running statistics of the norms, which belong to each other."""
        state = self.net.state_dict() if self.recipe.ema_decay else {}
        return {name: value for name, value in state.items() if value.is_floating_point()}

    # -- validation --------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, dataset: Dataset) -> tuple[float, int]:
        """Summed cross entropy and number of correct images, in eval mode; each image counts once, in any team."""
        self.net.eval()
        batches = iterate_batches(
            dataset, batch_size=self.evaluation_batch_size * self.team.size, seed=0, epoch=0, shuffle=False,
            rank=self.team.rank, world_size=self.team.size, device=self.device,
        )  # fmt: skip
        results = [part for b in batches if b.ids for part in self.micro.run(len(b.ids), self._validation_pass(b))]
        sums = torch.stack([sum(column) for column in zip(*results, strict=True)] or [0 * self.one] * 2)
        loss, correct = self.team.sum(sums.tolist())
        return loss, int(correct)

    def _validation_pass(self, batch: Batch) -> Callable[[slice], tuple[torch.Tensor, torch.Tensor]]:
        """A function that returns (summed loss, correct images) of a slice of `batch`."""
        weights, prepared = self.weights(), []

        def run(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            if not prepared:
                prepared.extend((to_unit(upload(batch.images, self.device)), upload(batch.labels, self.device)))
            inputs, labels = (tensor[part] for tensor in prepared)
            logits = torch.func.functional_call(self.net, weights, (inputs,), tie_weights=False)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            return loss.to(self.one.dtype), (logits.argmax(1) == labels).sum().to(self.one.dtype)

        return run

    def weights(self) -> dict[str, torch.Tensor]:
        """What is validated and kept: the network's state, averaged if the recipe asks for it."""
        return self.net.state_dict() | self.averaged

    # -- the state between two steps ---------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """A copy, where the network is; tensors have their own shapes, contiguous, whatever the layout is."""
        return {
            "net": copy_tensors(self.net.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "averaged": copy_tensors(self.averaged),
            "steps_taken": self.steps_taken.clone(),
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
        self.averaged = self._laid_out(state["averaged"])
        self.steps_taken, self.micro.size = state["steps_taken"].to(self.one), state["micro_batch"]
        self.guard = SpikeGuard(self.device)
        self.guard.restore(state["guard"])

    def _laid_out(self, means: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Copies of averaged weights that lie as the weights do."""
        like = self.net.state_dict()
        return {name: torch.empty_like(like[name], requires_grad=False).copy_(mean) for name, mean in means.items()}


def copy_tensors(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies, where they are, contiguous."""
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
