"""Fuzzing that looks for inputs which reach new lines: python tests/fuzz/guided.py TARGET [-runs=N]

It needs `pip install 'emotion-utils[fuzz]'`. An input that breaks the promise of targets.py is written to the present
folder and its error printed; it then becomes a test beside the parser's own.
"""

import sys
import tempfile
from pathlib import Path

import atheris

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "sources"), str(TESTS / "report")]

with atheris.instrument_imports(include=["emotion_utils"]):
    from targets import TARGETS


def main() -> None:
    known = {target.__name__: target for target in TARGETS}
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        sys.exit(f"{__doc__}\nTargets: {', '.join(known)}")
    with tempfile.TemporaryDirectory() as scratch:
        seeds, attempt = known[sys.argv[1]](Path(scratch))
        corpus = Path(scratch, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *(sys.argv[2:] or ["-runs=100000"]), str(corpus)], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
