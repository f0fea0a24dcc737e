"""The two ways in which a run can end badly; the command turns each into one line and an exit status."""


class EmotionError(Exception):
    """The run failed: the message says why and what to do (exit status 1)."""


class InputError(EmotionError, ValueError):
    """Something given by the user cannot be used: the message says what would mend it (exit status 2)."""
