"""The grammar of models: what is read, what is refused, and that what is written is read again."""

import numpy as np
import pytest

import semfit as sem
from semfit.syntax.formula import FUNCTIONS, evaluate, names_in, rename
from semfit.syntax.grammar import read
from semfit.syntax.terms import Modifier, Term

NAN = float("nan")


def modifiers(text):
    return {term.rhs: term.modifier for term in read(f"f =~ {text}").terms}


@pytest.mark.parametrize(
    ("text", "modifier"),
    [
        ("x", Modifier()),
        ("a*x", Modifier(label=("a",))),
        ('"a b"*x', Modifier(label=("a b",))),
        ("lambda*x", Modifier(label=("lambda",))),
        ("l.2*x", Modifier(label=("l.2",))),
        ('label("a")*x', Modifier(label=("a",))),
        ('equal("f=~x2")*x', Modifier(label=("f=~x2",))),
        ("NA*x", Modifier(fixed=(None,))),
        ("-0.5*x", Modifier(fixed=(-0.5,))),
        ("(1/2)*x", Modifier(fixed=(0.5,))),
        ("1/2*x", Modifier(fixed=(0.5,))),
        ("2*-1*x", Modifier(fixed=(-2.0,))),
        ("1e-3*x", Modifier(fixed=(0.001,))),
        ("sqrt(4)*x", Modifier(fixed=(2.0,))),
        ("0.5?x", Modifier(start=(0.5,))),
        ("(-0.5)?x", Modifier(start=(-0.5,))),
        ("start(.5)*x", Modifier(start=(0.5,))),
        ("lower(0)*x + upper(1)*x", Modifier(lower=(0.0,), upper=(1.0,))),
        ("NA*x + a*x", Modifier(fixed=(None,), label=("a",))),
        ("a*start(.5)*x", Modifier(label=("a",), start=(0.5,))),
        ("c(1, NA)*x", Modifier(fixed=(1.0, None))),
        ("c(a, b)*x", Modifier(label=("a", "b"))),
        ('c("a", "b")*x', Modifier(label=("a", "b"))),
        ("c(NA, a)*x", Modifier(label=("", "a"))),
        ("start(c(.1, .2))*x + c(a, b)*x", Modifier(start=(0.1, 0.2), label=("a", "b"))),
    ],
)
def test_modifiers(text, modifier):
    assert modifiers(text) == {"x": modifier}


def test_terms_of_every_operator():
    text = "y ~ 1 + a*x + x:z + z\ny ~ 0\nf =~ 0\ny | t1\ny ~*~ 1*y\na + b ~~ c; `my v` ~ 0.5*1"
    found = [(t.lhs, t.op, t.rhs, t.modifier.value) for t in read(text).terms]
    assert found == [
        ("y", "~1", "", None),
        ("y", "~", "x", None),
        ("y", "~", "x:z", None),
        ("y", "~", "z", None),
        ("y", "~1", "", 0.0),
        ("f", "=~", "f", 0.0),
        ("y", "|", "t1", None),
        ("y", "~*~", "y", 1.0),
        ("a", "~~", "c", None),
        ("b", "~~", "c", None),
        ("my v", "~1", "", 0.5),
    ]


def test_constraints():
    model = sem.read_model("y ~ a*x + b*z\na == b^2 # note\na > .1; b < 2\nab := a*b\nab == 1")
    assert [(c.op, c.formula, c.text) for c in model.constraints] == [
        ("==", "a - (b^2)", "a == b^2"),
        (">=", "a - (.1)", "a > .1"),
        (">=", "2 - (b)", "b < 2"),
        ("==", "ab - (1)", "ab == 1"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ x\nf ~= a", "Line 2 of the model, 'f ~= a': '~=' is not .*write =~"),
        ("y <- x", "'<-' is not .*write ~"),
        ("x -> y", "'->' is not .*outcome first"),
        ("y ~~~ x", "write ~~"),
        ("y ~ a*x\ne :=: a", "write :="),
        ("y ～ x", "fullwidth tilde.*write ~"),
        ("y ~ x＋z", "fullwidth plus sign.*write [+]"),
        ("y ~ “a”*x", 'left double quotation mark.*write "'),
        ("y ~ x\u200b", "zero width space.*write nothing"),
        ("y ~ x × z", "multiplication sign"),
        ("f = x", "'=' is not an operator.*=~"),
        ("f =~ a +\ng =~ b", "Line 1.*ends in '[+]'"),
        ("f =~ a*b*x", "two modifiers of one kind"),
        ("f =~ c(1, a)*x", "numbers and labels: give them apart"),
        ('f =~ x1 + b*x2 + equal("f=~x2")*x3', "no parameter is called 'f=~x2'"),
        ('f =~ x1 + x2 + equal("f =~ x2")*x3', "no parameter is called 'f =~ x2'"),
        ("f =~ 1/0*x", "'1/0' is not a finite number"),
        ("f =~ foo(1)*x", r"foo\(\) is not a modifier"),
        ("f =~ start(a)*x", r"start\(\) takes numbers"),
        ('efa("b")*f1 +\nefa("b")*f2 =~ x', "exploratory factors"),
        ('f =~ rv("s")*x', "random slopes"),
        ('f =~ prior("normal(0,1)")*x', "priors"),
        ("f <~ a + b", "composites"),
        ("level: 1\nf =~ a + b", "multilevel"),
        ("class: 1\nf =~ a + b", "latent classes"),
        ("y ~ x1:x2:x3", "a product is of two variables"),
        ("f =~ a + b\ny ~ f + x + f:x", "f is a latent variable"),
        ("y ~ x:z + x", "z is not in the model by itself"),
        ("y ~ x - z", "never by -"),
        ("y ~ a*x\n0 < a < 1", "write two lines"),
        ("y ~ a*x\na >= 0", "write > "),
        ("y ~ a*x\na == .p1.", "lavaan's number of a parameter"),
        ("y ~ a*x\na == d", "'d' is not a label or definition; there are: a"),
        ("y ~ a*x\n1 == 2", "about labels"),
        ("y ~ a*x\nb := a + round(a)", r"round\(\) is not there"),
        ("y ~ a*x\nb := (a", "parenthesis is not closed"),
        ("a*f =~ x", "modifiers stand after it"),
        ("y ~ `", "opens and does not close"),
        ("y ~*~ x", "y [~][*][~] y"),
    ],
)
def test_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        sem.read_model(text)


