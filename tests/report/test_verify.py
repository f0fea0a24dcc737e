"""`emotion verify`: silent on what is right, and names the first thing that is not, whatever digit was changed."""

import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import fake_run
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfWriter

from emotion_utils.cli import main
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.report import verify
from emotion_utils.report.checksums import CHECKSUMS, read_checksums, write_checksums
from emotion_utils.report.page.paper import Paper
from emotion_utils.report.results import read_results
from emotion_utils.report.verify import verify_run
from emotion_utils.run import Run

DIGITS = re.compile(rb"\d")


@pytest.fixture(scope="module")
def finished(report, tmp_path_factory):
    """A finished run, its checksums written."""
    run = Run(tmp_path_factory.mktemp("verify") / "study", report[0].config)
    shutil.copytree(report[0].root, run.root)
    (run.model_dir("VGG16_emotion") / "model.safetensors").write_bytes(b"0123456789" * 9)
    write_checksums(run)
    return run


@pytest.fixture(autouse=True)
def same_version(monkeypatch):
    """The program that verifies is the one that wrote the report."""
    monkeypatch.setattr(verify, "git_revision", lambda: fake_run.ENVIRONMENT["git_revision"])


@pytest.fixture
def other_version(monkeypatch, same_version):
    """Another version wrote it."""
    monkeypatch.setattr(verify, "git_revision", lambda: "another")


@pytest.fixture
def without_pages(monkeypatch):
    """Sentences, tables and checksums alone are compared; what is said of the pages has tests of its own."""
    for name in ("compare_pages", "look_through_pages", "_compare_paper"):
        monkeypatch.setattr(verify, name, lambda *_: "")


@pytest.fixture
def changed(finished):
    """changed(file, old, new, sealed): the text `old` replaced once, until the test ends."""
    kept = {}

    def change(name, old, new, *, sealed=False):
        path = finished.root / name
        for each in (path, finished.root / CHECKSUMS):
            kept.setdefault(each, each.read_bytes())
        assert old.encode() in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
        if sealed:  # as somebody would who wants it to pass
            write_checksums(finished)

    yield change
    for path, content in kept.items():
        path.write_bytes(content)


def other_digit(digit, step):
    return b"0123456789"[(digit - 48 + step) % 10]


def digits_of_cells(page):
    """Where a digit stands in a cell of a table."""
    tables = [found.span() for found in re.finditer(rb'<figure class="table.*?</figure>', page, re.S)]
    cells = [found.span(1) for span in tables for found in re.compile(rb"<t[dh][^>]*>([^<]+)<").finditer(page, *span)]
    return [place for span in cells for place in range(*span) if page[place] in b"0123456789"]


def test_finished_run_passes_and_says_what_was_checked(finished):
    said = verify_run(finished.root)
    sentences = len(json.loads(finished.path("claims").read_text(encoding="utf-8")))
    assert f"{sentences} sentences and" in said
    assert len(said.splitlines()) == 1


def test_every_kind_of_artefact_has_a_checksum(finished):
    names = set(read_checksums(finished.root))
    assert {"run.json", "claims.json", "report.html", "report.pdf", "data/manifest.csv", "data/audit.json"} <= names
    for model in finished.config.models:
        files = ("history.csv", "predictions.csv", "model.json", "events.jsonl")
        assert {f"models/{model}/{file}" for file in files} <= names
    assert "models/VGG16_emotion/model.safetensors" in names


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_digit_of_any_artefact_is_found(finished, data):
    names = [*sorted(read_checksums(finished.root)), CHECKSUMS]
    path = finished.root / data.draw(st.sampled_from(names))
    before = path.read_bytes()
    places = [found.start() for found in DIGITS.finditer(before)]
    place = data.draw(st.sampled_from(places))
    after = bytearray(before)
    after[place] = other_digit(before[place], data.draw(st.integers(1, 9)))
    path.write_bytes(bytes(after))
    try:
        with pytest.raises((EmotionError, InputError)):
            verify_run(finished.root)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("revision", ["0123456789ab", "another"], ids=["same version", "other version"])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_digit_of_a_table_is_found_without_checksums(finished, monkeypatch, revision, data):
    monkeypatch.setattr(verify, "git_revision", lambda: revision)
    results = read_results(finished)  # once: it is the page that changes
    monkeypatch.setattr(verify, "read_results", lambda run: results)
    path, sums = finished.root / "report.html", finished.root / CHECKSUMS
    before, sums_before = path.read_bytes(), sums.read_bytes()
    place = data.draw(st.sampled_from(digits_of_cells(before)))
    after = bytearray(before)
    after[place] = other_digit(before[place], data.draw(st.integers(1, 9)))
    path.write_bytes(bytes(after))
    write_checksums(finished)
    try:
        with pytest.raises(EmotionError, match=r"report\.html, Table [A-F]?\d+, row \d+"):
            verify_run(finished.root)
    finally:
        path.write_bytes(before)
        sums.write_bytes(sums_before)


