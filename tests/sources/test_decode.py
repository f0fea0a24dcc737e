import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from face_files import encode, make_image
from PIL import ExifTags, Image, ImageOps

from emotion_utils.sources import decode
from emotion_utils.sources.decode import decode_image, decode_rgb
from emotion_utils.sources.decoded import ImageFault, refuse_unusable

RGB = make_image(0)
GREY = RGB[:, :, 0]


def from_pillow(data):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
PLAIN_JPEGS = {
    "colour": encode(make_image(3, 53), "JPEG", quality=40),
    "full chroma": encode(make_image(3, 53), "JPEG", quality=95, subsampling=0, comment=b"any"),
    "grey": encode(GREY, "JPEG"),
    "restart intervals": encode(RGB, "JPEG", restart_marker_blocks=1),
    "trailing bytes": encode(RGB, "JPEG") + b"more",
}
SPECIAL_JPEGS = {
    "turned": encode(RGB[:31], "JPEG", exif=TURNED),
    "profile": encode(RGB, "JPEG", icc_profile=b"profile"),
    "progressive": encode(RGB, "JPEG", progressive=True),
    "RGB": encode(RGB, "JPEG", keep_rgb=True),
}


def png_header(width, height):
    """A PNG that declares a size and holds next to nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


@pytest.mark.parametrize("data", [*PLAIN_JPEGS.values(), *SPECIAL_JPEGS.values()], ids=[*PLAIN_JPEGS, *SPECIAL_JPEGS])
def test_jpeg_goes_the_quick_way_to_the_pixels_that_pillow_gives(monkeypatch, data):
    monkeypatch.setattr(decode, "_decode_with_pillow", lambda _: pytest.fail("took the slow way"))
    assert np.array_equal(decode_rgb(data), from_pillow(data))


@pytest.mark.parametrize("data", [b"\xff\xd8", b"\xff\xd8\xff\xc4\x00\x00\xff\xd9", PLAIN_JPEGS["colour"][:40]])
def test_stumps_of_jpegs_are_faults(data):
    with pytest.raises(ImageFault):
        decode_rgb(data)


@pytest.mark.realdata
def test_jpegs_of_real_data_are_plain_and_give_the_pixels_that_pillow_gives(monkeypatch, shared_data):
    monkeypatch.setattr(decode, "_decode_with_pillow", lambda _: pytest.fail("took the slow way"))
    with zipfile.ZipFile(shared_data / "named_faces.zip") as file:
        for name in sorted(name for name in file.namelist() if name.endswith(".jpg"))[::4]:
            data = file.read(name)
            assert np.array_equal(decode_rgb(data), from_pillow(data))


def test_grey_jpeg_becomes_three_equal_channels():
    decoded = decode_image(encode(GREY, "JPEG"))
    assert decoded.conversions == ("grey",)
    assert (np.ptp(decoded.rgb, axis=2) == 0).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(kind):
    wide = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 24, axis=0).repeat(3, axis=2)
    decoded = decode_image(encode(wide, kind, exif=TURNED))
    assert decoded.conversions == ("turned by EXIF",)
    assert decoded.rgb.shape == (64, 24, 3)
    assert decoded.rgb[0].mean() < 10 < 240 < decoded.rgb[-1].mean()


def test_sixteen_bit_grey_keeps_its_brightness():
    values = (GREY.astype(np.uint16) * 257)[:, ::-1]
    decoded = decode_image(encode(Image.fromarray(values), "PNG"))
    assert decoded.conversions == ("16-bit", "grey")
    assert np.array_equal(decoded.rgb[:, :, 1], GREY[:, ::-1])


def test_float_tiff_of_0_to_1_keeps_its_brightness():
    decoded = decode_image(encode(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"))
    assert np.array_equal(decoded.rgb[:, :, 0], GREY)


@pytest.mark.parametrize("values", [GREY * 300.0, GREY - 1000.0, np.where(GREY > 99, np.nan, 0.5)])
def test_float_tiff_of_no_known_range_is_a_fault(values):
    with pytest.raises(ImageFault, match="values of"):
        decode_rgb(encode(Image.fromarray(values.astype(np.float32)), "TIFF"))


def test_cmyk_palette_and_animation_are_named():
    cmyk = decode_image(encode(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95))
    assert cmyk.conversions == ("CMYK",)
    assert np.abs(cmyk.rgb.astype(int) - RGB).mean() < 12
    assert decode_image(encode(Image.fromarray(RGB).quantize(64), "PNG")).conversions == ("palette",)
    frames = [Image.fromarray(make_image(seed)) for seed in (0, 1)]
    animated = decode_image(encode(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    assert animated.conversions == ("animated",)
    assert np.array_equal(animated.rgb, RGB)


def test_transparent_pixels_become_white():
    rgba = np.dstack([RGB, np.where(np.arange(40) < 20, 0, 255).astype(np.uint8)[None].repeat(40, axis=0)])
    decoded = decode_image(encode(rgba, "PNG"))
    assert decoded.conversions == ("alpha",)
    assert (decoded.rgb[:, :20] == 255).all()
    assert np.array_equal(decoded.rgb[:, 20:], RGB[:, 20:])


@pytest.mark.parametrize(("kind", "share"), [("JPEG", 0.6), ("PNG", 0.6), ("WEBP", 0.6), ("TIFF", 0.6), ("GIF", 0.6)])
def test_file_cut_short_is_a_fault(kind, share):
    data = encode(make_image(1, 120), kind)
    with pytest.raises(ImageFault):
        decode_rgb(data[: int(len(data) * share)])


def test_truncated_jpeg_says_so():
    data = encode(make_image(1, 120), "JPEG")
    with pytest.raises(ImageFault, match="truncated"):
        decode_rgb(data[: len(data) // 2])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bomb_is_refused_from_its_header(monkeypatch):
    monkeypatch.setattr(decode, "_to_rgb", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(ImageFault, match="too large"):
        decode_rgb(png_header(8_001, 8_000))
    with pytest.raises(ImageFault, match="too large"):
        decode_rgb(png_header(60_000, 60_000))  # beyond what Pillow opens


def test_jpeg_bomb_is_refused_from_its_header():
    data = bytearray(encode(make_image(0), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(ImageFault, match="too large: 60000 x 60000"):
        decode_rgb(bytes(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"  <!DOCTYPE html><html>sign in</html>", "HTML page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"just some notes", "text file"),
        ("Notizen über Gesichter, ".encode() * 400, "text file"),
        (b"PK\x03\x04....", "zip archive"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC image: convert"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "video"),
        (bytes(3000), "zero bytes"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "damaged"),
        (bytes(range(256)), "no known image format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n", "PostScript"),
    ],
)
def test_wrong_type_is_named_for_what_it_is(data, words):
    with pytest.raises(ImageFault, match=words):
        decode_rgb(data)


def test_tiny_and_constant_images_are_unusable():
    with pytest.raises(ImageFault, match="tiny: 15 x 40"):
        refuse_unusable(RGB[:, :15])
    plain = np.full((40, 40, 3), (200, 10, 10), np.uint8)
    with pytest.raises(ImageFault, match="constant"):
        refuse_unusable(plain)
    with pytest.raises(ImageFault, match="constant"):
        refuse_unusable(decode_rgb(encode(plain, "JPEG")))
    plain[33, 7] = 90  # one pixel that the quick look misses
    refuse_unusable(plain)
    refuse_unusable(RGB)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged TIFF tags
def test_damaged_bytes_never_raise_anything_but_a_fault():
    rng = np.random.default_rng(0)
    originals = [encode(make_image(0), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    for number in range(400):
        data = bytearray(originals[number % len(originals)])
        for place in rng.integers(0, len(data), 8):
            data[place] = rng.integers(256)
        try:
            rgb = decode_rgb(bytes(data))
        except ImageFault:
            continue
        assert rgb.dtype == np.uint8
        assert rgb.ndim == 3
