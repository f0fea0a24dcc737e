"""Tables of labels in their owners' words, in whatever dialect; and labels that are votes."""

import json
import unicodedata

import pytest
from face_files import encode, faces, make_image, write_folder, write_zip

from emotion_utils.audit.lines import agreement_line
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source, source_of
from emotion_utils.sources.text_tables import peek_table
from emotion_utils.sources.trees import FolderTree
from emotion_utils.sources.votes import majority, majority_of_ferplus, measure_agreement, rename_votes, write_votes

IMAGES = {f"images/{name}.jpg": encode(make_image(seed), "JPEG") for seed, name in enumerate("abcd")}
LABELS = {"a.jpg": "happy", "b.jpg": "sad", "c.jpg": "happy", "d.jpg": "angry"}


def read(tmp_path, tables, images=IMAGES, **options):
    files = images | {name: text if isinstance(text, bytes) else text.encode() for name, text in tables.items()}
    source = open_source(str(write_folder(tmp_path / "data", files)), **options)
    packed = open_source(str(write_zip(tmp_path / "data.zip", {f"w/{n}": d for n, d in files.items()})), **options)
    assert packed.table.equals(source.table)
    return source


def labels(source):
    return {
        path.rpartition("/")[2]: label for path, label in zip(source.table["path"], source.table["label"], strict=True)
    }


@pytest.mark.fault(
    "a table of labels in its owner's words", "R", "usual names of columns are understood, and told", group="data"
)
@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("user.id,image,emotion", "628,{0},{1}"),
        ("file_name,label", "images/{0},{1}"),
        ("image,label", "{0},{1}"),
        ("Image Name;Expression", "{0};{1}"),
        ("filename\tclass\tx", "images\\{0}\t{1}\t9"),
        ("ID,Category", "{2},{1}"),
        ("img|emotion", "./images/{0}|{1}"),
        ("path of nothing,file,emotion", "x,/home/ann/data/images/{0},{1}"),
        ("image,emotion", '"{0}","{1}"'),
    ],
)
def test_usual_names_of_columns_are_understood_and_told(tmp_path, head, row):
    rows = [row.format(name, label.upper() if name == "a.jpg" else label, name[0]) for name, label in LABELS.items()]
    source = read(tmp_path, {"legend.csv": "\n".join([head, *rows]) + "\n"})
    assert labels(source) == LABELS
    assert "legend.csv (path from " in source.found
    assert source.kind == "labels.csv"


def test_annotators_are_not_persons(tmp_path):
    rows = [f"{seed},{name},{label}" for seed, (name, label) in enumerate(LABELS.items())]
    assert set(read(tmp_path, {"legend.csv": "\n".join(["user.id,image,emotion", *rows])}).table["group"]) == {""}
    assert set(read(tmp_path, {"legend.csv": "\n".join(["subject,image,emotion", *rows])}).table["group"]) == set(
        "0123"
    )


def test_rows_without_files_and_images_without_rows_are_set_aside(tmp_path):
    rows = "image,emotion\na.JPG,happy\nb.jpg,sad\nc.jpg,\ngone.jpg,sad\n"
    source = read(tmp_path, {"legend.csv": rows})
    assert source.faults == {
        "gone.jpg": "the CSV names this file, but it is not there", "images/d.jpg": "no row in the CSV",
        "images/c.jpg": "no label in the table",
    }  # fmt: skip
    assert "2 images, 2 without a label, 1 row without an image, e.g. gone.jpg, 2 classes" in source.found


def test_table_that_fits_few_of_the_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"3 images have no row, e\.g\. images/b\.jpg, and legend\.csv fits only 1"):
        read(tmp_path, {"legend.csv": "image,emotion\na.jpg,happy\n"})


def test_name_that_two_images_have_is_refused_unless_the_folder_tells(tmp_path):
    images = faces("x", "y", count=1)
    with pytest.raises(InputError, match=r"'0\.png' may be x/0\.png or y/0\.png"):
        read(tmp_path, {"legend.csv": "image,emotion\n0.png,happy\n"}, images)
    assert labels(read(tmp_path / "b", {"l.csv": "image,emotion\nx/0.png,happy\ny/0.png,sad\n"}, images))


