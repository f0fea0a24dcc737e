import threading
import time

import pytest

from emotion_utils.cache_building import only_builder, replacing_folder
from emotion_utils.errors import InputError


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "thing"

    def fail():
        with replacing_folder(target) as folder:
            (folder / "half").touch()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert not list(tmp_path.iterdir())
    for name in ("first", "second"):
        with replacing_folder(target) as folder:
            (folder / name).touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_one_builder_waits_for_the_other(tmp_path):
    inside, most = [], []

    def build():
        with only_builder(tmp_path / "thing", 0):
            inside.append(1)
            time.sleep(0.01)  # long enough for another to step in
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_a_cache_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="set EMOTION_CACHE_DIR"), only_builder(tmp_path / "file" / "thing", 0):
        pass
