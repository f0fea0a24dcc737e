"""A training step on a GPU that holds no values: it mixes no devices, and nothing in it waits for a value.

torch's fake tensors know shape, type and device, and refuse whoever asks what is in them: `float()`, `bool()`, a mask
that chooses. What only a GPU can do (its backward pass, its streams, pinned memory) is stood in for.
"""

from types import SimpleNamespace

import pytest
import tiny_training
import torch
from tiny_training import TinyNet, make_dataset, make_trainer
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from emotion_utils.store.resident import ResidentImages
from emotion_utils.training.distributed import Team
from emotion_utils.training.numerics import Numerics

GPU = torch.device("cuda", 0)
# The fake device is not there: torch says so where autocast and memory are concerned.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*CUDA is not available"),
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
]


@pytest.fixture
def fake_gpu(monkeypatch):
    """A function that makes a trainer there, and the count of the steps' backward passes."""
    train, val, passes = make_dataset(48, 1), make_dataset(15, 2), []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(record_event=lambda: None))
    monkeypatch.setattr(tiny_training, "make_dataset", lambda *how: val)

    def make(folder, free_bytes=10**9, **settings):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_bytes, 10**10))
        with torch.device(GPU):
            net = TinyNet()
        net.to = lambda *where, **how: net  # it is there already

        def backward(loss):
            assert loss.device == GPU
            passes.append(1)
            for parameter in net.parameters():
                if parameter.requires_grad:
                    parameter.grad = torch.empty_like(parameter)

        monkeypatch.setattr(torch.Tensor, "backward", backward)
        trainer = make_trainer(folder, net=net, train_set=train, team=Team(0, 1, GPU), **settings)
        trainer.learner.enter(trainer.recipe.phases[0])
        trainer.learner.guard.start_epoch(10)
        return trainer

    with FakeTensorMode(allow_non_fake_inputs=True):
        yield make, passes


@pytest.mark.parametrize("free_bytes", [10**9, 1000], ids=["resident", "pinned"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mixup": 0.2, "ema_decay": 0.9, "label_smoothing": 0.1},
        {"clip_norm": 0.1},
        {"phases": [{"epoch": 1, "train_from": "body"}]},
        {"size_px": 32, "progressive_resizing": [{"epoch": 1, "size_px": 16}, {"epoch": 2, "size_px": 32}]},
        {"precision": "bfloat16"},
    ],
)
def test_a_step_mixes_no_devices_and_waits_for_nothing(tmp_path, fake_gpu, settings, free_bytes):
    make, passes = fake_gpu
    trainer = make(tmp_path, free_bytes, **settings)
    assert isinstance(trainer.train_set.images, ResidentImages) == (free_bytes > 1000)
    assert trainer.learner.lag == 1
    for number, batch in enumerate(trainer._batches(), start=1):
        step = trainer.learner.begin(batch, epoch=1, number=number, rate_factor=0.5)
    assert len(passes) == number == 6
    assert step.figures._values.shape == (8,)


def test_the_state_of_a_training_stays_on_the_device(tmp_path, fake_gpu):
    make, _ = fake_gpu
    trainer = make(tmp_path, ema_decay=0.9)
    trainer.learner.use(Numerics("bfloat16", channels_last=True))
    trainer.learner.begin(next(trainer._batches()), epoch=1, number=1, rate_factor=1.0)
    trainer.learner.scaler.state_dict = dict  # which reads the scale
    state = trainer.learner.state()
    moments = [kept["exp_avg"] for kept in state["optimizer"]["state"].values()]
    tensors = [*state["net"].values(), *state["averaged"].values(), *moments, state["guard"]["norms"]]
    assert {tensor.device for tensor in tensors} == {GPU}


def test_a_step_that_is_read_at_once_would_wait(tmp_path, fake_gpu):
    """What the tests above rest on: this is how waiting shows itself."""
    make, _ = fake_gpu
    trainer = make(tmp_path)
    trainer.learner.lag = 0
    with pytest.raises(DataDependentOutputException):
        trainer.learner.begin(next(trainer._batches()), epoch=1, number=1, rate_factor=1.0)


def test_a_validation_waits_once_at_its_end(tmp_path, fake_gpu):
    make, _ = fake_gpu
    trainer = make(tmp_path)
    trainer.learner.evaluation_batch_size, seen = 4, []
    forward = trainer.learner.net.forward
    trainer.learner.net.forward = lambda images: seen.append(len(images)) or forward(images)
    with pytest.raises(DataDependentOutputException):
        trainer.learner.evaluate(trainer.val_set)
    assert seen == [4, 4, 4, 3]
