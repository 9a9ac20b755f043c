"""The public door of semfit: what it exports, what importing it loads, messages and their codes."""

import inspect
import json
import re
import string
import subprocess
import sys
from operator import attrgetter

import numpy as np
import pandas as pd
import pytest

import semfit
from semfit.messages import MESSAGES, Message, as_json, message, render, told

HEAVY = ("semopy", "statsmodels", "matplotlib", "sympy", "sklearn")
FUNCTIONS = [
    f"{room}{name}"
    for room, home in (("", semfit), ("reliability.", semfit.reliability))
    for name in home.__all__
    if inspect.isfunction(getattr(home, name))
]


def test_import_loads_little():
    code = f"import sys, semfit; print(sorted({{*{HEAVY}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_reliability_is_there_when_asked_for():
    code = "import semfit; print(semfit.reliability.cronbach_alpha.__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "cronbach_alpha"
    with pytest.raises(AttributeError, match="no attribute 'reliabilty'"):
        _ = semfit.reliabilty


def test_public_names_are_there_once_and_in_order():
    assert len({*semfit.__all__}) == len(semfit.__all__)
    assert [name for name in semfit.__all__ if not hasattr(semfit, name)] == []
    assert {"fit", "compare", "reliability.omega_total"} <= {*FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_how_it_is_called(name):
    """Types of everything it takes and returns; sections of one form, in one order; an example."""
    function = attrgetter(name)(semfit)
    signature = inspect.signature(function)
    untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
    assert untyped == [] and signature.return_annotation is not signature.empty
    text = inspect.getdoc(function)
    titles = ("Parameters", "Returns", "Raises", "Notes", "Examples")
    places = {title: text.find(f"\n{title}\n{'-' * len(title)}\n") for title in titles}
    found = [place for place in places.values() if place >= 0]
    assert min(places["Returns"], places["Examples"]) > 0
    assert found == sorted(found)
    assert ">>> " in text[places["Examples"] :]
    if not name.startswith("reliability."):  # there, some only put others' tables together
        assert places["Parameters"] > 0 and re.search(r"\bR:\s", text)


# ---- invented data -------------------------------------------------------------------------------


def test_example_data_have_what_they_say():
    data = semfit.example_data(n=4000, seed=3)
    pd.testing.assert_frame_equal(data, semfit.example_data(n=4000, seed=3))
    assert not data.equals(semfit.example_data(n=4000, seed=4))
    model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ f + age")
    fit = semfit.fit(model, data, group="group", equal=["loadings", "intercepts"])
    table = fit.estimates[fit.estimates["group"] == "b"].set_index(["lhs", "op", "rhs"])
    estimates, se = table["estimate"], table["se"]
    for row, planted in (
        (("g", "~", "f"), 0.5),
        (("g", "~", "age"), 0.2 * 0.8),
        (("f", "~1", ""), 0.4 * 0.8),
        (("x5", "~~", "x5"), 0.36),
    ):
        assert abs(estimates[row] - planted) < 3 * se[row]


# ---- messages ------------------------------------------------------------------------------------


def fields(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_templates_have_named_fields_only():
    wrong = {
        code: name
        for code, text in MESSAGES.items()
        for name in fields(text)
        if not name.isidentifier()
    }
    assert wrong == {}
    assert [code for code in MESSAGES if not code.isidentifier() or code != code.lower()] == []


def test_messages_within_messages():
    step = message("step_fails", step=("metric", {}))
    assert str(message("not_tested", failed=step)) == "not tested: metric fails"
    sizes = [message("group_size", group=name, n=n) for name, n in (("a", 3), ("b", 4))]
    assert str(message("step_verdicts", verdicts=sizes)) == "a: n = 3, b: n = 4."
    assert str(message("left_out_constant", variables=("x", "y"))).endswith("group: x, y.")
    pair = ["x", "y"]  # a list of two names is no message
    assert str(message("left_out_constant", variables=pair)).endswith("group: x, y.")
    assert told([("metric", {}), ("scalar", {})]) == "metric scalar"


def test_other_templates():
    dutch = {"not_tested": "niet getoetst: {failed}", "step_fails": "{step} faalt", "metric": "m"}
    values = {"failed": ("step_fails", {"step": ("metric", {})})}
    assert render("not_tested", values, dutch) == "niet getoetst: m faalt"


def test_a_field_without_a_value_fails_where_the_message_is_made():
    with pytest.raises(KeyError, match="first"):
        message("other_rows", second=1)
    with pytest.raises(KeyError, match="no_such_code"):
        message("no_such_code")


def test_values_as_json_are_stable_and_come_back():
    values = {"b": np.float64(0.1) + 0.2, "a": np.int64(3), "c": message("metric"), "d": ("x", 1)}
    assert as_json(values) == '{"a": 3, "b": 0.3, "c": ["metric", {}], "d": ["x", 1]}'
    told_again = Message("may_be_compared", json.loads(as_json({"allowed": ("metric", {})})))
    assert str(told_again) == "Groups may be compared on: metric."
    assert np.isnan(json.loads(as_json({"p": np.nan}))["p"])
