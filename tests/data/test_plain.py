import io
import zipfile

import numpy as np
import pytest
from memory_source import random_pictures
from PIL import Image

from emotion_utils.data.decode import decode_rgb
from emotion_utils.data.plain import decode_accepted, plain_jpeg_channels

PICTURE = Image.fromarray(random_pictures(1, 40)[0]).resize((40, 31))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def file_of(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


PLAIN = {
    "colour": file_of(PICTURE, "JPEG", quality=90),
    "grey": file_of(PICTURE.convert("L"), "JPEG"),
    "full chroma": file_of(PICTURE, "JPEG", subsampling=0, comment=b"any"),
}
SPECIAL = {
    "turned": file_of(PICTURE, "JPEG", exif=TURNED),
    "with a profile": file_of(PICTURE, "JPEG", icc_profile=b"profile"),
    "progressive": file_of(PICTURE, "JPEG", progressive=True),
    "cmyk": file_of(PICTURE.convert("CMYK"), "JPEG"),
    "png": file_of(PICTURE, "PNG"),
    "transparent png": file_of(PICTURE.convert("RGBA"), "PNG"),
    "16-bit png": file_of(Image.fromarray(np.full((40, 40), 40_000, dtype=np.uint16)), "PNG"),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_plain_files_are_decoded_to_the_same_bits(data):
    assert plain_jpeg_channels(data)
    np.testing.assert_array_equal(decode_accepted(data), decode_rgb(data))


@pytest.mark.parametrize("data", SPECIAL.values(), ids=SPECIAL)
def test_special_files_are_left_to_the_careful_way(data):
    assert not plain_jpeg_channels(data)
    np.testing.assert_array_equal(decode_accepted(data), decode_rgb(data))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc4\x00\x00", PLAIN["colour"][:40]])
def test_stumps_of_files_are_not_plain(data):
    assert not plain_jpeg_channels(data)


@pytest.mark.realdata
@pytest.mark.parametrize(("archive", "step"), [("named_faces.zip", 8), ("fer2013.zip", 100)])
def test_real_files_are_plain_and_decoded_to_the_same_bits(shared_data, archive, step):
    with zipfile.ZipFile(shared_data / archive) as file:
        for name in sorted(name for name in file.namelist() if name.endswith(".jpg"))[::step]:
            data = file.read(name)
            assert plain_jpeg_channels(data)
            np.testing.assert_array_equal(decode_accepted(data), decode_rgb(data))