# -- what another version of the program wrote --


def reword(changed, old, new):
    """A sentence as another version would have written it, in both files."""
    for name in ("claims.json", "report.html"):
        changed(name, old, new, sealed=True)


def test_other_words_of_another_version_are_told_in_the_line(finished, changed, other_version, without_pages):
    reword(changed, "Rates of counted images are given with", "Beside each rate stands")
    changed("report.html", "Pairs of models on the same test images", "The same test images, two by two", sealed=True)
    said = verify_run(finished.root)
    assert "words 1 of the sentences and 1 of the cells differently" in said
    assert "; written by revision 0123456789ab, verified by another: words, drawings and cells of" in said
    assert len(said.splitlines()) == 1


def test_other_words_of_the_same_version_are_refused(finished, changed):
    reword(changed, "Rates of counted images are given with", "Beside each rate stands")
    with pytest.raises(EmotionError, match=r"claims\.json, sentence \d+, text: 'Beside"):
        verify_run(finished.root)


def test_a_number_that_another_version_cannot_have_meant_is_found(finished, changed, other_version):
    sentence = next(c["text"] for c in finished.read("claims") if re.search(r"\d\d%", c["text"]))
    digit = re.search(r"(\d)\d%", sentence)
    wrong = sentence[: digit.start()] + str((int(digit[1]) + 1) % 10) + sentence[digit.end(1) :]
    changed("claims.json", sentence, wrong, sealed=True)
    with pytest.raises(EmotionError, match=r"claims\.json, sentence \d+: .* is none of its values"):
        verify_run(finished.root)


def test_changed_value_or_name_of_a_sentence_of_another_version_is_found(finished, changed, other_version):
    changed("claims.json", '"k": 3', '"k": 4', sealed=True)
    with pytest.raises(EmotionError, match=r"claims\.json, sentence \d+, values.*: 4 is stored, 3 follows"):
        verify_run(finished.root)


def test_changed_name_in_a_table_of_another_version_is_found(finished, changed, other_version):
    changed("report.html", "<bdi>happy</bdi></td>", "<bdi>sad</bdi></td>", sealed=True)
    with pytest.raises(EmotionError, match=r"Table \d+, row \d+ .*'sad' is printed, 'happy' follows"):
        verify_run(finished.root)


def test_what_this_version_adds_is_named_and_what_it_lacks_refused(
    finished, changed, other_version, monkeypatch, without_pages
):
    claims, read = finished.read("claims"), Run.read
    stored = claims[:3] + claims[4:]
    monkeypatch.setattr(Run, "read", lambda run, name, model="": stored if name == "claims" else read(run, name, model))
    assert "agree" in verify_run(finished.root)
    stored = [*claims, claims[0]]
    with pytest.raises(EmotionError, match="sentences are stored"):
        verify_run(finished.root)


def test_script_in_a_page_of_another_version_is_refused(finished, changed, other_version):
    changed("report.html", "</main>", "</main><script>document.body.append('VGG16 leads')</script>", sealed=True)
    with pytest.raises(EmotionError, match=r"report\.html has a script \(.document\.body\.append"):
        verify_run(finished.root)


def test_words_that_are_no_sentence_and_no_cell_of_another_version_are_told(
    finished, changed, other_version, monkeypatch
):
    monkeypatch.setattr(verify, "_compare_paper", lambda *_: "")  # which lacks them
    changed("report.html", "It is also hard.", "It is also hard. VGG16_emotion is the best.", sealed=True)
    said = verify_run(finished.root)
    assert "1 texts of its pages are not of this version, the first: 'Recognising the emotion" in said


