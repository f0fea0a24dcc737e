"""`python -m emotion_utils` is `emotion`."""

import sys


def main() -> None:
    """The command; what it imports comes from its own environment."""
    try:
        from emotion_utils.search_path import leave_out_copies

        leave_out_copies()
        from emotion_utils.cli import main
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("emotion_utils"):
            raise
        sys.exit(
            f"emotion: the command needs {error.name}: install this package with what it depends on; without that, "
            "load_classifier() in Python answers alone"
        )
    main()


if __name__ == "__main__":
    main()
