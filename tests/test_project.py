"""The project's own order: lists of packages that agree, imports that run one way, notebooks without outputs."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "emotion_utils"
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
OWN_NOTEBOOK = PACKAGE / "models" / "template" / "own_model.ipynb"
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGES = [PROJECT / "README.md", PROJECT / "reports" / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PYPROJECT["optional-dependencies"]

# A module imports from its own entry and from those before it; cli and pipeline sit on top.
STREAM = (
    "printable", "near_names", "errors", "given_paths", "environment", "files", "locks", "waiting", "parallel",
    "cache_building", "counter_rng", "progress", "events", "devices", "own_files", "model_table", "recipe", "config",
    "settings", "budget", "provenance", "search_path", "notebook_files", "import_closure", "schemas", "artefacts",
    "history", "run", "ablation", "rubric", "terminal", "tracking", "synthetic", "sources", "audit", "store", "models",
    "planning", "training", "search", "evaluation", "published", "figures", "report", "deploy", "bench", "kernels",
    "hand_report", "stages", "like", "pipeline", "cli", "__main__",
)  # fmt: skip
REPORT_TOOLS = (
    "papermill",
    "nbconvert",
    "nbformat",
    "ipykernel",
    "IPython",
    "jupyterlab",
    "jupyter_client",
    "weasyprint",
    "nh3",
)
# The first extends a class of nbconvert, the second makes its cleaner once; both are imported to render a report.
RENDERS = ("emotion_utils.report.page.exporter", "emotion_utils.report.page.clean")
NEED_NO_TORCH = (
    "config", "run", "sources.source", "audit.audit", "audit.splits", "synthetic.faces", "store.store",
    "evaluation.metrics", "report.tables", "report.contents", "deploy.classifier",
    "deploy.predict_command", "deploy.page.write",
)  # fmt: skip


def _canonical(requirement: str) -> str:
    """The name that a requirement or a pin begins with, as packages are compared."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def _requirements(lines: list[str]) -> set[str]:
    return {_canonical(line) for line in lines}


