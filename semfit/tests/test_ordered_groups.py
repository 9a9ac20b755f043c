"""Ordered items: robust indices, theta, invariance by Wu and Estabrook, merged categories, verdicts."""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting.dwls import DwlsObjective, statistics_of
from semfit.messages import told
from semfit.syntax.identification import check_identified
from semfit.syntax.ordered import Unit
from semfit.syntax.parameters import lay_out

REFERENCE = Path(__file__).parent / "reference"
GRID = json.loads((REFERENCE / "ordinal_indices.json").read_text())
NEW = json.loads((REFERENCE / "ordinal_indices_new.json").read_text())  # of lavaan 0.7-2
THEIRS = json.loads((REFERENCE / "ordinal_invariance.json").read_text())
WLSMV = {"estimator": "WLSMV", "ordered": "all"}
TWO = sem.read_model("f =~ u1 + u2 + u3 + u4\nh =~ u5 + u6 + u7 + u8")
ONE = "f =~ x1 + x2 + x3 + x4"
ITEMS = [*TWO.observed]


def same(ours, theirs, **tolerance):
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    np.testing.assert_allclose(
        ours, theirs, equal_nan=True, **({"rtol": 2e-5, "atol": 1e-7} | tolerance)
    )


@cache
def read_data(name):
    """The data of a case, as ordinal_invariance.R makes them."""
    if name in ("hscat", "bfi"):
        return pd.read_csv(REFERENCE / "estimators" / f"data_{name}.csv")
    made = {"mixed", "thirds", "binary"}
    data = pd.read_csv(REFERENCE / f"ordinal_indices_{'five' if name in made else name}.csv")
    if name == "mixed":
        data[["u2", "u6"]] = (data[["u2", "u6"]] > 3).astype(int)
        data["u3"] = np.digitize(data["u3"], [3, 4])
    if name == "binary":
        data[ITEMS] = (data[ITEMS] > [2, 3, 4, 1, 2, 3, 4, 1]).astype(int)
    if name == "thirds":
        data["g"] = np.resize([*"abc"], len(data))
    return data


# ---- robust indices ------------------------------------------------------------------------------

ROBUST = {
    ("cfi", "robust"): "cfi.robust",
    ("tli", "robust"): "tli.robust",
    ("rmsea", "robust"): "rmsea.robust",
    ("rmsea_ci_low", "robust"): "rmsea.ci.lower.robust",
    ("rmsea_ci_high", "robust"): "rmsea.ci.upper.robust",
    ("rmsea_pvalue", "robust"): "rmsea.pvalue.robust",
}
SCALED = {
    ("chisq", "scaled"): "chisq.scaled",
    ("cfi", "scaled"): "cfi.scaled",
    ("tli", "scaled"): "tli.scaled",
    ("rmsea", "scaled"): "rmsea.scaled",
}
# binary items with equal thresholds and free units and means: not identified, which lavaan does not say
UNIDENTIFIED = [["thresholds"], ["loadings", "thresholds"]]
CASES = [
    k
    for k, case in enumerate(NEW["cases"])
    if case["converged"] and not (case["data"] == "two" and case["equal"] in UNIDENTIFIED)
]
FAST = {(c["data"], c["model"], c["group"], *c["equal"]): k for k, c in enumerate(NEW["cases"])}
FAST = {
    FAST["few", "two", None],
    FAST["five", "one", None],
    FAST["five", "fixed_threshold", None],
    FAST["five", "labelled_thresholds", None],
    FAST["three", "two", "g", "thresholds"],
    FAST["five", "two", "g", "loadings", "lv.variances", "lv.covariances"],
}


