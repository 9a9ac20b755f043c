"""Composite reliability, extracted variance, HTMT: against semTools (measurement_scales.R)."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semfit import reliability as r

REFERENCE = Path(__file__).parent / "reference"
MODELS = "hs residuals crossed paths second_order single groups ordered".split()
TRAITS = {
    "visual": ["x1", "x2", "x3"],
    "textual": ["x4", "x5", "x6"],
    "speed": ["x7", "x8", "x9"],
}
MOODS = {
    "calm": ["A2", "A3"],
    "kind": ["A4", "A5"],
    "worried": ["N1", "N2", "N3"],
    "low": ["N4", "N5"],
}


def read(name):
    return pd.read_csv(REFERENCE / f"{name}.csv")


def estimates(model):
    """The estimates of one of R's models, with the column group if it has groups."""
    rows = read("measurement_estimates").query("model == @model").drop(columns="model")
    return rows if rows["group"].notna().all() else rows.drop(columns="group")


@pytest.fixture(scope="module")
def hs():
    return read("sem_hs")


@pytest.fixture(scope="module")
def bfi():
    return read("reliability_bfi").astype(float)


# --- against R -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_latent_variables_equal_semtools(model):
    given = estimates(model)
    reference = read("measurement_latents").query("model == @model").reset_index(drop=True)
    first = ["group"] if "group" in given else []
    same = {"check_dtype": False, "rtol": 0, "atol": 1e-12}
    for call, names in (
        (r.composite_reliability, "composite_reliability_std composite_reliability_raw"),
        (
            r.average_variance_extracted,
            "ave_std ave_raw sqrt_ave closest max_correlation fornell_larcker",
        ),
    ):
        table = call(given)
        wanted = reference[[*first, "latent", "n_items", "cross_loaded", *names.split()]]
        if "fornell_larcker" in table:
            wanted = wanted.astype({"fornell_larcker": "boolean"})
        pd.testing.assert_frame_equal(table, wanted, **same)


def test_a_fit_of_this_package_gives_the_same(hs):
    import semfit as sem

    text = "\n".join(f"{name} =~ {' + '.join(items)}" for name, items in TRAITS.items())
    fit = sem.fit(sem.read_model(text), hs)
    reference = read("measurement_latents").query("model == 'hs'")
    composite = r.composite_reliability(fit.estimates)
    extracted = r.average_variance_extracted(fit.estimates)
    for table, name in (
        (composite, "composite_reliability_std"),
        (composite, "composite_reliability_raw"),
        (extracted, "ave_raw"),
        (extracted, "max_correlation"),
    ):
        assert np.allclose(table[name], reference[name], rtol=0, atol=1e-5), name


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("hs", {}),
        ("bfi", {}),
        ("signed", {"absolute": False}),
        ("polychoric", {"correlation": "polychoric"}),
    ],
)
def test_htmt_equals_semtools(hs, bfi, case, options):
    table = r.htmt(*((hs, TRAITS) if case == "hs" else (bfi, MOODS)), **options)
    reference = read("measurement_htmt").query("case == @case").drop(columns="case")
    reference = reference.reset_index(drop=True)
    if case == "signed":  # semTools takes absolute correlations for htmt2 all the same
        items = [item for names in MOODS.values() for item in names]
        signs = bfi[items].dropna().corr()
        positive = [
            (signs.loc[MOODS[a], MOODS[b]] > 0).all(axis=None)
            for a, b in zip(reference["first"], reference["second"], strict=True)
        ]
        assert positive == [True, False, False, False, False, True]
        reference["htmt2"] = reference["htmt2"].where(positive)
    atol = 1e-7 if case == "polychoric" else 1e-12
    pd.testing.assert_frame_equal(table, reference, rtol=0, atol=atol)


# --- properties ----------------------------------------------------------------------------------


def model(loadings, residuals=None, correlation=0.4):
    """Estimates of two standardised latent variables f and g with these loadings each."""
    rows = [("f", "~~", "f", 1, 1), ("g", "~~", "g", 1, 1), ("f", "~~", "g") + 2 * (correlation,)]
    for latent in "fg":
        for i, loading in enumerate(loadings):
            item, rest = f"{latent}{i}", 1 - loading**2 if residuals is None else residuals[i]
            std = loading / np.sqrt(loading**2 + rest)
            rows += [(latent, "=~", item, loading, std), (item, "~~", item, rest, 1 - std**2)]
    return pd.DataFrame(rows, columns=["lhs", "op", "rhs", "estimate", "std_all"])


