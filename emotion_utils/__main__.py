"""`python -m emotion_utils` is `emotion`."""

from emotion_utils.search_path import leave_out_copies


def main() -> None:
    """The command; what it imports comes from its own environment."""
    leave_out_copies()
    from emotion_utils.cli import main

    main()


if __name__ == "__main__":
    main()