@pytest.mark.fault("a table of labels that names none of the images", "W", "not used, and said", group="data")
def test_unused_table_is_named(tmp_path):
    source = read(tmp_path, {"other.csv": "image,emotion\nq1.jpg,happy\n"}, faces("happy", "sad"))
    assert any("other.csv is a table of labels, but names none of these images" in note for note in source.notes)


@pytest.mark.fault(
    "file names decomposed (macOS), those in the table composed", "R", "matched in one form", group="data"
)
@pytest.mark.parametrize("table_form", ["NFC", "NFD"])
@pytest.mark.parametrize("head", ["path,label", "image,emotion"])
def test_names_composed_and_decomposed_are_one(tmp_path, table_form, head):
    files = {
        unicodedata.normalize("NFD" if table_form == "NFC" else "NFC", f"über{n}.png"): encode(make_image(n))
        for n in range(2)
    }
    rows = [unicodedata.normalize(table_form, f"über{n}.png,{label}") for n, label in enumerate(("happy", "sad"))]
    source = read(tmp_path, {"l.csv": "\n".join([head, *rows])}, files)
    assert set(source.table["path"]) == set(files)
    assert not source.faults


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("head", ["path,label", "image;emotion"])
def test_dialects(tmp_path, encoding, end, head):
    sign = head[-6 if ";" in head else 4]
    sign = ";" if ";" in head else ","
    rows = [f"images/{name}{sign}{label}" for name, label in LABELS.items()]
    assert labels(read(tmp_path, {"l.csv": end.join([head, *rows, ""]).encode(encoding)})) == LABELS


def test_line_that_is_no_row_is_set_aside_with_its_number(tmp_path):
    rows = [f"{name},{label}" for name, label in LABELS.items()]
    source = read(tmp_path, {"l.csv": "\n".join(["image,emotion", *rows, "# exported yesterday"])})
    assert labels(source) == LABELS
    assert "l.csv: left out 1 line that is no row, e.g. line 6 (1 field, expected 2; is it cut short?)" in source.notes


# -- several tables, and other forms -----------------------------------------------------------------


def test_huggingfaces_folders_with_metadata(tmp_path):
    images = faces("train", "test")
    rows = {"train": ("happy", "sad"), "test": ("sad", "happy")}

    def as_csv(labels):
        return "file_name,label\n" + "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels))

    def as_lines(labels):
        return "".join(json.dumps({"file_name": f"{n}.png", "label": w}) + "\n" for n, w in enumerate(labels))

    for name, write in (("metadata.csv", as_csv), ("metadata.jsonl", as_lines)):
        source = read(tmp_path / name, {f"{part}/{name}": write(labels) for part, labels in rows.items()}, images)
        facts = source.table.set_index("path")
        assert facts["label"].to_dict() == {
            "test/0.png": "sad", "test/1.png": "happy", "train/0.png": "happy", "train/1.png": "sad",
        }  # fmt: skip
        assert facts["split"].tolist() == ["test", "test", "train", "train"]


def test_one_metadata_file_for_all_parts(tmp_path):
    rows = [
        json.dumps({"file_name": name, "label": "happy" if "0" in name else "sad"}) for name in faces("train", "test")
    ]
    source = read(tmp_path, {"metadata.jsonl": "\n".join(rows)}, faces("train", "test"))
    assert source.table["split"].tolist() == ["test", "test", "train", "train"]


def test_roboflows_one_hot_tables(tmp_path):
    images = faces("train", "valid")
    tables = {
        f"{part}/_classes.csv": "filename, Angry, Ahegao\n0.png, 1, 0\n1.png, 0, 1\n" for part in ("train", "valid")
    }
    source = read(tmp_path, tables, images)
    assert source.classes == ("Ahegao", "angry")
    assert labels(source) == {"0.png": "angry", "1.png": "Ahegao"}
    assert set(source.table["split"]) == {"train", "val"}


def test_tables_of_one_part_each_are_read_together_and_others_ask_which(tmp_path):
    tables = {f"{part}.csv": f"image,label\n{part}/0.png,happy\n{part}/1.png,sad\n" for part in ("train", "test")}
    assert set(read(tmp_path, tables, faces("train", "test")).table["split"]) == {"train", "test"}
    with pytest.raises(InputError, match=r"several tables \(one\.csv, two\.csv\)"):
        read(tmp_path / "b", {f"{name}.csv": "image,label\na.jpg,happy\n" for name in ("one", "two")})