def test_coefficients_by_hand():
    table = r.composite_reliability(model([0.6, 0.8]))
    by_hand = 1.4**2 / (1.4**2 + 0.64 + 0.36)
    assert np.allclose(table["composite_reliability_std"], by_hand)
    assert np.allclose(table["composite_reliability_raw"], by_hand)
    extracted = r.average_variance_extracted(model([0.6, 0.8]))
    assert np.allclose(extracted[["ave_std", "ave_raw"]], 0.5)
    assert np.allclose(extracted["sqrt_ave"] ** 2, 0.5)
    assert extracted["closest"].tolist() == ["g", "f"]
    assert np.allclose(extracted["max_correlation"], 0.4)
    assert extracted["fornell_larcker"].tolist() == [True, True]
    close = r.average_variance_extracted(model([0.6, 0.8], correlation=-0.75))
    assert np.allclose(close["max_correlation"], 0.75)
    assert close["fornell_larcker"].tolist() == [False, False]


def test_only_the_raw_coefficients_know_the_units():
    table = r.composite_reliability(model([6, 0.8], residuals=[64, 0.36]))
    assert np.allclose(table["composite_reliability_std"], 1.4**2 / (1.4**2 + 1))
    assert np.allclose(table["composite_reliability_raw"], 6.8**2 / (6.8**2 + 64.36))
    extracted = r.average_variance_extracted(model([6, 0.8], residuals=[64, 0.36]))
    assert np.allclose(extracted["ave_raw"], 36.64 / 101)
    assert np.allclose(extracted["ave_std"], 0.5)


def test_a_residual_covariance_counts_in_the_raw_coefficient_only():
    rows = pd.DataFrame([("f0", "~~", "f1", 0.2, 0.4)], columns=model([0.6]).columns)
    table = r.composite_reliability(pd.concat([model([0.6, 0.8]), rows]))
    assert table["composite_reliability_raw"][0] == pytest.approx(1.96 / (1.96 + 1 + 0.4))
    assert table["composite_reliability_std"].nunique() == 1


def test_who_stands_alone_has_nobody_close_and_singles_have_no_row():
    rows = model([0.6, 0.8])
    alone = rows[~rows["lhs"].str.startswith("g") & ~rows["rhs"].str.startswith("g")]
    table = r.average_variance_extracted(alone)
    assert table["latent"].tolist() == ["f"] and table["closest"][0] == ""
    assert np.isnan(table["max_correlation"][0]) and table["fornell_larcker"].isna().all()
    single = rows[~rows["lhs"].eq("g1") & ~rows["rhs"].eq("g1")]
    table = r.average_variance_extracted(single)
    assert table["latent"].tolist() == ["f"] and table["closest"][0] == "g"


def test_htmt_is_the_latent_correlation_of_parallel_items():
    """Items that load alike: heterotrait r = l² phi, monotrait r = l²; the ratio is phi."""
    rng = np.random.default_rng(9)
    factors = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 4000)
    answers = factors[:, [0, 0, 0, 1, 1, 1]] + rng.normal(size=(4000, 6))
    data = pd.DataFrame(answers, columns=list("abcdef"))
    scales = {"one": list("abc"), "two": list("def")}
    table = r.htmt(data, scales)
    assert table.loc[0, ["htmt", "htmt2"]].tolist() == pytest.approx([0.6, 0.6], abs=0.05)
    moved = data.sample(frac=1, random_state=2)[list("fedcba")] * [1, 2, 3, 4, 5, 6] - 1
    turned = {"one": list("cab"), "two": list("efd")}
    pd.testing.assert_frame_equal(r.htmt(moved, turned), table)
    same = pd.DataFrame(answers[:, [0, 1, 2, 0, 1, 2]], columns=list("abcdef"))
    assert r.htmt(same, scales)["htmt"][0] > 1  # an item and its copy: they are one scale


