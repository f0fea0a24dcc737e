"""Faults of data, as a person meets them who prepares a run."""

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from face_files import encode, faces, make_image, write_folder, write_zip
from PIL import Image

from emotion_utils.audit import face_detectors
from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.face_detectors import Box
from emotion_utils.audit.leaks import find_leaks
from emotion_utils.audit.lines import conversions_line, faces_line, near_duplicates_line, shortcut_lines
from emotion_utils.audit.near_duplicates import MAX_PARTNERS
from emotion_utils.audit.shortcuts import find_shortcuts
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source, source_of
from emotion_utils.store.store import build_store


@pytest.fixture
def audit(tmp_path):
    """audit(files, **options) -> manifest by path, and audit, of two classes of good images and these files."""

    def make(files, **options):
        folder = write_folder(tmp_path / "data", faces("happy", "sad", count=4) | files)
        manifest, found = audit_images(open_source(str(folder)), **options)
        return manifest.set_index("path"), found

    return make


@pytest.fixture
def finds_eyes(monkeypatch):
    """A detector that finds a face around each black square, as large as the square."""

    class Finder:
        name = "black squares"

        def find(self, grey, min_face_px):
            import cv2

            outlines = cv2.findContours((grey < 20).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
            boxes = [Box(*map(int, cv2.boundingRect(outline))) for outline in outlines]
            return [box for box in boxes if min(box.width, box.height) >= min_face_px]

    monkeypatch.setattr(face_detectors, "PROBES", (Finder,))
    monkeypatch.setattr(face_detectors, "_OF_THREAD", type(face_detectors._OF_THREAD)())


def scene(*squares):
    """A light image of 160 px with a black square (left, top, side) for each face."""
    image = np.full((160, 160, 3), 220, np.uint8)
    image[::16] = 250
    for left, top, side in squares:
        image[top : top + side, left : left + side] = 0
    return encode(image)


def assert_set_aside(manifest, found, reasons):
    for path, reason in reasons.items():
        assert manifest.loc[path, "status"] == "quarantined"
        assert manifest.loc[path, "reason"].startswith(reason), manifest.loc[path, "reason"]
    assert found["quarantined"] == len(reasons)
    assert sum(found["reasons"].values()) == len(reasons)


# -- single files ------------------------------------------------------------------------------------


@pytest.mark.fault("truncated or empty image", "Q", "set aside as truncated or empty")
def test_truncated_and_empty_images(audit):
    jpeg = encode(make_image(50, 90), "JPEG")
    manifest, found = audit({"sad/cut.jpg": jpeg[: len(jpeg) // 2], "sad/none.png": b""})
    assert_set_aside(manifest, found, {"sad/cut.jpg": "truncated", "sad/none.png": "empty file"})


@pytest.mark.fault("decompression bomb", "Q", "refused from its header: not a pixel is decoded")
def test_image_that_decodes_to_something_huge(audit):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)  # 10.8 GB as RGB
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    manifest, found = audit({"sad/bomb.png": bomb})
    assert_set_aside(manifest, found, {"sad/bomb.png": "too large"})


@pytest.mark.fault("wrong type under a good name", "Q", "set aside, and named for what it is")
def test_what_is_no_image(audit):
    files = {
        "sad/page.jpg": b"<!DOCTYPE html><p>moved",
        "sad/thesis.png": b"%PDF-1.7 ...",
        "sad/run.jpg": b"MZ\x90\x00",
    }
    manifest, found = audit(files)
    reasons = {
        path: f"not an image but {what}" for path, what in zip(files, ("an HTML", "a PDF", "a program"), strict=True)
    }
    assert_set_aside(manifest, found, reasons)


@pytest.mark.fault("CMYK, 16-bit, palette, alpha", "R", "brought to 8-bit RGB, and counted by kind")
def test_unusual_pixels(audit):
    plain = Image.fromarray(make_image(51))
    deep = Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40)
    clear = plain.copy()
    clear.putalpha(Image.fromarray(make_image(52)[:, :, 0]))
    files = {
        "sad/print.jpg": encode(plain.convert("CMYK"), "JPEG"), "sad/deep.png": encode(deep),
        "sad/palette.png": encode(plain.quantize(16)), "sad/clear.png": encode(clear),
    }  # fmt: skip
    manifest, found = audit(files)
    assert (manifest["status"] == "kept").all()
    assert {kind: found["conversions"][kind] for kind in ("CMYK", "16-bit", "palette", "alpha")} == dict.fromkeys(
        ("CMYK", "16-bit", "palette", "alpha"), 1
    )
    assert "1 CMYK" in conversions_line(found)


@pytest.mark.fault("image turned by its EXIF tag", "R", "turned upright once, and counted")
def test_image_on_its_side(audit, tmp_path):
    upright = Image.fromarray(np.repeat(make_image(53), 2, axis=0))  # 40 x 80
    tag = Image.Exif()
    tag[0x0112] = 6  # to be turned by 90 degrees
    manifest, found = audit({"sad/side.png": encode(upright.rotate(90, expand=True), exif=tag)})
    assert tuple(manifest.loc["sad/side.png", ["width", "height"]]) == (40, 80)
    assert found["conversions"] == {"turned by EXIF": 1}
    kept = manifest.loc[["sad/side.png"]].reset_index()
    store = build_store(open_source(str(tmp_path / "data")), kept, size_px=40)
    assert np.abs(store.images[0].astype(int) - np.asarray(upright)[20:60]).max() < 2  # the middle, not turned again


@pytest.mark.fault("animation", "W", "its first frame is used; the audit counts and tells them")
def test_animation(audit):
    frames = [Image.fromarray(make_image(seed)).quantize(64) for seed in (54, 55)]
    manifest, found = audit({"sad/moves.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:])})
    assert manifest.loc["sad/moves.gif", "status"] == "kept"
    assert found["conversions"]["animated"] == 1
    assert "1 animated" in conversions_line(found)


@pytest.mark.fault("tiny or constant image", "Q", "set aside: it shows nothing")
def test_images_that_show_nothing(audit):
    manifest, found = audit(
        {"sad/dot.png": encode(make_image(56, 12)), "sad/wall.png": encode(np.full((40, 40, 3), 90, np.uint8))}
    )
    assert_set_aside(manifest, found, {"sad/dot.png": "tiny: 12 x 12", "sad/wall.png": "constant"})


@pytest.mark.fault(
    "damage within a JPEG: bytes of its scan zeroed, a restart segment lost", "Q",
    "set aside as damaged; nothing on the terminal",
)  # fmt: skip
def test_damage_within_a_jpeg(audit, capfd):
    whole = encode(make_image(1, 200), "JPEG", restart_marker_rows=1)
    second, third = (at for at in (whole.find(b"\xff\xd1"), whole.find(b"\xff\xd2")))
    middle = len(whole) // 2
    zeroed = whole[:middle] + bytes(200) + whole[middle + 200 :]
    images = {"happy/0.jpg": whole, "sad/0.jpg": zeroed, "sad/1.jpg": whole[:second] + whole[third:]}
    reasons = audit(images)[0]["reason"]
    assert reasons["happy/0.jpg"] == ""
    assert all(reasons[name].startswith(("damaged", "truncated")) for name in ("sad/0.jpg", "sad/1.jpg")), reasons
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault("JPEG that was cut and given an end mark", "Q", "set aside as truncated; nothing on the terminal")
def test_jpeg_with_a_false_end(audit, capfd):
    plain, slow = (encode(make_image(57, 90), "JPEG", progressive=progressive) for progressive in (False, True))
    manifest, found = audit(
        {f"sad/{number}.jpg": data[: len(data) // 2] + b"\xff\xd9" for number, data in enumerate((plain, slow))}
    )
    assert_set_aside(manifest, found, {"sad/0.jpg": "truncated", "sad/1.jpg": "truncated"})
    assert capfd.readouterr().err == ""


@pytest.mark.fault("JPEG of hundreds of scans", "Q", "refused from its markers: at most 1,000 megapixels in all scans")
def test_jpeg_that_would_take_a_minute(audit):
    data = encode(np.full((2000, 2000), 90, np.uint8), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    manifest, found = audit({"sad/slow.jpg": data[:-2] + last * 300 + b"\xff\xd9"})
    assert_set_aside(manifest, found, {"sad/slow.jpg": "too large: 306 scans"})


@pytest.mark.fault("PNG with bombs or damage in comments and profiles", "R", "decoded: what is not needed is skipped")
def test_png_with_a_bomb_in_a_comment(audit):
    plain = encode(make_image(58))
    body = b"zTXtComment\0\0" + zlib.compress(bytes(2_000_000))
    bomb = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    wrong = struct.pack(">I", 4) + b"tEXta\0bc" + bytes(4)
    manifest, _ = audit({"sad/odd.png": plain[:33] + bomb * 20 + wrong + plain[33:]})
    assert manifest.loc["sad/odd.png", "status"] == "kept"


@pytest.mark.fault(
    "values of 8, 10, 12 or 14 bits in a file for 16", "R W", "keep their brightness; the audit counts them"
)
def test_values_of_fewer_bits_than_their_file(audit):
    grey = make_image(59)[:, :, 0].astype(np.uint16)
    manifest, found = audit({"sad/deep.png": encode(Image.fromarray(grey * 16))})
    assert manifest.loc["sad/deep.png", "status"] == "kept"
    assert "1 values of 0 to 4095" in conversions_line(found)


@pytest.mark.fault("HEIC, video, sound or archive under the name of an image", "Q", "named, with what to do")
def test_what_phones_and_cameras_write_beside_images(audit):
    heic, film = b"\0\0\0\x18ftypheic" + bytes(20), b"\x1a\x45\xdf\xa3webm"
    manifest, found = audit({"sad/phone.jpg": heic, "sad/film.jpg": film})
    assert_set_aside(
        manifest, found, {"sad/phone.jpg": "HEIC image: convert it", "sad/film.jpg": "not an image but a video: save"}
    )


# -- faces -------------------------------------------------------------------------------------------


@pytest.mark.fault(
    "no face in an image", "Q W", "kept, or set aside with `missed=quarantine`; the audit tells how many"
)
def test_image_without_a_face(audit, finds_eyes):
    files = {"happy/face.png": scene((40, 40, 60)), "sad/empty.png": scene()}
    manifest, found = audit(files, crop="always")
    assert manifest.loc["sad/empty.png", "status"] == "kept"
    assert "in which no face was found, kept" in faces_line(found)
    manifest, found = audit(files, crop="always", missed="quarantine")
    assert manifest.loc["sad/empty.png", "reason"].startswith("no face")
    assert found["faces"]["missed"] == found["reasons"]["no face"]


@pytest.mark.fault(
    "several faces in an image", "W", "the largest is taken, the same each time; the audit tells how many"
)
def test_image_of_two_people(audit, finds_eyes):
    files = {"happy/two.png": scene((8, 8, 32), (80, 70, 64))}
    frames = [audit(files, crop="always")[0].loc["happy/two.png", ["face_left", "face_top", "face_side"]] for _ in "ab"]
    assert frames[0].tolist() == frames[1].tolist()
    left, top, side = frames[0]
    assert left <= 80 and top <= 70 and left + side >= 144  # noqa: PT018 - one frame
    assert "the largest taken of several in 1" in faces_line(audit(files, crop="always")[1])


# -- copies and splits -------------------------------------------------------------------------------


@pytest.mark.fault(
    "the same image twice in a class", "W", "the first is kept, the copy is set aside; the audit counts them"
)
def test_copy_within_a_class(audit):
    manifest, found = audit({"sad/again.png": encode(make_image(4)), "sad/z.bmp": encode(make_image(4), "BMP")})
    assert manifest.loc["sad/again.png", "reason"] == "exact duplicate: of sad/0.png"
    assert manifest.loc["sad/z.bmp", "reason"] == "same pixels: of sad/0.png"
    assert found["duplicates"] == {"exact": 1, "pixels": 1}


@pytest.mark.fault("one image under two labels", "Q", "all its copies are set aside, each names another")
def test_contradicting_labels(audit):
    manifest, found = audit(
        {
            "happy/x.png": encode(make_image(57)),
            "sad/y.png": encode(make_image(57)),
            "sad/z.png": encode(make_image(57)),
        }
    )
    reasons = manifest.loc[["happy/x.png", "sad/y.png", "sad/z.png"], "reason"]
    assert reasons.str.startswith("two labels: the same image is").all(), reasons.tolist()
    assert found["conflicts"]["examples"] == [["happy/x.png (happy)", "sad/y.png (sad)", "sad/z.png (sad)"]]


def split_folder(tmp_path, people=30, leaking=0):
    """train and test, an image of each of `people` in train and of `leaking` of them in test too."""
    files = {}
    for person in range(people + 12):
        side = "train" if person < people else "test"
        for number, label in enumerate(("happy", "sad")):
            files[f"{side}/{label}/P_{person:03d}_{number}.png"] = encode(make_image(100 + 2 * person + number))
    for person in range(leaking):
        files[f"test/happy/P_{person:03d}_7.png"] = encode(make_image(900 + person))
    return write_folder(tmp_path / "split", files)


def divide(folder, *settings):
    config = resolve_config("demo", [r"group='(P_\d+)'", "min_images_per_class=3", *settings], data=str(folder))
    manifest, _ = audit_images(source_of(config))
    return divide_images(manifest, config)


@pytest.mark.fault(
    "a person (or image, or near copy) in training and in test", "E W",
    "refused with counts where much of the split leaks, unless `leaks` allows it; what is set aside or allowed is said",
)  # fmt: skip
def test_split_that_leaks(tmp_path):
    folder = split_folder(tmp_path, leaking=12)
    with pytest.raises(InputError, match=r"leaks=redraw.*leaks=allow|leaks=allow.*leaks=redraw"):
        divide(folder)
    allowed, facts = divide(folder, "leaks=allow")
    assert "used as it is, leaks included" in facts["leaks"]["line"]
    assert sum(row["images"] for row in facts["leaks"]["as_used"]) > 0
    redrawn, facts = divide(folder, "leaks=redraw")
    assert sum(row["images"] for row in facts["leaks"]["as_used"]) == 0
    assert redrawn.loc[redrawn["split"] != ""].groupby("group")["split"].nunique().max() == 1
    assert len(allowed) == len(redrawn)


@pytest.mark.fault("a class that is empty, alone or too small", "E", "named, with its count and what would mend it")
def test_classes_that_cannot_be_used(tmp_path):
    lone = write_folder(tmp_path / "lone", faces("happy", count=5))
    (tmp_path / "lone" / "sad").mkdir()
    with pytest.raises(InputError, match=r"1 class \(happy\), 2 to 10 are needed"):
        open_source(str(lone))
    small = write_folder(tmp_path / "small", faces("happy", count=20) | {"sad/1.png": encode(make_image(60))})
    config = resolve_config("smoke", data=str(small))
    manifest, _ = audit_images(source_of(config))
    with pytest.raises(InputError, match=r"'sad' has 1 usable image, at least 10 are needed"):
        divide_images(manifest, config)


@pytest.mark.fault(
    "rows of a table without files, files without rows",
    "E Q",
    "refused with the first of them; set aside with `lenient`",
)
def test_table_that_contradicts_its_folder(tmp_path):
    folder = write_folder(tmp_path / "data", {f"images/{n}.png": encode(make_image(n)) for n in range(6)})
    rows = [f"images/{number}.png,{label}" for number, label in enumerate(("happy", "sad", "happy", "sad", "sad"))]
    table = folder / "labels.csv"
    table.write_text("\n".join(["path,label", *rows, "images/gone.png,sad"]) + "\n")
    with pytest.raises(InputError, match=r"gone\.png|5\.png"):
        open_source(str(table))
    manifest, _ = audit_images(open_source(str(table), lenient=True))
    reasons = manifest.set_index("path")["reason"]
    assert reasons[reasons != ""].index.tolist() == ["images/5.png", "images/gone.png"]


# -- names and archives ------------------------------------------------------------------------------


@pytest.mark.fault(
    "odd, colliding or undecodable file names", "R", "read all the same; bytes that are no text are written as \\xNN"
)
def test_names_from_other_systems(tmp_path):
    folder = write_folder(tmp_path / "data", faces("happy", "sad", count=3))
    os.rename(folder / "happy" / "0.png", os.path.join(os.fsencode(folder), b"happy", b"caf\xe9.png"))
    for seed, name in enumerate(("A.png", "a.png", 'a b,"c".png', "نص.png", "two\nlines.png")):
        (folder / "sad" / name).write_bytes(encode(make_image(70 + seed)))
    manifest, found = audit_images(open_source(str(folder)))
    assert (manifest["status"] == "kept").all()
    assert manifest["path"].is_unique
    assert r"happy/caf\xe9.png" in set(manifest["path"])
    json.dumps(found)


@pytest.mark.fault(
    "zip-slip, absolute path, link that leads outside", "E", "refused by name; nothing is written anywhere"
)
@pytest.mark.parametrize("name", ["../../evil.png", "/tmp/evil.png", "happy/../../evil.png", "C:/evil.png", "link"])
def test_archive_that_would_write_elsewhere(tmp_path, private_cache, name):
    if name == "link":
        path = tmp_path / "data.tar"
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo("happy/out.png")
            member.type, member.linkname = tarfile.SYMTYPE, "../../../etc/passwd"
            archive.addfile(member)
    else:
        path = write_zip(tmp_path / "data.zip", faces("happy", "sad") | {name: encode(make_image(80))})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="not safe to use"):
        open_source(str(path))
    assert sorted(tmp_path.rglob("*")) == before
    assert [each for each in private_cache.rglob("*") if each.is_file()] == []


@pytest.mark.fault("archive bomb", "E", "refused from its index, or stopped while it grows")
def test_archive_that_unpacks_to_something_huge(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("happy/bomb.png", bytes(40_000_000))
    with pytest.raises(InputError, match="unpack to 40,000,000"):
        open_source(str(path))
    tar = tmp_path / "data.tar.gz"
    with tarfile.open(tar, "w:gz") as archive:
        member = tarfile.TarInfo("happy/bomb.png")
        member.size = 60_000_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(InputError, match="not safe to use"):
        open_source(str(tar))


@pytest.mark.fault(
    "something else than the face tells the label (colour, size, brightness, name ...)", "W",
    "named with its figure and interval; the report gives every result for images that are alike in it",
)  # fmt: skip
def test_shortcut(tmp_path):
    files = {}
    for number in range(120):
        label = "happy" if number % 3 else "sad"
        image = make_image(number)
        grey = label == "happy" or number % 2
        files[f"{label}/{number}.png"] = encode(image[:, :, 0] if grey else image)
    manifest, _ = audit_images(open_source(str(write_folder(tmp_path / "data", files))))
    manifest, _ = divide_images(manifest, resolve_config("smoke"))
    (line,) = [line for line in shortcut_lines(find_shortcuts(manifest)) if "in colour" in line]
    assert "is right on 83.3%" in line
    assert "always naming happy is right on 66.7%" in line


@pytest.mark.fault(
    "copies of test images, turned or zoomed, in training", "E W",
    "found as near copies up to 25 degrees and 1.3 times, and treated as every leak",
)  # fmt: skip
def test_augmented_copies(tmp_path):
    files = {f"train/sad/{number}.png": encode(make_image(number, 64)) for number in range(60)}
    files |= {f"train/happy/{number}.png": encode(make_image(1000 + number, 64)) for number in range(4)}
    for number, (turn, zoom) in enumerate([(15, 1.0), (-25, 1.0), (0, 1.15), (0, 1 / 1.3)]):
        test = make_image(500 + number, 64)
        matrix = cv2.getRotationMatrix2D((31.5, 31.5), turn, zoom)
        files[f"test/happy/{number}.png"] = encode(test)
        files[f"train/happy/copy_{number}.png"] = encode(cv2.warpAffine(test, matrix, (64, 64)))
    files |= {f"test/sad/{number}.png": encode(make_image(2000 + number, 64)) for number in range(4)}
    manifest, _ = audit_images(open_source(str(write_folder(tmp_path / "data", files))))
    leaks = find_leaks(manifest).query("tie == 'near copy' and split == 'test' and other == 'train'")
    assert leaks["images"].tolist() == [4]


@pytest.mark.fault(
    "thousands of images that are nearly the same", "W",
    "each is compared with its nearest alone, in bounded time and memory; how many pairs were left out is said",
)  # fmt: skip
def test_images_that_all_resemble_each_other(audit):
    rng = np.random.default_rng(0)
    base = make_image(5).astype(int)
    files = {
        f"sad/same_{number}.png": encode(np.clip(base + rng.integers(-3, 4, base.shape), 0, 255).astype(np.uint8))
        for number in range(30)
    }
    manifest, found = audit(
        files | {f"happy/other_{number}.png": encode(make_image(9 + number)) for number in range(250)}
    )
    near = found["near_duplicates"]
    assert near["left_out"] > 0
    assert near["candidates"] <= MAX_PARTNERS * len(manifest)
    assert manifest.loc[list(files), "cluster"].nunique() == 1
    assert "more pairs that resemble each other were not compared" in near_duplicates_line(found)


# -- layouts -----------------------------------------------------------------------------------------


@pytest.mark.fault(
    "folders of parts in another language, or that nobody knows", "R E",
    "taken for parts; what is not known is refused with what to rename, never made a class",
)  # fmt: skip
def test_folders_of_parts_in_other_words(tmp_path):
    known = {f"{part}/{name}/{n}.png": encode(make_image(n)) for part in ("Entrenamiento", "Prueba")
             for name in ("happy", "sad") for n in range(2)}  # fmt: skip
    source = open_source(str(write_folder(tmp_path / "known", known)))
    assert (source.classes, set(source.table["split"])) == (("happy", "sad"), {"train", "test"})
    unknown = {path.replace("Entrenamiento", "Qwerty").replace("Prueba", "Asdf"): data for path, data in known.items()}
    with pytest.raises(InputError, match=r"Asdf.*rename"):
        open_source(str(write_folder(tmp_path / "unknown", unknown)))


@pytest.mark.fault("a label file that is not understood", "E", "refused, and the file that was meant is named")
def test_label_file_of_another_form(tmp_path):
    files = {f"train/train_{n:05d}_aligned.jpg": encode(make_image(n), "JPEG") for n in range(4)}
    folder = write_folder(tmp_path / "raf", files | {"list_patition_label.txt": b"train_00000.jpg;sad"})
    with pytest.raises(InputError, match=r"list_patition_label\.txt was meant to hold the labels"):
        open_source(str(folder))


@pytest.mark.fault("folders of splits without classes in them", "E", "refused: the name of a split is never a class")
def test_folders_of_splits_alone(tmp_path):
    with pytest.raises(InputError, match="without classes"):
        open_source(str(write_folder(tmp_path / "data", faces("Training set", "Test set"))))


@pytest.mark.fault(
    "a table in UTF-16, with lone CR, another delimiter, or lines that are no rows", "R Q",
    "read; a line that is no row is set aside with its number",
)  # fmt: skip
def test_dialects_of_pixel_tables(tmp_path):
    rows = [f"{code};{' '.join(['7'] * 2304)};Training" for code in ("3.0", "7", "4", "0")]
    text = "\r".join(["emotion;pixels;Usage", *rows, "35887 rows"])
    (tmp_path / "fer2013.csv").write_bytes(text.encode("utf-16"))
    source = open_source(str(tmp_path / "fer2013.csv"))
    assert source.classes == ("angry", "contempt", "happy", "sad")
    assert source.faults == {"line 6": "no row: 1 field, expected 3; is it cut short?"}


@pytest.mark.fault("links without target (DVC, git-annex, a moved cache)", "W E",
                   "counted, one is named, with what fetches them; refused where nothing else is there")  # fmt: skip
def test_dangling_links(tmp_path):
    folder = write_folder(tmp_path / "data", faces("happy", "sad"))
    (folder / "sad" / "more.png").symlink_to("../.git/annex/objects/more.png")
    assert "git annex get" in " ".join(open_source(str(folder)).notes)
    for path in folder.rglob("*.png"):
        path.unlink()
        path.symlink_to("/nowhere/0.png")
    with pytest.raises(InputError, match=r"5 links to files that are not there.*dvc pull"):
        open_source(str(folder))


@pytest.mark.fault("a device, pipe or socket in place of data", "E", "refused at once, without reading from it")
def test_data_that_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for spec in ("/dev/zero", str(tmp_path / "pipe")):
        with pytest.raises(InputError, match="is a device, a pipe or a socket"):
            open_source(spec)


@pytest.mark.fault("no image can be used", "E", "the three commonest reasons are told, with a file each")
def test_nothing_left(tmp_path):
    files = {f"{label}/{n}.png": b"" for label in ("happy", "sad") for n in range(20)}
    files |= {f"happy/x{n}.png": b"<html>" for n in range(3)} | {"sad/tiny.png": encode(make_image(1, 8))}
    config = resolve_config("smoke", data=str(write_folder(tmp_path / "data", files)))
    manifest, _ = audit_images(source_of(config))
    expected = (
        r"40 empty file \(e\.g\. happy/0\.png\); 3 not an image but an HTML page \(e\.g\. .*\); 1 tiny \(e\.g\. sad/t"
    )
    with pytest.raises(InputError, match=expected):
        divide_images(manifest, config)


@pytest.mark.fault(
    "a copy of a known data set whose pixels or images were changed", "W",
    "read, and said in terminal, notebook and report: results cannot be compared with published ones",
)  # fmt: skip
def test_copy_of_a_known_set(tmp_path):
    rows = [f"{n % 7},{' '.join([str(n), str(255 - n)] * 1152)},Training" for n in range(21)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    _, found = audit_images(open_source(str(tmp_path / "fer2013.csv")))
    assert found["dataset"]["difference"] == (
        "not the original FER2013: 21 images, 28,709 in the original; results cannot be compared with published ones"
    )


@pytest.mark.fault(
    "one bad member of an archive: absurd size or place, encrypted, unknown method, sparse, two of one name", "Q",
    "that member is set aside with its reason; most of them: refused, with the first of them",
)  # fmt: skip
def test_archive_with_a_bad_member(tmp_path):
    path = write_zip(tmp_path / "data.zip", faces("happy", "sad", count=3))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = b"\xff\xff\xff\x7f"  # where it is said to begin
    path.write_bytes(data)
    manifest, found = audit_images(open_source(str(path)))
    manifest = manifest.set_index("path")
    assert_set_aside(manifest, found, {"sad/2.png": "damaged in the archive: it is said to lie beyond the end"})

    tar = tmp_path / "data.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in faces("happy", "sad", count=3).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.pax_headers = {"size": str(2**63 + 5)} if name == "happy/1.png" else {}
            archive.addfile(member, io.BytesIO(content))
    manifest, found = audit_images(open_source(str(tar)))
    manifest = manifest.set_index("path")
    assert_set_aside(manifest, found, {"happy/1.png": "damaged in the archive: a size of 9,223,372,036,854,775,813"})


@pytest.mark.fault("the table of labels in an archive is damaged", "E", "refused in one line that names the member")
def test_damaged_table_of_an_archive(tmp_path):
    rows = "".join(f"{name},{name.partition('/')[0]}\n" for name in faces("happy", "sad"))
    path = write_zip(tmp_path / "data.zip", faces("happy", "sad") | {"labels.csv": f"path,label\n{rows}".encode()})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^labels\.csv: damaged in the archive"):
        open_source(str(path))