TWO_OF_THREE = {"happy": 2, "sad": 1}
SHARES = ({"happy": 0.7, "sad": 0.3}, {"happy": 0.1, "sad": 0.9})

# -- votes -------------------------------------------------------------------------------------------


@pytest.mark.fault(
    "labels that are votes, several columns of labels, a label with its confidence",
    "R",
    "read as a distribution; the majority is the label",
    group="data",
)
@pytest.mark.parametrize(
    ("text", "votes"),
    [
        ("image,label_1,label_2,label_3\na.jpg,happy,Happiness,sad\nb.jpg,sad,sad,sad\n", (TWO_OF_THREE, {"sad": 3})),
        ("image,Annotator A,Annotator B\na.jpg,happy,\nb.jpg,sad,sad\n", ({"happy": 1}, {"sad": 2})),
        ("user.id,image,emotion\n1,a.jpg,happy\n2,a.jpg,sad\n3,a.jpg,joy\n1,b.jpg,sad\n", ({"happy": 2, "sad": 1}, {})),
        ("image,happiness,sadness\na.jpg,0.7,0.3\nb.jpg,0.1,0.9\n", (SHARES[0], SHARES[1])),
        ("image,emotion,confidence\na.jpg,happy,0.8\nb.jpg,sad,1\n", ({"happy": 0.8, "sad": 0.2}, {"sad": 1})),
        ("image,emotion,confidence\na.jpg,happy,80\nb.jpg,sad,100.0\n", ({"happy": 0.8, "sad": 0.2}, {"sad": 1})),
        ("path,label,happy,sad\nimages/a.jpg,happy,3,1\nimages/b.jpg,sad,0,4\n", ({"happy": 3, "sad": 1}, {"sad": 4})),
    ],
)  # fmt: skip
def test_votes_are_kept_and_their_majority_is_the_label(tmp_path, text, votes):
    images = {name: data for name, data in IMAGES.items() if name[7] in "ab"}
    source = read(tmp_path, {"l.csv": text}, images)
    assert labels(source) == {"a.jpg": "happy", "b.jpg": "sad"}
    assert [json.loads(found) if found else {} for found in source.table["votes"]] == [pytest.approx(v) for v in votes]


def test_image_without_majority_is_set_aside(tmp_path):
    text = "image,label_1,label_2\na.jpg,happy,sad\nb.jpg,sad,sad\nc.jpg,happy,happy\nd.jpg,happy,happy\n"
    source = read(tmp_path, {"l.csv": text})
    assert source.faults == {"images/a.jpg": "no majority: 1 happy, 1 sad"}
    assert labels(source)["a.jpg"] == ""


def test_a_table_without_votes_has_no_such_column(tmp_path):
    assert (
        "votes"
        not in read(tmp_path, {"l.csv": "image,emotion\n" + "".join(f"{n},{w}\n" for n, w in LABELS.items())}).table
    )


def test_votes_change_the_fingerprint(tmp_path):
    texts = [f"image,happy,sad\na.jpg,{n},1\nb.jpg,0,4\nc.jpg,0,3\n" for n in (2, 3)]
    images = {name: data for name, data in IMAGES.items() if name[7] in "abc"}
    one, other = (read(tmp_path / str(n), {"l.csv": text}, images) for n, text in enumerate(texts))
    assert one.fingerprint() != other.fingerprint()


def test_majorities_by_hand():
    assert majority({"happy": 2, "sad": 1}) == "happy"
    assert majority_of_ferplus({"happy": 3, "sad": 2, "angry": 1}) == "happy"  # 3 of 5
    for votes in ({"happy": 2, "sad": 2}, {}, {"happy": 0}, {"unknown": 3, "sad": 1}, {"NF": 9}):
        for count in (majority, majority_of_ferplus):
            with pytest.raises(InputError, match=r"no majority|no face"):
                count(votes)
    with pytest.raises(InputError, match="no majority"):
        majority_of_ferplus({"happy": 4, "sad": 4, "fear": 2})
    assert json.loads(rename_votes('{"joy": 2, "happy": 1, "NF": 1}', {"joy": "happy"})) == {"happy": 3, "NF": 1}