def _imports(tree: ast.AST) -> list[str]:
    """Dotted names of all imported modules, those inside functions too."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level)
    return names


def _parse(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _notebook_code(path: Path) -> ast.AST:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return ast.parse(re.sub(r"^\s*[%!].*$", "", code, flags=re.MULTILINE), str(path))


def _third_party(names: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"emotion_utils"}


def _distributions(modules: set[str]) -> set[str]:
    known = metadata.packages_distributions()  # what is not installed here is called as it is imported
    return {_canonical(known.get(module, [module])[0]) for module in modules}


# -- lists of packages ---------------------------------------------------------------------------------


def test_every_dependency_has_a_reason():
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    listed = [line for line in text.splitlines() if re.match(r'\s+"[\w-]+[^"]*",?', line)]
    project_lists = [*PYPROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
    for requirement in project_lists:
        (line,) = [line for line in listed if f'"{requirement}"' in line]
        assert re.search(r'",  # \w', line), f"{requirement}: no reason beside it"


def test_conda_environment_is_the_list_of_pyproject():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert [name.partition(" ")[0] for name in conda] == ["python", "pip", "pango"]
    assert conda[0].startswith(f"python {PYPROJECT['requires-python']},")
    assert pip == {"pip": ["--constraint constraints.txt", f"--editable .[{_tested_extras()}]"]}


def test_commands_ask_for_extras_that_exist():
    assert set(_tested_extras().split(",")) <= set(EXTRAS)
    text = (PROJECT / "run_all.sh").read_text(encoding="utf-8")
    always, asked = re.findall(r"extras=\((.+)\)", text), re.findall(r"extras\+=\((.+)\)", text)
    assert always == ["report download search"]
    assert set(asked) <= set(EXTRAS)


def _tested_extras() -> str:
    words = re.search(r"^enter_environment (.+)$", (PROJECT / "run_tests.sh").read_text(encoding="utf-8"), re.MULTILINE)
    return words[1].replace(" ", ",")


def test_constraints_pin_every_dependency_but_the_torch_pair():
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    pinned = {_canonical(line) for line in lines}
    direct = _requirements([*PYPROJECT["dependencies"], *(line for name in EXTRAS for line in EXTRAS[name])])
    assert direct - pinned == {"torch", "torchvision"}
    assert not [name for name in pinned if re.match(r"torch(vision)?$|nvidia|cuda|triton", name)]
    assert len(pinned) == len(lines)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line) for line in lines)


def test_environment_of_the_converters_proof_holds_what_its_extra_lists():
    script = (PROJECT / "scripts" / "keras.sh").read_text(encoding="utf-8")
    (requirement,) = EXTRAS["keras"]
    assert re.search(rf"constraints.txt\" {requirement} h5py==[0-9.]+ ", script)
    assert "enter_keras_environment\n" in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_the_code_imports_is_declared_and_what_is_declared_is_imported():
    package = _third_party([name for path in MODULES for name in _imports(_parse(path))])
    notebooks = _third_party([name for path in NOTEBOOKS for name in _imports(_notebook_code(path))])
    declared = {name: _requirements(EXTRAS[name]) for name in EXTRAS}
    core = _requirements(PYPROJECT["dependencies"])
    imported = _distributions(package | notebooks)
    assert imported <= core.union(*(names for extra, names in declared.items() if extra != "test"))
    assert core <= imported


def test_what_the_tests_import_is_declared():
    files = [path for path in (PROJECT / "tests").rglob("*.py") if path.name != "keras_reference.py"]
    helpers = {path.stem for path in files}  # keras_reference.py is run by a Python that has TensorFlow
    imported = _third_party([name for path in files for name in _imports(_parse(path))]) - helpers
    extras = [line for name in EXTRAS for line in EXTRAS[name]]
    unknown = _distributions(imported - {"fake_torch"}) - _requirements([*PYPROJECT["dependencies"], *extras])
    assert unknown == set()


# -- imports -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_imports_run_one_way(path):
    if path == PACKAGE / "__init__.py":
        return
    place = STREAM.index(_room(path))
    for name in _imports(_parse(path)):
        assert not name.startswith("."), "imports are absolute"
        parts = name.split(".")
        if parts[0] == "emotion_utils" and name not in ("emotion_utils.PUBLIC", "emotion_utils.__version__"):
            assert STREAM.index(parts[1]) <= place, f"{_room(path)} imports {name} against the stream"


def test_rooms_start_empty():
    assert [path for path in PACKAGE.rglob("__init__.py") if path.stat().st_size] == [PACKAGE / "__init__.py"]


def test_public_names_are_imported_when_they_are_used():
    code = (
        "import emotion_utils, sys; assert 'torch' not in sys.modules; emotion_utils.Run; print(emotion_utils.Trainer)"
    )
    code += "; from emotion_utils import *; print(open_split)"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "training.trainer.Trainer" in result.stdout


def _import_without(modules: list[str], blocked: tuple[str, ...]) -> subprocess.CompletedProcess:
    code = f"import importlib, sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
    code += f"for name in {modules!r}: importlib.import_module(name)"
    return subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)


def test_package_imports_without_the_report_tools():
    names = [".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in MODULES]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__") and name not in RENDERS]
    result = _import_without(names, REPORT_TOOLS)
    assert result.returncode == 0, result.stderr


def test_rooms_that_need_no_torch_import_none():
    result = _import_without([f"emotion_utils.{name}" for name in NEED_NO_TORCH], ("torch", "torchvision"))
    assert result.returncode == 0, result.stderr


# -- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_of_the_documentation_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_data_preparation",
        "02_vggface_finetuned",
        "03_resnet18_scratch",
        "04_resnet18_pretrained",
        "04b_lite0_pretrained",
        "05_creative_element",
        "06_comparison",
        "07_video",
    ]


@pytest.mark.parametrize("path", [*NOTEBOOKS, OWN_NOTEBOOK], ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", [*NOTEBOOKS, OWN_NOTEBOOK], ids=lambda path: path.stem)
def test_notebook_has_one_parameters_cell_and_opens_with_a_title(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert "".join(cells[0]["source"]).startswith("# ")
    assert sum("parameters" in cell["metadata"].get("tags", ()) for cell in cells) == 1


@pytest.mark.parametrize(
    "arguments", [("check", "--output-format=concise"), ("format", "--check")], ids=lambda words: words[0]
)
def test_ruff_has_nothing_to_say(arguments):
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "."], cwd=PROJECT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout
