"""semfit against two generations of lavaan, 0.6-14 and 0.7-2 (reference/versions.R)."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_estimators import MEASURES as SHARED
from test_estimators import NOT_LAVAANS, _text

import semfit as sem

REFERENCE = Path(__file__).parent / "reference"
VERSIONS = ("0.6-14", "0.7-2")
CLOSE = 2e-5
EASY = (  # in every run; the others are slow
    "mixed_half",
    "mixed_covariates",
    "mixed_group_loadings",
    "ordered_group_covariates",
    "hscat_wlsmv_listwise",
    "hs_mlr_listwise_group_intercepts",
    "hsmiss_mlr_fiml_covariates",
    "pd_mlr_listwise_equal",
    "sem_hs_covariates",
    "sem_hs_saturated",
    "sem_hs_worse",
)
SAME = "bic2 nfi pnfi rfi ifi rni rmr rmr_nomean crmr crmr_nomean pgfi mfi ecvi cn_05 cn_01".split()
NAMES = {
    "0.6-14": SHARED | {name: name for name in SAME} | {"gfi_lisrel": "gfi", "agfi": "agfi"},
    "0.7-2": SHARED
    | {name: name for name in SAME}
    | {"gfi_lisrel": "gfi_lisrel", "agfi": "agfi_lisrel", "gfi": "gfi"}
    | {"gfi_ci_low": "gfi.ci.lower", "gfi_ci_high": "gfi.ci.upper"},
}
ONE_COLUMN = ("scaling_factor", "baseline_scaling_factor", "npar", "n")


@cache
def answers(version):
    """lavaan's answers of a version, case by case."""
    return json.loads((REFERENCE / "versions" / f"lavaan_{version}.json").read_text())


CASES = list(answers("0.7-2"))


def data_of(case):
    """The rows of a case, its groups in lavaan's order (that of appearance)."""
    data = pd.read_csv(REFERENCE / case["data"])
    if case.get("keep"):
        data = data[data["school"] == case["keep"]]
    group = case.get("group")
    if group:
        data = data[data[group].notna()]
        labels = data[group].map(_text)
        data = data.assign(**{group: pd.Categorical(labels, labels.unique())})
    return data


def listed(value):
    """A list, of what R writes as one value or a list."""
    return [] if not value else [value] if isinstance(value, str) else value


@pytest.fixture(
    scope="module",
    params=[c if c in EASY else pytest.param(c, marks=pytest.mark.slow) for c in CASES],
)
def fitted(request):
    """A case's name and our fit of it."""
    case = answers("0.7-2")[request.param]
    fit = sem.fit(
        sem.read_model(case["model"]),
        data_of(case),
        case["estimator"],
        case["missing"],
        case.get("group"),
        equal=[kind.replace(".", "_") for kind in listed(case.get("group_equal"))],
        free=listed(case.get("group_partial")),
        ordered=listed(case.get("ordered")),
        mean_structure=case["meanstructure"],
    )
    return request.param, fit


def test_versions_have_the_same_cases():
    assert [list(answers(version)) for version in VERSIONS] == [CASES, CASES]
    assert len(CASES) == 66 and set(EASY) <= set(CASES)
    assert answers("0.6-14")["sem_hs"]["version"] == "0.6.14"
    assert answers("0.7-2")["sem_hs"]["version"].startswith("0.7.2")


def estimates_of(case, fit):
    """lavaan's estimates and standard errors beside ours."""
    table = case["estimates"]
    n = len(table["lhs"])
    theirs = pd.DataFrame({k: v if isinstance(v, list) else [v] * n for k, v in table.items()})
    theirs = theirs[theirs["op"] != ":="]
    ours = fit.estimates.astype({"group": str})
    keys = ["lhs", "op", "rhs"] + (["group"] if len(fit.groups) > 1 else [])
    both = ours.merge(theirs, on=keys, suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(ours) == len(theirs)
    return both


@pytest.mark.parametrize("version", VERSIONS)
def test_estimates(fitted, version):
    name, fit = fitted
    both = estimates_of(answers(version)[name], fit)
    np.testing.assert_allclose(both["estimate"], both["est"], rtol=CLOSE, atol=CLOSE)
    varies = both["se"].notna()
    np.testing.assert_allclose(
        both.loc[varies, "se"], both.loc[varies, "se_r"], rtol=CLOSE, atol=CLOSE
    )
    assert not (both.loc[~varies, "se_r"] > 1e-7).any()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("column", ["standard", "scaled", "robust"])
def test_measures(fitted, version, column):
    name, fit = fitted
    ours = fit.measures.set_index("measure")[column]
    measures = answers(version)[name]["measures"]
    suffix = "" if column == "standard" else f".{column}"
    if any(name.startswith(case) and column in odd for case, odd in NOT_LAVAANS.items()):
        pytest.skip("lavaan's leave out the groups' weights: see measure_table")
    for measure, theirs in NAMES[version].items():
        if measure in ONE_COLUMN or skipped(name, fit, version, measure, column):
            continue
        expected = measures.get(theirs + suffix)
        expected = np.nan if expected is None else expected
        if version == "0.6-14" and f"{measure}_lavaan06" in ours:
            measure = f"{measure}_lavaan06"
        assert ours[measure] == pytest.approx(expected, abs=CLOSE, rel=CLOSE, nan_ok=True), measure


def skipped(name, fit, version, measure, column):
    """Whether a measure is defined in another way here: see `measure_table`."""
    lisrel = measure in ("gfi_lisrel", "agfi", "pgfi") and fit.missing == "fiml"
    worse = measure == "rfi" and name == "sem_hs_worse"
    unscaled = measure == "pvalue" and column == "standard" and version == "0.7-2"
    return lisrel or worse or (unscaled and fit.estimator == "WLSMV")


def test_where_the_versions_differ():
    """What has two names does differ, and what has one does not."""
    old, new = (answers(version)["mixed_covariates"]["measures"] for version in VERSIONS)
    assert abs(old["srmr"] - new["srmr"]) > 1e-3 and abs(old["gfi"] - new["gfi"]) > 1e-3
    assert old["gfi"] == pytest.approx(new["gfi_lisrel"], abs=CLOSE)
    old, new = (answers(version)["hscat_wlsmv_listwise"]["measures"] for version in VERSIONS)
    assert abs(old["rmsea.robust"] - new["rmsea.robust"]) > 1e-4
    assert old["rmsea.scaled"] == pytest.approx(new["rmsea.scaled"], abs=CLOSE)
