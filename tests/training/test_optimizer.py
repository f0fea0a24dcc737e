"""The optimizer learns as PyTorch's unfused one does, however the weights lie in memory, and if they are moved."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from emotion_utils.training.optimizer import FlatAdamW, FlatOptimizer, FlatSGD

LIMIT = 0.5


def make_net():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 25, 3))


def groups_of(net):
    return [{"params": [net[0].weight, net[4].weight], "weight_decay": 0.1, "lr": 0.02},
            {"params": [net[1].weight, net[1].bias, net[4].bias], "weight_decay": 0.0}]  # fmt: skip


def backward(net, seed):
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    (net(images) ** 2).sum().backward()


def learn(net, optimizer, steps=range(5), limit=LIMIT, skip=False):
    """With our optimizer or with PyTorch's."""
    for seed in steps:
        backward(net, seed)
        if isinstance(optimizer, FlatOptimizer):
            optimizer.collect()
            optimizer.step_clipped(optimizer.measure_gradient(), limit, skip)
        else:
            nn.utils.clip_grad_norm_(net.parameters(), limit)
            optimizer.step()
        optimizer.zero_grad()


KINDS = {FlatAdamW: torch.optim.AdamW, FlatSGD: partial(torch.optim.SGD, momentum=0.9, nesterov=True)}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def plain_optimizer(kind, net):
    return KINDS[kind](groups_of(net), lr=0.01, fused=False, foreach=False)


def assert_same_weights(one, other):
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_become_those_of_the_plain_optimizer(kind, layout):
    plain = make_net()
    ours = copy.deepcopy(plain).to(memory_format=layout)
    learn(plain, plain_optimizer(kind, plain))
    learn(ours, kind(groups_of(ours), lr=0.01))
    assert_same_weights(ours, plain)


@pytest.mark.parametrize("skip", [False, torch.tensor(False)], ids=["known", "computed"])
@pytest.mark.parametrize("layouts", [LAYOUTS, LAYOUTS[::-1]], ids=["to channels last", "back"])
def test_weights_that_are_laid_out_anew_half_way_become_those_of_the_plain_optimizer(kind, layouts, skip):
    plain = make_net()
    ours = copy.deepcopy(plain).to(memory_format=layouts[0])
    plainly, flat = plain_optimizer(kind, plain), kind(groups_of(ours), lr=0.01)
    learn(plain, plainly, range(3))
    learn(ours, flat, range(3), skip=skip)
    ours.to(memory_format=layouts[1])
    learn(plain, plainly, range(3, 6))
    learn(ours, flat, range(3, 6), skip=skip)
    assert_same_weights(ours, plain)


def test_a_layout_that_changes_between_backward_and_step_is_followed_too(kind):
    plain = make_net()
    ours = copy.deepcopy(plain)
    plainly, flat = plain_optimizer(kind, plain), kind(groups_of(ours), lr=0.01)
    learn(plain, plainly, range(2), limit=1e9)
    learn(ours, flat, range(2), limit=1e9)
    for net, optimizer in ((plain, plainly), (ours, flat)):
        backward(net, 2)
        net.to(memory_format=torch.channels_last)
        optimizer.step()
    assert_same_weights(ours, plain)


@pytest.mark.parametrize("layouts", [(one, other) for one in LAYOUTS for other in LAYOUTS])
def test_its_state_goes_on_in_any_layout(kind, layouts):
    plain = make_net()
    first, second = (copy.deepcopy(plain).to(memory_format=layout) for layout in layouts)
    plainly, flat = plain_optimizer(kind, plain), kind(groups_of(first), lr=0.01)
    learn(plain, plainly)
    learn(first, flat)
    second.load_state_dict(first.state_dict())
    resumed = kind(groups_of(second), lr=0.01)
    state = flat.state_dict()
    assert [state["state"][place][kind.moments[0]].shape for place in range(2)] == [plain[0].weight.shape, (3, 200)]
    resumed.load_state_dict(state)
    learn(plain, plainly, range(5, 8))
    learn(second, resumed, range(5, 8))
    assert_same_weights(second, plain)


def test_a_kept_state_does_not_move_with_the_training(kind):
    net = make_net()
    flat = kind(groups_of(net), lr=0.01)
    learn(net, flat)
    state = flat.state_dict()
    before = copy.deepcopy(state)
    learn(net, flat)
    flat.load_state_dict(state)
    learn(net, flat)
    for place, kept in before["state"].items():
        assert all(torch.equal(value, state["state"][place][name]) for name, value in kept.items())


@pytest.mark.parametrize("skip", [True, torch.tensor(True)], ids=["known", "computed"])
def test_a_skipped_step_changes_neither_weights_nor_state(kind, skip):
    net = make_net()
    flat = kind(groups_of(net), lr=0.01)
    learn(net, flat)
    weights, state = copy.deepcopy(net), flat.state_dict()
    backward(net, 9)
    net[0].weight.grad.fill_(torch.nan)
    flat.collect()
    flat.step_clipped(flat.measure_gradient(), LIMIT, skip)
    flat.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), weights.parameters(), strict=True))
    for place, kept in flat.state_dict()["state"].items():
        assert all(torch.equal(value, state["state"][place][name]) for name, value in kept.items())