def test_agreement_by_hand():
    votes = ['{"happy": 3, "sad": 1}', '{"sad": 4}', ""]
    assert measure_agreement(votes, ["happy", "sad", "sad"]) == {
        "images": 2, "share": 0.875, "unanimous": 1, "contradicted": 0,
    }  # fmt: skip
    assert measure_agreement(votes, ["sad", "sad", "sad"])["contradicted"] == 1
    assert measure_agreement([""], ["sad"]) is None


def test_shares_are_no_votes_and_bound_nothing():
    shares = [write_votes({"happy": 0.8, "sad": 0.1, "fear": 0.1}), write_votes({"sad": 1.0})]
    agreement = measure_agreement(shares, ["happy", "sad"])
    assert agreement["fractional"]
    assert agreement_line({"agreement": agreement}) == (
        "labels are the largest of shares: on average 90.0% for the label, on 1 of 2 images all"
    )
    assert "one more such vote" in agreement_line({"agreement": measure_agreement(['{"sad": 1}'], ["sad"])})


# -- columns that are no splits, numbers beside words, folders that say something else -----------------


def table_of(head, row, extra=lambda number: ""):
    """A table of the four images: `row` is filled with name, label and what `extra` makes of the row's number."""
    rows = [row.format(name, label, extra(n)) for n, (name, label) in enumerate(LABELS.items())]
    return {"legend.csv": "\n".join([head, *rows]) + "\n"}


@pytest.mark.parametrize("name", ["fold", "set", "partition", "Usage", "split", "kfold"])
@pytest.mark.parametrize("first", [0, 1])
def test_numbered_folds_are_no_splits_which_is_said(tmp_path, name, first):
    source = read(tmp_path, table_of(f"image,emotion,{name}", "{},{},{}", lambda n: n + first))
    assert set(source.table["split"]) == {""}
    assert f"legend.csv: column {name} ({first}, {first + 1}, {first + 2} ...) is no split and not used" in source.notes


@pytest.mark.parametrize("name", ["set", "partition", "Usage", "subset"])
def test_words_that_may_be_splits_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=rf"column {name} holds alpha, beta, which are not train, val or test"):
        read(tmp_path, table_of(f"image,emotion,{name}", "{},{},{}", lambda n: ("alpha", "beta")[n % 2]))


@pytest.mark.parametrize("name", ["Conjunto", "Usage", "Teil", "用途", "x"])
@pytest.mark.parametrize("words", [("Entrenamiento", "Prueba"), ("训练集", "测试集"), ("Trainingsdaten", "Testdaten")])
def test_column_of_split_words_is_the_split_whatever_its_name(tmp_path, name, words):
    source = read(tmp_path, table_of(f"image,emotion,{name}", "{},{},{}", lambda n: words[n % 2]))
    assert source.table["split"].tolist() == ["train", "test", "train", "test"]
    assert f"split from {name}" in source.found


def test_one_word_in_all_rows_is_no_split(tmp_path):
    source = read(tmp_path, table_of("image,emotion,state", "{},{},{}", lambda n: "valid"))
    assert set(source.table["split"]) == {""}


NUMBER_OF = {"happy": 3, "sad": 4, "angry": 0}


@pytest.mark.parametrize("heads", [("label", "emotion"), ("label", "feeling"), ("emotion", "class"), ("class", "y")])
def test_words_win_over_numbers(tmp_path, heads):
    numbers = [NUMBER_OF[label] for label in LABELS.values()]
    source = read(tmp_path, table_of(f"image,{','.join(heads)}", "{0},{2},{1}", lambda n: numbers[n]))
    assert labels(source) == LABELS
    assert f"label from {heads[1]}" in source.found


@pytest.mark.parametrize(("numbers", "said"), [((3, 4, 5, 0), "happy stands beside 3 .* and 5"),
                                               ((3, 4, 3, 3), "3 stands beside happy .* and angry")])  # fmt: skip
def test_numbers_that_do_not_go_with_the_words_are_refused(tmp_path, numbers, said):
    with pytest.raises(InputError, match=rf"label and emotion do not go together: {said}"):
        read(tmp_path, table_of("image,label,emotion", "{0},{2},{1}", lambda n: numbers[n]))


SORTED = {f"{label}/{n}.png": encode(make_image(n)) for n, label in enumerate(("happy", "sad") * 10)}


