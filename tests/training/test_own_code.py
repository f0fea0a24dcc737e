"""The fingerprint of a network with code of one's own: each change is seen, and every process finds the same one."""

import os
import subprocess
import sys
from itertools import combinations

import pytest
import torch
from torch import nn

from emotion_utils.errors import InputError
from emotion_utils.model_table import MODELS, import_modules
from emotion_utils.models.zoo import build_model
from emotion_utils.training.fingerprint import network_sha256

OWN_MODELS = tuple(MODELS)  # of the package
NOTEBOOK = """
import functools
from torch import nn
import torch
SCALE = 2.0
NAMES = {"one", "two", "three"}
def double(x, by=2):
    "A docstring."
    return x * by * SCALE
class Base(nn.Module):
    def base(self, x):
        return x + 1
class Head(Base):
    offset = 1
    act = lambda self, x: x.relu()
    def forward(self, x):
        # a comment
        inner = [double(part) for part in x]
        return self.base(torch.stack(inner)) if "one" in {"one", "zero"} else self.fixed(x)
    @staticmethod
    def fixed(x, names=NAMES):
        return x
"""
CHANGES = [
    ("SCALE = 2.0", "SCALE = 3.0"), ('"two"', '"four"'), ("by=2", "by=3"), ("x * by", "x + by"), ("x + 1", "x - 1"),
    ("offset = 1", "offset = 2"), ("x.relu()", "x.tanh()"), ('{"one", "zero"}', '{"one", "nil"}'),
    ("        return x\n", "        return -x\n"), ("@staticmethod\n", "@classmethod\n"),
    ("class Head(Base):", "class Head(type('Base', (Base,), {'base': lambda self, x: x})):"),
]  # fmt: skip


def sha256_of(code, name="__main__"):
    cells = {"__name__": name}
    exec(code, cells)
    return network_sha256(cells["Head"]())


@pytest.fixture
def notebook(monkeypatch):
    """A kernel's __main__ has no file."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)


@pytest.mark.parametrize("name", ["__main__", "made_by_exec", "builtins"])
def test_every_change_in_what_a_class_of_a_notebook_uses_is_seen(notebook, name):
    codes = [NOTEBOOK, *(NOTEBOOK.replace(old, new) for old, new in CHANGES)]
    assert len(set(codes)) == len(codes)
    found = [sha256_of(code, name) for code in codes]
    alike = [pair for pair in combinations(range(len(found)), 2) if found[pair[0]] == found[pair[1]]]
    assert alike == []


def test_comments_docstrings_and_other_cells_change_nothing(notebook):
    again = NOTEBOOK.replace("# a comment", "# another").replace('"A docstring."', '"Another one."')
    assert sha256_of(again + "\nbase = batch = object()\n") == sha256_of(NOTEBOOK)


@pytest.mark.slow
def test_processes_agree_whatever_the_order_of_their_sets():
    imported = "from emotion_utils.training.fingerprint import network_sha256"
    code = f"{imported}\nexec({NOTEBOOK!r})\nprint(network_sha256(Head()))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_value_that_no_later_training_could_be_compared_with_is_refused_by_name(notebook):
    with pytest.raises(InputError, match=r"uses SCALE \(of the class lock\)"):
        sha256_of(NOTEBOOK.replace("SCALE = 2.0", "import threading; SCALE = threading.Lock()"))


def test_class_made_by_type_and_function_put_into_an_installed_class_are_seen(notebook, monkeypatch):
    def made(sign):
        return type("ReLU", (nn.ReLU,), {"forward": lambda self, x: x.relu() * sign})()

    assert len({network_sha256(net) for net in (nn.ReLU(), made(1), made(-1))}) == 3
    cells = {"__name__": "__main__"}
    exec("def forward(self, x):\n    return x", cells)
    before = network_sha256(nn.GELU())
    monkeypatch.setattr(nn.GELU, "forward", cells["forward"])
    assert network_sha256(nn.GELU()) != before


FILE = """
import torch
from torch import nn
from emotion_utils.model_table import Architecture, ModelSpec, register_model
from my_blocks import Block
FACTOR = 1.0
class Net(nn.Module):
    def __init__(self, num_classes, dropout):
        super().__init__()
        self.body, self.head = Block(), nn.Linear(4, num_classes)
    def forward(self, images):
        return self.head(self.body(images).mean((2, 3))) * FACTOR
groups = {"body": ("body",), "head": ("head",)}
recipe = {"lr": 0.25, "phases": [{"epoch": 1, "train_from": "body"}]}
register_model(ModelSpec("my_net", Architecture("my_net", "small", Net, groups), recipe))
"""
BLOCKS = """
from torch import nn
from my_parts import squash
class Block(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 3)
    def forward(self, x):
        return squash(super().forward(x))
"""
PARTS = "def squash(x):\n    return x.relu()\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in (("my_net", FILE), ("my_blocks", BLOCKS), ("my_parts", PARTS)):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # edits follow each other within a second
    yield tmp_path
    for name in [name for name in MODELS if name not in OWN_MODELS]:
        del MODELS[name]
    for name in ("my_blocks", "my_parts"):
        sys.modules.pop(name, None)


def file_sha256(folder):
    import_modules([str(folder / "my_net.py")])
    net = build_model("my_net", num_classes=3, image_size_px=32, weights="random")
    return network_sha256(net), net.eval()(torch.ones(1, 3, 32, 32)).sum().item()


def test_change_in_a_file_and_in_what_it_imports_is_trained_and_seen(folder):
    found = [file_sha256(folder)]
    for name, old, new in (
        ("my_net", "FACTOR = 1.0", "FACTOR = 2.0"),
        ("my_parts", "relu()", "tanh()"),
        ("my_blocks", "squash(", "-squash("),
    ):
        path = folder / f"{name}.py"
        path.write_text(path.read_text().replace(old, new))
        found.append(file_sha256(folder))
    assert len(set(found)) == len({sha256 for sha256, _ in found}) == 4
    assert len({output for _, output in found}) == 4, "the changed code is what runs"
    path.write_text(f'"""Said of it."""\n{path.read_text()}  # and a comment\n')
    assert file_sha256(folder) == found[-1]