@pytest.mark.filterwarnings("ignore:Item '.' correlates negatively")
def test_signs_count_when_asked_for():
    rng = np.random.default_rng(4)
    answers = rng.normal(size=(200, 1)) + rng.normal(size=(200, 6))
    data = pd.DataFrame(answers, columns=list("abcdef"))
    scales = {"one": list("abc"), "two": list("def")}
    turned = data.assign(a=-data["a"])
    whole = r.htmt(data, scales)
    pd.testing.assert_frame_equal(r.htmt(turned, scales), whole)
    signed = r.htmt(turned, scales, absolute=False)
    assert signed[["htmt", "htmt2"]].isna().all(axis=None)  # a cancels out within its scale
    both = r.htmt(turned.assign(d=-data["d"]), scales, absolute=False)
    assert both[["htmt", "htmt2"]].isna().all(axis=None)  # two negative means are no positive one
    pd.testing.assert_frame_equal(r.htmt(data, scales, absolute=False), whole)
    opposite = data.assign(a=-data["a"], b=-data["b"], c=-data["c"])
    signed = r.htmt(opposite, scales, absolute=False)
    assert signed["htmt"][0] == pytest.approx(-whole["htmt"][0]) and np.isnan(signed["htmt2"][0])


def test_htmt_uses_rows_that_are_complete_on_all_scales(hs):
    holes = hs.copy()
    holes.loc[:4, "x1"] = np.nan
    pd.testing.assert_frame_equal(r.htmt(holes, TRAITS), r.htmt(hs.iloc[5:], TRAITS))
    assert (r.htmt(holes, TRAITS)["n"] == 296).all()


# --- refusals and warnings -----------------------------------------------------------------------

CALLS = [r.composite_reliability, r.average_variance_extracted]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda x: x.drop(columns="std_all"), "no column 'std_all'"),
        (lambda x: x[x["op"] != "=~"], "No latent variable has 2"),
        (lambda x: x.iloc[:0], "No latent variable has 2"),
        (lambda x: x.assign(estimate=np.nan), "f ~~ f is not a number: the model has no solution"),
        (lambda x: x[x["op"] != "~~"], "gives '.*' no positive variance"),
    ],
)
def test_estimates_that_are_not_whole_are_refused(call, break_it, reason):
    with pytest.raises(ValueError, match=reason):
        call(break_it(model([0.6, 0.8])))


def test_loadings_that_cancel_out_are_named():
    with pytest.warns(UserWarning, match="'.' differ in sign.*recode") as caught:
        r.composite_reliability(model([0.6, -0.8]))
    assert [str(w.message).split("'")[1] for w in caught] == ["f", "g"]


@pytest.mark.parametrize("call", CALLS)
def test_an_improper_solution_is_named(call):
    with pytest.warns(UserWarning, match="loading of '.' is above 1") as caught:
        call(model([0.6, 1.1]))
    assert [str(w.message).split("'")[1] for w in caught] == ["f", "g"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(estimates("hs"))


@pytest.mark.parametrize(
    ("scales", "options", "reason"),
    [
        ({"one": ["x1", "x2"]}, {}, "1 scale.*at least 2 scales"),
        ({"one": ["x1", "x2"], "two": ["x2", "x3"]}, {}, "'x2' stands in scale 'one'"),
        ({"one": ["x1", "x2"], "two": ["x3"]}, {}, "'two' needs a list of at least 2"),
        ({"one": ["x1", "x2"], "two": ["x3", "x44"]}, {}, "no column 'x44'"),
        (TRAITS, {"correlation": "kendall"}, "'kendall'.*one of pearson, polychoric"),
        (TRAITS, {"correlation": "polychoric"}, "'x1' has .* different values, more than 10"),
    ],
)
def test_scales_without_ratio_are_refused(hs, scales, options, reason):
    with pytest.raises(ValueError, match=reason):
        r.htmt(hs, scales, **options)


@pytest.mark.filterwarnings("ignore:Item 'x5' correlates negatively")
def test_a_reversed_item_is_named(hs):
    with pytest.warns(UserWarning, match="'x4' correlates negatively"):
        r.htmt(hs.assign(x4=-hs["x4"]), TRAITS)
