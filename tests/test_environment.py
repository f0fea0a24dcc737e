"""The two commands make or find their environment; pip, torch and pytest are stand-ins, venv and shell are real."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion_utils.waiting import SPINS

PROJECT = Path(__file__).parents[1]
MARKER = ".emotion_utils.json"
TOOLS = ("bash", "dirname", "id", "mkdir")

FAKE_PIP = """
import importlib.util, json, os, pathlib, sys, sysconfig, time
arguments = sys.argv[1:]
if "install" not in arguments:
    sys.exit()
constraints = pathlib.Path(arguments[arguments.index("--constraint") + 1]).read_text().split()
with open(os.environ["FAKE_LOG"], "a") as log:
    print(json.dumps({"prefix": sys.prefix, "arguments": arguments, "constraints": constraints,
        "pip": {name: value for name, value in os.environ.items() if name.startswith("PIP_")}}), file=log)
while not os.path.exists(os.environ.get("FAKE_GATE", "/")):
    time.sleep(0.05)
for line in os.environ.get("FAKE_LINES", "").splitlines():
    print(line, flush=True)
if "FAKE_FAILURE" in os.environ:
    sys.exit("no connection")
site = pathlib.Path(sysconfig.get_path("purelib"))
if importlib.util.find_spec("torch") is None:
    sys.path.insert(0, os.environ["FAKE_SITE"])
    import fake_torch
    fake_torch.write(site, "2.15.0", broken="FAKE_BROKEN" in os.environ)
