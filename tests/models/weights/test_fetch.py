"""Against a real server: what is fetched is whole and right, or is not there; the cache never holds a bad file."""

import errno
import hashlib
import io
import os
import socket

import h5py
import numpy as np
import pytest
import torch
import torchvision
from click.testing import CliRunner
from weights_server import page, pointer, send, serving, status, stopping, well

from emotion_utils.cli import main
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import write_json
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.weights import fetch, registry
from emotion_utils.models.weights.cache import read_record, weights_dir
from emotion_utils.models.weights.fetch import fetch_weights
from emotion_utils.models.weights.listing import list_weights
from emotion_utils.models.weights.registry import WeightSource

NAME = "resnet18_test"
FILE_NAME = "resnet18_test.pth"


@pytest.fixture(scope="module")
def content():
    """A file with the keys of a ResNet18; its tensors are small, because only fitting them asks for their shapes."""
    state = {key: torch.full((8,), float(i)) for i, key in enumerate(torchvision.models.resnet18().state_dict())}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fetch, "BACKOFF_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("EMOTION_OFFLINE", raising=False)
    monkeypatch.delenv("EMOTION_WEIGHTS_DIR", raising=False)


@pytest.fixture
def register(monkeypatch):
    """Makes a source of these addresses known under NAME."""

    def add(*addresses, sha256_prefix=None):
        source = WeightSource(
            name=NAME, title="test", trained_on="test", architecture="resnet18", file_name=FILE_NAME,
            addresses=addresses, size_mb=0.1, licence="test", sha256_prefix=sha256_prefix, normalisation=IMAGENET,
        )  # fmt: skip
        monkeypatch.setitem(registry.SOURCES, NAME, source)

    return add


def cached_files():
    """What lies in the cache under a name that would be used."""
    return sorted(
        path.name for path in weights_dir().glob("*") if not path.name.endswith((".part", ".part.json", ".lock"))
    )


def assert_fails(match, error=EmotionError):
    with pytest.raises(error, match=match) as caught:
        fetch_weights(NAME)
    assert FILE_NAME not in cached_files()
    assert "\n" not in str(caught.value)


def test_fetched_file_is_whole_recorded_and_fetched_once(register, content):
    seen = []
    with serving(content, well) as server:
        register(server.address, sha256_prefix=hashlib.sha256(content).hexdigest()[:8])
        path = fetch_weights(NAME, progress=lambda done, total: seen.append((done, total)))
        assert fetch_weights(NAME) == path
    assert path.read_bytes() == content
    assert read_record(FILE_NAME)["sha256"] == hashlib.sha256(content).hexdigest()
    assert seen[-1] == (len(content), len(content))
    assert server.requests == [None]
    assert cached_files() == [FILE_NAME, f"{FILE_NAME}.json"]


def test_server_that_stops_half_way_is_resumed_from_there(register, content):
    third = len(content) // 3 + 1
    with serving(content, stopping(third)) as server:
        register(server.address)
        assert fetch_weights(NAME).read_bytes() == content
    assert server.requests == [None, f"bytes={third}-", f"bytes={2 * third}-"]


def test_transfer_of_an_earlier_process_is_resumed(register, content):
    with serving(content, stopping(100)) as server:
        register(server.address)
        assert_fails(r"stopped after 500 of \d+ bytes")
        server.behaviour = well
        assert fetch_weights(NAME).read_bytes() == content
    assert server.requests[-1] == "bytes=500-"


def test_finished_transfer_of_a_killed_process_is_taken_as_it_is(register, content):
    with serving(content, well) as server:
        register(server.address)
        weights_dir().mkdir(parents=True)
        fetch.download(server.address, weights_dir() / f"{FILE_NAME}.part")
        assert fetch_weights(NAME).read_bytes() == content
    assert server.requests == [None, f"bytes={len(content)}-"]


def test_resuming_where_the_server_cannot_starts_again(register, content):
    def whole(handler, content, first):
        send(handler, content)

    with serving(content, stopping(100)) as server:
        register(server.address)
        assert_fails("stopped after")
        server.behaviour = whole
        assert fetch_weights(NAME).read_bytes() == content


def test_file_that_changed_on_the_server_is_not_glued_to_its_old_beginning(register, content):
    new = content.replace(b"conv1", b"conv1", 1)[:-4] + content[-4:]

    def changed(handler, content, first):  # If-Range with another ETag: the whole new file
        assert handler.headers["If-Range"] == '"v1"'
        send(handler, new, headers={"ETag": '"v2"'})

    with serving(b"x" * len(content), stopping(1000)) as server:
        register(server.address)
        assert_fails("stopped after")
        server.behaviour = changed
        assert fetch_weights(NAME).read_bytes() == new


