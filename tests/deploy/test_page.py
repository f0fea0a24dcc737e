"""`emotion export --to page`: a file that answers in a browser as Python does, and asks nobody for anything."""

import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from emotion_utils.cli import main
from emotion_utils.deploy.export import save_graph, write_graph
from emotion_utils.deploy.onnx_file import OnnxNetwork, open_session, read_facts
from emotion_utils.deploy.page import runtime, write
from emotion_utils.deploy.quantise import InMemory, prepare, quantise_by
from emotion_utils.environment import cache_dir
from emotion_utils.errors import EmotionError
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.reference import reference_pixels
from emotion_utils.store.resize import KERNEL, resize_square

FILES = {runtime.LOADER: b"export {};", runtime.WASM: b"\0asm"}  # stand for the real ones


@pytest.fixture(scope="module")
def onnx_file(narrow, tmp_path_factory):
    """A small network for faces of 32 px, as a file."""
    narrow.input_spec = replace(IMAGENET.at(32), is_synthetic=True)
    card = {
        "class_names": ["<sad>", "happy", "calm"], "input": {**narrow.input_spec.as_dict(), "resize_kernel": KERNEL},
        "provenance": {"sentence": "random & small"}, "sha256": "0" * 64, "design": {"architecture": "narrow"},
    }  # fmt: skip
    path = tmp_path_factory.mktemp("narrow") / "narrow.onnx"
    write_graph(narrow, card, path)
    return path


@pytest.fixture
def pinned(monkeypatch):
    """FILES are the right ones."""
    for name, content in FILES.items():
        monkeypatch.setitem(runtime.SHA256, name, hashlib.sha256(content).hexdigest())


def put_runtime(folder, **changes):
    folder.mkdir(parents=True)
    for name, content in (FILES | changes).items():
        (folder / name).write_bytes(content)


def export(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments), "--to", "page"])


