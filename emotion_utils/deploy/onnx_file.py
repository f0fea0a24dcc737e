"""An ONNX file of ours: what its metadata say, and its answers by onnxruntime. Needs NumPy and onnxruntime alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from emotion_utils.audit.faces import CropMode
from emotion_utils.deploy.seal import ALTERED, check_seal
from emotion_utils.errors import InputError
from emotion_utils.models.input_spec import Colour, InputSpec
from emotion_utils.models.reference import reference_pixels
from emotion_utils.parallel import count_workers
from emotion_utils.printable import printable
from emotion_utils.sources.usable_names import check_names
from emotion_utils.store.resize import KERNEL

if TYPE_CHECKING:
    import onnxruntime

FORMAT = 1  # of the metadata; a file of another is refused
KEY = "emotion_utils"  # of the metadata, one JSON object: see export.describe
INPUT, OUTPUT = "images", "probabilities"
BATCH_FACES = 8  # larger ones are no quicker
# Between the probabilities for the reference images here and those of when the file was written.
TOLERANCE = {"float32": 1e-3, "int8": 0.05}
MOST_VIEWS, MOST_PX, MOST_IMAGES = 10, 1 << 16, 1 << 40  # more than any file of ours says
AGAIN = "export the model again"


class OnnxNetwork:
    """A `network.Network` in a file of ours.

    Raises InputError where onnxruntime is missing, and where the file is none of ours, is of another version, was
    changed, or does not answer as it did when it was written. `threads` None: as many as there are cores.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._given = path.absolute(), threads
        is_sealed = path.is_file() and check_seal(path)  # before onnxruntime reads what may be damaged
        self._session = open_session(path, threads)
        facts = read_facts(path, self._session)
        if facts.get("sealed") and not is_sealed:
            raise InputError(f"{path}: {ALTERED}")
        check_names(str(path), facts["class_names"])
        self.class_names = tuple(facts["class_names"])
        self.input_spec = _read_input(path, facts["input"])
        self.crop: CropMode = facts["crop"]
        self.views: int = facts["views"]
        self.facts = [facts[name] for name in ("sha256", "input", "class_names", "numbers", "views")]
        self.about = facts  # all that the metadata say
        self._check_answers(path, facts)

    def __reduce__(self) -> tuple[Callable[..., OnnxNetwork], tuple[Path, int | None, list[Any]]]:
        """A copy, also in another process, opens the file again."""
        return _open_again, (*self._given, self.facts)

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Each face is computed by itself, whatever stands beside it: the last batch needs no padding."""
        return run_session(self._session, faces, len(self.class_names))

    def _check_answers(self, path: Path, facts: dict[str, Any]) -> None:
        expected = np.array(facts["answers"])
        try:
            found = self.predict(reference_pixels(self.input_spec.size_px))
        except Exception as error:  # onnxruntime's own
            raise InputError(f"{path}: cannot be computed ({error}); {AGAIN}") from None
        if expected.shape != found.shape or not np.abs(found - expected).max() <= TOLERANCE[facts["numbers"]]:
            raise InputError(
                f"{path}: its answers for the reference images are not those of when it was written; {AGAIN}"
            )


def _open_again(path: Path, threads: int | None, facts: list[Any]) -> OnnxNetwork:
    """Raises InputError where another model lies there by now."""
    network = OnnxNetwork(path, threads)
    if network.facts != facts:
        raise InputError(f"{path}: holds another model than the one that was copied; load it anew")
    return network


def open_session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Raises InputError where onnxruntime is missing or cannot read the file."""
    try:
        import onnxruntime  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: an ONNX file needs {error.name}: pip install onnxruntime") from None
    if not path.is_file():
        raise InputError(f"{path}: there is no such file" if not path.exists() else f"{path}: is no file")
    try:
        return start_session(str(path) if _is_encodable(path) else path.read_bytes(), threads)
    except Exception as error:  # onnxruntime's own, of many kinds
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is no ONNX file that onnxruntime can read ({reason})") from None