@pytest.mark.parametrize(
    "place", [k if k in FAST else pytest.param(k, marks=pytest.mark.slow) for k in CASES]
)
def test_robust_indices_are_where_lavaans_are(place):
    """NA where lavaan has NA, and else its number; scaled ones are always there."""
    old, case = GRID["cases"][place], NEW["cases"][place]
    assert {**case, "measures": 0, "smallest_eigenvalue": 0, "converged": 0} == {
        **old,
        "measures": 0,
        "smallest_eigenvalue": 0,
        "converged": 0,
    }
    model, options = sem.read_model(NEW["models"][case["model"]]), dict(WLSMV)
    if case["group"]:
        options |= {"group": case["group"], "equal": [e.replace(".", "_") for e in case["equal"]]}
    data = read_data(case["data"])
    if case["group"]:
        data = data.assign(**{case["group"]: data[case["group"]].astype(str)})
        options["groups"] = sorted(data[case["group"]].unique())
    ours = sem.fit(model, data, **options).measures.set_index("measure")
    assert np.isfinite([ours.loc[name, column] for name, column in SCALED]).all()
    both = [old["measures"], case["measures"]]
    if "thresholds" in case["equal"]:  # 0.7-2 frees intercepts there, which is another model
        both = both[:1]
    for theirs in filter(None, both):
        _compare_with(theirs, ours, case, theirs is old["measures"])


def _compare_with(theirs, ours, case, is_old):
    """Compare fit measures with those of a version of lavaan."""
    lower = ours.loc["chisq", "standard"] < 0.9 * theirs["chisq"]  # lavaan stopped too early
    for (name, column), key in SCALED.items():
        if theirs.get(key) is not None and not lower:
            assert ours.loc[name, column] == pytest.approx(theirs[key], abs=2e-4, rel=2e-4)
    for (name, column), key in ROBUST.items():
        row = f"{name}_lavaan06" if is_old and name.startswith("rmsea") else name
        value, mine = theirs.get(key), ours.loc[row, column]
        if value is None or case["model"] == "fixed_threshold":  # lavaan's does not see that one
            assert np.isnan(mine), name
        elif case["group"] and name in ("cfi", "tli"):  # its baseline: test_estimators
            assert np.isfinite(mine), name
        else:
            assert mine == pytest.approx(value, abs=5e-4, rel=2e-4), name


@pytest.mark.parametrize(
    ("line", "defined"), [("k == m", False), ("k < m", False), ("k > m", True), ("a == b", True)]
)
def test_robust_indices_do_not_see_constraints_on_thresholds(line, defined):
    """NaN where a threshold is restricted, as in lavaan; that of u1 is the larger of the two."""
    data = read_data("five").assign(u1=lambda d: d["u1"].clip(2))
    text = "f =~ u1 + u2 + a*u3 + b*u4\nu1 | k*t1\nu2 | m*t1"
    fit = sem.fit(sem.read_model(f"{text}\n{line}"), data, **WLSMV)
    k, m = (fit.estimates.query("label == @name")["estimate"].item() for name in "km")
    assert fit.converged and (k > m + 0.5) == defined
    assert np.isfinite(fit.measures.set_index("measure").loc["cfi", "robust"]) == defined


# ---- theta, and what is written of units ---------------------------------------------------------


@pytest.mark.parametrize("name", THEIRS["fits"])
def test_both_parameterizations_are_lavaans(name):
    case, data = THEIRS["fits"][name], read_data("hscat")
    options = {"ordered": case["ordered"], "parameterization": case["parameterization"]}
    if case.get("group"):
        options |= {"group": case["group"], "equal": case["equal"], "groups": GROUPS}
    fit = sem.fit(sem.read_model(case["model"]), data, "WLSMV", **options)
    theirs = case["measures"]
    measures = fit.measures.set_index("measure")
    same(
        measures.loc[["npar", "df", "chisq"], "standard"],
        [theirs[k] for k in ("npar", "df", "chisq")],
    )
    same(measures.loc["chisq", "scaled"], theirs["chisq.scaled"])
    table = pd.DataFrame(case["estimates"])
    table["group"] = [fit.groups[int(g) - 1] for g in table["group"]]
    both = fit.estimates.merge(table, on=["lhs", "op", "rhs", "group"], suffixes=("", "_r"))
    assert len(both) == len(fit.estimates) == len(table)
    same(both["estimate"], both["est"])
    same(both["se"], both["se_r"].where(both["se_r"] > 1e-7))
    scale = both["op"] == "~*~"
    same(both["std_all"][~scale], both["std.all"][~scale])


GROUPS = ["Grant-White", "Pasteur"]


