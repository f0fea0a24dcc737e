"""Printing happens in a process of its own, which loads nothing from elsewhere."""

import http.server
import threading
from pathlib import Path
from urllib.request import url2pathname

import pytest
from PIL import ImageFile

from emotion_utils.report.page import pdf
from emotion_utils.report.page.pdf import print_pdf

PAGE = "<html lang='en'><title>A page</title><p>text</p></html>"


@pytest.fixture
def asked():
    """The address of a server, and the paths that it was asked for."""
    paths = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def test_cut_images_are_still_faults_after_printing(tmp_path):
    path, notes = print_pdf(PAGE, tmp_path / "a.pdf")
    assert (path, notes) == (tmp_path / "a.pdf", [])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.fault(
    "an address in a style, escaped or not, that the printer would fetch",
    "R",
    "nothing is loaded but what is in the page",
    group="strangers",
)
def test_printer_loads_nothing_however_an_address_is_written(tmp_path, asked, monkeypatch):
    address, paths = asked
    secret = tmp_path / "secret.svg"
    secret.write_text("<svg xmlns='http://www.w3.org/2000/svg'><text y='9'>secret</text></svg>")
    hostile = f"""<style>@import "{address}/1"; body {{ background: u\\72l({address}/2) }}</style>
        <link rel=stylesheet href={address}/3><img src={address}/4 alt=a>
        <p style="background:\\75rl({address}/5)">text</p>
        <svg><image href="{address}/6"/></svg><object data={address}/7></object><img src={secret.as_uri()} alt=b>"""
    path, _ = print_pdf(PAGE.replace("<p>", f"{hostile}<p>"), tmp_path / "a.pdf")
    assert paths == []
    assert b"secret" not in path.read_bytes()


def test_chromium_is_tried_where_weasyprint_prints_no_text(tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(pdf, "_print_weasyprint", lambda page, target: pdf_of("", target))
    monkeypatch.setattr(pdf, "_print_chromium", lambda page, target: printed.append(pdf_of("text", target)))
    path, notes = print_pdf(PAGE, tmp_path / "a.pdf")
    assert path is not None
    assert len(printed) == 1
    assert notes == ["WeasyPrint could not print the report (it printed no text: is there a font on this machine?)"]


def test_chromium_is_given_no_link_that_it_would_complete_with_a_folder_of_this_machine(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(pdf.shutil, "which", lambda name: name)
    monkeypatch.setattr(pdf, "_run", lambda command: given.append(Path(url2pathname(command[-1][7:])).read_text()))
    links = ('<a href="notebooks/01.html">one</a>', '<a href="#two">two</a>', '<a href="https://e.org/">three</a>')
    pdf._print_chromium("".join(links), tmp_path / "a.pdf")
    assert given == ["<a>one</a>" + "".join(links[1:])]


def test_printer_that_does_not_end_is_told_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "TIMEOUT_S", 0.01)
    with pytest.raises(OSError, match=r"^it was not done after 0\.01 seconds$"):
        pdf_of("text", tmp_path / "a.pdf")


def pdf_of(text, target):
    pdf._run([pdf.sys.executable, "-m", pdf.__name__, str(target)], f"<html><p>{text}</p></html>")