def test_sentence_that_is_in_no_claim_is_refused_in_any_version(finished, changed, other_version):
    changed("report.html", '<div class="prose"><p>', '<div class="prose"><p>VGG16_emotion leads. ', sealed=True)
    with pytest.raises(EmotionError, match=r"no sentence of claims\.json, but among them: 'VGG16_emotionleads\.'"):
        verify_run(finished.root)


def test_table_that_another_version_lost_is_named(finished, changed, other_version):
    page = (finished.root / "report.html").read_text(encoding="utf-8")
    figure = re.search(r'<figure class="table[^>]*id="tbl-metrics".*?</figure>', page, re.DOTALL)[0]
    changed("report.html", figure, "", sealed=True)
    with pytest.raises(EmotionError, match=r"report\.html lacks Table \d+"):
        verify_run(finished.root)


def test_table_twice_or_outside_its_figure_is_refused(finished, changed, other_version):
    changed("report.html", "</main>", "<table><tr><td>99</td></tr></table></main>", sealed=True)
    with pytest.raises(EmotionError, match="a table without a figure of its own: '99'"):
        verify_run(finished.root)


def test_sentences_that_another_version_lost_are_counted(finished, changed, other_version, without_pages):
    claims = finished.read("claims")
    page = (finished.root / "report.html").read_text(encoding="utf-8")
    html = re.search(r'<div class="prose"><p>(.*?\.) ', page)[1]
    assert claims[0]["text"].startswith(re.sub("<.*?>", "", html)[:20])
    path = finished.path("claims")
    old = path.read_text(encoding="utf-8")
    changed("claims.json", old, json.dumps(claims[1:]))
    changed("report.html", html, "", sealed=True)
    assert "the report lacks 1 sentences, which this version has" in verify_run(finished.root)


def test_changed_prediction_is_told_by_the_sentence_or_cell_that_it_moves(finished, changed):
    table = finished.read("predictions", "r18_pre_emotion")
    row = table[(table["split"] == "test") & (table["label"] == "sad") & (table["predicted"] == "sad")].iloc[0]
    line = (finished.model_dir("r18_pre_emotion") / "predictions.csv").read_text().split(row["id"])[1].split("\n")[0]
    probs = np.sort(row[list(finished.class_names())].to_numpy(dtype=float))
    other = ",test,sad,angry," + ",".join(map(repr, map(float, (probs[2], probs[1], probs[0]))))
    changed("models/r18_pre_emotion/predictions.csv", line, other, sealed=True)
    with pytest.raises(EmotionError, match=r"claims\.json, sentence \d+, .*is stored, .* follows from the artefacts"):
        verify_run(finished.root)


def test_changed_epoch_is_told_with_its_row_of_table_1(finished, changed):
    rate = finished.read("history", "r18_scratch_emotion")["train_acc"][4]
    changed("models/r18_scratch_emotion/history.csv", repr(float(rate)), "0.123", sealed=True)
    with pytest.raises(EmotionError, match=r"Table 1, row 14 .*'0\.123' follows"):
        verify_run(finished.root)


def test_sentence_that_the_page_lacks_is_named(finished, changed):
    changed("report.html", "Rates of counted images", "Rates of all images", sealed=True)
    with pytest.raises(EmotionError, match=r"report\.html lacks sentence \d+ .*Rates of counted"):
        verify_run(finished.root)


def test_changed_file_is_named_beside_the_cell(finished, changed):
    changed("run.json", '"seconds": 12.3', '"seconds": 12.4')
    with pytest.raises(
        EmotionError, match=r"Table D2.*'12\.3' is printed, '12\.4' .*since the report was made: run\.json"
    ):
        verify_run(finished.root)


def test_weights_may_be_missing_but_not_other(finished, changed, without_pages):
    path = finished.model_dir("VGG16_emotion") / "model.safetensors"
    changed("models/VGG16_emotion/model.safetensors", "5", "6")
    with pytest.raises(EmotionError, match=r"model\.safetensors is missing, changed or new"):
        verify_run(finished.root)
    path.unlink()
    assert "agree" in verify_run(finished.root)