def test_a_residual_variance_that_follows_is_no_parameter():
    data = read_data("hscat")
    plain = sem.fit(sem.read_model(ONE), data, **WLSMV)
    fixed = sem.fit(sem.read_model(f"{ONE}\nx1 ~~ 1*x1"), data, **WLSMV)
    keys = ["lhs", "op", "rhs"]
    both = plain.estimates.merge(fixed.estimates, on=keys, suffixes=("", "_fixed"))
    same(both["estimate"], both["estimate_fixed"])
    assert plain.r_squared["r_squared"].between(0, 1).all()
    assert fixed.r_squared["r_squared"].notna().all()
    note = fixed.problems.query("code == 'value_not_used'").iloc[0]
    assert note["where"] == "x1 ~~ 1*x1" and "parameterization='theta'" in note["next_step"]
    assert "value_not_used" not in set(plain.problems["code"])
    labelled = sem.read_model(f"{ONE}\nx1 ~~ v*x1\nr := 1 - v")
    with pytest.raises(
        ValueError, match=r"x1 ~~ v\*x1: under the delta .* parameterization='theta'"
    ):
        sem.fit(labelled, data, **WLSMV)
    with pytest.raises(ValueError, match="not identified: x1 ~~ x1|not identified"):
        sem.fit(labelled, data, **WLSMV, parameterization="theta")
    scaled = sem.read_model(f"{ONE}\nx1 ~*~ s*x1")
    with pytest.raises(ValueError, match="the scale of an ordered variable is no parameter"):
        sem.fit(scaled, data, **WLSMV, parameterization="theta")


def test_a_free_unit_in_a_later_group_can_have_a_label():
    text = f'{ONE}\nx1 ~~ c(1, NA)*x1 + c("", "v")*x1\nr := 1 - v'
    options = {**WLSMV, "group": "school", "groups": GROUPS, "equal": ["loadings", "thresholds"]}
    fit = sem.fit(sem.read_model(text), read_data("hscat"), **options, parameterization="theta")
    values = fit.estimates.query("label == 'v'")["estimate"]
    assert len(values) and fit.defined["estimate"].item() == pytest.approx(1 - values.iloc[0])


def test_units_are_for_ordered_variables():
    data = read_data("hscat")
    for option in ({"parameterization": "theta"}, {"identification": "wu_estabrook"}):
        with pytest.raises(ValueError, match="are about ordered variables"):
            sem.fit(sem.read_model(ONE), data, **option)
    with pytest.raises(ValueError, match="parameterization='gamma' does not exist"):
        sem.fit(sem.read_model(ONE), data, **WLSMV, parameterization="gamma")


# ---- invariance ----------------------------------------------------------------------------------


def invariance_of(name, **options):
    case = THEIRS["invariance"][name]
    chosen = {"free": case["free"], "parameterization": case["parameterization"], **options}
    model, data = sem.read_model(case["model"]), read_data(case["data"])
    return sem.invariance(model, data, case["group"], "WLSMV", "listwise", ordered="all", **chosen)


our_invariance = cache(invariance_of)


QUICK = ("hscat_theta", "binary_theta", "mixed_theta")


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in THEIRS["invariance"]],
)
def test_steps_are_those_of_wu_and_estabrook(name):
    """measEq.syntax writes the models, lavaan fits and compares them."""
    theirs, result = THEIRS["invariance"][name]["steps"], our_invariance(name)
    assert result.table["step"].tolist() == [*theirs]  # without steps that restrict nothing
    for step, row in result.table.set_index("step").iterrows():
        measures, test = theirs[step]["measures"], theirs[step]["difference"]
        same(row[["npar", "df"]], [measures["npar"], measures["df"]])
        same(row[["chisq", "p"]], [measures["chisq.scaled"], measures["pvalue.scaled"]], atol=1e-6)
        same(row[["cfi", "rmsea"]], [measures["cfi.scaled"], measures["rmsea.scaled"]], atol=1e-6)
        if step != "configural":
            same(row[["chisq_diff", "df_diff", "p_diff"]], [*test.values()], atol=1e-6)
    assert (result.table["fit_indices"] == "scaled").all()
    assert told(result.message_parts) == result.message