def relabelled(number, head="image,emotion"):
    """A table that gives the first `number` images the label of the other folder."""
    other = {"happy": "sad", "sad": "happy"}
    rows = [f"{name},{other[label] if n < number else label}" for n, name in enumerate(SORTED)
            for label in [name.partition("/")[0]]]  # fmt: skip
    return {"labels.csv": "\n".join([head, *rows]) + "\n"}


def test_table_that_contradicts_folders_is_refused_beyond_slips(tmp_path):
    said = r"labels\.csv and the folders disagree on 4 of 20 images, e\.g\. happy/0\.png, which is sad in the table"
    with pytest.raises(InputError, match=said):
        read(tmp_path, relabelled(4), SORTED)
    notes = read(tmp_path / "few", relabelled(2), SORTED).notes
    assert any("disagree on 2 of 20 images, e.g. happy/0.png" in n and "the table counts" in n for n in notes)
    assert not any("disagree" in note for note in read(tmp_path / "none", relabelled(0), SORTED).notes)


def test_table_that_is_named_or_in_the_own_form_relabels(tmp_path):
    write_folder(tmp_path / "d", SORTED | {"labels.csv": relabelled(9)["labels.csv"].encode()})
    named = open_source(str(tmp_path / "d/labels.csv"))
    own = read(tmp_path / "own", relabelled(9, "path,label"), SORTED)
    for source in (named, own):
        assert source.table.set_index("path")["label"]["happy/0.png"] == "sad"
        assert any("disagree on 9 of 20 images" in note and "the table counts" in note for note in source.notes)


def test_numbered_folders_of_something_else_contradict_nothing(tmp_path):
    images = {f"{n % 3}/{n}.png": encode(make_image(n)) for n in range(12)}
    text = "image,label\n" + "".join(f"{name},{n // 4}\n" for n, name in enumerate(images))
    assert read(tmp_path, {"l.csv": text}, images).classes == ("0", "1", "2")


# -- tables without header, with Excel's first line, with ids of another length -------------------------


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "sep={}\n", "SEP={}\r\n"])
@pytest.mark.parametrize("head", ["image{}emotion\n", ""])
def test_tables_without_header_and_with_excels_first_line(tmp_path, sign, start, head):
    text = (start + head).format(*[sign] * 2) if not start else start.format(sign) + head.format(sign)
    rows = "".join(f"{name}{sign}{label}\n" for name, label in LABELS.items())
    assert labels(read(tmp_path, {"l.csv": text + rows})) == LABELS


@pytest.mark.parametrize("head", ["Datei;Gefühl", "fichier;émotion", "文件名;情绪", "what;how", "Imagen;Etiqueta"])
def test_header_in_other_words(tmp_path, head):
    rows = "".join(f"{name};{label}\n" for name, label in LABELS.items())
    assert labels(read(tmp_path, {"l.csv": f"{head}\n{rows}"})) == LABELS


@pytest.mark.parametrize(
    ("listed", "stored"),
    [("{}.jpg", "{:04d}.jpg"), ("{}", "{:04d}.jpg"), ("{:04d}.jpg", "{}.jpg"), ("img_{}.jpg", "img_{:03d}.jpg")],
)
def test_numbers_with_and_without_leading_zeros_are_one(tmp_path, listed, stored):
    images = {f"images/{stored.format(n)}": encode(make_image(n), "JPEG") for n in range(1, 12)}
    text = "image,emotion\n" + "".join(f"{listed.format(n)},{('happy', 'sad')[n % 2]}\n" for n in range(1, 12))
    source = read(tmp_path, {"l.csv": text}, images)
    assert labels(source) == {stored.format(n): ("happy", "sad")[n % 2] for n in range(1, 12)}
    assert not source.faults


def test_class_called_as_a_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="a class is called 'Testing', which is a word for a split"):
        read(tmp_path, {"l.csv": "image,label\na.jpg,Testing\nb.jpg,Training\nc.jpg,happy\nd.jpg,sad\n"})


@pytest.mark.parametrize(("name", "values"), [("is_train", "10"), ("train", "01"), ("Test", ("True", "False"))])
def test_yes_or_no_for_one_split_is_refused(tmp_path, name, values):
    with pytest.raises(InputError, match=rf"column {name} holds .*, which are not train, val or test"):
        read(tmp_path, table_of(f"image,emotion,{name}", "{},{},{}", lambda n: values[n % 2]))


