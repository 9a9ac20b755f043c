"""Trouble: what is refused or reported names the parameter or the items, and the next step."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import semfit as sem
from semfit.fitting import diagnostics, search, starts
from semfit.fitting.diagnostics import kurtosis
from semfit.moments import sample

REFERENCE = Path(__file__).parent / "reference"
ITEMS = [f"x{i}" for i in range(1, 10)]
HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
VISUAL = "f =~ x1 + x2 + x3"
FIRST = HS + "\ntextual ~ first*visual\n"


@pytest.fixture
def data():
    return pd.read_csv(REFERENCE / "sem_hs.csv")


def refused(data, message, model=HS, **options):
    with pytest.raises(ValueError, match=message) as caught:
        sem.fit(sem.read_model(model), data, **options)
    assert type(caught.value) is ValueError and len(str(caught.value)) < 500


def problems(data, model=HS, **options):
    return sem.fit(sem.read_model(model), data, **options).problems


def row_of(table, what):
    rows = table[table["what"].str.contains(what, regex=False)]
    assert len(rows) == 1, table["what"].tolist()
    return rows.iloc[0]


def exact_sample(cov, n=500):
    """Rows whose covariance matrix (divided by n) is exactly `cov`."""
    raw = np.random.default_rng(3).normal(size=(n, len(cov)))
    white = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(n)
    return pd.DataFrame(white @ np.linalg.cholesky(cov).T, columns=list("abcdefgh")[: len(cov)])


# ---- refused: the data ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x1": "text"}, r"'x1' is not numeric \(dtype str, such as 'text'\): recode"),
        (
            {"x1": "3.5"},
            r"'x1' is not numeric.*but its values are: pd.to_numeric\(data\['x1'\]",
        ),
        ({"visual": 1.0}, "'visual' has the name of a column.*rename it in the model"),
        ({"x1": 1.0}, "Constant in the 301 rows used: x1. Leave it out"),
        ({"x1": np.nan}, "No value at all: x1. Leave it out"),
        ({"x1": lambda d: 2 * d["x2"] + 1}, "depend on each other linearly: x1, x2. Leave one out"),
        ({"x1": lambda d: d["x2"] + d["x9"]}, "linearly: x1, x2, x9"),
        (
            {"x1": lambda d: d["x1"] * 1e200},
            r"'x1' varies by 7.83e\+200 around 5e\+200: subtract or",
        ),
        ({"x1": lambda d: d["x1"] * 1e-9}, "'x1' varies by 7.83e-09"),
        ({"x1": lambda d: d["x1"] + 1e9}, r"'x1' varies by 7.83 around 1e\+09"),
    ],
)
def test_columns(data, change, message):
    for options in ({}, {"missing": "fiml"}):
        refused(data.assign(**change), message, **options)


def test_a_misspelt_name_has_a_hint(data):
    refused(data, r"Not in the data: 'X9' \(closest: 'x9'\)", HS.replace("x9", "X9"))
    refused(data, r"Grouping variable 'shool' \(closest: 'school'\)", group="shool")


def test_a_misspelt_latent_variable_is_compared_with_those_of_the_model(data):
    scored = data.assign(visual_score=data["x1"])
    text = HS + "\ntextual ~ visuall"
    hint = r"closest: the latent variable 'visual', or the column 'visual_score'\)"
    refused(scored, "'visuall' .*" + hint, text)
    refused(scored, "'visuall' .*" + hint, HS + "\nvisuall ~ textual")
    refused(data, r"'visuall' \(closest: the latent variable 'visual'\)", text)


@pytest.mark.parametrize("line", ["indirect := frst*2", "frst == 0.5"])
def test_a_misspelt_label_has_a_hint(data, line):
    refused(data, r"'frst' is not a label .*there are: .*Did you mean 'first'\?", FIRST + line)
    with pytest.raises(ValueError) as caught:
        sem.read_model(FIRST + line.replace("frst", "zzz"))
    assert "Did you mean" not in str(caught.value)


def test_wlsmv_without_ordered_names_the_variables_that_look_ordered(data):
    coded = data.assign(x1=data["x1"].round(), x2=data["x2"].round().where(data.index > 3))
    assert coded["x1"].nunique() <= 10 and coded["x2"].nunique() <= 10
    for missing in ("listwise", "pairwise"):
        options = {"estimator": "WLSMV", "missing": missing}
        refused(
            coded, "'ordered' names no variable.* or 'all'.*perhaps ordered: x1, x2.$", **options
        )
        refused(data, "'ordered' names no variable.*None that the model explains", **options)


def test_a_value_that_is_no_number_is_shown(data):
    mixed = data["x1"].astype(object).where(data.index != 4, "n.v.t.")
    refused(data.assign(x1=mixed), "such as 'n.v.t.'")


def test_too_few_rows(data):
    refused(data.head(8), "8 complete rows for 9 observed variables: more rows than variables")
    data.loc[5:, "x1"] = np.nan
    refused(data, "5 of 301 complete rows for 9 observed variables")
    data.loc[:4, "x5"] = np.nan
    refused(data, r"None of the 301 rows is complete.*x1 \(98%\), x5 \(2%\), or use missing='fiml'")


def test_groups(data):
    pasteur = data["school"] == "Pasteur"
    refused(
        data.assign(x7=data["x7"].where(~pasteur, 3.0)),
        "Constant in the 156 rows used in group Pasteur: x7",
        group="school",
    )
    refused(
        data.assign(x2=data["x1"].where(pasteur, data["x2"])),
        "matrix in group Pasteur is not positive definite.*x1, x2",
        group="school",
    )
    few = data.assign(part=np.where(data.index < 6, "a", "b"))
    refused(few, "6 complete rows for 9 observed variables in group a", group="part")
    refused(data.assign(part=1), "Grouping variable 'part' has 1 value", group="part")
    refused(data, "'x1' is also in the model, and does not vary within a group", group="x1")
    mixed = [1 if i < 150 else "a" for i in range(301)]
    refused(data.assign(part=mixed), "'part' holds both numbers and text", group="part")


def test_missing_values(data):
    never = data.copy()
    never.loc[:150, "x1"] = np.nan
    never.loc[151:, "x9"] = np.nan
    refused(never, "'x1' and 'x9' are observed together in fewer than 2 rows", missing="fiml")
    twins = data.assign(x2=data["x1"])
    twins.loc[::7, "x1"] = np.nan
    refused(twins, "or hardly any row has several of them: x1, x2. Leave", missing="fiml")


# ---- refused: the model --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("f =~ x1 + x2", r"df = -1\): f has two indicators.*Not identified: f =~ x2, x1 ~~ x1"),
        (f"{VISUAL}\ng =~ x4 + x5\nf ~~ 0*g", "g =~ x5, .* apart. g has two indicators"),
        ("f =~ x1\nx1 ~~ x1\ng =~ x4 + x5 + x6", "x1 ~~ x1, f ~~ f .*f has one indicator"),
        (f"{VISUAL}\ng =~ x4 + x5 + x6\nh =~ f + g", "h =~ g, .* apart. h has two indicators"),
        ("f =~ NA*x1 + x2 + x3 + x4", r"f has no unit: fix a loading \(1\*x1\) or its variance"),
        (HS.replace("x4", "NA*x4"), r"textual has no unit.*textual ~~ 1\*textual"),
        (f"{HS}\nvisual ~ textual\ntextual ~ visual", "textual and visual predict each other"),
        ("x1 ~ x2\nx2 ~ x1", "x1 and x2 predict each other: give each a predictor of its own"),
        ("x1 ~ x2\nx1 ~~ x2", "x1 and x2 have both a path and a covariance: drop one"),
        (
            f"{VISUAL}\nf ~ 1",
            "mean of f has no reference: leave out f ~ 1. Not identified: f ~ 1, x1",
        ),
        ("x1 ~~ 1*x1", "no free parameter"),
    ],
)
def test_models_that_are_not_identified(data, model, message):
    refused(data, message, model)


def test_means_of_groups_that_are_not_identified(data):
    options = {"group": "school", "equal": ["loadings", "intercepts"]}
    message = (
        r"f ~ 1 \(group Grant-White\), x1 ~ 1, x2 ~ 1, x3 ~ 1, f ~ 1 \(group Pasteur\) cannot be "
        r"told apart. The mean of f is free.*fix it in one group \(f ~ c\(0, NA\)\*1\)"
    )
    refused(data, message, f"{VISUAL}\nf ~ c(NA, NA)*1", **options)
    order = {"group": "school", "groups": ["Grant-White", "Pasteur"]}
    refused(data, r"f ~ 1 \(group Pasteur\)", f"{VISUAL}\nf ~ c(0, NA)*1", **order)


def test_many_parameters_are_not_all_named(data):
    items = " + ".join(ITEMS)
    refused(
        data, "and 8 more cannot be told apart. f has no unit", f"f =~ NA*{items}\ng =~ {items}"
    )


# ---- reported: no solution -----------------------------------------------------------------------


def test_what_runs_away_is_named():
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(25, 9)), columns=ITEMS)
    error, few = problems(noise).itertuples(index=False)
    assert error.severity == "error" and error.code == "not_converged"
    assert error.where.startswith("running away together: x1 ~~ x1 = -")
    assert "visual ~~ visual = " in error.where
    assert error.next_step.startswith("the indicators of visual share too little")
    assert few.what == "1.2 cases per parameter" and few.where == "25 rows, 21 parameters"


def test_what_runs_away_is_named_with_its_group():
    rng = np.random.default_rng(1)
    noise = pd.DataFrame(rng.normal(size=(60, 9)), columns=ITEMS).assign(part=["a", "b"] * 30)
    found = problems(noise, group="part")
    assert "(group a)" in found["where"][0] or "(group b)" in found["where"][0]


def test_a_search_that_stops_short_names_the_steepest(data, monkeypatch):
    monkeypatch.setattr(search, "STEPS", 0)
    (error,) = problems(data).itertuples(index=False)
    assert error.where.startswith("largest gradient at") and error.where.count(" = ") == 3
    assert error.next_step.startswith("fit a part of the model first")


def test_singular_at_the_solution_names_the_null_vector():
    cov = np.eye(4)
    cov[0, 1] = cov[1, 0] = cov[2, 3] = cov[3, 2] = 0.5
    error = problems(exact_sample(cov), "f =~ a + b\ng =~ c + d").iloc[0]
    assert error["severity"] == "error" and error["what"].startswith(
        "not identified at the solution"
    )
    names = {text.split(" = ")[0] for text in error["where"].split(", ")}
    factors = {"f": "ab", "g": "cd"}
    one = next(f for f in factors if f"{f} ~~ {f}" in names)
    first, second = factors[one]
    assert {f"{one} =~ {second}", f"{first} ~~ {first}", f"{second} ~~ {second}"} <= names
    assert "a factor needs three" in error["next_step"]


def test_em_that_does_not_end(data, monkeypatch):
    monkeypatch.setattr(sample.expectation_maximisation, "__defaults__", (3,))
    data.loc[:180, "x1"] = data.loc[200:, "x9"] = np.nan
    error = row_of(problems(data, missing="fiml"), "EM not converged")
    assert error["severity"] == "error" and error["where"] == "x1, x9: together in 6% of the rows"
    assert error["next_step"] == "leave out the one that is missing most"


def test_em_stops_on_the_way_to_a_singular_matrix(monkeypatch):
    rng, steps = np.random.default_rng(2), []
    monkeypatch.setattr(sample, "second_moments", counted(sample.second_moments, steps))
    noise = pd.DataFrame(rng.normal(size=(40, 9)), columns=ITEMS)
    noise = noise.where(rng.random(noise.shape) > 0.5)
    refused(noise, "or hardly any row has several of them: x1", missing="fiml")
    assert len(steps) < 1000


def counted(function, calls):
    return lambda *arguments: calls.append(1) or function(*arguments)


# ---- reported: improper solutions ----------------------------------------------------------------


def test_a_heywood_case_has_its_interval_and_the_next_step(data):
    model = "visual =~ x1 + x2 + x3 + x9\nspeed =~ x7 + x8\nvisual ~~ speed"
    fit = sem.fit(sem.read_model(model), data[data["school"] == "Pasteur"])
    row = row_of(fit.problems, "Heywood")
    assert row["where"] == "x8 ~~ x8" and row["severity"] == "warning"
    assert row["what"] == (
        "negative variance (-1.453, Heywood case; 95 % interval -11.415 to 8.509)"
    )
    assert row["next_step"].startswith(
        "may be chance, as the interval holds 0: more rows; else leave"
    )


def test_a_heywood_case_that_is_not_chance():
    cov = np.array([[1, 0.8, 0.8], [0.8, 1, 0.4], [0.8, 0.4, 1]])
    row = row_of(problems(exact_sample(cov, 2000), "f =~ a + b + c"), "Heywood")
    assert row["where"] == "a ~~ a"
    assert row["next_step"] == (
        "not chance, as the interval is below 0: leave out a, or use fewer factors"
    )


def test_a_negative_variance_of_a_latent_variable():
    cov = np.eye(6) * 0.5
    cov[:3, :3] += 0.5
    cov[3:, 3:] += 0.5
    cov[:3, 3:] = cov[3:, :3] = 0.6
    frame = exact_sample(cov).rename(columns={"f": "k"})
    row = row_of(problems(frame, "f =~ a + b + c\ng =~ d + e + k\ng ~ f"), "Heywood")
    assert row["where"] == "g ~~ g" and "leave out g, a predictor of it" in row["next_step"]


def test_correlations_beyond_one_and_matrices():
    cov = np.full((4, 4), 0.6) + 0.4 * np.eye(4)
    cov[:2, :2] = cov[2:, 2:] = [[1, 0.4], [0.4, 1]]
    found = problems(exact_sample(cov), "f =~ a + b\ng =~ c + d")
    beyond = row_of(found, "correlation beyond 1 (1.500)")
    assert beyond["where"] == "f ~~ g" and beyond["next_step"].startswith("the two may be one")
    assert row_of(found, "matrix of the latent variables not positive")["where"] == "f, g"


def test_a_residual_matrix_that_is_not_positive_definite(data):
    model = f"{VISUAL}\nage =~ ageyr\nf ~~ age\nx1 ~~ ageyr"  # ageyr has no residual variance
    row = row_of(problems(data, model), "covariance matrix of the residuals")
    assert row["where"] == "x1, ageyr" and row["severity"] == "warning"


def test_standardised_paths_beyond_one():
    overlap = np.array([[1, 0.95, 0.9], [0.95, 1, 0.75], [0.9, 0.75, 1]])  # a, b predict c
    found = problems(exact_sample(overlap), "c ~ a + b")
    row = row_of(found, "standardised path beyond 1 (1.923)")
    assert row["severity"] == "note" and row["where"] == "c ~ a" and "overlap" in row["next_step"]
    assert row_of(found, "standardised path beyond 1 (-1.077)")["where"] == "c ~ b"


def test_standardised_loadings_beyond_one():
    loadings = np.array([[0.7, 0], [0.7, 0], [1.2, -0.6], [0, 0.7], [0, 0.7], [0, 0.7]])
    factors = np.array([[1, 0.8], [0.8, 1]])
    cov = loadings @ factors @ loadings.T
    cov += np.diag(1 - np.diag(cov))
    frame = exact_sample(cov).rename(columns={"f": "k"})
    found = problems(frame, "f =~ a + b + c\ng =~ d + e + k + c")
    row = row_of(found, "standardised loading beyond 1 (1.200)")
    assert row["where"] == "f =~ c" and row["next_step"].startswith("its factors overlap")


def test_an_item_put_the_other_way_round(data):
    row = row_of(problems(data.assign(x3=-data["x3"])), "opposite sign")
    assert row["where"] == "visual =~ x3" and "reverse its scores" in row["next_step"]


# ---- reported: what asks for caution -------------------------------------------------------------


def test_a_saturated_model(data):
    row = row_of(problems(data, VISUAL), "saturated model (df = 0)")
    assert row["severity"] == "note" and "judge it by its estimates" in row["next_step"]


def test_few_cases(data):
    row = row_of(problems(data.head(60), VISUAL), "few cases")
    assert row["where"] == "60 rows, 6 parameters" and "below 100" in row["next_step"]
    row = row_of(problems(data.head(230), group="school"), "few cases in a group")
    assert row["where"] == "Grant-White (74)" and "join groups" in row["next_step"]


def test_dropped_rows_say_what_to_compare(data):
    data.loc[:80, "x1"] = data.loc[:80, "ageyr"] = np.nan
    row = row_of(problems(data), "27% of the rows dropped")
    assert row["where"] == "81 of 301 rows" and row["next_step"].endswith("compare missing='fiml'")
    row = row_of(problems(data, f"{HS}\nvisual ~ ageyr", missing="fiml"), "27% of the rows dropped")
    assert row["next_step"].startswith("rows without the covariates")


def test_missing_values_and_coverage(data):
    data.loc[15:, "x1"] = np.nan
    data.loc[:4, "x9"] = np.nan
    found = problems(data, missing="fiml")
    assert row_of(found, "11% of the values missing")["where"] == "most of x1 (95%)"
    assert row_of(found, "a pair is observed together in 3.3% of the rows")["where"] == "x1, x9"
    data.loc[5, [*ITEMS[:8]]] = np.nan  # a row with one value is used
    assert sem.fit(sem.read_model(HS), data, missing="fiml").n_used == 301


def test_rows_that_were_not_asked_a_part_of_the_model(data):
    """Routing: 60 rows have no x4 to x9; careless gaps elsewhere do not hide it."""
    data.loc[:59, ITEMS[3:]] = np.nan
    data.loc[100:109, "x5"] = data.loc[7:11, "x2"] = np.nan
    row = row_of(problems(data, missing="fiml"), "60 of 301 rows have no value on any of 6")
    assert row["severity"] == "note" and row["where"] == ", ".join(ITEMS[3:])
    assert "were not asked (routing" in row["next_step"]
    assert "fit the model to the rows that were" in row["next_step"]
    asked = problems(data.loc[60:], missing="fiml")
    assert "not_asked" not in codes(asked) | codes(problems(data))  # listwise: those who were asked


@pytest.mark.parametrize(
    ("share", "names"), [(0.1, ITEMS), (0.3, ITEMS), (0.45, ["x1", "x5", "x8"])]
)
def test_gaps_here_and_there_are_not_taken_for_routing(data, share, names):
    rng = np.random.default_rng(5)
    data[names] = data[names].where(rng.random((len(data), len(names))) > share)
    assert "not_asked" not in codes(problems(data, missing="fiml"))


def test_sets_that_are_routed_apart_are_told_apart(data):
    data.loc[:99, ["x1", "x2", "x3"]] = data.loc[80:150, ["x5", "x7", "x9"]] = np.nan
    data.loc[200:, ["x4", "x6"]] = np.nan  # two are not several
    found = diagnostics.missing_together(data[ITEMS])
    assert found == [(["x1", "x2", "x3"], 100), (["x5", "x7", "x9"], 71)]


def test_kurtosis(data):
    """R: psych::mardia(HolzingerSwineford1939[paste0("x", 1:9)])$kurtosis, psych 2.2.9."""
    values = data[ITEMS].to_numpy()
    assert kurtosis(values) == pytest.approx(2.40658873598, abs=1e-10)
    assert kurtosis(np.exp(values)) == pytest.approx(310.303795028, abs=1e-8)
    skewed = data.assign(**{name: np.exp(data[name]) for name in ITEMS})
    row = row_of(problems(skewed), "not normal: multivariate kurtosis 310.3 standard errors")
    assert "most of them x8" in row["where"] and "estimator='MLR'" in row["next_step"]
    assert not problems(skewed, estimator="MLR")["what"].str.contains("normal").any()


def test_units_may_differ_by_a_million(data):
    scaled = data.assign(x2=data["x2"] * 1e6, x7=data["x7"] / 1e3)
    one, other = (sem.fit(sem.read_model(HS), d) for d in (scaled, data))
    assert one.test.chisq == pytest.approx(other.test.chisq, abs=1e-6)
    np.testing.assert_allclose(one.estimates["std_all"], other.estimates["std_all"], atol=1e-6)
    row = row_of(one.problems, "variances differ by a factor 1e+18")
    assert row["where"] == "x2, x7"


# ---- reported: where a caution begins ------------------------------------------------------------


def codes(table):
    return set(table["code"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [  # six parameters: five cases of each are 30
        (29, {"cases_per_parameter"}),
        (30, {"few_cases"}),
        (31, {"few_cases"}),
        (99, {"few_cases"}),
        (100, set()),
        (101, set()),
    ],
)
def test_where_cases_are_few(data, rows, expected):
    found = codes(problems(data.head(rows), VISUAL))
    assert found & {"cases_per_parameter", "few_cases"} == expected


@pytest.mark.parametrize(("second", "noted"), [(99, True), (100, False), (101, False)])
def test_where_a_group_is_small(data, second, noted):
    parts = data.head(100 + second).assign(part=["a"] * 100 + ["b"] * second)
    found = problems(parts, VISUAL, group="part")
    assert ("few_cases_in_group" in codes(found)) is noted
    if noted:
        assert row_of(found, "few cases in a group")["where"] == "b (99)"


@pytest.mark.parametrize(("lost", "noted"), [(14, False), (15, False), (16, True)])
def test_where_dropped_rows_are_many(data, lost, noted):
    gaps = data.head(300).copy()
    gaps.loc[: lost - 1, "x1"] = np.nan
    assert ("rows_dropped" in codes(problems(gaps, VISUAL))) is noted


@pytest.mark.parametrize(("lost", "noted"), [(14, False), (15, False), (16, True)])
def test_where_rows_that_were_not_asked_are_many(data, lost, noted):
    gaps = data.head(300).copy()
    gaps.loc[: lost - 1, ["x7", "x8", "x9"]] = np.nan
    assert ("not_asked" in codes(problems(gaps, missing="fiml"))) is noted


@pytest.mark.parametrize(("lost", "noted"), [(89, False), (90, False), (91, True)])
def test_where_missing_values_are_many(data, lost, noted):
    gaps = data.head(300).copy()  # 900 values
    gaps.loc[: lost - 1, "x1"] = np.nan
    assert ("values_missing" in codes(problems(gaps, VISUAL, missing="fiml"))) is noted


@pytest.mark.parametrize(("left", "noted"), [(29, True), (30, False), (31, False)])
def test_where_a_pair_is_rare(data, left, noted):
    gaps = data.head(300).copy()
    gaps.loc[left:, "x1"] = np.nan
    assert ("rare_pair" in codes(problems(gaps, VISUAL, missing="fiml"))) is noted


def ending_with(variances):
    """What `diagnostics._data` reads of a fit of one group: two variables, complete, ML."""
    group = SimpleNamespace(
        sample_cov=np.diag(variances), names=("x", "y"), fixed=np.zeros(2, bool)
    )
    sample = SimpleNamespace(complete=True, data=np.zeros((10, 2)))
    way = SimpleNamespace(corrected=False)
    return SimpleNamespace(groups=lambda: [("", group, sample)], way=way)


def test_where_units_and_kurtosis_are_noted(monkeypatch):
    monkeypatch.setattr(diagnostics, "kurtosis", lambda values: 5.0)
    assert [*diagnostics._data(ending_with([1000.0, 1.0]))] == []
    (row,) = diagnostics._data(ending_with([1000.5, 1.0]))
    assert row["code"] == "variances_differ" and row["where"] == "x, y"
    monkeypatch.setattr(diagnostics, "kurtosis", lambda values: 5.001)
    (row,) = diagnostics._data(ending_with([1.0, 1.0]))
    assert row["code"] == "not_normal"


def estimates_of(*rows):
    columns = "lhs op rhs group estimate ci_low ci_high std_all".split()
    return pd.DataFrame([[*r[:3], "", *r[3:]] for r in rows], columns=columns)


def test_where_an_estimate_is_improper():
    edge = estimates_of(
        ("a", "~~", "a", 0.0, -1.0, 1.0, 0.0),
        ("f", "~~", "g", 1.0, 0.5, 1.5, 1.0),
        ("f", "=~", "a", 1.0, 0.5, 1.5, -1.0),
        ("g", "~", "f", 1.0, 0.5, 1.5, 1.0),
    )
    assert [*diagnostics._improper(edge)] == []
    edge["std_all"] *= 1.001
    edge.loc[0, "estimate"] = -0.001
    beyond = [row["code"] for row in diagnostics._improper(edge)]
    assert beyond == ["negative_variance_interval", "correlation_beyond_one", "path_beyond_one"]
    edge.loc[0, "estimate"] = 0.0
    assert "loading_beyond_one" in [row["code"] for row in diagnostics._improper(edge)]


@pytest.mark.parametrize(
    ("high", "step"), [(-0.001, "not chance"), (0.0, "may be"), (0.1, "may be")]
)
def test_where_a_negative_variance_is_chance(high, step):
    (row,) = diagnostics._improper(estimates_of(("a", "~~", "a", -0.5, -1.0, high, -0.5)))
    assert row["next_step"].startswith(step)


def test_where_a_loading_is_of_the_opposite_sign():
    def noted(*loadings):
        rows = [("f", "=~", f"x{i}", v, 0.0, 1.0, v) for i, v in enumerate(loadings)]
        return [row["where"] for row in diagnostics._opposite(estimates_of(*rows))]

    assert noted(0.5, 0.5, -0.5) == ["f =~ x2"]
    assert noted(0.5, 0.5, -0.3) == [] and noted(0.5, 0.5, -0.31) == ["f =~ x2"]
    assert noted(0.5, -0.5) == [] and noted(0.5, 0.5, -0.5, -0.5) == []


# ---- reported: codes -----------------------------------------------------------------------------


def test_what_is_reported_can_be_told_in_another_language(data):
    data.loc[:80, "x1"] = np.nan
    model = "visual =~ x1 + x2 + x3 + x9\nspeed =~ x7 + x8\nvisual ~~ speed"
    fits = [
        sem.fit(sem.read_model(model), data[data["school"] == "Pasteur"]),
        sem.fit(sem.read_model(HS), data[70:240], group="school", missing="fiml"),
        sem.fit(sem.read_model("f =~ x1 + x2 + x3"), data, "MLR"),
    ]
    rows = pd.concat([fit.problems for fit in fits])
    assert len(codes(rows)) >= 6 and codes(rows) <= set(sem.MESSAGES)
    for row in rows.itertuples():
        values = json.loads(row.values)
        again = [sem.render(c, values) for c in (row.code, "problem_where", "problem_next_step")]
        assert again == [row.what, row.where, row.next_step]
        assert row.values == json.dumps(values, sort_keys=True, ensure_ascii=False)
    for fit in fits:
        assert fit.message == " ".join(sem.render(*part) for part in fit.message_parts)
    assert fits[0].message.startswith("ML, 75 of 156 rows used (81 dropped: a value missing on one")
    assert fits[1].message.startswith("ML, full information for missing values, 170 of 170 rows")


def test_no_outcome_but_a_fit_or_a_clear_refusal():
    """Random models on random, damaged data: never an exception or a warning of a library."""
    rng = np.random.default_rng(11)
    outcomes = set()
    for _ in range(40):
        n, p = int(rng.integers(4, 120)), 6
        values = rng.normal(size=(n, p)) + rng.normal(size=(n, 1)) * rng.choice([0, 1])
        values *= 10.0 ** rng.integers(-5, 6, p)
        values[rng.random((n, p)) < rng.choice([0, 0.05, 0.5])] = np.nan
        frame = pd.DataFrame(values, columns=ITEMS[:p])
        if rng.random() < 0.2:
            frame["x1"] = rng.choice([0.0, 2.0]) * frame["x2"]
        model = rng.choice(
            [
                "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\ng ~ f",
                "f =~ x1 + x2 + x3\nf ~ x4\nx5 ~ f + x4\nx6 ~ x5",
                "f =~ l*x1 + l*x2 + x3 + x4\nx5 ~ f\nx6 ~~ x1",
            ]
        )
        options = {
            "estimator": str(rng.choice(["ML", "MLR"])),
            "missing": str(rng.choice(["listwise", "fiml"])),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", sem.NoSolution)
            try:
                fit = sem.fit(sem.read_model(str(model)), frame, **options)
            except ValueError as error:
                assert type(error) is ValueError and len(str(error)) > 20
                outcomes.add("refused")
                continue
        outcomes.add(fit.converged)
        assert set(fit.problems["severity"]) <= {"error", "warning", "note"}
        assert fit.problems.map(len).gt(0).all(axis=None)
        if not fit.converged:
            assert fit.estimates["se"].isna().all()
            assert "error" in set(fit.problems["severity"])
    assert outcomes == {"refused", True, False}


def test_semopy_starts_from_a_positive_definite_matrix(caplog):
    improper = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    mended = starts.shrunk(improper, search.LEAST)
    assert np.linalg.eigvalsh(mended)[0] == pytest.approx(search.LEAST)
    np.testing.assert_array_equal(starts.shrunk(np.eye(3), search.LEAST), np.eye(3))
    search.semopy_search(sem.read_model("f =~ a + b + c"), improper)
    assert not caplog.records  # semopy logs a warning when it mends one itself
