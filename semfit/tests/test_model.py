"""Model files and model syntax."""

import subprocess
import sys
from pathlib import Path

import pytest

import semfit as sem
from semfit.syntax.formula import evaluate

REFERENCE = Path(__file__).parent / "reference"


def free(model):
    table = model.parameters
    rows = table[table["parameter"] != ""]
    return [f"{r.lhs} {r.op} {r.rhs}" for r in rows.itertuples()]


def fixed(model):
    table = model.parameters
    rows = table[(table["parameter"] == "") & ~table["exogenous"]]
    return {f"{r.lhs} {r.op} {r.rhs}": r.value for r in rows.itertuples()}


def test_gebruiksmodel_by_name():
    model = sem.read_model("gebruiksmodel", REFERENCE / "models")
    assert model.name == "gebruiksmodel"
    assert model.latents == (
        "culture",
        "environment",
        "motivation",
        "use",
        "perception",
        "reputation",
    )
    assert model.covariates == ("size", "b2c", "east") and len(model.observed) == 32
    labels = [label for label in model.parameters["label"] if label]
    assert labels == [f"h{i}" for i in range(1, 14)]
    assert "culture ~~ environment" in free(model)
    assert not any("size" in row and "~~" in row for row in free(model))


@pytest.mark.parametrize(
    "path", sorted((REFERENCE / "models").glob("*.lav")), ids=lambda path: path.stem
)
def test_every_model_file_reads(path):
    assert (
        sem.read_model(path).text
        == sem.read_model(path.stem, path.parent).text
        == path.read_text("utf-8")
    )


def test_path_and_text_are_one_model(tmp_path):
    text = "f =~ a + b + c\n"
    (tmp_path / "mine.lav").write_text(text)
    by_path = sem.read_model(str(tmp_path / "mine.lav"))
    assert by_path.name == "mine" and sem.read_model(text).name == "model"
    assert by_path.parameters.equals(sem.read_model(text).parameters)


def test_unknown_name_lists_models():
    with pytest.raises(ValueError, match="Did you mean 'gebruiksmodel'.*gebruiksmodel"):
        sem.read_model("gebruiksmodl", REFERENCE / "models")
    with pytest.raises(ValueError, match="No model 'nowhere.lav'"):
        sem.read_model("nowhere.lav")


def test_comments_continuation_and_semicolons():
    plain = sem.read_model("f =~ a + b + c + d\ny ~ f")
    broken = sem.read_model("# note\nf =~ a +  # first\n  b\n  + c\n\n  + d ; y ~ f ! last")
    assert broken.parameters.equals(plain.parameters)


def test_markers_and_modifiers():
    assert fixed(sem.read_model("f =~ a + b + c")) == {"f =~ a": 1.0}
    assert fixed(sem.read_model("f =~ l*a + b + c")) == {"f =~ a": 1.0}
    assert fixed(sem.read_model("f =~ NA*a + b + c\nf ~~ 1*f")) == {"f ~~ f": 1.0}
    assert fixed(sem.read_model("f =~ a + -0.5*b + c")) == {"f =~ a": 1.0, "f =~ b": -0.5}
    assert fixed(sem.read_model("f =~ a\ny ~ f")) == {"f =~ a": 1.0, "a ~~ a": 0.0}


def test_equal_labels_are_one_parameter():
    model = sem.read_model("f =~ a + l*b + l*c + d")
    assert model.parameters["parameter"].tolist()[:4] == ["", "l", "l", "f=~d"]


def test_default_covariances():
    model = sem.read_model("f =~ a + b + c\ng =~ d + e + h\ny ~ f + x1 + x2\nz ~ g")
    assert {"f ~~ g", "y ~~ z"} <= set(free(model))
    exogenous = model.parameters[model.parameters["exogenous"]]
    assert list(zip(exogenous["lhs"], exogenous["rhs"], strict=True)) == [
        ("x1", "x1"),
        ("x1", "x2"),
        ("x2", "x2"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f =~ a + b\ng =~ c + d e", "Line 2.*cannot be read"),
        ("f =~ a + b-c", "Line 1.*cannot be read"),
        ("f =~ a + + b", "cannot be read"),
        ("f =~ a + b*c*d", "cannot be read"),  # two labels
        ("f =~ a + a", "cannot be read"),
        ("f =~", "cannot be read"),
        ("f =~ a + b\nf =~ a", "Line 2.*already given on line 1"),
        ("f =~ a + b\na ~~ b\nb ~~ a", "Line 3.*already given on line 2"),
        ("f ~ f", "both sides"),
        ("y ~ x\ny | u1", "'u1' is not a threshold"),
        ("y ~ c(a, 1x)*x", "'1x' is not a name"),
        ("y ~ 2", "'2' is not a variable name"),
        ("f <~ a + b", "composites"),
        ("y ~ 2x", "not a name"),
        ("a + b\nf =~ c", "Line 1.*no operator"),
        ("# nothing ~ here", "model is empty"),
        ("y ~ a*x\ne := a*b", "Line 2.*'b' is not a label"),
        ("y ~ a*x\na := a", "already the name"),
        ("y ~ a*x\ne := __import__('os')", "function __import__"),
        ("y ~ a*x\ne := a*", "it ends in"),
        ("y ~ a*x\n1e := a", "is not a name"),
    ],
)
def test_unreadable_models(text, message):
    with pytest.raises(ValueError, match=message):
        sem.read_model(text)