(site / "_editable_impl_emotion_utils.pth").write_text(os.getcwd() + "\\n", encoding="utf-8")
"""
FAKE_TORCH = """
def write(site, version, broken=False):
    sources = {"torch": "def tensor(rows): return rows\\nones = list", "torchvision": "class ops: nms = print"}
    if broken:
        sources["torchvision"] = "raise RuntimeError('operator torchvision::nms does not exist')"
    for name, source in sources.items():
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(source.replace("ones = list", "def ones(count): return [1.0] * count"))
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
"""
REPORT_START = """
import json, os, sys
facts = {"arguments": sys.argv[1:], "cwd": os.getcwd(), "prefix": sys.prefix, "variables": dict(os.environ)}
print(json.dumps(facts))
sys.exit(int(os.environ.get("FAKE_STATUS", "0")))
"""


class Checkout:
    """A copy of the two commands in a folder with a space and an umlaut, and a machine around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "my wörk"
        self.caller = folder / "caller"
        self.programs = folder / "programs"
        self.log = folder / "pip.log"
        self.site = folder / "site"
        self.venv = self.root / ".venv"
        for place in (self.root, self.caller, self.programs, folder / "home"):
            place.mkdir()
        shutil.copytree(PROJECT / "scripts", self.root / "scripts")
        for name in ("run_all.sh", "run_tests.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy2(PROJECT / name, self.root / name)
        _write(self.root / "emotion_utils" / "__main__.py", REPORT_START)
        _write(self.root / "emotion_utils" / "__init__.py", "")
        _write(self.site / "pytest" / "__main__.py", REPORT_START)
        _write(self.site / "pip" / "__init__.py", "")  # without it a real pip would come first
        _write(self.site / "pip" / "__main__.py", FAKE_PIP)
        _write(self.site / "fake_torch.py", FAKE_TORCH)
        for tool in TOOLS:
            (self.programs / tool).symlink_to(shutil.which(tool))
        self.add_program("python3", f'exec "{sys._base_executable}" "$@"')

    def add_program(self, name: str, line: str) -> None:
        _write(self.programs / name, f"#!/bin/sh\n{line}\n")
        (self.programs / name).chmod(0o755)

    def variables(self, **changes: str | Path) -> dict[str, str]:
        basic = {
            "PATH": self.programs,
            "HOME": self.folder / "home",
            "PYTHONPATH": self.site,
            "FAKE_SITE": self.site,
            "FAKE_LOG": self.log,
        }
        return {name: str(value) for name, value in {**basic, **changes}.items()}

    def start(self, *arguments: str, script: str = "run_all.sh", **changes: str | Path) -> subprocess.CompletedProcess:
        command = [self.root / script, *arguments]
        return subprocess.run(
            command, cwd=self.caller, env=self.variables(**changes), capture_output=True, text=True, timeout=60
        )

    def start_behind(self, gate: Path) -> subprocess.Popen:
        """A start in a process group of its own; returns when a pip is at work, which ends once `gate` exists."""
        process = subprocess.Popen(
            [self.root / "run_all.sh"],
            env=self.variables(FAKE_GATE=gate),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while not self.installs():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        return process

    def facts(self, *arguments: str, **changes: str | Path) -> dict:
        """What the started program saw; the start must succeed."""
        result = self.start(*arguments, **changes)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def installs(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def make_environment(self, root: Path, torch: str | None = "2.12.1+cu126") -> Path:
        """A virtual environment of the user's; returns its site-packages."""
        subprocess.run([sys._base_executable, "-m", "venv", "--without-pip", root], check=True)
        site = next(root.glob("lib/python*/site-packages"))
        if torch:
            _load(self.site / "fake_torch.py").write(site, torch)
        return site


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_second_start_installs_nothing(checkout):
    for _ in range(2):
        assert checkout.facts()["prefix"] == str(checkout.venv)
    assert len(checkout.installs()) == 1


def test_own_environment_lets_pip_choose_the_torch_pair_in_one_call(checkout):
    checkout.facts()
    (install,) = checkout.installs()
    assert install["arguments"][-2:] == ["--editable", ".[download,report,search]"]
    assert not [line for line in install["constraints"] if line.startswith(("torch=", "torchvision="))]
    pinned = (PROJECT / "constraints.txt").read_text(encoding="utf-8").split("\n", 1)[1].split()
    assert install["constraints"] == pinned


def test_packages_are_compiled_once_even_where_no_python_may_write_what_it_compiles(checkout):
    """Otherwise each start on such a machine compiles all that it imports, for 20 seconds."""
    checkout.facts(PYTHONDONTWRITEBYTECODE="1")
    assert "--no-compile" in checkout.installs()[0]["arguments"]
    sources = list(checkout.venv.glob("lib/python*/site-packages/torch*/*.py"))
    assert sources
    for source in sources:
        assert list(source.parent.glob(f"__pycache__/{source.stem}.*.pyc"))


@pytest.mark.fault("PIP_USER=1 or `user = true`", "R", "overruled for the project's own environment", group="machines")
@pytest.mark.parametrize("settings", [{"PIP_USER": "1"}, {"PIP_TARGET": "/elsewhere", "PIP_PREFIX": "/elsewhere"}])
def test_settings_of_pip_that_lead_elsewhere_are_overruled_and_others_stay(checkout, settings):
    result = checkout.start(**settings, PIP_INDEX_URL="https://mirror")
    assert result.returncode == 0, result.stderr
    (install,) = checkout.installs()
    assert install["pip"] == {"PIP_USER": "0", "PIP_INDEX_URL": "https://mirror"}


def test_tests_need_their_extra_and_the_run_then_needs_nothing(checkout):
    checkout.facts()
    checkout.facts(script="run_tests.sh")
    checkout.facts()
    installed = [install["arguments"][-1] for install in checkout.installs()]
    assert installed == [".[download,report,search]", ".[download,edge,report,search,test,tracking,video]"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_list_of_packages_is_installed(checkout, name):
    checkout.facts()
    with (checkout.root / name).open("a") as stream:
        stream.write("# changed\n")
    checkout.facts()
    checkout.facts()
    assert len(checkout.installs()) == 2


def test_arguments_working_directory_and_status_pass_through(checkout):
    arguments = ["--data", "two words", "", "--set", "a=*"]
    result = checkout.start(*arguments, FAKE_STATUS="2")
    facts = json.loads(result.stdout)
    assert result.returncode == 2
    assert facts["arguments"] == ["run", *arguments]
    assert facts["cwd"] == str(checkout.caller)


def test_pytest_runs_in_the_checkout(checkout):
    facts = checkout.facts("-k", "one", script="run_tests.sh")
    assert facts["arguments"] == ["-k", "one"]
    assert facts["cwd"] == str(checkout.root)


def test_folder_of_the_caller_shadows_no_module(checkout):
    _write(checkout.caller / "emotion_utils" / "__main__.py", "raise SystemExit('shadowed')")
    assert checkout.facts()["arguments"] == ["run"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, str(SPINS)),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
        ({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "7"}, "7"),
    ],
)
def test_threads_leave_cores_to_others_unless_somebody_says_how_they_wait(checkout, own, expected):
    for script in ("run_all.sh", "run_tests.sh"):
        assert checkout.facts(script=script, **own)["variables"].get("GOMP_SPINCOUNT") == expected


def test_relative_call_through_cdpath_finds_the_checkout(checkout):
    (checkout.caller / "my wörk").mkdir()
    result = subprocess.run(
        ["my wörk/run_all.sh"],
        cwd=checkout.folder,
        env=checkout.variables(CDPATH=checkout.caller),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        ({"python3.11": 11, "python3.12": 12, "python3.13": 13, "python3": 11}, "python3.13"),
        ({"python3.12": None, "python3.11": 11, "python3": 9}, "python3.11"),  # None: a shim that starts nothing
        ({"python3": 14, "python3.12": 12}, "python3.12"),
        ({"python3": 14}, "python3"),
        ({"python3": 8, "python": 13}, "python"),
    ],
)
def test_newest_tested_python_is_taken(checkout, versions, chosen):
    (checkout.programs / "python3").unlink()
    taken = checkout.folder / "taken"
    for name, minor in versions.items():
        answer = "exit 127" if minor is None else f"exit {int(minor < 11)}"
        is_check = '[ "$1" = -c ]'
        start = f'echo {name} >> "{taken}"; exec "{sys._base_executable}" "$@"'
        checkout.add_program(name, f"if {is_check}; then {answer}; fi; {start}")
    checkout.facts()
    assert set(taken.read_text().split()) == {chosen}


def test_machine_without_python_gets_one_clear_line(checkout):
    (checkout.programs / "python3").unlink()
    result = checkout.start()
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "no Python 3.11 or newer" in result.stderr
    assert not checkout.venv.exists()


@pytest.mark.parametrize("variable", ["KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"])
def test_platform_keeps_its_torch_under_a_layered_environment(checkout, variable):
    platform = checkout.folder / "platform"
    _load(checkout.site / "fake_torch.py").write(platform, "2.10.0+cu128")
    search = f"{checkout.site}{os.pathsep}{platform}"
    activated = f"{checkout.venv}/bin{os.pathsep}{checkout.programs}"
    for path in (checkout.programs, activated):
        facts = checkout.facts(**{variable: "1"}, PATH=path, PYTHONPATH=search, MPLBACKEND="module://elsewhere")
        assert facts["prefix"] == str(checkout.venv)
        assert "MPLBACKEND" not in facts["variables"]
    (install,) = checkout.installs()
    assert install["prefix"] == str(checkout.venv)
    assert {"torch==2.10.0+cu128", "torchvision==2.10.0+cu128"} < set(install["constraints"])
    assert "include-system-site-packages = true" in (checkout.venv / "pyvenv.cfg").read_text()


def test_platform_whose_python_is_in_a_virtual_environment_keeps_its_torch(checkout):
    platform = checkout.folder / "plätform"
    site = checkout.make_environment(platform, torch="2.10.0+cu128")
    path = f"{platform}/bin{os.pathsep}{checkout.programs}"
    for _ in range(2):
        facts = checkout.facts(COLAB_RELEASE_TAG="1", PATH=path)
        assert facts["prefix"] == str(checkout.venv)
    (install,) = checkout.installs()
    assert install["prefix"] == str(checkout.venv)
    assert "torch==2.10.0+cu128" in install["constraints"]
    assert not list(checkout.venv.glob("lib/python*/site-packages/torch"))
    assert (site / "torch").exists()


def test_kernel_is_completed_beside_its_torch_or_told_why_not(checkout):
    kernel = checkout.folder / "kernel"
    command = [kernel / "bin" / "python", checkout.root / "scripts" / "environment.py", "--here", "report"]
    site = checkout.make_environment(kernel, torch=None)
    options = {"env": checkout.variables(COLAB_RELEASE_TAG="1"), "capture_output": True, "text": True}
    refused = subprocess.run(command, **options)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {kernel}/bin/python, the Python of this kernel, has no torch; ./run_all")
    assert refused.stderr.count("\n") == 1
    _load(checkout.site / "fake_torch.py").write(site, "2.10.0+cu128")
    assert subprocess.run(command, **options).stdout == f"{kernel}/bin/python\n"
    (install,) = checkout.installs()
    assert install["prefix"] == str(kernel)
    assert "torch==2.10.0+cu128" in install["constraints"]
    assert not checkout.venv.exists()


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_active_environment_keeps_what_it_has(checkout, variable):
    active = checkout.folder / "active"
    site = checkout.make_environment(active)
    _write(site / "NumPy-2.1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: NumPy\nVersion: 2.1.0\n")
    for _ in range(2):
        assert checkout.facts(**{variable: active})["prefix"] == str(active)
    (install,) = checkout.installs()
    names = {line.partition("==")[0] for line in install["constraints"]}
    assert {"torch==2.12.1+cu126", "torchvision==2.12.1+cu126"} < set(install["constraints"])
    assert "numpy" not in names
    assert "pandas" in names
    assert not checkout.venv.exists()


def test_torch_that_changed_in_an_active_environment_is_pinned_anew(checkout):
    active = checkout.folder / "active"
    site = checkout.make_environment(active)
    checkout.facts(VIRTUAL_ENV=active)
    metadata = site / "torch-2.12.1+cu126.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("2.12.1+cu126", "2.13.0"))
    checkout.facts(VIRTUAL_ENV=active)
    assert "torch==2.13.0" in checkout.installs()[1]["constraints"]


@pytest.mark.parametrize(
    ("torch", "reason"), [(None, "has no torch"), ("2.9.1", "has torch 2.9.1, older than 2.10"), ("0.0", "older")]
)
def test_active_environment_without_a_usable_torch_is_left_alone(checkout, torch, reason):
    active = checkout.folder / "active"
    site = checkout.make_environment(active, torch)
    before = sorted(site.rglob("*"))
    result = checkout.start(VIRTUAL_ENV=active)
    assert json.loads(result.stdout)["prefix"] == str(checkout.venv)
    assert reason in result.stderr.splitlines()[0]
    assert "left alone" in result.stderr.splitlines()[0]
    assert sorted(site.rglob("*")) == before


def test_torch_that_does_not_import_is_not_used(checkout):
    active = checkout.folder / "active"
    site = checkout.make_environment(active)
    (site / "torch" / "__init__.py").write_text("raise OSError('libcudart.so')")
    result = checkout.start(VIRTUAL_ENV=active)
    assert json.loads(result.stdout)["prefix"] == str(checkout.venv)
    assert "fails to import" in result.stderr


def test_vanished_active_environment_is_passed_over(checkout):
    result = checkout.start(VIRTUAL_ENV=checkout.folder / "gone")
    assert json.loads(result.stdout)["prefix"] == str(checkout.venv)


def test_activated_environment_of_the_project_is_its_own(checkout):
    checkout.facts()
    checkout.facts(VIRTUAL_ENV=checkout.venv)
    assert len(checkout.installs()) == 1


def test_emotion_venv_names_the_folder_and_wins(checkout):
    active = checkout.folder / "active"
    checkout.make_environment(active)
    elsewhere = checkout.folder / "else where"
    facts = checkout.facts(EMOTION_VENV=elsewhere, VIRTUAL_ENV=active)
    assert facts["prefix"] == str(elsewhere)
    assert not checkout.venv.exists()


def test_folder_that_is_no_environment_is_not_cleared(checkout):
    precious = checkout.folder / "precious"
    _write(precious / "thesis.txt", "years of work")
    result = checkout.start(EMOTION_VENV=precious)
    assert result.returncode == 1
    assert "not a virtual environment" in result.stderr
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_environment_of_another_checkout_behind_a_link_is_not_emptied(checkout):
    elsewhere = checkout.folder / "elsewhere"
    checkout.facts(EMOTION_VENV=elsewhere)
    checkout.venv.symlink_to(elsewhere)
    before = sorted(path.relative_to(elsewhere) for path in elsewhere.rglob("*"))
    done = checkout.start()
    assert done.returncode == 1
    assert "set EMOTION_VENV to that, or remove the link" in done.stderr
    assert str(elsewhere) in done.stderr
    assert sorted(path.relative_to(elsewhere) for path in elsewhere.rglob("*")) == before
    assert checkout.facts(EMOTION_VENV=elsewhere)["prefix"] == str(elsewhere)


def test_two_starts_at_once_install_once(checkout):
    gate = checkout.folder / "gate"
    first = checkout.start_behind(gate)
    second = checkout.start_behind(gate)
    assert "waiting" in second.stderr.readline()
    gate.touch()
    messages = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], messages
    assert len(checkout.installs()) == 1