def test_folder_without_a_finished_report_says_what_to_run(make_run, tmp_path):
    with pytest.raises(InputError, match="no run at"):
        verify_run(tmp_path)
    with pytest.raises(InputError, match=r"no checksums\.sha256.*emotion run --like .*run\.json --output"):
        verify_run(make_run(skills={"r18_pre_emotion": 0.9}).root)


@pytest.mark.slow
def test_command_needs_no_torch_and_its_status_says_whether_all_is_right(finished, changed):
    code = (
        "import sys\nfrom emotion_utils.cli import main\n"
        f"sys.argv = ['emotion', 'verify', {str(finished.root)!r}]\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules and 'torchvision' not in sys.modules\n"
    )
    right = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True)
    assert (right.returncode, right.stderr) == (0, "")
    assert "were recomputed and agree" in right.stdout
    changed("data/audit.json", '"images": 602', '"images": 603')
    wrong = CliRunner().invoke(main, ["verify", str(finished.root)])
    assert wrong.exit_code == 1
    assert "data/audit.json" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("lines", "actions", "named", "excused"),
    [
        (["VGG16 leads"], [], "the line 'VGG16 leads'", False),
        ([], ["/JavaScript"], "/JavaScript", False),
        (["\u0432\u0435\u0434\u0451\u0442"], [], "the line '\u0432", True),
    ],
)
def test_what_only_paper_has_is_refused_unless_a_font_may_be_the_reason(
    tmp_path, monkeypatch, lines, actions, named, excused
):
    monkeypatch.setattr(verify, "read_paper", lambda path: Paper(lines, actions, 1))
    (tmp_path / "report.pdf").touch()
    said = f"report.pdf has, and report.html has not: {named}"
    for notes, names in (([], ["sad"]), (["no font"], ["sad"]), ([], ["\u0433\u043d\u0435\u0432"])):
        run = SimpleNamespace(inside=tmp_path.joinpath, facts={"report": {"notes": notes}})
        results = SimpleNamespace(class_names=names)
        if excused and (notes or names != ["sad"]):
            assert said in verify._compare_paper(run, results, "<h1>Run</h1>")
        else:
            with pytest.raises(EmotionError, match=said):
                verify._compare_paper(run, results, "<h1>Run</h1>")


@pytest.mark.slow
def test_files_that_nothing_lists_are_counted_and_named(finished, without_pages):
    assert "not listed" not in verify_run(finished.root)
    added = [finished.root / name for name in ("a.html", "data/sub/b.js", "notebooks/.c", "notebooks/01.log")]
    added[1].parent.mkdir()
    for path in added:
        path.write_text("x", encoding="utf-8")
    try:
        said = verify_run(finished.root)
    finally:
        added[1].unlink()
        added[1].parent.rmdir()
        for path in (added[0], *added[2:]):
            path.unlink()
    assert "; 3 files are not listed in checksums.sha256: a.html, data/sub/b.js, notebooks/.c" in said


def test_paper_that_lacks_something_is_told(finished, tmp_path):
    run, page = Run(tmp_path, finished.config), (finished.root / "report.html").read_text(encoding="utf-8")
    assert verify._compare_paper(run, None, page) == "; there is no report.pdf"
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(tmp_path / "report.pdf")
    assert "; report.pdf is not all that report.html is: the heading" in verify._compare_paper(run, None, page)


@pytest.mark.fault(
    "a sentence added to a report, with checksums made anew",
    "E",
    "found: no claim and no template makes it",
    group="strangers",
)
def test_sentence_that_nothing_makes_is_found_though_the_checksums_are_made_anew(finished, changed):
    changed("report.html", "It is also hard.", "It is also hard. VGG16_emotion is the best.", sealed=True)
    with pytest.raises(EmotionError, match=r"report\.html, near '1 Introduction', .*VGG16_emotion is the best"):
        verify_run(finished.root)


@pytest.mark.fault(
    "a list of checksums with lines dropped or emptied", "E", "refused: it must be complete", group="strangers"
)
@pytest.mark.parametrize("left_out", ["models/r18_scratch_emotion/history.csv", None])
def test_list_that_leaves_artefacts_out_is_refused(finished, left_out):
    path = finished.root / CHECKSUMS
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if left_out and left_out not in line), encoding="utf-8")
    with pytest.raises(EmotionError, match=left_out or r"claims\.json is missing, changed or new"):
        verify_run(finished.root)
