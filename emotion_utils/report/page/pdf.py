"""The report on paper: WeasyPrint, or Chromium where that is not usable, or a note that says why there is no PDF.

Each printer is a process of its own: what ends it does not end the run. `python -m emotion_utils.report.page.pdf FILE`
prints the page on standard input with WeasyPrint.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from emotion_utils.files import replacing
from emotion_utils.provenance import PACKAGE_DIR

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
TIMEOUT_S = 600
_RELATIVE_LINK = re.compile(r' href="(?!#|[a-z]+:)[^"]*"')  # which Chromium would complete with the folder it prints in


def print_pdf(page: str, target: Path) -> tuple[Path | None, list[str]]:
    """Prints the HTML `page` to `target`. Returns the path, or None, and notes for a person; no printer makes it raise.

    A PDF of an earlier page does not stay where there is no new one.
    """
    notes = []
    for name, printer in (("WeasyPrint", _print_weasyprint), ("Chromium", _print_chromium)):
        try:
            with replacing(target) as temporary:
                printer(page, temporary)
                _require_text(temporary)
            return target, notes
        except Exception as error:  # whatever a printer dies of, the HTML is there and the run says so
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            notes.append(f"{name} could not print the report ({reason})")
    target.unlink(missing_ok=True)
    notes.append(
        "there is no report.pdf: install weasyprint (with Pango) or Chromium, and a font; or print report.html by hand"
    )
    return None, notes


def _print_weasyprint(page: str, target: Path) -> None:
    path = os.pathsep.join(filter(None, [str(PACKAGE_DIR.parent), os.environ.get("PYTHONPATH")]))
    _run([sys.executable, "-P", "-m", __name__, str(target)], page, {**os.environ, "PYTHONPATH": path})


def _print_chromium(page: str, target: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError("no Chromium on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "report.html"
        source.write_text(_RELATIVE_LINK.sub("", page), encoding="utf-8")
        command = [browser, "--headless", "--disable-gpu", "--disable-background-networking", "--no-pdf-header-footer"]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root otherwise
        command += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}", source.as_uri()]
        _run(command)


def _run(command: Sequence[str], page: str = "", environment: dict[str, str] | None = None) -> None:
    """Raises OSError with the signal that ended the command, or with the last line that it wrote."""
    try:
        done = subprocess.run(
            command, input=page.encode(), capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"it was not done after {TIMEOUT_S} seconds") from None
    if done.returncode < 0:
        raise OSError(f"it was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").split("\n")
        raise OSError(next((line for line in reversed(said) if line.strip()), f"exit status {done.returncode}"))


def _require_text(pdf: Path) -> None:
    from pypdf import PdfReader

    if not any(page.extract_text().strip() for page in PdfReader(pdf).pages):
        raise OSError("it printed no text: is there a font on this machine?")


def main(target: str) -> None:
    """Prints the page on standard input with WeasyPrint: tagged, with bookmarks, as PDF/UA asks."""
    warnings.filterwarnings("error", message=".*FontConfig")  # a machine without a font; Pango would end this process
    import weasyprint
    from weasyprint.urls import URLFetcher

    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of each screen-only property
    within = URLFetcher(allowed_protocols=["data"])  # whatever the page says, nothing is loaded from elsewhere
    page = sys.stdin.buffer.read().decode()
    weasyprint.HTML(string=page, url_fetcher=within).write_pdf(target, pdf_variant="pdf/ua-1")


if __name__ == "__main__":
    main(sys.argv[1])