@pytest.mark.slow
def test_both_parameterizations_are_one_model():
    ours, other = our_invariance("hscat_theta"), our_invariance("hscat_delta")
    numbers = "npar chisq df cfi rmsea srmr chisq_diff df_diff p_diff rmsea_diff".split()
    same(ours.table[numbers][:4], other.table[numbers], atol=1e-6)
    keys = ["step", "free", "group"]
    both = ours.suggestions.merge(other.suggestions, on=keys, suffixes=("", "_o"))
    assert len(both) == len(other.suggestions)
    same(both["chisq"], both["chisq_o"], rtol=1e-4, atol=1e-5)


RULE = sem.read_model("f =~ d + c + b\ng =~ b1 + b2 + b3")
COUNTS = {"d": 4, "c": 2, "b": 1, "b1": 1, "b2": 1, "b3": 1}
BINARY = ["b", "b1", "b2", "b3"]
KINDS = ["thresholds", "loadings", "intercepts", "residuals"]


@pytest.mark.parametrize(
    ("steps", "free", "units", "intercepts", "loadings"),
    [
        (0, (), [], [], []),
        (1, (), ["d", "c"], ["d", "c", *BINARY], ["c", "b", "b2", "b3"]),
        (2, (), ["d", "c", "b"], ["d", "c", *BINARY], ["b2", "b3"]),
        (3, (), [*COUNTS], [], []),
        (4, (), [], [], []),
        (4, ("c ~~ c",), ["c"], [], []),
        (3, ("c ~ 1",), [*COUNTS], ["c"], []),
        (3, ("f =~ b",), ["d", "c", "b1", "b2", "b3"], ["b"], ["b"]),  # nothing of b is equal
        (1, ("d | t1", "d | t2", "d | t3"), ["c"], ["d", "c", *BINARY], ["c", "b", "b2", "b3"]),
        (3, ("c | t2",), [*COUNTS], [], []),
    ],
)
def test_what_is_free_in_a_later_group(steps, free, units, intercepts, loadings):
    unit = Unit("theta", "wu_estabrook")
    layout = lay_out(RULE, "xy", True, COUNTS, KINDS[:steps], free, unit=unit)
    rows = layout.rows(1).query("parameter != ''")
    own = rows[rows["parameter"].str.endswith(".g2")]
    variance = own[(own["op"] == "~~") & own["lhs"].isin(COUNTS)]
    assert sorted(variance["lhs"]) == sorted(units)
    means = own[own["op"] == "~1"]["lhs"]
    assert sorted(means[means.isin(COUNTS)]) == sorted(intercepts)
    assert sorted(means[~means.isin(COUNTS)]) == (["f", "g"] if steps > 2 else [])
    if steps:
        assert sorted(own[own["op"] == "=~"]["rhs"]) == sorted(loadings)
    # what is free can be told apart: the derivatives of thresholds and correlations have full rank
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({n: rng.integers(0, k + 1, 200) * 1.0 for n, k in COUNTS.items()})
    levels = {name: np.arange(k + 1.0) for name, k in COUNTS.items()}
    parts = [statistics_of(RULE, RULE.observed, levels, frame)] * 2
    check_identified(layout, DwlsObjective(layout, parts).jacobian)


def test_steps_that_restrict_nothing_are_named():
    message = our_invariance("binary_theta").message
    assert "No step of its own: thresholds, as no item has four categories or more" in message
    assert "No step of its own: metric, as all items are binary" in message
    message = our_invariance("mixed_theta").message
    assert "equal thresholds restrict nothing: u3." in message and "(scalar): u2, u6." in message
    with pytest.raises(ValueError, match="'metric' is no step of its own here: all items are bin"):
        invariance_of("binary_theta", steps=["configural", "metric"])
    with pytest.raises(ValueError, match="'strict' needs parameterization='theta'"):
        invariance_of("binary_delta", steps=["configural", "strict"])