def test_formula():
    values = {"a": 2.0, "b": 3.0}
    assert evaluate("-(a + b)^2 / 5 - exp(0) + sqrt(a*2)", values) == pytest.approx(-4.0)
    for text in ("a if b else a", "[a]", "a < b", "a // b", "map(a, b)", "a @ b", "a = b", ""):
        with pytest.raises(ValueError, match="is not a formula"):
            evaluate(text, values)


def test_import_does_not_load_semopy():
    code = "import sys, semfit; sys.exit('semopy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- parts of a model ----------------------------------------------------------------------------

WHOLE = """
f =~ x1 + a*x2 + x3
g =~ x4
top =~ f + g
y ~ h1*f + h2*z + h3*g + z:w + w
x1 ~~ x4
x1 ~~ x3
y ~ 1
both := h1*h2
only := h3
"""


def lines(model):
    return [line.replace(" ", "") for line in model.text.splitlines()]


def test_without_a_variable_what_needs_it_goes_too():
    model = sem.read_model(WHOLE)
    assert lines(model.without(["x1"]))[:3] == ["f=~a*x2", "f=~x3", "g=~x4"]
    assert free(model.without(["x1"]))[0] == "f =~ x3"  # x2 is the marker now
    cut = model.without(["x4"])  # and so g, and its path, covariance and label
    assert cut.latents == ("f", "top")
    assert "top=~g" not in lines(cut) and "x1~~x4" not in lines(cut) and "y~h3*g" not in lines(cut)
    assert cut.definitions == (("both", "h1*h2"),)
    cut = model.without(["w"])
    assert "y~z:w" not in lines(cut) and "y~h2*z" in lines(cut) and cut.name == model.name
    assert lines(model.without(["y", "x4"])) == [
        *("f=~x1", "f=~a*x2", "f=~x3", "top=~f", "x1~~x3"),
    ]
    assert model.without([]).terms == model.terms


def test_nothing_left_is_refused_and_a_constraint_that_ties_is_left_out():
    with pytest.raises(ValueError, match="Nothing is left of model"):
        sem.read_model("f =~ x1 + x2; x1 ~~ x3").without(["x1", "x2"])
    tied = sem.read_model("y ~ a*x1 + b*x2 + c*x3\na == b\nc > 0")
    assert [one.text for one in tied.without(["x1"]).constraints] == []
    assert [one.text for one in tied.constraints] == ["a == b", "c > 0"]


def test_several_predictors_in_the_place_of_one():
    model = sem.read_model(
        "f =~ x1 + x2 + x3\nf ~ h*r + x5\ny ~ r + 0*z\ntwice := 2*h\ng := 1*k\ny ~ k*q"
    )
    wide = model.with_predictors("r", {"2": "r_2", "5": "r_5"})
    assert lines(wide)[3:] == [
        *("f~h_2*r_2", "f~h_5*r_5", "f~x5"),
        *("y~y.r_2*r_2", "y~y.r_5*r_5", "y~0*z", "y~k*q", "g:=1*k"),
    ]
    groups = sem.read_model("y ~ c(a, b)*r").with_predictors("r", {"2": "r_2"})
    assert groups.terms[0].modifier.label == ("a_2", "b_2")
    for text in ("f =~ x1 + x2 + r", "y ~ x + r + x:r", "r ~ x", "y ~ r\nr ~~ x"):
        with pytest.raises(ValueError, match="r can only be a predictor"):
            sem.read_model(text).with_predictors("r", {"2": "r_2"})
