"""A rubric is read from the forms that it may have, and whatever cannot be understood is refused with its place."""

import pytest

from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.rubric import read_rubric, store_rubric
from emotion_utils.run import Run

TWO = ["The data are described", "Models are compared fairly"]


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.txt", "The data are described\n\nModels are compared fairly"),
        ("r", "1. The data are described\r\n2) Models are compared fairly\r\n"),
        ("r.md", "# Rubric\n\n- [ ] The **data** are\n  described\n\n## Models\n* `Models` are compared fairly\n"),
        ("r.MD", "1. The data are described\n   - Models are compared fairly"),
        ("r.csv", "\ufeffCriterion;points\nThe data are described;3\n\nModels are compared fairly;2\n"),
        ("r.csv", 'points,criterion\n3,"The data\nare described"\n2,Models are compared fairly\n'),
        ("r.yaml", "- The data are described\n- >\n  Models are\n  compared fairly\n"),
    ],
)
def test_each_form_is_read(tmp_path, name, text):
    assert read_rubric(written(tmp_path, name, text)) == TWO


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("r.pdf", "%PDF", "expected a file that ends in .txt, .md, .csv or .yaml"),
        ("r.txt", b"\xff\xfe\x00", "not text in UTF-8"),
        ("r.txt", "\n\n", "0 criteria; 1 to 100"),
        ("r.txt", "\n".join(f"criterion x{n}" for n in range(101)), "101 criteria"),
        ("r.txt", "a\nb\nA", "line 3: the same as line 1"),
        ("r.txt", "12345", "line 1: no criterion in words"),
        ("r.txt", "a\x00b", "line 1: a character that cannot be printed"),
        ("r.txt", "a" * 501, "line 1: longer than 500 letters"),
        ("r.txt", "- one\ntwo", "line 2: neither an item of a list nor a heading; indent"),
        ("r.md", "Criteria are:\n- one", "line 1: neither an item"),
        ("r.md", "| criterion | points |", "line 1: neither an item"),
        ("r.csv", "item,points\nx,1", "a column 'criterion' is needed, found item, points"),
        ("r.csv", "criterion,points\nx", "row 2: 1 cells, the header has 2"),
        ("r.csv", "criterion,points\n,3", "row 2: no criterion in words"),
        ("r.csv", 'criterion\n"x', "not a CSV table"),
        ("r.csv", "", "a column 'criterion' is needed, found none"),
        ("r.yaml", "criterion: x", "a list of texts is needed"),
        ("r.yaml", "- 3", "a list of texts is needed"),
        ("r.yaml", "- [", "not readable as YAML"),
    ],
)
def test_what_is_none_is_refused_with_its_place(tmp_path, name, text, refusal):
    with pytest.raises(InputError, match="rubric: ") as refused:
        read_rubric(written(tmp_path, name, text))
    assert refusal in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_finished_run_may_be_given_another_rubric_and_nothing_else(tmp_path):
    paths = [written(tmp_path, name, f"- {text}") for name, text in zip(("a.md", "b.md"), TWO, strict=True)]
    configs = [resolve_config("smoke", [f"rubric={path}"]) for path in paths]
    assert configs[0].fingerprint() == resolve_config("smoke").fingerprint()
    root = tmp_path / "run"
    for config, text in zip(configs, TWO, strict=True):
        run = Run.create(root, config)
        store_rubric(run)
        assert Run.open(root).config == config
        assert run.read("rubric")["criteria"] == [text]
    run = Run.create(root, resolve_config("smoke"))
    store_rubric(run)
    assert not run.path("rubric").exists()
    with pytest.raises(InputError, match="run with other settings"):
        Run.create(root, resolve_config("smoke", ["seed=1", f"rubric={paths[0]}"]))
    with pytest.raises(InputError, match="cannot be read"):
        read_rubric(tmp_path / "none.txt")
