"""A PostgreSQL of the tests' own."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from one_thread import one_thread  # noqa: F401


def find_programs():
    """The folders of PostgreSQL's programs, the newest last."""
    programs = [Path(found).parent] if (found := shutil.which("initdb")) else []
    return programs + sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture
def database(request, tmp_path):
    """The address of a new database: of PostgreSQL where it is installed, else a file of SQLite."""
    return request.getfixturevalue("postgresql") if find_programs() else f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def postgresql():
    """The address of a new database; skips where PostgreSQL is not installed."""
    programs = find_programs()
    if not programs:
        pytest.skip("PostgreSQL is not installed")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name  # it refuses to run as root
    prefix = ["runuser", "--user", user, "--"] if os.getuid() == 0 else []
    folder = Path(subprocess.check_output([*prefix, "mktemp", "--directory"], text=True).strip())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def do(program, *arguments):
        command = [*prefix, programs[-1] / program, "--pgdata", folder / "data", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

    do("initdb", "--auth=trust", "--no-sync", "--username=postgres")
    do("pg_ctl", "--wait", f"--options=-p {port} -k {folder} -F", "start")
    yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    do("pg_ctl", "--mode=immediate", "stop")
    subprocess.run([*prefix, "rm", "--recursive", folder], check=True)
