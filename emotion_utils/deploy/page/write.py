"""`emotion export --to page`: one HTML file that opens from disk and names the emotion on an image, without a network.

The page holds the exported model and ONNX Runtime Web. Its content security policy allows no request to any address.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from string import Template
from typing import Any

from emotion_utils.audit.faces import SCENE_PX, SMALL_PX
from emotion_utils.deploy.export_files import ITS_CARD, check_output
from emotion_utils.deploy.onnx_file import INPUT, OUTPUT, TOLERANCE, OnnxNetwork
from emotion_utils.deploy.page.runtime import LOADER, VERSION, WASM, find_runtime
from emotion_utils.errors import InputError
from emotion_utils.files import replacing
from emotion_utils.sources.decoded import CONSTANT_RANGE, MIN_SIDE_PX

TEMPLATE = Path(__file__).parent / "template"
SCRIPTS = ("unpack.js", "resize.js", "network.js", "square.js", "page.js")  # in the order in which they need each other


def export_page(
    model: Path, output: Path, *, int8: bool, runtime: Path | None, views: int | None = None,
    say: Callable[[str], None] = print,
) -> str:  # fmt: skip
    """Writes `output` from a model folder, which is exported first, or from an exported file; returns a line about it.

    Raises InputError and EmotionError as the export does, and where the runtime cannot be had: then nothing is written.
    """
    check_output(output, ".html")
    is_exported = model.suffix.lower() == ".onnx"
    if is_exported and (int8 or views):
        option = "--int8" if int8 else "--views"
        raise InputError(f"{model}: is exported already: leave out {option}, or give the model's folder")
    files = find_runtime(runtime, say)
    with tempfile.TemporaryDirectory() as folder:
        path = model if is_exported else _export(model, Path(folder) / "model.onnx", int8, views, say)
        facts, content = OnnxNetwork(path).about, path.read_bytes()  # refuses what does not answer as it did
    page = make_page(facts, content, files)
    with replacing(output) as temporary:
        temporary.write_bytes(page)
    return f"{output}: {len(page) / 1e6:,.1f} MB; open it in a browser"


def _export(model_dir: Path, path: Path, int8: bool, views: int | None, say: Callable[[str], None]) -> Path:
    if int8:
        from emotion_utils.deploy.quantise import export_int8

        line = export_int8(model_dir, path, views)
    else:
        from emotion_utils.deploy.export import export_onnx

        line = export_onnx(model_dir, path, views)
    say(line.removeprefix(f"{path}: ").partition(ITS_CARD)[0])  # it is gone with the file; the page has its warnings
    return path


def make_page(facts: dict[str, Any], model: bytes, runtime: dict[str, bytes]) -> bytes:
    """The page of an ONNX file of ours, whose metadata are `facts`; the same bytes for the same arguments."""
    script = "".join(_read(name) for name in SCRIPTS)
    style = _read("page.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}' 'wasm-unsafe-eval' blob:; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    caution, *warnings = list_warnings(facts)
    page = Template(_read("page.html")).substitute(
        policy=policy, style=style, script=script, title=html.escape(_name(facts)),
        caution=html.escape(caution), warnings=_list(warnings), about=_list(list_origins(facts)), version=VERSION,
        facts=json.dumps(_for_script(facts), separators=(",", ":")).replace("<", "\\u003c"),
        model=_pack(model), loader=_pack(runtime[LOADER]), wasm=_pack(runtime[WASM]),
    )  # fmt: skip
    return page.encode("utf-8")


def list_warnings(facts: dict[str, Any]) -> Iterator[str]:
    """What a person has to know before using the model's answers; the first stands beside them."""
    given = facts["input"]
    if given.get("is_synthetic"):
        yield "It was trained on synthetic faces alone: what it says of photographs means little."
    yield "It says what people who label faces would see in an image, not what a person feels."
    yield (
        "It is not for decisions about people: at work, in education, by authorities, in health or credit. In the "
        "European Union, inferring emotions at work and in education is forbidden (AI Act, Art. 5(1)(f))."
    )
    yield "Ask the people whose faces you show it."
    yield "It gives an answer for every square, even one that shows no face."
    if given.get("colour") == "grey":
        yield "It knows grey images alone: images in colour are turned to grey."
    elif given.get("colour") == "colour":
        yield "It knows images in colour alone: of grey ones it knows little."
    if source_px := given.get("source_px"):
        yield f"The faces that it was trained on were about {source_px} pixels wide; much larger ones are sharper."


def list_origins(facts: dict[str, Any]) -> Iterator[str]:
    """Where the model comes from."""
    provenance = facts["provenance"]
    yield f"Model: {_name(facts)}, {facts['numbers']}, SHA-256 of its weights {facts['sha256'][:12]}."
    if sentence := provenance.get("sentence"):
        yield f"It began as: {sentence}."
    if licence := provenance.get("licence"):
        yield f"Licence of what it began as: {licence}."
    yield f"Classes: {', '.join(facts['class_names'])}."
    if test := facts.get("test"):
        data = f" of {facts['data']}" if "data" in facts else ""
        yield f"Right on {test['accuracy']:.1%} of the {test['images']:,} test images{data}."


def _name(facts: dict[str, Any]) -> str:
    size_px = facts["input"]["size_px"]
    return f"{facts['architecture']}, {size_px} x {size_px} pixels"


def _for_script(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "classes": facts["class_names"],
        "size": facts["input"]["size_px"],
        "answers": facts["answers"],  # for the reference images, which the page computes again before all others
        "tolerance": TOLERANCE[facts["numbers"]],
        "input": INPUT,
        "output": OUTPUT,
        "smallest_scene": SCENE_PX,  # of the longer side, as in square.js
        "smallest_searched": SMALL_PX + 1,
        "smallest_side": MIN_SIDE_PX,  # of an image, as in page.js
        "plain_range": CONSTANT_RANGE,
    }


def _list(lines: Iterable[str]) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines)


def _read(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()


def _pack(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