def test_interrupted_install_is_taken_up_again(checkout):
    process = checkout.start_behind(checkout.folder / "gate that stays shut")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (checkout.venv / MARKER).exists()
    checkout.facts()
    assert len(checkout.installs()) == 2
    assert (checkout.venv / MARKER).exists()


def test_failed_install_ends_in_a_line_and_is_tried_again(checkout):
    result = checkout.start(FAKE_FAILURE="1")
    assert result.returncode == 1
    *before, last = result.stderr.splitlines()
    assert last.startswith("error: pip could not install")
    assert before[-1] == "environment: pip: no connection"
    log = checkout.venv / ".emotion_utils.log"
    assert str(log) in last
    assert log.read_text() == "no connection\n"
    assert result.stdout == ""
    checkout.facts()


PIP_SAYS = """Collecting torch>=2.10
  Downloading torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (30 kB)
  Using cached https://mirror/torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl (1.2 GB)
Downloading triton-3.5.0-py3-none-any.whl (170.4 MB)
Downloading six-1.17.0.tar.gz (11 kB)
Installing collected packages: triton, torch, six
Successfully installed six-1.17.0 torch-2.14.1 triton-3.5.0
"""


def test_install_into_a_log_says_each_stage_in_a_line_and_keeps_what_pip_says(checkout):
    said = checkout.start(FAKE_LINES=PIP_SAYS).stderr.splitlines()
    assert [re.sub(r" \d+ s$", " 0 s", line) for line in said[1:]] == [
        "environment: 3 packages chosen and fetched, 1,370 MB, in 0 s",
        "environment: installed in 0 s",
        "environment: compiling them",
    ]
    assert (checkout.venv / ".emotion_utils.log").read_text() == PIP_SAYS


