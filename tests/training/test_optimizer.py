"""The optimizer on a processor learns as PyTorch's does, however the weights lie in memory."""

import copy

import pytest
import torch
from torch import nn

from emotion_utils.training.optimizer import FlatAdamW, clip_gradients, collect_gradients, make_optimizer

LIMIT = 0.5


def make_net():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 25, 3))


def groups_of(net):
    return [{"params": [net[0].weight, net[4].weight], "weight_decay": 0.1, "lr": 0.02},
            {"params": [net[1].weight, net[1].bias, net[4].bias], "weight_decay": 0.0}]  # fmt: skip


def learn(net, optimizer, clip, steps=5):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        images = torch.randn(4, 3, 5, 5, generator=generator)
        (net(images) ** 2).sum().backward()
        clip()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weights_become_those_of_the_plain_optimizer(layout):
    plain = make_net()
    ours = copy.deepcopy(plain).to(memory_format=layout)
    adam = torch.optim.AdamW(groups_of(plain), lr=0.01, fused=False, foreach=False)
    flat = make_optimizer(groups_of(ours), 0.01, torch.device("cpu"))
    assert isinstance(flat, FlatAdamW)
    learn(plain, adam, lambda: nn.utils.clip_grad_norm_(plain.parameters(), LIMIT))
    learn(ours, flat, lambda: (collect_gradients(flat), clip_gradients(flat, LIMIT)))
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_a_gradient_that_lies_otherwise_than_its_weight_goes_to_the_right_places():
    weight = nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
    flat = FlatAdamW([{"params": [weight], "weight_decay": 0.0}], lr=1.0)
    signs = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0)).sign()
    _Otherwise.apply(weight, signs).backward()
    flat.step()
    torch.testing.assert_close(weight.detach(), -signs)  # the first step of Adam goes as far as the rate, for each


class _Otherwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, gradient):
        ctx.save_for_backward(gradient)
        return (weight * gradient).sum()

    @staticmethod
    def backward(ctx, _):
        return ctx.saved_tensors[0].contiguous(), None


def test_what_got_no_gradient_stays_and_keeps_no_old_one():
    net = make_net()
    flat = FlatAdamW(groups_of(net), lr=0.01)
    learn(net, flat, lambda: None, steps=1)
    net[0].requires_grad_(False)
    before = [weight.clone() for weight in net.parameters()]
    learn(net, flat, lambda: None, steps=2)
    moved = [not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True)]
    assert moved == [False, True, True, True, True]


@pytest.mark.parametrize("length", [0.3, 5.0, float("inf"), float("nan")])
def test_the_length_of_the_gradient_is_told_and_limited(length):
    weights = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(4))]
    optimizer = FlatAdamW([{"params": weights}], lr=0.1)
    parts = torch.tensor([0.6, 0.0, 0.0]) * length, torch.tensor([0.0, 0.8, 0.0, 0.0]) * length
    sum((weight * part).sum() for weight, part in zip(weights, parts, strict=True)).backward()
    collect_gradients(optimizer)
    told = clip_gradients(optimizer, LIMIT)
    assert told == pytest.approx(length, nan_ok=True) or not torch.isfinite(torch.tensor([told, length])).any()
    if length < float("inf"):
        optimizer.step()
        moments = torch.cat([optimizer.state[view]["exp_avg"] for view in optimizer.param_groups[0]["params"]])
        assert float(moments.norm()) == pytest.approx(0.1 * min(length, LIMIT), rel=1e-4)  # 1 - beta1 of the gradient


def test_a_long_gradient_does_not_shorten_the_next_one():
    weight = nn.Parameter(torch.zeros(4))
    optimizer = FlatAdamW([{"params": [weight]}], lr=0.1)
    for length in (50.0, 0.25):
        optimizer.zero_grad()
        (weight * torch.tensor([length, 0.0, 0.0, 0.0])).sum().backward()
        collect_gradients(optimizer)
        clip_gradients(optimizer, LIMIT)
        optimizer.step()
    (view,) = optimizer.param_groups[0]["params"]
    expected = 0.9 * 0.1 * LIMIT + 0.1 * 0.25
    assert float(optimizer.state[view]["exp_avg"][0]) == pytest.approx(expected, rel=1e-4)


def test_its_state_goes_on_where_it_was_kept():
    one, other = make_net(), make_net()
    first, second = FlatAdamW(groups_of(one), lr=0.01), FlatAdamW(groups_of(other), lr=0.01)
    learn(one, first, lambda: None)
    other.load_state_dict(one.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    learn(one, first, lambda: None)
    learn(other, second, lambda: None)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
