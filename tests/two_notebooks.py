"""A pipeline of two notebooks of a cell each, in place of the real ones."""

import nbformat

from emotion_utils import pipeline
from emotion_utils import stages as stages_module
from emotion_utils.stages import Stage

COPY = "from pathlib import Path\nroot = Path(run_dir)\n(root / 'b').write_text((root / 'a').read_text() + '!')"
MAKE = "from pathlib import Path\nroot = Path(run_dir)\n(root / 'a').write_text('made')\n(root / 'claims').touch()"
FIRST, SECOND = "01_data_preparation", "06_comparison"


def put_in_place(folder, monkeypatch):
    """Writes both to `folder` and makes the pipeline run these."""
    folder.mkdir()
    stages = [Stage(FIRST, (), ("a",)), Stage(SECOND, ("a",), ("b",))]
    monkeypatch.setattr(stages_module, "NOTEBOOKS_DIR", folder)
    monkeypatch.setattr(pipeline, "stages_of", lambda config: stages)
    monkeypatch.setattr(pipeline, "check_data", lambda config: "data")
    monkeypatch.setattr(pipeline, "_render", lambda run, ran, say: None)
    write_notebook(folder / f"{FIRST}.ipynb", MAKE)
    write_notebook(folder / f"{SECOND}.ipynb", COPY)


def write_notebook(path, code):
    parameters = nbformat.v4.new_code_cell("run_dir = ''", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