def _is_encodable(path: Path) -> bool:
    """onnxruntime takes no name with bytes that are no text."""
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def start_session(model: str | bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session of a file or of its content, as all that is measured and used here has it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or count_workers()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # costs a core, and gains nothing here
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, faces: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities float64 (n, classes) of uint8 RGB faces (n, S, S, 3)."""
    starts = range(0, len(faces), BATCH_FACES)
    probs = [session.run([OUTPUT], {INPUT: faces[start : start + BATCH_FACES]})[0] for start in starts]
    return np.concatenate([np.empty((0, classes)), *probs])


def read_facts(path: Path, session: onnxruntime.InferenceSession) -> dict[str, Any]:
    """What the metadata say, complete. Raises InputError where the file is none of ours or of another version."""
    try:
        stored = session.get_modelmeta().custom_metadata_map.get(KEY)
    except UnicodeDecodeError:
        raise InputError(f"{path}: its metadata are damaged; {AGAIN}") from None
    if stored is None:
        raise InputError(f"{path}: is an ONNX file, but none that `emotion export` wrote: what it takes is not known")
    try:
        facts = json.loads(stored)
        version = facts["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: its metadata are damaged; {AGAIN}") from None
    if type(version) is not int or version != FORMAT:
        raise InputError(f"{path}: is of format {version!r}, this version reads {FORMAT}; {AGAIN} with this version")
    if fault := _find_fault(facts, session):
        raise InputError(f"{path}: its metadata are damaged ({fault}); {AGAIN}")
    return facts


def _find_fault(facts: dict[str, Any], session: onnxruntime.InferenceSession) -> str:
    """What is wrong with the metadata; empty where nothing is."""
    names, answers = facts.get("class_names"), facts.get("answers")
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) and name for name in names):
        return "class_names"
    if len(set(names)) < len(names):
        return "class_names: one is there twice"
    if not isinstance(answers, list) or len(answers) != 2 or not all(_are_probs(row, len(names)) for row in answers):
        return "answers"
    if facts.get("crop") not in get_args(CropMode) or facts.get("numbers") not in (*TOLERANCE,):
        return "crop or numbers"
    provenance = facts.get("provenance")
    if not isinstance(provenance, dict) or not isinstance(provenance.get("sentence", ""), str):
        return "provenance"
    if not all(isinstance(facts.get(name, ""), str) for name in ("architecture", "model", "data")):
        return "architecture, model or data"
    if (test := facts.get("test")) is not None and not _is_test(test):
        return "test"
    if not _is_whole(facts.get("views"), 1, MOST_VIEWS) or not isinstance(facts.get("sha256"), str):
        return "views or sha256"
    given = facts.get("input")
    if not isinstance(given, dict) or not _is_whole(given.get("size_px"), 1, MOST_PX):
        return "input"
    size_px = given["size_px"]
    if not _is_tensor(session.get_inputs(), INPUT, "uint8", [size_px, size_px, 3]):
        return "its images"
    return "" if _is_tensor(session.get_outputs(), OUTPUT, "float", [len(names)]) else "its output"


def _is_tensor(nodes: list[Any], name: str, kind: str, shape: list[int]) -> bool:
    """Whether there is one such node, of as many images as one likes."""
    found = [(node.name, node.type, node.shape[1:]) for node in nodes]
    return found == [(name, f"tensor({kind})", shape)] and not isinstance(nodes[0].shape[0], int)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _are_probs(row: Any, count: int) -> bool:
    return isinstance(row, list) and len(row) == count and all(
        isinstance(value, float | int) and abs(value) < 2 for value in row  # rounded
    )  # fmt: skip


def _is_test(test: Any) -> bool:
    return (
        isinstance(test, dict)
        and _is_whole(test.get("images"), 1, MOST_IMAGES)
        and isinstance(test.get("accuracy"), float)
        and 0 <= test["accuracy"] <= 1
    )


def _read_input(path: Path, stored: dict[str, Any]) -> InputSpec:
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    kernel = given.pop("resize_kernel", None)
    try:
        spec = InputSpec(**given)
    except TypeError as error:
        raise InputError(f"{path}: input: {printable(str(error))}; {AGAIN}") from None
    if not _is_whole(spec.source_px, 0, MOST_PX) or type(spec.is_synthetic) is not bool:
        raise InputError(f"{path}: its metadata are damaged (source_px or is_synthetic); {AGAIN}")
    if kernel != KERNEL or spec.channel_order != "RGB" or spec.colour not in get_args(Colour):
        raise InputError(f"{path}: takes images in another way than this version makes them; {AGAIN}")
    return spec