def test_two_columns_without_header_are_file_and_label(tmp_path):
    source = read(tmp_path, {"l.csv": "a.jpg,3\nb.jpg,4\nc.jpg,3\nd.jpg,nan\n"})
    assert labels(source) == {"a.jpg": "3", "b.jpg": "4", "c.jpg": "3", "d.jpg": ""}


def test_table_that_is_not_understood_beside_a_folder_images_is_no_class(tmp_path):
    with pytest.raises(InputError, match="4 images are in one flat folder, without classes"):
        read(tmp_path, {"l.csv": "what,how\nx,y\n"})


def test_splits_that_contradict_folders_are_refused_too(tmp_path):
    images = {f"{'train' if n % 2 else 'test'}/{n}.png": encode(make_image(n)) for n in range(12)}
    text = "image,label,usage\n" + "".join(
        f"{name},{('happy', 'sad')[n // 6]},{'test' if n < 5 else name.partition('/')[0]}\n"
        for n, name in enumerate(images)
    )
    assert set(read(tmp_path, {"l.csv": text}, images).table["split"]) == {"train", "test"}  # 2 slips
    with pytest.raises(
        InputError, match=r"disagree on 6 of 12 images, e\.g\. train/1\.png, which is test in the table"
    ):
        read(
            tmp_path / "b", {"l.csv": text.replace("train\n", "test\n").replace("test/11.png", "train/11.png")}, images
        )


@pytest.mark.parametrize(
    ("name", "words"), [("phase", ("onset", "apex")), ("part", ("eye", "mouth")), ("set", ("x", "x"))]
)
def test_words_that_are_hardly_splits_are_left_out_with_a_line(tmp_path, name, words):
    source = read(tmp_path, table_of(f"image,emotion,{name}", "{},{},{}", lambda n: words[n % 2]))
    assert any(note.startswith(f"legend.csv: column {name} (") and "is no split" in note for note in source.notes)


@pytest.mark.parametrize(
    ("head", "extra"), [("", lambda votes: ""), ("total", sum), ("stimmen", sum), ("leute", lambda votes: 12)]
)
@pytest.mark.parametrize("names", ["happy;sad;angry", "froh;traurig;zornig"])
@pytest.mark.parametrize("unit", [1, 0.1])
def test_votes_with_decimal_commas_and_a_total(tmp_path, head, extra, names, unit):
    votes = [(8, 2, 0), (1, 6, 3), (7, 0, 3), (2, 3, 5)]
    rows = [[f"{name}.jpg", *(n * unit for n in row), *([extra(row)] if head else [])]
            for name, row in zip("abcd", votes, strict=True)]  # fmt: skip
    if unit < 1 and head in ("total", "stimmen"):
        rows = [[*row[:-1], row[-1] * unit] for row in rows]
    lines = [";".join([row[0], *(f"{n:.2f}".replace(".", ",") for n in row[1:])]) for row in rows]
    source = read(tmp_path, {"stimmen.csv": "\n".join([f"image;{names}{';' * bool(head)}{head}", *lines])})
    assert len(source.classes) == 3
    first = json.loads(source.table["votes"].iloc[0])
    assert list(first.values()) == [round(8 * unit, 4), round(2 * unit, 4)]


@pytest.mark.parametrize("folder", ["", "Bilder/", "images/"])
def test_table_that_cannot_be_read_is_named_with_what_mends_it(tmp_path, folder):
    images = {f"{folder}{name.rpartition('/')[2]}": data for name, data in IMAGES.items()}
    text = "Bild;Gefühl\n" + "".join(f"{name};fröhlich\n" for name in LABELS)
    with pytest.raises(InputError, match=r"[01] class|flat folder") as caught:
        read(tmp_path, {"labels.csv": text.encode("cp1252")}, images)
    assert "not read: labels.csv is not UTF-8: save it as UTF-8" in str(caught.value)
    with pytest.raises(InputError, match=r"labels\.csv is not UTF-8"):
        open_source(str(tmp_path / "data" / "labels.csv"))
    sheet = write_zip(tmp_path / "labels.xlsx", {"xl/workbook.xml": b"<workbook/>"})
    with pytest.raises(InputError, match=r"labels\.xlsx: is a spreadsheet or database: save labels in it as a CSV"):
        open_source(str(sheet))
    with pytest.raises(InputError, match=r"e\.g\. labels\.xlsx \(save labels in it as a CSV"):
        read(tmp_path / "sheet", {"labels.xlsx": sheet.read_bytes()}, images)