# -- the runtime ---------------------------------------------------------------------------------------


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """fake_npm(files) puts an npm that packs them first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(files):
        with tarfile.open(folder / "packed.tgz", "w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"package/dist/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        fails = "echo 'npm error code ENOTFOUND' >&2; echo 'npm error request failed' >&2; exit 1"
        npm = folder / "npm"
        npm.write_text("#!/bin/sh\n" + (f'exec /bin/cp "{folder}/packed.tgz" "$5"' if files else fails))
        npm.chmod(0o755)

    monkeypatch.setenv("PATH", str(folder))
    return put


def test_npm_fetches_the_runtime_once(fake_npm, pinned, tmp_path):
    fake_npm(FILES)
    said = []
    assert runtime.find_runtime(None, said.append) == FILES
    (tmp_path / "bin" / "npm").unlink()
    assert runtime.find_runtime(None, said.append) == FILES
    assert said == ["npm fetches onnxruntime-web@1.30.0 once, 33 MB"]


def test_what_npm_brings_is_checked_and_its_errors_are_told(fake_npm):
    fake_npm(FILES)
    with pytest.raises(EmotionError, match=r"are not those of onnxruntime-web@1\.30\.0"):
        runtime.find_runtime(None, print)
    fake_npm({})
    with pytest.raises(EmotionError, match=r"could not fetch .*\(npm error request failed\); run `npm pack"):
        runtime.find_runtime(None, print)
    assert not cache_dir().exists() or not list(cache_dir().rglob("*.wasm"))


def test_without_npm_a_folder_has_to_be_given(fake_npm, onnx_file, tmp_path):
    result = export(onnx_file, "--output", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "npm is not installed: install it, or run `npm pack onnxruntime-web@1.30.0`" in result.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        ("elsewhere", {}, "holds no ort.wasm.bundle.min.mjs and ort-wasm-simd-threaded.wasm"),
        ("package/dist", {runtime.WASM: b"other"}, "its ort-wasm-simd-threaded.wasm are not those of"),
    ],
)
def test_another_runtime_is_refused(onnx_file, pinned, tmp_path, place, changes, message):
    put_runtime(tmp_path / "given" / place, **changes)
    result = export(onnx_file, "--runtime", tmp_path / "given", "--output", tmp_path / "page.html")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "page.html").exists()


# -- the file ------------------------------------------------------------------------------------------


@pytest.fixture
def page(onnx_file, pinned, tmp_path):
    """The text of a page with FILES in it."""
    put_runtime(tmp_path / "runtime" / "dist")
    result = export(onnx_file, "--runtime", tmp_path / "runtime", "--output", tmp_path / "page.html")
    assert result.exit_code == 0, result.stderr
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_page_holds_model_and_runtime(page, onnx_file):
    held = dict(re.findall(r'<script type="text/plain" id="(\w+)">([^<]*)</script>', page))
    found = {name: gzip.decompress(base64.b64decode(content)) for name, content in held.items()}
    assert found == {"model": onnx_file.read_bytes(), "loader": FILES[runtime.LOADER], "wasm": FILES[runtime.WASM]}
    (facts,) = re.findall(r'id="facts">([^<]*)</script>', page)
    assert json.loads(facts)["classes"] == ["<sad>", "happy", "calm"]


def test_page_allows_its_own_script_alone_and_no_address(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (style,), (script,) = (
        re.findall(r"<style>(.*?)</style>", page, re.S),
        re.findall(r'"module">(.*?)</script', page, re.S),
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert rules == {
        "default-src": "'none'", "script-src": f"'sha256-{digests[0]}' 'wasm-unsafe-eval' blob:",
        "style-src": f"'sha256-{digests[1]}'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert not re.search(r"https?:|//\w+\.|\ssrc=|\shref=|@import|url\(|\sstyle=|\son\w+=", page)


def test_page_says_what_the_model_is_not_for(page):
    assert '<p class="caution">It was trained on synthetic faces alone' in page
    assert "not what a person feels" in page
    assert "inferring emotions at work and in education is forbidden" in page
    assert "It began as: random &amp; small." in page
    assert "&lt;sad&gt;, happy, calm" in page


def test_page_of_a_model_that_knows_grey_alone_says_so(page, onnx_file, tmp_path):
    sentence = "It knows grey images alone: images in colour are turned to grey."
    assert sentence not in page
    facts = read_metadata(onnx_file)
    facts["input"]["colour"] = "grey"
    save_graph(onnx.load(onnx_file), facts, tmp_path / "grey.onnx")
    result = export(tmp_path / "grey.onnx", "--runtime", tmp_path / "runtime", "--output", tmp_path / "grey.html")
    assert result.exit_code == 0, result.stderr
    assert sentence in (tmp_path / "grey.html").read_text(encoding="utf-8")


def test_model_folder_is_exported_first(onnx_file, model_dir, pinned, tmp_path, monkeypatch):
    def export_onnx(folder, path, views):
        assert (folder, views) == (model_dir, 2)
        shutil.copy(onnx_file, path)
        return f"{path}: held against PyTorch; its card: {path}.md"

    monkeypatch.setattr("emotion_utils.deploy.export.export_onnx", export_onnx)
    monkeypatch.chdir(tmp_path)
    put_runtime(tmp_path / "runtime")
    result = export(model_dir, "--views", "2", "--runtime", "runtime")
    assert result.output.splitlines()[0] == "held against PyTorch"
    assert (tmp_path / f"{model_dir.name}.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "page.onnx"], "give the file a name that ends in .html"),
        (["--int8"], "is exported already: leave out --int8"),
        (["--views", "1"], "is exported already: leave out --views"),
    ],
)
def test_what_makes_no_sense_is_refused(onnx_file, arguments, message):
    result = export(onnx_file, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


# -- in a browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_runtime(tmp_path_factory):
    """The real one: of the user's cache, which is left as it is, or by npm; skips where neither has it."""
    kept = cache_dir() / f"onnxruntime-web-{runtime.VERSION}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOTION_CACHE_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("npm_config_fetch_retries", "0")
        try:
            return runtime.find_runtime(kept if kept.is_dir() else None, print)
        except EmotionError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def real_page(real_runtime, onnx_file, tmp_path_factory):
    """A page that works."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_bytes(write.make_page(read_metadata(onnx_file), onnx_file.read_bytes(), real_runtime))
    return path


def read_metadata(path):
    return read_facts(path, open_session(path))


@pytest.fixture
def opened(browser, real_page):
    """The browser with that page, ready."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forgets
    browser.get(real_page.as_uri())
    wait_for(browser, 'document.body.classList.contains("ready") || document.querySelector(".error")')
    yield browser
    browser.get("about:blank")


