"""The words in both languages: nothing is missing, and messages of semfit have the same fields."""

import ast
import json
import re
import string
from pathlib import Path
from typing import get_args

import pytest
import yaml

from mkb21.page import words
from mkb21.survey.analysis import ESTIMATORS, MISSING
from semfit import MESSAGES

ALL = words._all()


def fields(template):
    return sorted(name for _, name, _, _ in string.Formatter().parse(template) if name)


@pytest.mark.parametrize("name", [name for name in ALL if name != "messages"])
def test_every_word_is_there_in_both_languages(name):
    for code, pair in ALL[name].items():
        assert isinstance(code, str) and isinstance(pair["nl"], str), code
        assert set(pair) <= {"nl", "en", "format", "of"}, code  # a comma outside quotes
        assert pair["nl"] and pair["en"] and fields(pair["nl"]) == fields(pair["en"]), code


def test_no_code_stands_twice():
    text = words.Path(words.__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    for section in yaml.compose(text).value:
        keys = [key.value for key, _ in section[1].value]
        assert sorted(keys) == sorted(set(keys)), section[0].value


def test_every_word_is_used():
    """A code stands in a text of the code of a package or notebook, or is in the data of 2012."""
    root = Path(__file__).parents[1]
    code = [f.read_text(encoding="utf-8") for f in root.glob("mkb21/**/*.py")]
    code += [f.read_text(encoding="utf-8") for f in root.glob("semfit/src/**/*.py")]
    for notebook in root.glob("notebooks/[0-9]*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    nodes = [node for text in code for node in ast.walk(ast.parse(text))]
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    texts += [n.arg for n in nodes if isinstance(n, ast.keyword) and n.arg]
    data = [
        *root.glob("data/*.yaml"),
        root / "data/waves/2012.yaml",
        root / "data/published/2012.csv",
    ]
    texts += [file.read_text(encoding="utf-8") for file in data]
    used = set(re.findall(r"\w+", " ".join(texts)))
    used |= {f"{e}_{m}".lower() for e in get_args(ESTIMATORS) for m in get_args(MISSING)}
    ends = tuple(name for name in used if re.match(r"_[a-z]", name))  # f"{kind}_left_out"
    codes = [(name, code) for name in ALL if name != "messages" for code in ALL[name]]
    assert [pair for pair in codes if pair[1] not in used and not pair[1].endswith(ends)] == []


def test_no_code_is_a_sentence():
    assert not [code for section in ALL.values() for code in section if " " in code]


def test_dutch_has_every_message_of_semfit_with_its_fields():
    assert set(ALL["messages"]) == set(MESSAGES)
    for code, english in MESSAGES.items():
        assert fields(ALL["messages"][code]) == fields(english), code


def test_a_message_in_both_languages_with_a_message_inside():
    given = {"verdicts": [("step_verdict", {"step": ("metric", {}), "verdict": ("holds", {})})]}
    assert words.message("step_verdicts", given, "en") == "metric: holds."
    assert words.message("step_verdicts", given, "nl") == "metrisch: houdt stand."
    assert words.message("no_path_differs", {"p": 0.25}, "nl").endswith("p = 0,250.")


def test_columns_say_what_is_missing():
    assert words.columns("n ci", "nl") == {
        "n": ("n", "integer"),
        ("ci_low", "ci_high"): ("95%-BI", "interval2"),
    }
    with pytest.raises(ValueError, match="No heading for 'nowhere'"):
        words.columns("n nowhere", "nl")
    with pytest.raises(ValueError, match="language is 'de'"):
        words.columns("n", "de")
