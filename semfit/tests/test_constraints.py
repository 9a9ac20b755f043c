"""Constraints on parameters: what they mean, the fit under them, and what follows from it."""

import numpy as np
import pandas as pd
import pytest

from semfit.fitting.constrained import kernel
from semfit.fitting.inference import invert
from semfit.syntax.restrictions import Constraint, Restrictions


def restrictions(*texts, definitions=(), bounds=None):
    """Restrictions on three parameters a, b, c; f is fixed at 2, d follows from the data."""
    table = pd.DataFrame({"label": [*"abcfd"], "parameter": ["p", "q", "r", "", ""]})
    table["value"] = [np.nan, np.nan, np.nan, 2.0, np.nan]
    table["exogenous"], table["derived"] = [False] * 4 + [True], False
    table["lower"], table["upper"] = -np.inf, np.inf
    for place, (low, high) in (bounds or {}).items():
        table.loc[place, ["lower", "upper"]] = low, high
    return Restrictions(table, "pqr", [constraint(text) for text in texts], definitions)


def constraint(text):
    op = next(op for op in ("==", ">", "<") if op in text)
    left, right = text.split(op)[:: -1 if op == "<" else 1]
    return Constraint("==" if op == "==" else ">=", f"({left}) - ({right})", text)


def test_values_and_derivatives():
    limits = restrictions("a == b^2", "ab > 0.5", "c < f", definitions=[("ab", "a*b")])
    theta = np.array([0.5, 2.0, 1.0])
    np.testing.assert_allclose(limits.equality_values(theta), [-3.5])
    np.testing.assert_allclose(limits.equality_jacobian(theta), [[1, -4, 0]])
    np.testing.assert_allclose(limits.inequality_values(theta), [0.5, 1.0])
    np.testing.assert_allclose(limits.inequality_jacobian(theta), [[2, 0.5, 0], [0, 0, -1]])
    assert not limits.linear


def test_bounds_are_inequalities_that_come_last():
    limits = restrictions("a > b", bounds={0: (0.0, np.inf), 2: (-1.0, 1.0)})
    theta = np.array([0.2, 0.1, 0.4])
    np.testing.assert_allclose(limits.inequality_values(theta), [0.1, 0.2, 1.4, 0.6])
    np.testing.assert_allclose(limits.inequality_values(theta, bounds=False), [0.1])
    np.testing.assert_array_equal(limits.inequality_jacobian(theta)[-1], [0, 0, -1])
    assert limits.text() == "a > b; p >= 0; r >= -1; r <= 1"


def test_a_layout_without_restrictions_has_none():
    assert not restrictions() and restrictions("a == b") and restrictions(bounds={1: (0, 1)})


def test_the_nearest_point_meets_all_whatever_the_units():
    for size in (1e-6, 1.0, 1e6):
        limits = restrictions(f"a + b == {3 * size}", "a > b", "c == 2*a")
        theta = size * np.array([0.5, 1.5, 1.0])
        found = limits.possible(theta, np.full(3, size))
        assert not limits.met(theta, np.full(3, size))
        a, b, c = found / size
        assert a + b == pytest.approx(3) and c == pytest.approx(2 * a) and a >= b - 1e-7


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a == 1", "a == 2"], "together: a == 1; a == 2"),
        (["a*a == -1"], "together"),
        (["a > 1", "a < 0.5"], "together"),
        (["a == a"], "restricts no free parameter"),
        (["f == 2"], "restricts no free parameter"),
        (["a == zz"], "'zz' is no label"),
        (["d == 1"], "follows from the others or from the data"),
        (["(a - b)^2 == 0"], "without powers"),
    ],
)
def test_impossible_constraints_are_refused_by_name(texts, said):
    with pytest.raises(ValueError, match="(?i)constraint") as refused:
        restrictions(*texts).possible(np.array([0.5, 0.7, 0.9]), np.ones(3))
    assert said in str(refused.value) and texts[0] in str(refused.value)


def test_the_covariance_is_that_of_the_bordered_information():
    draws = np.random.default_rng(1)
    root, rows = draws.normal(size=(6, 6)), draws.normal(size=(2, 6))
    rows = np.vstack([rows, rows.sum(axis=0)])  # one follows from the others
    information = root @ root.T
    bordered = np.block([[information, rows.T], [rows, np.zeros((3, 3))]])
    expected = np.linalg.pinv(bordered)[:6, :6]
    np.testing.assert_allclose(invert(information, kernel(rows)), expected, atol=1e-9)
