import io
import zipfile

import numpy as np
import pytest
from memory_source import random_images
from PIL import Image

from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.plain import decode_accepted, plain_jpeg_channels

IMAGE = Image.fromarray(random_images(1, 40)[0]).resize((40, 31))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def file_of(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PLAIN = {
    "colour": file_of(IMAGE, "JPEG", quality=90),
    "grey": file_of(IMAGE.convert("L"), "JPEG"),
    "full chroma": file_of(IMAGE, "JPEG", subsampling=0, comment=b"any"),
}
SPECIAL = {
    "turned": file_of(IMAGE, "JPEG", exif=TURNED),
    "with a profile": file_of(IMAGE, "JPEG", icc_profile=b"profile"),
    "progressive": file_of(IMAGE, "JPEG", progressive=True),
    "cmyk": file_of(IMAGE.convert("CMYK"), "JPEG"),
    "png": file_of(IMAGE, "PNG"),
    "transparent png": file_of(IMAGE.convert("RGBA"), "PNG"),
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
