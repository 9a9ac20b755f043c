"""Modification indices against lavaan 0.6-14 (tests/reference/modification.R and estimators.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import semfit as sem
from semfit.fitting.modification import COLUMNS, candidates

REFERENCE = Path(__file__).parent / "reference"
SPECIAL = json.loads((REFERENCE / "modification.json").read_text())
ESTIMATORS = {
    path.stem: path
    for path in sorted((REFERENCE / "estimators").glob("*.json"))
    if '"modindices":[' in path.read_text()
}
# lavaan's polychoric correlations are themselves known to about 1e-7
CLOSE = {"atol": 1e-7, "rtol": 1e-7}
CLOSE_ORDERED = {"atol": 1e-5, "rtol": 1e-5}


def read_data(name, group=None, order=()):
    data = pd.read_csv(REFERENCE / "estimators" / f"data_{name}.csv")
    return data if not group else data.assign(**{group: pd.Categorical(data[group], order)})


def special(name):
    """Return our fit of a case of modification.R, and lavaan's rows."""
    case = SPECIAL[name]
    o = case["options"] or {}
    listed = {k: [v] if isinstance(v, str) else v for k, v in o.items() if "." in k}
    fit = sem.fit(
        sem.read_model(case["model"]),
        read_data(case["data"], o.get("group"), case["group_labels"]),
        o.get("estimator", "ML"),
        o.get("missing", "listwise"),
        o.get("group"),
        equal=listed.get("group.equal", ()),
        free=listed.get("group.partial", ()),
        ordered=o.get("ordered", ()),
        mean_structure=o.get("meanstructure"),
    )
    return fit, case["modindices"], case["group_labels"] or [""]


def estimated(name):
    """Return the same of a case of estimators.R; one group."""
    case = json.loads(ESTIMATORS[name].read_text())
    o = case["options"]
    fit = sem.fit(
        sem.read_model(case["model"]),
        read_data(case["data"]),
        o["estimator"],
        o["missing"],
        ordered=o["ordered"],
        mean_structure=o["meanstructure"] or None,
    )
    return fit, case["modindices"], [""]


CASES = [*((special, name) for name in SPECIAL), *((estimated, name) for name in ESTIMATORS)]


@pytest.fixture(scope="module", params=CASES, ids=lambda param: param[1])
def compared(request):
    """Our fit and table, and lavaan's, indexed by what is freed."""
    read, name = request.param
    fit, rows, labels = read(name)
    theirs = pd.DataFrame(rows).astype({"mi": float, "epc": float, "sepc.all": float})
    theirs["group"] = [labels[g - 1] for g in theirs["group"]]
    theirs = theirs.dropna(subset="mi")
    theirs = theirs.set_index(keys(theirs))
    return fit, fit.modification_indices.set_index(keys(fit.modification_indices)), theirs


def keys(table):
    """Return what identifies each row; a covariance has no direction."""
    pairs = [
        sorted((row.lhs, row.rhs)) if row.op == "~~" else (row.lhs, row.rhs)
        for row in table.itertuples()
    ]
    return pd.MultiIndex.from_arrays([table["group"], table["op"], *zip(*pairs, strict=True)])


def test_every_case_is_there():
    assert len(SPECIAL) == 21 and len(ESTIMATORS) == 25


def test_rows_are_lavaans(compared):
    """But for covariates among themselves and scales (theirs), and some covariances (ours)."""
    fit, ours, theirs = compared
    covariates = set(fit.model.covariates)
    for key in theirs.index.difference(ours.index):
        _, op, lhs, rhs = key
        if op == "~*~":
            continue
        assert {lhs, rhs} <= covariates and theirs["mi"][key] < 1e-20, key
    table = fit.model.parameters
    indicators = set(table["rhs"][table["op"] == "=~"])
    for _, op, lhs, rhs in ours.index.difference(theirs.index):
        assert op == "~~" and not {lhs, rhs} <= indicators
        assert {lhs, rhs} <= set(fit.model.observed) - covariates
    assert ours.index.is_unique


@pytest.mark.parametrize(
    ("ours", "theirs"), [("mi", "mi"), ("epc", "epc"), ("sepc_all", "sepc.all")]
)
def test_values_are_lavaans(compared, ours, theirs):
    fit, table, reference = compared
    both = table.index.intersection(reference.index)
    if ours == "sepc_all":  # of variances, lavaan's is the estimate
        both = both[[not (op == "~~" and lhs == rhs) for _, op, lhs, rhs in both]]
    assert len(both) > 10
    np.testing.assert_allclose(
        table.loc[both, ours],
        reference.loc[both, theirs],
        **(CLOSE_ORDERED if fit.estimator == "WLSMV" else CLOSE),
    )