@pytest.mark.parametrize("limit", [1e-3, 1e3])
def test_what_is_known_later_gives_the_bits_of_what_is_known_at_once(kind, limit):
    nets = [make_net(), make_net()]
    for net, skip in zip(nets, (False, torch.tensor(False)), strict=True):
        learn(net, kind(groups_of(net), lr=0.01), limit=limit, skip=skip)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


def test_a_gradient_that_lies_otherwise_than_its_weight_goes_to_the_right_places():
    weight = nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
    flat = FlatAdamW([{"params": [weight], "weight_decay": 0.0}], lr=1.0)
    signs = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0)).sign()
    _Otherwise.apply(weight, signs).backward()
    flat.step()
    torch.testing.assert_close(weight.detach(), -signs)  # the first step of Adam goes as far as the rate, for each


def test_a_weight_that_would_be_moved_twice_or_beyond_its_memory_is_refused():
    weight, base = nn.Parameter(torch.zeros(4)), torch.zeros(4, 6)
    with pytest.raises(ValueError, match="twice"):
        FlatAdamW([{"params": [weight]}, {"params": [weight]}], lr=0.1)
    for loose in (base[:, ::2], base[:1].expand(3, 6)):
        with pytest.raises(ValueError, match="not dense in memory"):
            FlatAdamW([{"params": [nn.Parameter(loose)]}], lr=0.1)
    for dense in (base.t(), torch.zeros(2, 3, 4).permute(2, 0, 1), torch.zeros(1, 1, 1, 1), torch.zeros(0, 3)):
        FlatAdamW([{"params": [nn.Parameter(dense)]}], lr=0.1)


class _Otherwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, gradient):
        ctx.save_for_backward(gradient)
        return (weight * gradient).sum()

    @staticmethod
    def backward(ctx, _):
        return ctx.saved_tensors[0].contiguous(), None


def test_what_got_no_gradient_stays_and_keeps_no_old_one(kind):
    net = make_net()
    flat = kind(groups_of(net), lr=0.01)
    learn(net, flat, range(1))
    net[0].requires_grad_(False)
    before = [weight.clone() for weight in net.parameters()]
    learn(net, flat, range(1, 3))
    moved = [not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True)]
    assert moved == [False, True, True, True, True]


@pytest.mark.parametrize("length", [0.3, 5.0, float("inf"), float("nan")])
def test_the_length_of_the_gradient_is_told_and_limited(length):
    weights = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(4))]
    optimizer = FlatAdamW([{"params": weights}], lr=0.1)
    parts = torch.tensor([0.6, 0.0, 0.0]) * length, torch.tensor([0.0, 0.8, 0.0, 0.0]) * length
    sum((weight * part).sum() for weight, part in zip(weights, parts, strict=True)).backward()
    optimizer.collect()
    told = float(optimizer.measure_gradient())
    assert told == pytest.approx(length, nan_ok=True) or not torch.isfinite(torch.tensor([told, length])).any()
    if length < float("inf"):
        optimizer.step_clipped(torch.tensor(told), LIMIT, skip=False)
        moments = torch.cat([optimizer.state[view]["exp_avg"] for view in optimizer.param_groups[0]["params"]])
        assert float(moments.norm()) == pytest.approx(0.1 * min(length, LIMIT), rel=1e-4)  # 1 - beta1 of the gradient


def test_a_long_gradient_does_not_shorten_the_next_one():
    weight = nn.Parameter(torch.zeros(4))
    optimizer = FlatAdamW([{"params": [weight]}], lr=0.1)
    for length in (50.0, 0.25):
        optimizer.zero_grad()
        (weight * torch.tensor([length, 0.0, 0.0, 0.0])).sum().backward()
        optimizer.collect()
        optimizer.step_clipped(optimizer.measure_gradient(), LIMIT, skip=False)
    (view,) = optimizer.param_groups[0]["params"]
    expected = 0.9 * 0.1 * LIMIT + 0.1 * 0.25
    assert float(optimizer.state[view]["exp_avg"][0]) == pytest.approx(expected, rel=1e-4)


def test_momentum_begins_at_the_first_step_that_is_taken_and_not_at_one_that_is_skipped():
    plain, late = make_net(), make_net()
    flat = FlatSGD(groups_of(late), lr=0.01)
    learn(late, flat, range(2), skip=torch.tensor(True))
    assert not any(state["momentum_buffer"].any() for state in flat.state_dict()["state"].values())
    late.load_state_dict(plain.state_dict())  # running statistics have moved
    learn(late, flat)
    learn(plain, plain_optimizer(FlatSGD, plain))
    assert_same_weights(late, plain)


def test_two_steps_of_sgd_by_hand():
    """Nesterov: v = 0.9 v + g with g = gradient + decay * weight; the weight moves by -lr (g + 0.9 v)."""
    weight = nn.Parameter(torch.tensor([1.0]))
    flat = FlatSGD([{"params": [weight], "weight_decay": 0.1}], lr=0.5)
    expected, velocity = 1.0, 0.0
    for gradient in (2.0, -1.0):
        (weight * gradient).sum().backward()
        flat.step()
        flat.zero_grad()
        g = gradient + 0.1 * expected
        velocity = 0.9 * velocity + g
        expected -= 0.5 * (g + 0.9 * velocity)
        assert weight.item() == pytest.approx(expected, rel=1e-6)