def test_beginning_from_another_address_is_not_gone_on_with(register, content):
    with serving(b"x" * len(content), stopping(1000)) as first, serving(content, well) as second:
        register(first.address, second.address)
        assert fetch_weights(NAME).read_bytes() == content
    assert second.requests == [None]


def test_resumed_file_that_is_wrong_is_thrown_away(register, content):
    half = len(content) // 2 + 1
    with serving(b"x" * half + content[half:], stopping(half)) as server:
        register(server.address)

        def stop_once_then_right(handler, wrong, first):
            stopping(half)(handler, wrong, first)
            if first:
                server.content, server.behaviour = content, well

        server.behaviour = stop_once_then_right
        assert fetch_weights(NAME).read_bytes() == content
    assert server.requests == [None, f"bytes={half}-", None]


@pytest.mark.parametrize(
    ("behaviour", "found"),
    [
        (page, "found an HTML page"),
        (pointer, "found a Git-LFS pointer"),
        (lambda handler, content, first: send(handler, b""), "found an empty file"),
        (lambda handler, content, first: send(handler, b"no weights"), "found something else"),
    ],
)
def test_something_else_in_place_of_weights_is_named(register, content, behaviour, found):
    with serving(content, behaviour) as server:
        register(server.address)
        assert_fails(f"{FILE_NAME}.*expected weights.*{found}")
    assert len(server.requests) == fetch.BAD_FILES


def test_truncated_file_is_refused(register, content):
    with serving(content[: len(content) // 2], well) as server:
        register(server.address)
        assert_fails("a damaged PyTorch file")


def test_wrong_checksum_is_tried_twice_more_and_named(register, content):
    with serving(content, well) as server:
        register(server.address, sha256_prefix="f37072fd")
        found = hashlib.sha256(content).hexdigest()
        assert_fails(f"wrong checksum: expected SHA-256 one that starts with f37072fd, as published; found {found}")
    assert len(server.requests) == 3
    assert cached_files() == []


def test_another_network_under_the_right_name_is_refused(register):
    buffer = io.BytesIO()
    torch.save({"features.0.weight": torch.ones(3)}, buffer)
    with serving(buffer.getvalue(), well) as server:
        register(server.address)
        assert_fails("expected ResNet18")


def test_pickle_that_would_run_code_is_refused_and_not_run(register, tmp_path):
    class RunsCode:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trap"),)

    buffer = io.BytesIO()
    torch.save({"conv1.weight": RunsCode()}, buffer)
    with serving(buffer.getvalue(), well) as server:
        register(server.address)
        assert_fails("refused: it holds a .*mkdir, not tensors alone")
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ({"conv1_1": (7, 7, 3, 64)}, "conv1_1: expected a kernel .3, 3, 3, 64.*found .7, 7, 3, 64"),
        ({"block1_conv1": (3, 3, 3, 64)}, "expected the layers of VGGFace"),
    ],
    ids=["a layer of another shape", "another network"],
)
def test_hdf5_of_something_else_is_refused(register, shape, found):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, kernel in shape.items():
            file[f"{name}/{name}/kernel:0"] = np.zeros(kernel, np.float32)
            file[f"{name}/{name}/bias:0"] = np.zeros(kernel[-1], np.float32)
    with serving(buffer.getvalue(), well) as server:
        register(server.address)
        assert_fails(found)


@pytest.mark.parametrize("code", [404, 403, 410])
def test_address_without_the_file_is_asked_once(register, content, code):
    with serving(content, status(code)) as server:
        register(server.address)
        assert_fails(f"the server answered {code}")
    assert len(server.requests) == 1


def test_server_error_is_tried_again_and_then_named(register, content):
    with serving(content, status(500)) as server:
        register(server.address)
        assert_fails("the server answered 500")
    assert len(server.requests) == fetch.INTERRUPTIONS


def test_server_error_that_passes_does_no_harm(register, content):
    def once(handler, content, first):
        server.behaviour = well
        send(handler, b"busy", 503)

    with serving(content, once) as server:
        register(server.address)
        assert fetch_weights(NAME).read_bytes() == content


def test_redirect_is_followed(register, content):
    with serving(content, well) as target:

        def redirect(handler, content, first):
            send(handler, b"", 302, {"Location": target.address})

        with serving(b"", redirect) as server:
            register(server.address)
            assert fetch_weights(NAME).read_bytes() == content


def test_redirect_in_a_circle_ends(register, content):
    def redirect(handler, content, first):
        send(handler, b"", 302, {"Location": server.address})

    with serving(content, redirect) as server:
        register(server.address)
        assert_fails("the server answered 302")