def wait_for(browser, condition):
    browser.execute_async_script(
        f"const done = arguments[0]; (function look() {{ if ({condition}) done(); else setTimeout(look, 10); }})();"
    )


def read_answer(browser, network, image, square):
    """Asserts that pixels and probabilities for a square (left, top, side) of an image are Python's."""
    left, top, side = square
    pixels = resize_square(np.ascontiguousarray(image[top : top + side, left : left + side]), 32)
    seen = """(() => { const seen = document.getElementById("seen"); return Array.from(
      seen.getContext("2d").getImageData(0, 0, seen.width, seen.height).data).join() })()"""
    rgba = np.dstack([pixels, np.full((32, 32), 255, np.uint8)])
    wait_for(browser, f'{seen} === "{",".join(map(str, rgba.ravel()))}"')
    found = browser.execute_script('return Array.from(document.querySelectorAll("#bars data"), each => +each.value)')
    (expected,) = network.predict(pixels[None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    best = ("<sad>", "happy", "calm")[expected.argmax()]
    assert browser.find_element("id", "answer").text == f"{best}, {100 * expected.max():.1f} %"


def open_image(browser, tmp_path, image):
    path = tmp_path / f"{image.shape[0]}x{image.shape[1]}.png"
    Image.fromarray(image).save(path)
    browser.find_element("id", "file").send_keys(str(path))
    wait_for(browser, f'document.getElementById("status").textContent.startsWith("{path.name}")')


def test_page_answers_as_python_and_asks_for_nothing(opened, onnx_file, tmp_path):
    network, rng = OnnxNetwork(onnx_file), np.random.default_rng(3)
    for side in (20, 31, 32, 33, 45, 64, 96, 350):  # interpolated, as it is, averaged over parts and over whole blocks
        image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        open_image(opened, tmp_path, image)
        read_answer(opened, network, image, (0, 0, side))
    requests = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = {each["params"]["request"]["url"] for each in requests if each["method"] == "Network.requestWillBeSent"}
    assert {address.partition(":")[0] for address in asked} - {"chrome"} == {"file", "blob"}
    assert [entry for entry in opened.get_log("browser") if entry["source"] != "rendering"] == []


def test_whole_numbers_are_the_same_in_the_browser(browser, real_runtime, onnx_file, tmp_path):
    rng = np.random.default_rng(5)
    shutil.copy(onnx_file, tmp_path / "float32.onnx")
    faces = rng.integers(0, 256, (32, 32, 32, 3)).astype(np.uint8)
    model = quantise_by("MinMax", prepare(tmp_path / "float32.onnx"), faces)
    answers = InMemory(model).predict(reference_pixels(32)).tolist()
    path = tmp_path / "int8.onnx"
    save_graph(model, read_metadata(onnx_file) | {"numbers": "int8", "answers": answers}, path)
    (tmp_path / "page.html").write_bytes(write.make_page(read_metadata(path), path.read_bytes(), real_runtime))
    browser.get((tmp_path / "page.html").as_uri())
    wait_for(browser, 'document.body.classList.contains("ready") || document.querySelector(".error")')
    network = OnnxNetwork(path)
    for side in (32, 64):
        image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        open_image(browser, tmp_path, image)
        read_answer(browser, network, image, (0, 0, side))
    browser.get("about:blank")


def test_square_is_moved_and_resized(opened, onnx_file, tmp_path):
    from selenium.webdriver import ActionChains, Keys

    network, image = OnnxNetwork(onnx_file), np.random.default_rng(4).integers(0, 256, (150, 200, 3)).astype(np.uint8)
    open_image(opened, tmp_path, image)
    opened.set_window_size(900, 1000)
    assert opened.find_element("id", "answer").text == "Put the square around a face"  # it may be a scene
    assert {each.text for each in opened.find_elements("css selector", "#bars data")} == {"\u2013"}
    square = opened.find_element("id", "square")
    square.click()
    read_answer(opened, network, image, (55, 30, 90))  # three fifths of the shorter side
    square.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_DOWN)  # a hundredth of 150: 2
    read_answer(opened, network, image, (51, 32, 90))
    square.send_keys("-")
    read_answer(opened, network, image, (53, 34, 86))
    square.send_keys(*[Keys.SHIFT + Keys.ARROW_RIGHT] * 20)
    read_answer(opened, network, image, (114, 34, 86))
    ActionChains(opened).drag_and_drop_by_offset(square, -250, -100).perform()
    read_answer(opened, network, image, (0, 0, 86))
    corner = opened.find_element("css selector", '[data-corner="bottom right"]')
    ActionChains(opened).drag_and_drop_by_offset(corner, 150, 150).perform()
    read_answer(opened, network, image, (0, 0, 150))


def test_file_that_is_no_image_is_told(opened, tmp_path):
    image = np.random.default_rng(6).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    open_image(opened, tmp_path, image)
    wait_for(opened, 'document.body.classList.contains("judged")')
    (tmp_path / "notes.txt").write_text("no image")
    opened.find_element("id", "file").send_keys(str(tmp_path / "notes.txt"))
    wait_for(opened, 'document.querySelector("#status.error")')
    assert "notes.txt: this browser cannot read it as an image" in opened.find_element("id", "status").text
    assert opened.find_element("id", "answer").text == "No image yet"
    assert {each.text for each in opened.find_elements("css selector", "#bars data")} == {"\u2013"}


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((1, 1, 3), np.uint8), "pixels, at least 16 a side are needed"),
        (np.full((48, 48, 3), 127, np.uint8), "all pixels have the same colour"),
    ],
)
def test_image_that_python_refuses_has_no_answer(opened, tmp_path, image, said):
    open_image(opened, tmp_path, np.random.default_rng(7).integers(0, 256, (40, 40, 3)).astype(np.uint8))
    wait_for(opened, 'document.body.classList.contains("judged")')
    open_image(opened, tmp_path, image)
    wait_for(opened, '!document.body.classList.contains("judged")')
    assert said in "".join(opened.find_element("id", name).text for name in ("status", "answer"))
    assert {each.text for each in opened.find_elements("css selector", "#bars data")} == {"\u2013"}