def test_label_studio_is_read_and_via_is_refused_by_name(tmp_path):
    rows = [f"/data/upload/3/1a2b3c4{n}-{name},{n},{label},1,1.5" for n, (name, label) in enumerate(LABELS.items())]
    assert labels(read(tmp_path, {"p.csv": "\n".join(["image,id,choice,annotator,lead_time", *rows])})) == LABELS
    head = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    rows = [f'{name},99,"{{""emotion"":""{label}""}}",0,0,"{{}}","{{}}"' for name, label in LABELS.items()]
    refused = r"via\.csv is of the form VIA, which is not read; export the data as class folders"
    with pytest.raises(InputError, match=refused):
        read(tmp_path / "via", {"via.csv": "\n".join([head, *rows])})
    with pytest.raises(InputError, match=refused):
        open_source(str(tmp_path / "via" / "data" / "via.csv"))


@pytest.mark.fault(
    "a competition's form for answers beside its table of labels", "W", "not used, and said", group="data"
)
@pytest.mark.parametrize("name", ["sample_submission.csv", "sampleSubmission.csv"])
def test_folder_of_a_competition(tmp_path, name):
    images = {f"{part}/{number}.png": encode(make_image(number)) for part in ("train", "test") for number in range(4)}
    train = "id,label\n" + "".join(f"{number},{('happy', 'sad')[number % 2]}\n" for number in range(4))
    form = "id,label\n" + "".join(f"{number},happy\n" for number in range(4))
    source = read(tmp_path, {"train.csv": train, "test.csv": "id\n0\n1\n2\n3\n", name: form}, images)
    found = dict(zip(source.table["path"], source.table["label"], strict=True))
    assert found == {path: "" if "test/" in path else ("happy", "sad")[int(path[-5]) % 2] for path in found}
    assert f"{name} is a form for the answers of a competition: it is not used" in source.notes


@pytest.mark.fault("columns of a table that mean nothing here", "W", "named in one line", group="data")
def test_columns_that_are_not_used_are_named(tmp_path):
    rows = "".join(f"u,{name},3,{label},x\n" for name, label in LABELS.items())
    source = read(tmp_path, {"legend.csv": f"user.id,image,age,emotion,\n{rows}"})
    assert "legend.csv: columns that are not used: user.id, age" in source.notes


# -- several rows for one image ----------------------------------------------------------------------


def test_an_image_in_two_splits_is_refused(tmp_path):

    rows = [f"{name}.jpg,happy,{split}" for name, split in zip("abcd", ("train", "train", "test", "test"), strict=True)]
    said = r"images/a\.jpg is listed twice, for train \(l\.csv, line 2\) and for test \(l\.csv, line 6\), so the lists"
    with pytest.raises(InputError, match=said):
        read(tmp_path / "one", {"l.csv": "\n".join(["image,label,split", *rows, "a.jpg,happy,test"])})
    whole = "\n".join(["image,label", *(f"{name},{label}" for name, label in LABELS.items())])
    with pytest.raises(InputError, match=r"for test \(test\.csv, line 2\) and for train \(train\.csv, line 4\)"):
        read(tmp_path / "two", {"train.csv": whole, "test.csv": "image,label\nc.jpg,happy\n"})


def test_rows_that_differ_are_set_aside_unless_people_voted(tmp_path):
    rows = [f"{name},{label}" for name, label in LABELS.items()]
    source = read(tmp_path, {"l.csv": "\n".join(["image,label", *rows, "a.jpg,sad", "a.jpg,sad", "b.jpg,sadness"])})
    assert source.faults == {"images/a.jpg": "several rows that differ: happy, sad, sad (l.csv, lines 2, 6, 7)"}
    assert labels(source) == LABELS | {"a.jpg": ""}
    assert "votes" not in source.table
    said = "1 image has several rows that differ (images/a.jpg, l.csv, lines 2, 6, 7): set aside"
    assert any(note.startswith(said) for note in source.notes)
    voted = [f"{row},{who}" for who, row in enumerate([*rows, "a.jpg,sad", "a.jpg,sad"])]
    assert "votes" in read(tmp_path / "v", {"l.csv": "\n".join(["image,label,annotator", *voted])}).table
    most = [*rows, "a.jpg,sad", "a.jpg,sad", "b.jpg,sad", "c.jpg,happy"]
    assert "votes" in read(tmp_path / "m", {"l.csv": "\n".join(["image,label", *most])}).table