def test_install_on_a_terminal_has_one_line_that_is_drawn_anew(checkout):
    reader, terminal = os.openpty()
    variables = checkout.variables(FAKE_LINES=PIP_SAYS)
    subprocess.run([checkout.root / "run_all.sh"], env=variables, stdout=subprocess.PIPE, stderr=terminal, check=True)
    os.close(terminal)
    said = os.read(reader, 1 << 16).decode()
    os.close(reader)
    assert "\r\x1b[2Kfetching triton (170.4 MB); 2 packages, 1,370 MB so far; " in said
    assert said.count("\n") == 4


def test_run_gets_the_packages_that_it_asks_for(checkout):
    checkout.facts("--models", "lite0_pre_emotion", "--set=video=yes", "--set", "tracking=tensorboard")
    (install,) = checkout.installs()
    assert install["arguments"][-1] == ".[download,edge,report,search,tensorboard,video]"


def test_torchvision_that_does_not_fit_is_refused(checkout):
    result = checkout.start(FAKE_BROKEN="1")
    assert result.returncode == 1
    assert "do not work together" in result.stderr
    assert "torchvision::nms does not exist" in result.stderr
    assert not (checkout.venv / MARKER).exists()


def test_copied_checkout_makes_its_environment_anew(checkout):
    checkout.facts()
    moved = checkout.folder / "moved"
    shutil.copytree(checkout.root, moved, symlinks=True)
    checkout.root, checkout.venv = moved, moved / ".venv"
    assert checkout.facts()["prefix"] == str(moved / ".venv")
    assert len(checkout.installs()) == 2
    assert str(moved) in (moved / ".venv" / "pyvenv.cfg").read_text()