def test_length_that_promises_too_much_is_an_interruption(register, content):
    with serving(content, lambda h, c, first: send(h, c, headers={"Content-Length": len(c) + 7})) as server:
        register(server.address)
        assert_fails(f"stopped after {len(content)} of {len(content) + 7} bytes")


def test_length_that_promises_too_little_gives_a_file_that_is_refused(register, content):
    with serving(content, lambda h, c, first: send(h, c, headers={"Content-Length": len(c) - 99})) as server:
        register(server.address)
        assert_fails("a damaged PyTorch file")


def test_next_address_is_tried_and_all_failures_are_named(register, content):
    with serving(content, status(404)) as gone, serving(content, well) as good:
        register(gone.address, good.address)
        assert fetch_weights(NAME).read_bytes() == content
    (weights_dir() / FILE_NAME).unlink()
    with serving(content, status(404)) as gone, serving(content, page) as wrong:
        register(gone.address, wrong.address)
        assert_fails(f"{gone.address}: the server answered 404.*{wrong.address}: sent a wrong file")


def test_no_network_says_which_file_to_put_where(register):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
    register(address, sha256_prefix="f37072fd")
    assert_fails(f"no connection.*put {FILE_NAME} from {address} into .*EMOTION_WEIGHTS_DIR.*starts with f37072fd")


def test_offline_asks_no_server(register, content, monkeypatch):
    monkeypatch.setenv("EMOTION_OFFLINE", "1")
    with serving(content, well) as server:
        register(server.address)
        assert_fails(f"EMOTION_OFFLINE forbids.*put {FILE_NAME} from {server.address}", InputError)
    assert server.requests == []


def test_offline_takes_the_file_from_the_folder_for_machines_without_network(register, content, monkeypatch, tmp_path):
    monkeypatch.setenv("EMOTION_OFFLINE", "1")
    monkeypatch.setenv("EMOTION_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / FILE_NAME).write_bytes(content)
    register("http://127.0.0.1:9/weights.pth")
    assert fetch_weights(NAME) == tmp_path / FILE_NAME


def test_full_disk_is_named_and_leaves_nothing(register, content, monkeypatch):
    class FullDisk(io.BytesIO):
        def write(self, chunk):
            raise OSError(errno.ENOSPC, "No space left on device")

    append = fetch._append
    monkeypatch.setattr(fetch, "_append", lambda file, chunk, part: append(FullDisk(), chunk, part))
    with serving(content, well) as server:
        register(server.address)
        assert_fails("the disk is full")
    assert not list(weights_dir().glob("*.part*"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_device_that_is_full_is_named_and_leaves_nothing(register, content):
    part = weights_dir() / f"{FILE_NAME}.part"
    with serving(content, well) as server:
        register(server.address)
        part.parent.mkdir(parents=True)
        part.symlink_to("/dev/full")
        write_json(fetch._note_path(part), {"address": server.address})
        assert_fails("the disk is full")
    assert not list(weights_dir().glob("*.part*"))


def test_disk_that_will_not_hold_the_file_is_named_before_the_transfer(register, content):
    with serving(content, lambda h, c, first: send(h, c, headers={"Content-Length": 1 << 62})) as server:
        register(server.address)
        assert_fails("the disk is full")


def test_cache_that_cannot_be_written_is_bad_input(register, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EMOTION_CACHE_DIR", str(tmp_path / "file"))
    register("http://127.0.0.1:9/weights.pth")
    with pytest.raises(InputError, match="EMOTION_CACHE_DIR"):
        fetch_weights(NAME)


def test_proxy_is_made_not_fetched():
    with pytest.raises(EmotionError, match="ensure_proxies"):
        fetch_weights("proxy_vgg16")


def test_command_prints_where_the_file_is_and_an_error_is_one_line(register, content, monkeypatch):
    with serving(content, well) as server:
        register(server.address)
        result = CliRunner().invoke(main, ["weights", "fetch", NAME])
    assert result.exit_code == 0
    assert result.stdout.strip() == str(weights_dir() / FILE_NAME)
    (weights_dir() / FILE_NAME).unlink()
    monkeypatch.setenv("EMOTION_OFFLINE", "1")
    result = CliRunner().invoke(main, ["weights", "fetch", NAME])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert FILE_NAME in result.stderr


def test_list_tells_what_is_cached(register, content):
    with serving(content, well) as server:
        register(server.address)
        before = {row["name"]: row for row in list_weights()}[NAME]
        path = fetch_weights(NAME)
    after = {row["name"]: row for row in list_weights()}[NAME]
    assert (before["cached"], after["cached"]) == (None, str(path))
    assert "recorded at first use" in before["checksum"]
    assert hashlib.sha256(content).hexdigest()[:12] in after["checksum"]
