"""The decoder of image files that is there: beside an exported model, Pillow and simplejpeg need not be."""

try:
    from emotion_utils.sources.decode import decode_image
except ModuleNotFoundError as error:
    if error.name not in ("PIL", "simplejpeg"):
        raise
    from emotion_utils.sources.decode_opencv import decode_image

__all__ = ["decode_image"]
