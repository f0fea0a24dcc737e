import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import threading
import tracemalloc
import zipfile

import pytest
from face_files import encode, make_image, write_tar, write_zip

from emotion_utils.errors import InputError
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.members import RATIO_FREE_BYTES
from emotion_utils.sources.source import open_source

FILES = {
    "a/1.png": encode(make_image(1)),
    "a/empty": b"",
    "b/Ünï 怒.png": encode(make_image(2)),
    "b/x.txt": b"z" * 5000,
}


def tar_with(path, **facts):
    """A tar with one harmless file and one member with the given TarInfo attributes."""
    write_tar(path, {"a/1.png": b"data"})
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo()
        for name, value in facts.items():
            setattr(member, name, value)
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def zip_with_link(path, name, target):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", b"data")
        archive.writestr(info, target)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_members_come_back_whole(tmp_path, compression):
    tree = open_archive(write_zip(tmp_path / "f.zip", FILES, compression))
    assert {name: tree.read(name) for name in tree.names} == FILES
    with tree.open("b/x.txt") as file:
        assert file.read() == FILES["b/x.txt"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_members_come_back_whole(tmp_path, private_cache, mode):
    tree = open_archive(write_tar(tmp_path / "f.tar", FILES, mode))
    assert {name: tree.read(name) for name in tree.names} == FILES
    with tree.open("b/x.txt") as file:
        assert file.read() == FILES["b/x.txt"]
    assert not list(private_cache.rglob("*")), "a file was left in the cache"


def test_content_and_not_the_name_tells_an_archive(tmp_path):
    assert is_archive(write_zip(tmp_path / "download", FILES))
    assert is_archive(write_tar(tmp_path / "other", FILES))
    (tmp_path / "page.zip").write_bytes(b"<html>")
    assert not is_archive(tmp_path / "page.zip")


def test_zip_is_read_by_many_threads_at_once(tmp_path):
    files = {f"{number}.bin": bytes([number]) * (1000 + number) for number in range(200)}
    tree = open_archive(write_zip(tmp_path / "f.zip", files))
    wrong = []

    def read_all():
        wrong.extend(name for name in tree.names if tree.read(name) != files[name])

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="leads outside"):
        open_archive(write_zip(tmp_path / "f.zip", {"a/1.png": b"x", name: b"x"}))
    if "\\" not in name:
        with pytest.raises(InputError, match="leads outside"):
            open_archive(write_tar(tmp_path / "f.tar", {"a/1.png": b"x", name: b"x"}))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret.png"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_that_lead_outside_are_refused(tmp_path, target, kind):
    with pytest.raises(InputError, match="link that leads outside"):
        open_archive(tar_with(tmp_path / "f.tar", name="a/link.png", type=kind, linkname=target))
    with pytest.raises(InputError, match="link that leads outside"):
        open_archive(zip_with_link(tmp_path / "f.zip", "a/link.png", target))


def test_links_inside_are_left_out_and_told(tmp_path):
    for tree in (
        open_archive(tar_with(tmp_path / "f.tar", name="b/2.png", type=tarfile.SYMTYPE, linkname="../a/1.png")),
        open_archive(zip_with_link(tmp_path / "f.zip", "b/2.png", "../a/1.png")),
    ):
        assert tree.names == ["a/1.png"]
        assert tree.notes == ("left out 1 link, e.g. to a/1.png",)


def test_hard_link_in_a_tar_is_a_second_name_of_the_file(tmp_path):
    tree = open_archive(tar_with(tmp_path / "f.tar", name="b/2.png", type=tarfile.LNKTYPE, linkname="a/1.png"))
    assert tree.read("b/2.png") == b"data"


def test_devices_in_a_tar_are_no_files(tmp_path):
    assert open_archive(tar_with(tmp_path / "f.tar", name="a/null.png", type=tarfile.CHRTYPE)).names == ["a/1.png"]


def test_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path):
    path = write_zip(tmp_path / "bomb.zip", {"a/1.png": bytes(RATIO_FREE_BYTES + 1)})
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a/1\.png.*unpack to"):
        open_archive(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_many_members_that_are_a_bomb_together_are_refused(tmp_path):
    files = {f"a/{number}.png": bytes(RATIO_FREE_BYTES // 4) for number in range(6)}
    with pytest.raises(InputError, match="unpack to"):
        open_archive(write_zip(tmp_path / "bomb.zip", files))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_tar_bomb_is_stopped_while_it_grows(tmp_path, private_cache, compress):
    (tmp_path / "bomb.tar.gz").write_bytes(compress(bytes(40_000_000)))
    with pytest.raises(InputError, match="unpack to"):
        open_archive(tmp_path / "bomb.tar.gz")
    assert not list(private_cache.rglob("*"))


def test_index_that_declares_less_than_there_is_makes_a_fault(tmp_path):
    path = write_zip(tmp_path / "f.zip", {"a/1.png": bytes(100_000)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(ImageFault, match="damaged in the archive"):
        open_archive(path).read("a/1.png")


def test_flipped_bit_in_a_member_makes_a_fault(tmp_path):
    path = write_zip(tmp_path / "f.zip", {"a/1.png": b"0123456789" * 9}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"0123456789")] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageFault, match="damaged in the archive"):
        open_archive(path).read("a/1.png")


@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:xz"])
def test_archive_cut_short_is_refused(tmp_path, private_cache, mode, share):
    path = tmp_path / "f"
    files = {f"a/{number}.png": encode(make_image(number)) for number in range(12)}
    write_zip(path, files) if mode == "zip" else write_tar(path, files, mode)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    if mode == "w" and share == 0.98:  # only the padding behind the end mark is missing
        assert len(open_archive(path).names) == 12
        return
    with pytest.raises(InputError, match="cut short"):
        open_archive(path)
    assert not list(private_cache.rglob("*"))


def test_tar_cut_between_two_members_is_refused(tmp_path):
    path = write_tar(tmp_path / "f.tar", {"a/1.png": bytes(512), "a/2.png": bytes(512)})
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(InputError, match="cut short"):
        open_archive(path)


def test_encrypted_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "f.zip", {"a/1.png": b"x"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        open_archive(path)


@pytest.mark.parametrize(("encoding", "word"), [("gbk", "高兴"), ("cp932", "喜び"), ("cp850", "fröhlich")])
def test_names_that_are_not_utf8_are_told_with_what_mends_them(tmp_path, encoding, word):
    name, marker = word.encode(encoding), "_" * len(word.encode(encoding))
    path = write_zip(tmp_path / "data.zip", {f"{marker}/1.png": FILES["a/1.png"], "sad/1.png": FILES["a/1.png"]})
    assert not open_archive(path).notes
    path.write_bytes(path.read_bytes().replace(marker.encode(), name))
    [note] = open_archive(path).notes
    assert "1 name in the archive is not UTF-8" in note
    assert "zip it again with UTF-8 names" in note


def test_an_empty_zip_holds_no_images(tmp_path):
    (tmp_path / "empty.zip").write_bytes(b"PK\5\6" + bytes(18))
    with pytest.raises(InputError, match="no files are in it"):
        open_source(str(tmp_path / "empty.zip"))