def test_blanks_of_any_kind_are_blanks():
    assert read("f\u00a0=~\u2003a\u00a0+ b").terms == read("f =~ a + b").terms


def test_a_name_is_one_whatever_its_unicode_form():
    terms = read("f =~ cafe\u0301 + b\ny ~ caf\u00e9").terms
    assert terms[0].rhs == terms[2].rhs == "caf\u00e9"


def test_labels_share_a_fixed_value_as_in_lavaan():
    table = sem.read_model("f =~ l*a + l*b + c").parameters
    assert table["value"].tolist()[:2] == [1.0, 1.0] and not table["parameter"][:2].any()
    table = sem.read_model('f =~ a + b + equal("f=~b")*c + equal("f=~a")*d').parameters
    assert table["parameter"].tolist()[:4] == ["", "f=~b", "f=~b", ""]
    with pytest.raises(ValueError, match="Label 'l' is on parameters that are fixed at different"):
        sem.read_model("f =~ a + 1*b + l*b + 2*c + l*c")


def random_terms(rng):
    """Random terms with random modifiers, each (lhs, op, rhs) once."""
    names = ["x1", "y.2", "lambda", "my var", "ünï", "NA_1", "group"]
    labels = ["a", "l.2", "for", "two words", "b_1"]
    numbers = [0.0, 1.0, -0.5, 1 / 3, 1e-12, 2e10]
    terms = {}
    for _ in range(12):
        lhs, rhs = rng.choice(names, 2, replace=False)
        op = rng.choice(["=~", "~", "~~", "~1"])
        size = rng.choice([1, 1, 3])
        pick = {
            "fixed": tuple(rng.choice([None, *numbers], size)),
            "label": tuple(map(str, rng.choice(labels, size))),
            **{kind: tuple(rng.choice(numbers, size)) for kind in ("start", "lower", "upper")},
        }
        said = {kind: values for kind, values in pick.items() if rng.random() < 0.4}
        key = str(lhs), str(op), "" if op == "~1" else str(rhs)
        terms[key] = Term(*key, Modifier(**said))
    return tuple(terms.values())


def test_what_is_written_is_read_again():
    rng = np.random.default_rng(8)
    for _ in range(300):
        terms = random_terms(rng)
        assert read("\n".join(term.text() for term in terms)).terms == terms


# ---- formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("-2^2", -4),
        ("2^3^2", 512),
        ("2^-1", 0.5),
        ("1 - 2 - 3", -4),
        ("8/4/2", 1),
        ("-(a + b)*2", -10),
        ("log(8, 2) + log10(100) + log2(8)", 8),
        ("min(a, b, 1) + max(a, b) + abs(-a)", 6),
        ("pnorm(0) + qnorm(.5) + plogis(0)", 1),
        ("1e-3 + .5 + `l 2`", 7.501),
        ("cos(pi)", -1),
        ("a**2", 4),
    ],
)
def test_formulas_as_r_reads_them(formula, value):
    assert evaluate(formula, {"a": 2.0, "b": 3.0, "l 2": 7.0}) == pytest.approx(value)


def test_every_function_has_its_derivative():
    step, at = 1e-20, 0.37
    for name, (_, fewest, _) in FUNCTIONS.items():
        x = 1.9 if name == "acosh" else at
        formula = f"{name}({', '.join(['v', 'w'][: max(fewest, 1)])})^2"
        slope = np.imag(evaluate(formula, {"v": x + 1j * step, "w": 2.0})) / step
        high, low = (evaluate(formula, {"v": x + h, "w": 2.0}) for h in (1e-6, -1e-6))
        assert slope == pytest.approx((high - low) / 2e-6, rel=1e-6), name
    for formula, slope in (("abs(v)", -1), ("min(v, 0)", 1), ("max(v, 0)", 0), ("v^2", -2)):
        assert np.imag(evaluate(formula, {"v": -1 + 1j * step})) / step == pytest.approx(slope)


def test_names_and_renaming():
    assert names_in("exp(lambda) + l.2*`f=~x2` - pi") == ["f=~x2", "l.2", "lambda"]
    assert rename("a*(b + exp(a))", {"a": "a_g2"}) == "a_g2*(b + exp(a_g2))"
    assert rename("a + b", {"a": "a b"}) == "`a b` + b"