@pytest.mark.parametrize(
    ("head", "times"),
    [("filename,width,height,class,xmin,ymin,xmax,ymax", 2), ("filename,width,height,class,xmin,ymin,xmax,ymax", 1),
     ("image,a,b,label,x,y,w,h", 1), ("image,a,b,label,bbox_x1,bbox_y1,bbox_x2,bbox_y2", 1)],
)  # fmt: skip
def test_boxes_within_images_are_refused_by_table_line_and_columns(tmp_path, head, times):
    rows = [f"{name},40,40,{label},1,2,30,30" for name, label in LABELS.items() for _ in range(times)]
    columns = ", ".join(head.split(",")[-4:])
    with pytest.raises(InputError, match=rf"_annotations\.csv, line 2: columns {columns} are boxes within images"):
        read(tmp_path, {"_annotations.csv": "\n".join([head, *rows])})


# -- which of several columns is the label -----------------------------------------------------------


@pytest.mark.fault("two columns of emotions that differ", "E", "refused, unless one has a usual name", group="data")
@pytest.mark.parametrize(
    "head",
    ["predicted_emotion,true_emotion", "pred,ground_truth", "secondary_emotion,primary_emotion", "intended,perceived",
     "label,emotion"],
)  # fmt: skip
def test_two_columns_of_emotions_are_refused_by_name(tmp_path, head):
    one, other = head.split(",")
    said = rf"legend\.csv: the columns {one} and {other} differ, and which is the label is not clear"
    with pytest.raises(InputError, match=said):
        read(tmp_path, table_of(f"image,{head}", "{0},{2},{1}", lambda n: ("sad", "happy")[n % 2]))


@pytest.mark.parametrize(
    ("head", "other"),
    [("predicted,label", ("sad", "happy")), ("y,emotion", "mf"), ("class,expression_type", ("indoor", "outdoor")),
     ("intended,perceived", tuple(LABELS.values())), ("not_label,label", ("sad", "happy"))],
)  # fmt: skip
def test_the_one_column_that_holds_the_emotions_is_the_label(tmp_path, head, other):
    source = read(tmp_path, table_of(f"image,{head}", "{0},{2},{1}", lambda n: other[n % len(other)]))
    assert labels(source) == LABELS


@pytest.mark.parametrize("width", [3, 20_000])
def test_a_header_longer_than_what_is_peeked_at_is_known_whole(tmp_path, width):
    (tmp_path / "l.csv").write_text(f"image{',column' * width},label\n" + f"a.jpg{',0' * width},happy\n" * 6)
    table = peek_table(FolderTree(tmp_path), "l.csv")
    assert table.columns[-1] == "label"
    assert table.rows[0][1][-1] == "happy"


def test_a_table_with_a_split_for_some_images_alone_is_refused_before_a_run(tmp_path):
    table = table_of("image,emotion,split", "{},{},{}", lambda n: ("train", "test", "", "train")[n])["legend.csv"]
    data = write_folder(tmp_path, IMAGES | {"legend.csv": table.encode()})
    with pytest.raises(InputError, match=r"1 image without a split while others have one, e\.g\. images/c\.jpg"):
        source_of(resolve_config("smoke", data=str(data)))


def test_what_a_model_predicted_is_not_taken_for_labels_in_other_words(tmp_path):
    source = read(tmp_path, table_of("image,emotion,predicted", "{0},{2},{1}", lambda n: ("froh", "traurig")[n % 2]))
    assert source.classes == ("froh", "traurig")
    with pytest.raises(InputError, match="columns label and predicted differ"):
        read(tmp_path / "label", table_of("image,label,predicted", "{0},{2},{1}", lambda n: ("froh", "traurig")[n % 2]))
