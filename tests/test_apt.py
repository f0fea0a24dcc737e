"""CI installs Debian packages while another apt is at work; apt is real, its folders are the test's."""

import fcntl
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "apt.sh"
LOCKS = {"lists/lock": ("update",), "dpkg/lock-frontend": ("install", "-y")}  # who needs it
pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="a Debian machine alone has apt")


@pytest.fixture
def start(tmp_path):
    """Starts run_apt with some arguments, on folders in which nothing is installed and nothing can be."""
    for name in ("lists/partial", "dpkg", "cache/archives/partial", "etc/preferences.d"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("dpkg/status", "etc/sources.list"):
        (tmp_path / name).touch()
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::State "{tmp_path}"; Dir::State::status "{tmp_path}/dpkg/status"; Dir::Cache "{tmp_path}/cache"; '
        f'Dir::Etc "{tmp_path}/etc"; Dir::Log "{tmp_path}";'
    )

    def start(*arguments, wait_s=60):
        variables = {**os.environ, "APT_CONFIG": str(config), "APT_WAIT_S": str(wait_s)}
        command = ["bash", "-euo", "pipefail", "-c", f'source "{SCRIPT}"; run_apt "$@"', "test", *arguments]
        return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)

    return start


@pytest.mark.fault(
    "another apt or dpkg holds a lock while CI installs its packages", "R E",
    "waits five minutes, then the lock and its holder are named; any other error is told at once", group="machines",
)  # fmt: skip
def test_locks_of_apt_are_waited_for(start, tmp_path):
    with (tmp_path / "lists/lock").open("w") as lists, (tmp_path / "dpkg/lock-frontend").open("w") as dpkg:
        fcntl.lockf(lists, fcntl.LOCK_EX)
        fcntl.lockf(dpkg, fcntl.LOCK_EX)
        refused = [(lock, start(*arguments, wait_s=0)) for lock, arguments in LOCKS.items()]
        waiting = [start(*arguments) for arguments in LOCKS.values()]
        for lock, process in refused:
            complaint = process.communicate(timeout=60)[1]
            assert process.returncode == 1
            assert f"Could not get lock {tmp_path / lock}. It is held by process {os.getpid()}" in complaint
        time.sleep(0.2)
        assert [process.poll() for process in waiting] == [None, None]
    assert [process.communicate(timeout=60)[1] for process in waiting] == ["", ""]
    assert [process.returncode for process in waiting] == [0, 0]


def test_another_error_is_told_at_once(start):
    process = start("install", "-y", "nosuchpackage")
    assert "Unable to locate package nosuchpackage" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
