"""Files as cameras, scanners, phones and careless tools write them: what a viewer shows is what is decoded."""

import io
import struct
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from face_files import encode, make_image
from PIL import ExifTags, Image, features

from emotion_utils.sources import decode
from emotion_utils.sources.decode import decode_image, decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.deep_pixels import to_8_bit
from emotion_utils.sources.jpeg import read_structure

RGB = make_image(0, 120)
GREY = RGB[:, :, 0]
PNG = encode(RGB, "PNG")


# -- PNG chunks --------------------------------------------------------------------------------------


def chunk(kind, body, crc=None):
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def with_chunks(*chunks, png=PNG):
    """The chunks stand behind IHDR."""
    return png[:33] + b"".join(chunks) + png[33:]


TEXT_BOMB = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000)))
UNNEEDED = {
    "zTXt bomb": [TEXT_BOMB],
    "iCCP bomb": [chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_000_000)))],
    "many zTXt": [chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000)))] * 80,
    "iTXt bomb": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2_000_000)))],
    "tEXt, wrong CRC": [chunk(b"tEXt", b"Comment\0hello", crc=1)],
    "iCCP, wrong CRC": [chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"any"), crc=1)],
    "iCCP, no zlib": [chunk(b"iCCP", b"profile\0\0none")],
    "eXIf, no TIFF": [chunk(b"eXIf", b"Exif\0\0not a TIFF")],
    "eXIf, empty": [chunk(b"eXIf", b"")],
    "eXIf, wrong CRC": [chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0", crc=1)],
    "short gAMA, pHYs, cHRM, sRGB": [chunk(kind, b"\0") for kind in (b"gAMA", b"pHYs", b"cHRM", b"sRGB")],
    "private": [chunk(b"prVt", b"?" * 99, crc=7)],
    "acTL of nothing": [chunk(b"acTL", b"\0")],
}  # fmt: skip


@pytest.mark.parametrize("chunks", UNNEEDED.values(), ids=UNNEEDED)
def test_chunks_that_decide_no_pixel_harm_none(chunks):
    assert np.array_equal(decode_rgb(with_chunks(*chunks)), RGB)
    behind = PNG[:-12] + b"".join(chunks) + PNG[-12:]
    assert np.array_equal(decode_rgb(behind), RGB)


def test_png_without_such_chunks_is_not_copied():
    assert decode.keep_needed_chunks(PNG) is PNG


def test_transparency_orientation_and_animation_outlast_the_cleaning():
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    decoded = decode_image(with_chunks(TEXT_BOMB, png=encode(RGB[:60], "PNG", exif=turned)))
    assert decoded.conversions == ("turned by EXIF",)
    assert np.array_equal(decoded.rgb, np.rot90(RGB[:60], -1))
    palette = Image.fromarray(RGB).quantize(16)
    decoded = decode_image(with_chunks(TEXT_BOMB, png=encode(palette, "PNG", transparency=3)))
    assert decoded.conversions == ("palette", "alpha")
    assert (decoded.rgb[np.asarray(palette) == 3] == 255).all()
    frames = [Image.fromarray(make_image(seed)) for seed in (0, 1)]
    animated = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode_image(with_chunks(TEXT_BOMB, png=animated)).conversions == ("animated",)