def test_table(compared):
    fit, _, _ = compared
    table = fit.modification_indices
    assert list(table) == COLUMNS and table is fit.modification_indices
    assert table["mi"].is_monotonic_decreasing and table["mi"].notna().all()
    np.testing.assert_allclose(table["p"], chi2.sf(table["mi"], 1), rtol=1e-12)
    assert (np.sign(table["epc"]) == np.sign(table["sepc_all"].fillna(table["epc"]))).all()
    assert set(table["group"]) <= set(fit.groups)


@pytest.mark.parametrize("name", ["mixed", "single", "paths_fiml", "unit_loadings"])
def test_a_candidate_is_a_score_test_of_the_larger_model(name):
    """What lavaan leaves out too: score and information of the model with it free at 0."""
    fit, _, _ = special(name)
    data = read_data(SPECIAL[name]["data"])
    found, tested = fit.modification_indices.set_index(["lhs", "op", "rhs"]), 0
    written = {(t.lhs, t.op, t.rhs) for t in fit.model.terms}
    for lhs, op, rhs in candidates(fit.layout, 0):
        if (lhs, op, rhs) in written or lhs in fit.model.covariates or op == "~1":
            continue
        larger = sem.read_model(f"{SPECIAL[name]['model']}\n{lhs} {op} NA*{rhs}")
        options = fit.options | {"mean_structure": fit.layout.mean_structure}
        objective, names = objective_of(larger, data, options)
        theta = dict(zip(fit.layout.parameters, fit.point.theta, strict=True))
        if larger.observed != fit.model.observed or len(names) != len(theta) + 1:
            continue  # lavaan's defaults changed with it
        start = np.array([theta.get(parameter, 0.0) for parameter in names])
        gradient, hessian = objective.score(start)
        new = next(i for i, parameter in enumerate(names) if parameter not in theta)
        score, information = -gradient[new] / 2, hessian / 2
        old = np.delete(np.arange(len(names)), new)
        cross = information[old, new]
        variance = information[new, new] - cross @ np.linalg.solve(
            information[np.ix_(old, old)], cross
        )
        if variance < 1e-6 * information[new, new]:
            assert (lhs, op, rhs) not in found.index
            continue
        tested += 1
        row = found.loc[(lhs, op, rhs)]
        assert row["mi"] == pytest.approx(score**2 / variance, rel=1e-6, abs=1e-9)
        assert row["epc"] == pytest.approx(score / variance, rel=1e-6, abs=1e-9)
    assert tested >= 5


def objective_of(model, data, options):
    """Return the function that `fit` minimises, without a search, and its parameters."""
    from semfit.fitting import requirements as checks
    from semfit.moments.implied import Structure
    from semfit.moments.normal import NormalObjective
    from semfit.moments.sample import sample_of
    from semfit.syntax.parameters import lay_out

    frame = checks.select_rows(model, data, options).frames[0]
    layout, sample = lay_out(model, ("",), options["mean_structure"]), sample_of(frame.to_numpy())
    structure = Structure(layout, 0, sample.cov, sample.mean)
    return NormalObjective([structure], [sample], len(layout.parameters)), layout.parameters


def test_mi_and_epc_foretell_the_larger_model():
    data, text = read_data("hs"), SPECIAL["group_configural"]["model"]
    fit = sem.fit(sem.read_model(text), data)
    first = fit.modification_indices.iloc[0]
    assert (first["lhs"], first["op"], first["rhs"]) == ("visual", "=~", "x9")
    larger = sem.fit(sem.read_model(f"{text}\nvisual =~ x9"), data)
    assert fit.test.chisq - larger.test.chisq == pytest.approx(first["mi"], rel=0.1)
    row = larger.estimates.query("lhs == 'visual' and rhs == 'x9'").iloc[0]
    assert row["estimate"] == pytest.approx(first["epc"], rel=0.3)
    assert row["std_all"] == pytest.approx(first["sepc_all"], rel=0.3)


def test_what_has_no_candidates():
    fit = sem.fit(sem.read_model("f =~ x1 + x2 + x3"), read_data("hs"))
    assert fit.modification_indices.empty and list(fit.modification_indices) == COLUMNS


def test_no_solution_has_no_indices():
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(25, 9)), columns=list("abcdefghi"))
    fit = sem.fit(sem.read_model("f1 =~ a + b + c\nf2 =~ d + e + f\nf3 =~ g + h + i"), data)
    assert not fit.converged
    with pytest.raises(ValueError, match="Modification indices: this fit has no solution"):
        len(fit.modification_indices)
