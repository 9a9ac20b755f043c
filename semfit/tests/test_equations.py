"""A model as equations: each arrow once, with its coefficient, in text that Markdown leaves alone."""

import re

import pytest

import semfit

TEXT = """
f =~ x1 + a*x2 + a*x3 + 0.5*x4
g =~ NA*x5 + x6
my_outcome ~ h1*f + 1*g + first_label*age + B2*x7
z9 ~ a*my_outcome + f
"""


def test_each_coefficient_has_a_symbol_and_equal_ones_share_it():
    table = semfit.symbols(semfit.read_model(TEXT)).set_index(["lhs", "rhs"])["symbol"]
    assert table["f"].tolist() == ["1", r"\text{a}", r"\text{a}", "0.5"]
    assert table["g"].tolist() == [r"\lambda_{1}", r"\lambda_{2}"]
    assert table["my_outcome"].tolist() == ["h_{1}", "1", r"\text{first label}", "B_{2}"]
    assert table["z9"].tolist() == [r"\text{a}", r"\beta_{1}"]
    equal = semfit.symbols(semfit.read_model('f =~ x1 + x2 + equal("f=~x2")*x3 + x4'))["symbol"]
    assert equal.tolist() == ["1", r"\lambda_{1}", r"\lambda_{1}", r"\lambda_{2}"]


@pytest.mark.parametrize("terms", [1, 2, 4, 9])
def test_the_equations_hold_every_path_and_break_where_asked(terms):
    model = semfit.read_model(TEXT)
    lines = semfit.equations(model, terms).splitlines()
    assert lines[0] == r"\begin{aligned}" and lines[-1] == r"\end{aligned}"
    whole = "".join(lines[1:-1]).replace("&\\quad", "")
    found = dict(part.split(" &= ") for part in re.split(r" \\cr(?=\\text\{\w+ ?\w*\} &=)", whole))
    assert [*found] == [r"\text{my outcome}", r"\text{z9}"]
    table = semfit.symbols(model).query("op == '~'")
    for place, (effect, rows) in enumerate(table.groupby("lhs", sort=False), start=1):
        right = found[rf"\text{{{effect.replace('_', ' ')}}}"].replace(" \\cr", "")
        pieces = [
            rf"{r.symbol} \cdot \text{{{r.rhs.replace('_', ' ')}}}" for r in rows.itertuples()
        ]
        assert right == " + ".join([*pieces, rf"\zeta_{{{place}}}"])
    assert all(line.count(r"\cdot") <= terms for line in lines)


def test_a_measurement_model_has_no_equations_of_paths():
    assert semfit.equations(semfit.read_model("f =~ x1 + x2 + x3")) == ""


def test_no_underscore_can_be_emphasis():
    text = semfit.equations(semfit.read_model(TEXT)) + "".join(
        semfit.symbols(semfit.read_model(TEXT))["symbol"]
    )
    assert re.findall(r"[^A-Za-z]_|\\[^A-Za-z]", text) == []


def test_statements_differ_by_what_is_said_and_not_by_names():
    one = semfit.read_model("f =~ x1 + x2 + x3\ny ~ h1*f + x4\ne := h1*h1")
    other = semfit.read_model("f =~ x1 + x2 + 0.5*x3\ny ~ f + c*x4\nf ~~ c*f\nc > 0")
    assert one.statements() == ["f =~ x1", "f =~ x2", "f =~ x3", "y ~ f", "y ~ x4", "e := h1*h1"]
    added = [line for line in other.statements() if line not in one.statements()]
    assert added == ["f =~ 0.5*x3", "y ~ c*x4", "f ~~ c*f", "c > 0"]