def test_damaged_header_and_cut_pixels_of_a_png_are_faults():
    with pytest.raises(ImageFault, match="damaged"):
        decode_rgb(PNG[:29] + bytes(4) + PNG[33:])  # the checksum of IHDR
    half = PNG[41 : 41 + int.from_bytes(PNG[33:37]) // 2]
    with pytest.raises(ImageFault, match="truncated"):
        decode_rgb(PNG[:33] + chunk(b"IDAT", half) + PNG[-12:])


def deep_png(change):
    """A PNG of 16 bits with values of 12, its rows packed by `change`."""
    rows = (RGB.astype(np.uint16) * 16).astype(">u2").view(np.uint8).reshape(120, -1)
    header = struct.pack(">IIBBBBB", 120, 120, 16, 2, 0, 0, 0)
    pixels = change(np.insert(rows, 0, 0, axis=1).tobytes())
    return PNG[:8] + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("crc", [None, 1])
def test_pixels_of_a_png_that_are_not_what_their_checksum_says_are_damaged(crc, capfd):
    flipped = bytearray(PNG)
    flipped[len(PNG) // 2] ^= 1
    for data in (bytes(flipped), deep_png(lambda raw: chunk(b"IDAT", zlib.compress(raw[:-1] + b"?"), crc=1))):
        with pytest.raises(ImageFault, match=r"damaged: a chunk of the PNG \(IDAT\)"):
            decode_rgb(data)
    assert capfd.readouterr() == ("", "")


def test_libpng_says_nothing_of_its_own(capfd):
    expected = decode_rgb(deep_png(lambda raw: chunk(b"IDAT", zlib.compress(raw))))
    for change in (
        lambda raw: chunk(b"IDAT", zlib.compress(raw) + b"more"),
        lambda raw: chunk(b"sBIT", b"?" * 3) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"tIME", b""),
        lambda raw: chunk(b"IDAT", zlib.compress(raw + bytes(999))),
    ):
        assert np.array_equal(decode_rgb(deep_png(change)), expected)
    with pytest.raises(ImageFault, match="damaged: the pixels of the PNG cannot be unpacked"):
        decode_rgb(deep_png(lambda raw: chunk(b"IDAT", zlib.compress(raw)[:-4] + b"sums")))
    assert capfd.readouterr() == ("", "")


# -- TIFF ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"])
def test_damage_that_libtiff_finds_counts_and_is_not_printed(packing, capfd):
    image = Image.fromarray(RGB).convert("1") if packing == "group4" else Image.fromarray(RGB)
    data = bytearray(encode(image, "TIFF", compression=packing))
    reader = Image.open(io.BytesIO(data))
    start, length = reader.tag_v2[273][0], reader.tag_v2[279][0]
    data[start + 9 : start + length] = (bytes(range(1, 255)) * length)[: length - 9]
    with pytest.raises(ImageFault, match="damaged"):
        decode_rgb(bytes(data))
    assert capfd.readouterr() == ("", "")


def test_tiff_with_tags_of_others_is_read_in_silence(capfd):
    data = encode(RGB, "TIFF", compression="tiff_lzw", tiffinfo={65000: "private", 270: "words"})
    assert np.array_equal(decode_rgb(data), RGB)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_all_orientations_are_those_of_pillow(orientation, kind):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode(RGB[:70], kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert np.array_equal(decode_rgb(data), np.asarray(expected))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_exif_that_cannot_be_read_decides_no_pixel(kind):
    expected = decode_rgb(encode(RGB, kind))
    for exif in (
        b"Exif\0\0no TIFF at all",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 40,
    ):
        assert np.array_equal(decode_rgb(encode(RGB, kind, exif=exif)), expected)


# -- JPEG: cut, damaged, slow ------------------------------------------------------------------------

JPEGS = {
    "plain": encode(RGB, "JPEG", quality=90),
    "grey": encode(GREY, "JPEG", quality=90),
    "restart intervals": encode(RGB, "JPEG", restart_marker_blocks=4),
    "EXIF": encode(RGB, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "CMYK": encode(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "progressive": encode(RGB, "JPEG", progressive=True, quality=90),
    "progressive grey": encode(GREY, "JPEG", progressive=True, quality=90),
}


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
def test_jpeg_cut_and_given_an_end_mark_is_truncated(data, share, capfd):
    scan = data.index(b"\xff\xda")
    cut = data[: scan + 14 + int(share * (len(data) - scan - 14))].rstrip(b"\xff")
    for end in (b"\xff\xd9", b"\xff\xd9 and more", b"\xff\xff\xd9", b""):
        with pytest.raises(ImageFault, match="truncated"):
            decode_rgb(cut + end)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.9, 0.97])
def test_sequential_jpeg_that_lacks_its_last_rows_is_truncated(share, capfd):
    for data in list(JPEGS.values())[:5]:
        with pytest.raises(ImageFault, match="truncated"):
            decode_rgb(data[: int(share * len(data))] + b"\xff\xd9")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
def test_whole_jpegs_are_decoded_to_the_pixels_of_pillow(data):
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode_rgb(data), expected)
    assert np.array_equal(decode_rgb(data + bytes(500)), expected)


def test_whole_sequential_jpeg_without_its_end_mark_is_usable():
    data = JPEGS["plain"]
    assert np.array_equal(decode_rgb(data[:-2]), decode_rgb(data))


def test_jpeg_whose_scan_breaks_off_in_foreign_bytes_is_truncated(capfd):
    data = JPEGS["plain"]
    with pytest.raises(ImageFault, match="truncated"):
        decode_rgb(data[: len(data) // 2] + b"\xff\x05" + data[len(data) // 2 :])
    assert capfd.readouterr() == ("", "")


def scan_of(data):
    """Where the entropy-coded data of the first scan begin."""
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4])


def damaged(data, kind):
    """`data` with damage that leaves every marker of its structure readable."""
    start, half = scan_of(data), (scan_of(data) + len(data)) // 2
    if kind == "flipped":
        flipped = bytes(byte ^ 0x55 for byte in data[half : half + 60]).replace(b"\xff", b"1")
        return data[:half] + flipped + data[half + 60 :]
    if kind == "zeros":
        return data[:half] + bytes(40) + data[half + 40 :]
    if kind == "lost bytes":
        return data[:half] + data[half + 200 :]
    if kind == "bad code":
        return data[:start] + b"\xfe" * 300 + data[start + 300 :]
    return data[:-9] + data[-2:]  # the last scan was cut


@pytest.mark.parametrize("kind", ["flipped", "zeros", "lost bytes", "bad code", "cut"])
@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
def test_damage_within_a_scan_is_noticed(data, kind, capfd):
    with pytest.raises(ImageFault, match=r"^(truncated|damaged): "):
        decode_rgb(damaged(data, kind))
    assert capfd.readouterr() == ("", "")


def test_lost_and_swapped_restart_intervals_are_noticed(capfd):
    data = JPEGS["restart intervals"]
    second, third, fourth = (data.index(bytes([0xFF, mark])) for mark in (0xD1, 0xD2, 0xD3))
    for changed in (
        data[:second] + data[third:],
        data[:second] + data[third:fourth] + data[second:third] + data[fourth:],
    ):
        with pytest.raises(ImageFault, match=r"damaged: .*corrupt .*instead of RST"):
            decode_rgb(changed)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mark", range(0xD1, 0xD4))
def test_damage_is_noticed_behind_a_header_of_any_maker(mark, capfd):
    data = encode(RGB, "JPEG", exif=b"Exif\0\0garbage", icc_profile=b"profile", progressive=mark % 2 > 0)
    with pytest.raises(ImageFault, match=r"^(truncated|damaged): "):
        decode_rgb(damaged(data, "zeros"))
    assert capfd.readouterr() == ("", "")


HARMLESS = {
    "a byte before the end mark": lambda data: data[:-2] + b"\x55" + data[-2:],
    "padded with zeros": lambda data: data[:-2] + bytes(700) + data[-2:],
    "filled with FF": lambda data: data[:-2] + b"\xff" * 99 + data[-2:],
    "bytes between segments": lambda data: data[:20] + b"stray" + data[20:],
    "no JFIF revision": lambda data: data[:11] + b"\0\0" + data[13:],
    "Exif that is none": lambda data: data[:2] + b"\xff\xe1\0\x0eExif\0\0II*\0\xff\xff" + data[2:],
    "another image behind": lambda data: data + data,
    "no end mark": lambda data: data[:-2],
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("kind", ["plain", "grey", "restart intervals", "progressive"])
def test_what_decides_no_pixel_of_a_jpeg_harms_none(kind, change, capfd):
    assert np.array_equal(decode_rgb(change(JPEGS[kind])), decode_rgb(JPEGS[kind]))
    assert capfd.readouterr() == ("", "")


def test_strays_in_a_header_hide_no_scans(monkeypatch):
    monkeypatch.setattr(decode.simplejpeg, "decode_jpeg", lambda *_: pytest.fail("was decoded"))
    data = many_scans(2000, 400)
    with pytest.raises(ImageFault, match=r"too large: 4\d\d scans"):
        decode_rgb(data[:20] + b"stray" + data[20:])


def test_photo_that_holds_others_is_its_first():
    frames = [Image.fromarray(make_image(seed, 120)) for seed in (0, 1)]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    decoded = decode_image(data)
    assert decoded.conversions == ()
    assert np.array_equal(decoded.rgb, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def many_scans(size_px, scans):
    """A progressive JPEG that repeats its last scan."""
    data = encode(np.full((size_px, size_px), 90, np.uint8), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


def test_jpeg_of_hundreds_of_scans_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(decode.simplejpeg, "decode_jpeg", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(ImageFault, match=r"too large: 4\d\d scans of 2000 x 2000 pixels"):
        decode_rgb(many_scans(2000, 400))


def test_small_jpeg_may_have_as_many_scans_as_it_likes():
    assert decode_rgb(many_scans(160, 400)).shape == (160, 160, 3)


def test_structure_tells_what_the_encoder_was_asked_for():
    found = read_structure(JPEGS["progressive"])
    assert (found.width, found.height, found.scans, found.frame) == (120, 120, 10, 0xC2)
    found = read_structure(JPEGS["plain"] + b"more")
    assert (found.scans, found.frame, found.components, found.has_exif) == (1, 0xC0, (1, 2, 3), False)
    assert found.end == len(JPEGS["plain"]) - 2
    assert read_structure(JPEGS["EXIF"]).has_exif
    assert read_structure(PNG) is None


# -- more than 8 bits --------------------------------------------------------------------------------

FULL = {8: 255, 10: 1023, 12: 4095, 14: 16383, 16: 65535}


@pytest.mark.parametrize("bits", FULL)
def test_grey_png_of_16_bits_keeps_its_brightness_whatever_range_it_uses(bits):
    values = np.rint(GREY.astype(float) / 255 * FULL[bits]).astype(np.uint16)
    decoded = decode_image(encode(Image.fromarray(values), "PNG"))
    assert np.array_equal(decoded.rgb[:, :, 0], GREY)
    said = () if bits == 16 else (f"values of 0 to {FULL[bits]}",)
    assert decoded.conversions == ("16-bit", "grey", *said)


def test_8_bit_values_shifted_to_12_bits_keep_their_brightness():
    """0 to 4080, as many tools make 12 bits of 8."""
    decoded = decode_rgb(encode(Image.fromarray(GREY.astype(np.uint16) * 16), "PNG"))
    assert np.abs(decoded[:, :, 0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("full", [255, 4095])
def test_tiff_of_integers_or_floats_keeps_its_brightness(dtype, full):
    values = np.rint(GREY.astype(float) / 255 * full).astype(dtype)
    assert np.array_equal(decode_rgb(encode(Image.fromarray(values), "TIFF"))[:, :, 1], GREY)


def large_png(side, more_rows):
    """RGBA of 16 bits a colour that hold values of 12; perhaps with more rows than its header says."""
    row = b"\0" + (np.arange(4 * side) % 4096).astype(">u2").tobytes()
    same = b"\2" + bytes(8 * side)  # as the row above
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(row + same * (side - 1 + more_rows), 1))
    return PNG[:8] + head + body + chunk(b"IEND", b"")


@pytest.mark.fault(
    "a PNG of 64 megapixels with 16 bits a colour, or one that unpacks to far more than its pixels", "R",
    "decoded one at a time, whatever the number of threads, with at most 1.1 GB beside the file", group="data",
)  # fmt: skip
@pytest.mark.parametrize("more_rows", [0, 20_000])
def test_memory_for_a_png_of_16_bits_is_bounded(more_rows):
    side = 500
    png = large_png(side, more_rows)
    tracemalloc.start()
    decoded = decode_image(png)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded.rgb.shape == (side, side, 3)
    assert "values of 0 to 4095" in decoded.conversions
    assert peak < 14 * side**2  # OpenCV takes 8 bytes a pixel that are not traced, Pillow 4


def test_large_images_are_decoded_one_at_a_time(monkeypatch):
    inside, most, to_rgb = [], [], decode._to_rgb

    def watched(*arguments):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return to_rgb(*arguments)

    monkeypatch.setattr(decode, "_to_rgb", watched)
    for limit, expected in ((decode.LARGE_PIXELS, True), (RGB[:, :, 0].size - 1, False)):
        monkeypatch.setattr(decode, "LARGE_PIXELS", limit)
        most.clear()
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(decode_rgb, [PNG] * 4))
        assert (max(most) > 1) == expected


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_colours_of_16_bits_keep_their_brightness(kind, channels, bits):
    pixels = np.dstack([RGB[:, :, ::-1], np.full_like(GREY, 255)])[:, :, :channels]
    values = np.rint(pixels.astype(float) / 255 * FULL[bits]).astype(np.uint16)
    decoded = decode_image(cv2.imencode(kind, values)[1].tobytes())
    assert np.abs(decoded.rgb.astype(int) - RGB).max() <= 1
    assert "16-bit" in decoded.conversions
    assert (f"values of 0 to {FULL[bits]}" in decoded.conversions) == (bits < 16)


def test_range_is_the_smallest_that_holds_the_values():
    for high, full in ((255, 255), (256, 1023), (4080, 4095), (4096, 16383), (65535, 65535)):
        scaled, found = to_8_bit(np.array([[0, high]], np.int32))
        assert found == full
        assert scaled[0, 1] == round(high * 255 / full)


# -- AVIF, HEIC and others -----------------------------------------------------------------------------


@pytest.mark.fault("AVIF, also under the name of a JPEG", "R", "read by its content", group="data")
@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_by_its_content():
    data = encode(RGB, "AVIF", quality=95)
    decoded = decode_rgb(data)
    assert np.abs(decoded.astype(int) - RGB).mean() < 4
    for brands in (b"avif" + bytes(4) + b"mif1", b"mif1" + bytes(4) + b"avif"):
        with pytest.raises(ImageFault, match="AVIF"):
            decode_rgb(b"\0\0\0\x14ftyp" + brands + b"cut off")


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"mif1", b"msf1"])
def test_heic_is_named_with_what_to_do(brand):
    with pytest.raises(ImageFault, match=r"HEIC image: convert it to JPEG or PNG"):
        decode_rgb(b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1heic" + bytes(50))


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x10\0\0\0AVI LIST", b"\x1a\x45\xdf\xa3\x9fB\x86\x81webm", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"\0\0\0\x14ftypqt  ", b"\0\0\0\x14ftypM4V ", b"\0\0\0\x18ftyp3gp4", b"\0\0\x01\xba!\0", b"FLV\x01\5",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", (b"G" + bytes(187)) * 4, b"\0\0\0\x08wide\0\0\1\1mdat", b"OggS\0\2",
    ],
)  # fmt: skip
def test_video_is_named_with_what_to_do(data):
    with pytest.raises(ImageFault, match="not an image but a video: save single frames of it"):
        decode_rgb(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"RIFF\x10\0\0\0WAVEfmt ", "a sound"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
    ],
)
def test_other_files_are_named(data, words):
    with pytest.raises(ImageFault, match=words):
        decode_rgb(data)
