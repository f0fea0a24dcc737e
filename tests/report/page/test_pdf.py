"""Printing leaves nothing behind in the process that prints."""

from PIL import ImageFile

from emotion_utils.report.page.pdf import print_pdf


def test_cut_images_are_still_faults_after_printing(tmp_path):
    path, notes = print_pdf("<html lang='en'><title>A page</title><p>text</p></html>", tmp_path / "a.pdf")
    assert (path, notes) == (tmp_path / "a.pdf", [])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