def shifted(shift, n=500, seed=3):
    """Two factors; the thresholds of six of the eight items lie higher or lower in group b."""
    rng, moves = np.random.default_rng(seed), np.array([0, 1, -1, 1, 0, -1, 1, -1])
    frames = []
    for group, move in (("a", 0 * moves), ("b", shift * moves)):
        factors = np.repeat(rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], n), 4, axis=1)
        responses = 0.7 * factors + np.sqrt(0.51) * rng.normal(size=(n, 8)) - move
        answers = 1 + (responses[:, :, None] > [-1, -0.3, 0.3, 1.0]).sum(axis=2)
        frames.append(pd.DataFrame(answers, columns=ITEMS).assign(g=group))
    return pd.concat(frames, ignore_index=True)


ORDERED = {"group": "g", "estimator": "WLSMV", "missing": "listwise", "ordered": "all"}


@pytest.mark.parametrize("shift", [pytest.param(0, marks=pytest.mark.slow), 0.2, 0.5])
def test_shifted_thresholds_are_seen(shift):
    """The case of the issue: at half a standard deviation the verdict was "holds"."""
    steps = ["configural", "thresholds", "metric", "scalar"]
    result = sem.invariance(TWO, shifted(shift), **ORDERED, steps=steps)
    last = result.table.iloc[-1]
    assert result.table["verdict"].tolist()[:3] == ["holds"] * 3
    assert last["verdict"] == ("fails" if shift else "holds")
    assert result.level == ("metric" if shift else "scalar")
    assert result.latent_means.empty == bool(shift)
    assert "The smallest group has" not in result.message
    if shift:
        moved = {f"u{k} ~ 1" for k in (2, 3, 4, 6, 7, 8)}
        first = result.suggestions.query("step == 'scalar'")["free"].head(6)
        assert set(first) <= moved | {"u1 ~ 1", "u5 ~ 1"} and last["rmsea_diff"] > 0.15


# ---- categories that a group lacks ---------------------------------------------------------------


def lacking(value, new):
    data = shifted(0)
    data.loc[(data["g"] == "b") & (data["u3"] == value), "u3"] = new
    return data


STEPS = {"steps": ["configural", "thresholds"]}


def test_a_category_that_a_group_lacks_is_refused_with_what_to_do():
    advice = r"in group 'b' chose 5 of 'u3'.*merge_categories=True does so \(5 with 4\).*\{5: 4\}"
    with pytest.raises(ValueError, match=advice):
        sem.invariance(TWO, lacking(5, 4), **ORDERED, **STEPS)


SLOWLY = [
    pytest.param(*case, marks=pytest.mark.slow)
    for case in ((1, 2, {2: 1}), (3, 2, None), (3, 4, None))
]


@pytest.mark.parametrize(("value", "new", "pairs"), [(5, 4, {5: 4}), *SLOWLY])
def test_a_category_that_a_group_lacks_is_merged_and_told(value, new, pairs):
    data = lacking(value, new)
    result = sem.invariance(TWO, data, **ORDERED, **STEPS, merge_categories=True)
    row = result.problems.query("code == 'categories_merged'").iloc[0]
    assert row["where"] == "u3" and row["severity"] == "note"
    assert "Categories merged, as a group lacks one: u3." in result.message
    assert sem.render(row["code"], json.loads(row["values"])) == row["what"]
    if pairs is None:  # the neighbour that fewer chose
        counts = data["u3"].value_counts()
        pairs = {3: 2} if counts[2] < counts[4] else {4: 3}
    by_hand = data.assign(u3=data["u3"].replace(pairs))
    other = sem.invariance(TWO, by_hand, **ORDERED, **STEPS)
    same(result.table["chisq"], other.table["chisq"])
    assert "merged" not in other.message


@pytest.mark.slow
def test_ordered_categoricals_are_merged_too():
    data = lacking(5, 4)
    named = data.assign(**{u: pd.Categorical(data[u], ordered=True) for u in ITEMS})
    options = {**ORDERED, **STEPS, "merge_categories": True}
    result = sem.invariance(TWO, named, **{**options, "ordered": ()})
    same(result.table["chisq"], sem.invariance(TWO, data, **options).table["chisq"])


@pytest.mark.slow
def test_gaps_are_taken_pair_by_pair():
    data = shifted(0.5).astype({u: float for u in ITEMS})
    data = data.mask(np.random.default_rng(1).uniform(size=data.shape) < 0.05).dropna(subset="g")
    options = {**ORDERED, "missing": "pairwise", "steps": ["configural", "scalar"]}
    assert sem.invariance(TWO, data, **options).table["verdict"].tolist() == ["holds", "fails"]


