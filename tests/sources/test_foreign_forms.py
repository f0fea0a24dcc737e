"""Exports in forms that are not read are refused by the name of the form, told from what the files hold."""

import pytest
from face_files import write_folder, write_tar

from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source

PNG = b"\x89PNG\r\n\x1a\n"
COCO = b'{"info": {}, "images": [{"id": 1, "file_name": "0.png"}], "annotations": []}'
BOXES = b'{"file_name": "0.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": [0]}}\n'
FORMS = {
    "COCO": ("images/{}.png", {"annotations/instances_train.json": COCO}),
    "YOLO": ("images/train/{}.png", {"labels/classes.txt": b"happy\nsad\n", "labels/train/0.txt": b"0 0.5 0.5 .2 1\n"}),
    "Pascal VOC": ("JPEGImages/{}.png", {"Annotations/0.xml": b"<annotation>\n <filename>0.png</filename>"}),
    "objects of Hugging Face": ("train/{}.png", {"train/metadata.jsonl": BOXES}),
    "WebDataset": ("{}.png", {"0.cls": b"1"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_form_is_told_from_the_content(tmp_path, form):
    pattern, files = FORMS[form]
    files = {pattern.format(number): PNG for number in range(3)} | files
    with pytest.raises(InputError, match=rf"is of the form {form}, which is not read; export the data as class"):
        open_source(str(write_folder(tmp_path, files)))


@pytest.mark.parametrize("ending", ["cls", "json", "txt"])
def test_samples_in_a_tar_are_webdataset(tmp_path, ending):
    files = {f"{n:05d}.{end}": data for n in range(3) for end, data in (("png", PNG), (ending, b"1"))}
    with pytest.raises(InputError, match=rf"00000\.{ending} is of the form WebDataset"):
        open_source(str(write_tar(tmp_path / "shard-000.tar", files)))


@pytest.mark.parametrize("name", ["points.txt", "notes.json", "settings.xml", "more.jsonl"])
def test_other_files_of_these_endings_are_no_such_forms(tmp_path, name):
    text = b'0.5 0.5 0.1 0.2 0.3\n{"file_name": "0.png", "images": [1]}\n<annotations/>'
    with pytest.raises(InputError, match="in one flat folder"):
        open_source(str(write_folder(tmp_path, {"0.png": PNG, "1.png": PNG, name: text})))