def test_environment_whose_python_vanished_is_made_anew(checkout):
    checkout.facts()
    (checkout.venv / "bin" / "python").unlink()
    (checkout.venv / "bin" / "python").symlink_to("/nowhere/python3")
    assert checkout.facts()["prefix"] == str(checkout.venv)


@pytest.mark.parametrize("home", ["", "/nonexistent/home"])
def test_missing_home_is_replaced_by_a_folder_that_can_be_written(checkout, home):
    variables = checkout.facts(HOME=home, TMPDIR=checkout.folder)["variables"]
    assert os.access(variables["HOME"], os.W_OK)


def test_package_imports_in_locale_c_from_a_path_with_an_umlaut(checkout):
    checkout.facts(LC_ALL="C")
    code = "import emotion_utils; print(ascii(emotion_utils.__file__))"
    result = subprocess.run(
        [checkout.venv / "bin" / "python", "-c", code],
        cwd="/",
        env={"LC_ALL": "C"},
        capture_output=True,
        text=True,
    )
    assert ascii(str(checkout.root / "emotion_utils" / "__init__.py")) in result.stdout


def test_read_only_checkout_keeps_its_environment_in_the_cache(checkout, monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    environment = _load(PROJECT / "scripts" / "environment.py")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    root = environment.own_root(checkout.root, {"XDG_CACHE_HOME": str(checkout.folder)})
    other = environment.own_root(checkout.folder, {"XDG_CACHE_HOME": str(checkout.folder)})
    assert root.parent == checkout.folder / "emotion_utils"
    assert root != other