def test_too_few_shared_categories():
    data = shifted(0)
    data["u3"] = np.where(data["g"] == "b", 1, 1 + (data["u3"] > 3))
    with pytest.raises(ValueError, match="share fewer than 2 categories of 'u3': leave it out"):
        sem.invariance(TWO, data, **ORDERED, merge_categories=True)


# ---- how often a verdict is right ----------------------------------------------------------------


def calibration():
    spec = importlib.util.spec_from_file_location("calibration", REFERENCE / "calibration.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


RATES = pd.read_csv(REFERENCE / "calibration.csv")


def rates(**chosen):
    return RATES[np.logical_and.reduce([RATES[name] == value for name, value in chosen.items()])]


def test_the_page_shows_the_table_of_the_simulation():
    module = calibration()
    assert module.page(RATES) == module.PAGE.read_text(encoding="utf-8")
    assert len(RATES) == 6 * (6 + 6 + 5 + 4) == len(RATES.drop_duplicates(module.KEY))


def test_what_the_page_claims_of_the_table():
    """Verdicts are right often enough; Chen's limits were not."""
    equal = rates(condition="equal")
    steps, every = equal[equal["step"] != "all"], equal[equal["step"] == "all"]
    assert steps["holds"].min() > 0.85 and steps["holds"].mean() > 0.95
    assert every["holds"].min() > 0.75 and every[every["n"] > 100]["holds"].min() > 0.85
    assert rates(condition="intercepts")["holds"].max() < 0.05
    thresholds = rates(condition="thresholds")
    assert (
        thresholds["holds"].max() < 0.2 and thresholds[thresholds["n"] > 100]["holds"].max() < 0.05
    )
    large = rates(condition="loadings", size=0.4)
    assert large["holds"].max() < 0.3 and large[large["n"] > 100]["holds"].max() < 0.05
    assert every.query("n == 100 and balance == '1:1'")["chen_holds"].max() < 0.75
    small = rates(condition="loadings", size=0.2, n=500)
    assert small["holds"].max() < 0.4 and (small["holds"] < small["chen_holds"]).all()


@pytest.mark.parametrize(
    ("kind", "condition", "size"), [("ordered", "thresholds", 0.5), ("continuous", "equal", 0.0)]
)
def test_the_simulation_has_the_numbers_of_invariance(kind, condition, size):
    """It fits the same without the tables: a replication of a cell, both ways."""
    module = calibration()
    cell = module.Cell(kind, 100, "1:1", condition, size)
    with np.errstate(all="ignore"):
        rows = pd.DataFrame(module.statistics(cell, 0))
    options = ORDERED if kind == "ordered" else {"estimator": "MLR", "missing": "listwise"}
    options = {**options, "group": "group", "steps": [*cell.steps]}
    ours = sem.invariance(module.MODEL, module.draw(cell, 0), **options).table
    numbers = "df cfi rmsea srmr chisq_diff df_diff p_diff delta_cfi".split()
    same(rows[numbers].astype(float), ours[numbers], rtol=1e-4, atol=1e-5)
    judged = module.verdicts(rows.assign(size=size))
    assert judged["verdict"].tolist() == [
        v if v != "not_tested" else judged["verdict"].iloc[k] for k, v in enumerate(ours["verdict"])
    ]


@pytest.mark.slow
def test_a_small_cell_of_the_simulation_comes_out_again():
    module = calibration()
    for kind, condition, size, step in (
        ("ordered", "intercepts", 0.3, "scalar"),
        ("ordered", "equal", 0, "all"),
    ):
        cell = module.Cell(kind, 100, "1:1", condition, float(size))
        with np.errstate(all="ignore"):
            draws = [row for k in range(1000, 1030) for row in module.statistics(cell, k)]
        again = module.table(pd.DataFrame(draws)).query("step == @step")["holds"].item()
        known = rates(kind=kind, condition=condition, size=size, step=step, n=100, balance="1:1")
        assert abs(again - known["holds"].item()) < 0.25
