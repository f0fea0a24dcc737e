"""The two ways in which a run can end badly; the command turns each into one line and an exit status."""

from emotion_utils.printable import printable, shorten


class EmotionError(Exception):
    """The run failed: the message says why and what to do, on one line whatever it quotes (exit status 1)."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shorten(printable(" ".join(str(message).splitlines()))))


class InputError(EmotionError, ValueError):
    """Something given by the user cannot be used: the message says what would mend it (exit status 2)."""
