"""Makes docs/example: the report of the default run, on synthetic faces, with the numbers that it rests on.

    scripts/example_report.sh            # a whole run first, ten minutes on two cores
    scripts/example_report.sh RUN        # of the finished run in the folder RUN
    scripts/example_report.sh --again    # only the report again, of the numbers that docs/example holds

Weights, notebooks and the logs of trainings are left out, so that it stays small. `emotion verify docs/example` holds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from emotion_utils.config import resolve_config
from emotion_utils.figures.style import theme_svgs
from emotion_utils.files import write_text
from emotion_utils.kernels import execute_notebook
from emotion_utils.pipeline import run_pipeline
from emotion_utils.provenance import NOTEBOOKS_DIR, PROJECT_DIR
from emotion_utils.report.checksums import remove_checksums, write_checksums
from emotion_utils.report.page.pdf import print_pdf
from emotion_utils.report.page.render import check_page, make_page
from emotion_utils.report.results import read_results
from emotion_utils.run import Run

EXAMPLE = PROJECT_DIR / "docs" / "example"
COMPARISON = "06_comparison.ipynb"
KEPT = ("run.json", "data/*.csv", "data/*.json*", "figures/*", "creative/*", "models/*/*.csv", "models/*/*.json*")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, help="a finished run; one of the profile demo is made without it")
    parser.add_argument("--again", action="store_true", help="only the report, of the numbers that are there")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if not given.again:
            source = given.run or run_pipeline(Path(folder, "demo"), resolve_config("demo")).root
            copy_numbers(Run.open(source), EXAMPLE)
        write_report(Run.open(EXAMPLE), Path(folder, COMPARISON))


def copy_numbers(run: Run, folder: Path) -> None:
    """What the report is made of, in place of what `folder` holds."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in [path for pattern in KEPT for path in run.root.glob(pattern)]:
        copy = folder / path.relative_to(run.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def write_report(run: Run, executed: Path) -> None:
    """claims.json, the model cards, report.html and report.pdf from the numbers; `executed` is written on the way."""
    remove_checksums(run)
    parameters = {"run_dir": str(run.root)}
    execute_notebook(NOTEBOOKS_DIR / COMPARISON, executed, parameters, cell_minutes=10, environment={})
    results = read_results(run)
    page = make_page(results, executed)
    check_page(results, page)
    write_text(run.inside("report.html"), theme_svgs(page))
    pdf, notes = print_pdf(page, run.inside("report.pdf"))
    run.record(report={**run.facts["report"], "pdf": pdf is not None, "notes": notes})
    write_checksums(run)
    print(run.root / "report.html", *notes, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
