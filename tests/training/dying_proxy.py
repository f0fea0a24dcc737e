"""A process that is killed while it makes a proxy."""

import os
import signal

import torch

from emotion_utils.models.weights import load
from emotion_utils.training import pretext


def make_and_die(name, moment, changes):
    """Makes the proxy `name` with `changes` to its recipe and is killed while it writes, or when it has written."""

    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    def write_half(state, path, metadata):
        path.write_bytes(b"half of it")
        die()

    torch.set_num_threads(1)
    pretext.RECIPES[name].update(changes)
    owner, attribute, function = {
        "writes": (load, "save_file", write_half),
        "has written": (load, "record_checksum", die),
    }[moment]
    setattr(owner, attribute, function)
    pretext.ensure_proxies([name])
