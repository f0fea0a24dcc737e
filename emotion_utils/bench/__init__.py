"""How fast the parts are, each beside a plain way to do the same."""

MODEL = "r18_scratch_emotion"  # that is trained
