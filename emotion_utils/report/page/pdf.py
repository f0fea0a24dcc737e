"""The report on paper: WeasyPrint, or Chromium where that is not usable, or a note that says why there is no PDF."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import ImageFile

from emotion_utils.files import replacing

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
TIMEOUT_S = 120


def print_pdf(page: str, target: Path) -> tuple[Path | None, list[str]]:
    """Prints the HTML `page` to `target`. Returns the path, or None, and notes for a person; no printer makes it raise.

    A PDF of an earlier page does not stay where there is no new one.
    """
    notes = []
    for name, printer in (("WeasyPrint", _print_weasyprint), ("Chromium", _print_chromium)):
        try:
            with replacing(target) as temporary:
                printer(page, temporary)
            return target, notes
        except Exception as error:  # whatever a printer dies of, the HTML is there and the run says so
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            notes.append(f"{name} could not print the report ({reason})")
    target.unlink(missing_ok=True)
    notes.append("there is no report.pdf: install weasyprint (with Pango) or Chromium, or print report.html by hand")
    return None, notes


def _print_weasyprint(page: str, target: Path) -> None:
    """Tagged, with bookmarks, as PDF/UA asks."""
    logger = logging.getLogger("weasyprint")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of each screen-only property
    try:
        import weasyprint

        ImageFile.LOAD_TRUNCATED_IMAGES = False  # its import sets this for the whole process; a cut image is a fault
        weasyprint.HTML(string=page).write_pdf(target, pdf_variant="pdf/ua-1")
    finally:
        logger.setLevel(level)


def _print_chromium(page: str, target: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError("no Chromium on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "report.html"
        source.write_text(page, encoding="utf-8")
        command = [browser, "--headless", "--disable-gpu", "--disable-background-networking", "--no-pdf-header-footer"]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root otherwise
        command += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
    if target.stat().st_size == 0:
        raise OSError("it wrote an empty file")