def test_of_two_drops_the_last_one_stays(opened):
    opened.execute_async_script("""
      const done = arguments[0], drop = (blob, name) => {
        const files = new DataTransfer();
        files.items.add(new File([blob], name));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
      }, paint = (side) => {
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = side;
        const context = canvas.getContext("2d");
        context.fillStyle = "teal";
        context.fillRect(0, 0, side / 2, side / 3);
        return new Promise((made) => canvas.toBlob(made));
      };
      (async () => {
        const large = await paint(5000), small = await paint(60);
        drop(large, "large.png");
        drop(small, "small.png");
        for (let i = 0; i < 2; i++) await createImageBitmap(large);  // by then the page has it too
        done();
      })();
    """)
    wait_for(opened, 'document.body.classList.contains("judged")')
    assert opened.find_element("id", "status").text.startswith("small.png, 60 ")


def test_why_there_is_no_answer_stays(browser, real_page, tmp_path):
    command = "Page.addScriptToEvaluateOnNewDocument"
    added = browser.execute_cdp_cmd(command, {"source": "delete globalThis.DecompressionStream"})
    try:
        browser.get(real_page.as_uri())
        wait_for(browser, 'document.querySelector("#status.error")')
        path = tmp_path / "face.png"
        Image.fromarray(np.random.default_rng(8).integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(path)
        browser.find_element("id", "file").send_keys(str(path))
        wait_for(browser, 'document.body.classList.contains("opened")')
        said = browser.find_element("id", "status").text
        assert said.startswith("The network cannot run here: DecompressionStream is not defined. A recent")
        assert browser.find_element("css selector", "#status.error")
        assert browser.find_element("id", "answer").text == "No answer"
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        browser.get("about:blank")


def test_page_refuses_to_answer_where_answers_differ(browser, real_runtime, onnx_file, tmp_path):
    facts = read_metadata(onnx_file)
    facts["answers"] = np.roll(facts["answers"], 1, axis=1).tolist()
    (tmp_path / "page.html").write_bytes(write.make_page(facts, onnx_file.read_bytes(), real_runtime))
    browser.get((tmp_path / "page.html").as_uri())
    wait_for(browser, 'document.querySelector("#status.error")')
    assert "this browser computes other answers than the model gives" in browser.find_element("id", "status").text
