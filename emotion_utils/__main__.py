"""`python -m emotion_utils` is `emotion`."""

from emotion_utils.cli import main

main()
