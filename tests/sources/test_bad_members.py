"""One bad member of an archive is set aside with its reason; the others are read."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import pytest
from face_files import encode, faces, make_image, write_tar, write_zip

from emotion_utils.audit.audit import audit_images
from emotion_utils.errors import InputError
from emotion_utils.sources import members
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.source import open_source

BAD = "sad/1.png"
DATA = encode(make_image(9))
HUGE = (2**62, 2**63 + 5, 2**64 - 1, 10**25)


def assert_set_aside(path, reason, bad=BAD):
    """That `bad` alone is quarantined for `reason`, and all others are read."""
    tree = open_archive(path)
    with pytest.raises(ImageFault, match=reason):
        tree.read(bad)
    with pytest.raises(InputError, match=f"{path.name}: {bad} is "):
        tree.open(bad)
    manifest, _ = audit_images(open_source(str(path)))
    reasons = manifest.set_index("path")["reason"]
    assert reasons.index.tolist() == sorted({*faces("happy", "sad", count=3), bad})
    assert list(reasons[reasons != ""].index) == [bad]


# -- zip -------------------------------------------------------------------------------------------


def zip_with(path, *, index=(), header=(), compression=zipfile.ZIP_DEFLATED, extra=b""):
    """A zip of six files, with changes (place, bytes) of what index and header say of BAD, which comes last."""
    files = faces("happy", "sad", count=3)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in [name for name in files if name != BAD]:
            archive.writestr(name, files[name])
        info = zipfile.ZipInfo(BAD)
        info.compress_type, info.extra = compression, extra
        archive.writestr(info, files[BAD])
    data = bytearray(path.read_bytes())
    for mark, changes in ((b"PK\x01\x02", index), (b"PK\x03\x04", header)):
        for place, value in changes:
            at = data.rindex(mark) + place
            data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


def zip64(size=2**62, packed=100, offset=0):
    """Index changes and the extra field by which a member gets 64-bit numbers."""
    index = [(20, b"\xff" * 8), (42, b"\xff" * 4)]
    return {"index": index, "extra": struct.pack("<HHQQQ", 1, 24, size, packed, offset)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"index": [(8, b"\x01")]}, "encrypted in the archive"),
        ({"index": [(10, b"\x63\x00")]}, "packed with method 99"),
        ({"index": [(16, b"\x00\x01\x02\x03")]}, "damaged in the archive: its content"),
        ({"index": [(42, b"\xf0\xff\xff\x7f")]}, "damaged in the archive: it is said to lie beyond"),
        ({"index": [(24, b"\xff\xff\xff\x7f")]}, "damaged in the archive: .* bytes cannot hold 2,147,483,647"),
        ({"index": [(20, b"\xff\xff\xff\x7f")]}, "damaged in the archive: it is said to lie beyond"),
        ({"index": [(24, b"\x05\x00\x00\x00")]}, "damaged in the archive: its content"),
        ({"index": [(42, b"\x05\x00\x00\x00")]}, "damaged in the archive: no member where"),
        ({"index": [(42, b"\x00\x00\x00\x00")]}, "damaged in the archive: it (reaches into|lies where)"),
        ({"header": [(0, b"XX")]}, "damaged in the archive: no member where the index says"),
        ({"header": [(26, b"\xff\xff")]}, "damaged in the archive: it reaches into another"),
        ({"header": [(38, b"\x00\xff\x00\xff\x77")]}, "damaged in the archive"),
        *((zip64(size), r"damaged in the archive: 100 bytes cannot hold") for size in HUGE[:3]),
        (zip64(100, 2**62), "damaged in the archive: it is said to lie beyond"),
        (zip64(100, 100, 2**63 + 5), "damaged in the archive: it is said to lie beyond"),
    ],
)
def test_bad_member_of_a_zip(tmp_path, changes, reason):
    assert_set_aside(zip_with(tmp_path / "data.zip", **changes), reason)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("place", [(16, b"\0\1\2\3"), (24, b"\x05\0\0\0")])
def test_bad_member_of_a_zip_by_other_methods(tmp_path, method, place):
    assert_set_aside(zip_with(tmp_path / "data.zip", index=[place], compression=method), "damaged in the archive")
    tree = open_archive(zip_with(tmp_path / "data.zip", header=[(39, b"\xff" * 9)], compression=method))
    with pytest.raises(InputError, match="damaged"):  # a lie in its first bytes
        tree.open(BAD)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_a_zip_with_one_name(tmp_path):
    path = write_zip(tmp_path / "data.zip", faces("happy", "sad", count=3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("happy/0.png", archive.read("happy/0.png"))  # the same again: nobody can confuse them
        archive.writestr(BAD, DATA)
        archive.writestr("sad/./1.png", archive.read(BAD))
    assert_set_aside(path, "damaged in the archive: two different members have this name")


def test_link_of_a_zip_that_cannot_be_read(tmp_path):
    path = zip_with(tmp_path / "data.zip", index=[(38, struct.pack("<I", 0o120777 << 16)), (16, b"\0\1\2\3")])
    assert_set_aside(path, "damaged in the archive: its content")


@pytest.mark.parametrize(("place", "named"), [((8, b"\x01"), "encrypted"), ((10, b"\x63"), "packed with method 99")])
def test_zip_of_which_most_cannot_be_read(tmp_path, place, named):
    path = write_zip(tmp_path / "data.zip", faces("happy", "sad"))
    data, at = bytearray(path.read_bytes()), 0
    while (at := data.find(b"PK\x01\x02", at + 1)) > 0:
        data[at + place[0]] = place[1][0]
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"4 of 4 files cannot be read; happy/0\.png is {named}"):
        open_archive(path)


@pytest.mark.parametrize("place", [(12, b"\xff" * 4), (16, b"\xff" * 4), (8, b"\xff\xff")])
def test_zip_whose_index_is_nowhere(tmp_path, place):
    path = write_zip(tmp_path / "data.zip", faces("happy", "sad"))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x05\x06") + place[0]
    data[at : at + len(place[1])] = place[1]
    path.write_bytes(data)
    try:
        assert len(open_archive(path).names) == 4  # a wrong number of members: none needs it
    except InputError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either is right, nothing else is


# -- tar -------------------------------------------------------------------------------------------


def tar_with(path, mode="w", *, pax=None, change=lambda header: None, last=False):
    """A tar of six files whose BAD one has these pax headers, or its header changed in place."""
    files = faces("happy", "sad", count=3)
    names = sorted(files, key=lambda name: (name == BAD) == last)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            member.pax_headers = pax or {} if name == BAD else {}
            archive.addfile(member, io.BytesIO(files[name]))
    data = bytearray(buffer.getvalue())
    at = data.rindex(BAD.encode())
    header = data[at : at + 512]
    change(header)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[at : at + 512] = header
    path.write_bytes(data)
    if mode != "w":
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[mode].compress(data))
    return path


def base256(value, width):
    return b"\x80" + value.to_bytes(width - 1, "big")


def size_field(value):
    return lambda header: header.__setitem__(slice(124, 136), value)


@pytest.mark.parametrize("mode", ["w", "gz", "bz2", "xz"])
@pytest.mark.parametrize("last", [False, True])
def test_absurd_sizes_in_a_tar(tmp_path, mode, last):
    for size in (*HUGE, 2**80) if mode == "w" else HUGE[:1]:
        assert_set_aside(tar_with(tmp_path / "data.tar", mode, pax={"size": str(size)}, last=last), "damaged in")
        assert_set_aside(
            tar_with(tmp_path / "data.tar", mode, change=size_field(base256(size, 12)), last=last), "damaged in"
        )


@pytest.mark.parametrize("size", ["-5", "-99999999", "", "nan", "1e3", "0x10", "9" * 5000, "\u0665", "1_000"])
def test_sizes_in_a_tar_that_are_none(tmp_path, size):
    assert_set_aside(tar_with(tmp_path / "data.tar", pax={"size": size}), "damaged in the archive")


def test_negative_size_in_a_tar(tmp_path):
    assert_set_aside(tar_with(tmp_path / "data.tar", change=size_field(b"\xff" * 12)), "damaged in the archive")


@pytest.mark.parametrize(
    "pax",
    [
        {"GNU.sparse.map": "x", "GNU.sparse.size": "y"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**62)},
        {"GNU.sparse.major": "9"},
        {"GNU.sparse.offset": "1", "GNU.sparse.numbytes": "-1"},
    ],
)
def test_sparse_member_of_a_tar(tmp_path, pax):
    assert_set_aside(tar_with(tmp_path / "data.tar", pax=pax), "sparse in the archive: pack it again without")


def test_old_sparse_member_of_a_tar(tmp_path):
    path = tar_with(tmp_path / "data.tar", change=lambda header: header.__setitem__(156, ord("S")))
    assert_set_aside(path, "sparse in the archive")


@pytest.mark.parametrize("change", [(b" size=", b"!size!"), (b"12 size=", b"00 size="), (b"12 size=", b"99 size=")])
def test_pax_header_that_cannot_be_read(tmp_path, change):
    path = tar_with(tmp_path / "data.tar", pax={"size": "123"})
    path.write_bytes(path.read_bytes().replace(*change))
    assert_set_aside(path, "damaged in the archive: its extended header")


def test_extended_header_of_an_absurd_size(tmp_path):
    path = tar_with(tmp_path / "data.tar", pax={"comment": "x"})
    data = bytearray(path.read_bytes())
    at = data.index(b"././@PaxHeader")
    header = data[at : at + 512]
    header[124:136] = base256(2**62, 12)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[at : at + 512] = header
    path.write_bytes(data)
    assert_set_aside(path, "damaged in the archive: its extended header")


def test_hard_link_in_a_tar_to_what_is_not_there(tmp_path):
    path = write_tar(tmp_path / "data.tar", faces("happy", "sad", count=3))
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("sad/link.png")
        member.type, member.linkname = tarfile.LNKTYPE, "sad/gone.png"
        archive.addfile(member)
    assert_set_aside(path, "damaged in the archive: a link to sad/gone.png", bad="sad/link.png")


def test_last_of_several_members_of_a_tar_counts(tmp_path):
    path = write_tar(tmp_path / "data.tar", faces("happy", "sad", count=3))
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo(f"./{BAD}")
        member.size = len(DATA)
        archive.addfile(member, io.BytesIO(DATA))
    assert open_archive(path).read(BAD) == DATA


def test_damaged_header_in_a_tar_is_refused(tmp_path):
    path = tar_with(tmp_path / "data.tar")
    data = bytearray(path.read_bytes())
    data[data.rindex(BAD.encode()) + 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"no header at byte .*download or copy it again"):
        open_archive(path)


def test_names_of_all_formats_are_those_of_the_library(tmp_path):
    files = {f"happy/{'Ünï/' * count}{'n' * 90}.png": b"x" * count for count in (1, 9, 30, 80)}
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{kind}.tar"
        with tarfile.open(path, "w", format=kind) as archive:
            for name, data in list(files.items())[: 2 if kind == tarfile.USTAR_FORMAT else None]:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        with tarfile.open(path) as archive:
            expected = {member.name: archive.extractfile(member).read() for member in archive}
        tree = open_archive(path)
        assert {name: tree.read(name) for name in tree.names} == expected


# -- tables and room -------------------------------------------------------------------------------


def test_table_of_labels_that_is_damaged_names_the_member(tmp_path):
    rows = "".join(f"{name},{name.partition('/')[0]}\n" for name in faces("happy", "sad"))
    files = faces("happy", "sad") | {"labels.csv": f"path,label\n{rows}".encode()}
    path = write_zip(tmp_path / "data.zip", files)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"labels\.csv: damaged in the archive"):
        open_source(str(path))


def test_table_of_pixels_that_is_damaged_names_the_member(tmp_path):
    row = " ".join(["7"] * 2304)
    table = "emotion,pixels,Usage\n" + "".join(f"{label},{row},Training\n" for label in (3, 4))
    path = write_zip(tmp_path / "data.zip", {"fer2013.csv": table.encode()})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"data\.zip: fer2013\.csv is damaged in the archive"):
        open_source(str(path))


def test_full_cache_is_named_where_a_tar_is_decompressed(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(members.tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match=r"No space left on device.*EMOTION_CACHE_DIR"):
        open_archive(write_tar(tmp_path / "data.tgz", faces("happy", "sad"), "w:gz"))


def test_file_that_starts_like_no_tar_is_none(tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(20_000))
    assert not is_archive(tmp_path / "zeros")


# -- names -----------------------------------------------------------------------------------------


def zip_with_name(path, name, is_said=None):
    """A zip of faces and of one member with the bytes `name`, of which UTF-8 `is_said` to be."""
    stand_in = b"sad/".ljust(len(name), b"_")
    write_zip(path, faces("happy", "sad", count=3) | {stand_in.decode(): DATA}, compression=zipfile.ZIP_BZIP2)
    data = bytearray(path.read_bytes().replace(stand_in, name))
    for start, flags in ((data.rindex(name) - 46, 8), (data.index(name) - 30, 6)):
        data[start + flags + 1] |= 8 if is_said else 0
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "is_said", "shown"),
    [
        ("sad/M\u00fcller.png".encode(), False, "sad/M\u00fcller.png"),
        ("sad/\u5e78\u305b.png".encode(), False, "sad/\u5e78\u305b.png"),
        ("sad/M\u00fcller.png".encode("cp437"), False, "sad/M\u00fcller.png"),
        ("sad/M\u00fcller.png".encode("cp437"), True, "sad/M\u00fcller.png"),
        ("sad/\u5e78\u305b.png".encode("cp932"), True, "sad/\u00eckv\u00e9\u2562.png"),
        (b"sad/\xff\xfe\x80.png", True, "sad/\u00a0\u25a0\u00c7.png"),
    ],
)
def test_name_in_a_zip_that_is_not_what_is_said_of_it(tmp_path, name, is_said, shown):
    source = open_source(str(zip_with_name(tmp_path / "data.zip", name, is_said)))
    assert len(source.table) == 7
    if name.startswith(b"sad/\x8d"):  # cp932: the bytes say nothing of which letters were meant
        return
    assert source.read(shown) == DATA
