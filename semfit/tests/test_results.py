"""What is made of a fit: its summary, intervals, scores, moments (lavaan: reference/results.R)."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_estimators import fit_case, read_case

import semfit
from semfit.results.numerals import number, p_value, whole

REFERENCE = Path(__file__).parent / "reference"
ANSWERS = json.loads((REFERENCE / "results.json").read_text())
KEY = ["lhs", "op", "rhs", "group"]
TEXT = "f =~ x1 + x2 + x3; g =~ x4 + x5 + x6; g ~ a*f + age; double := 2*a"


@pytest.fixture(scope="module", params=ANSWERS)
def compared(request):
    """Our fit of a case, and what lavaan makes of its own."""
    case, data = read_case(request.param)
    return fit_case(case, data), ANSWERS[request.param], data


@pytest.fixture(scope="module")
def fit():
    return semfit.fit(semfit.read_model(TEXT), semfit.example_data(), "MLR")


def close(ours, theirs, atol=2e-6, rtol=2e-6):
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    np.testing.assert_allclose(ours, theirs, rtol, atol, equal_nan=True)


# ---- intervals, and other standardised solutions -------------------------------------------------


@pytest.mark.parametrize(
    ("table", "estimate", "call"),
    [
        ("intervals", "est", lambda fit: fit.intervals(0.9)),
        ("std.lv", "est.std", lambda fit: fit.standardized("std_lv")),
        ("std.nox", "est.std", lambda fit: fit.standardized("std_nox")),
    ],
)
def test_intervals_are_lavaans(compared, table, estimate, call):
    fit, answers, _ = compared
    theirs = pd.DataFrame(answers[table])
    theirs["group"] = [fit.groups[max(int(g), 1) - 1] for g in theirs["group"]]
    names = [estimate, "se", "z", "pvalue", "ci.lower", "ci.upper"]
    theirs[names] = theirs.reindex(columns=names).astype(float)
    theirs.loc[~(theirs["se"] > 1e-7), names[1:]] = np.nan
    ours = call(fit)
    ours["rhs"] = ours["rhs"].str.replace(" ", "")  # of a formula
    both = ours.merge(theirs, on=KEY, suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(ours) == len(theirs)
    for mine, name in zip(["estimate", "se", "ci_low", "ci_high"], [0, 1, 4, 5], strict=True):
        close(both[mine], both[names[name] if names[name] in both and mine != "se" else "se_r"])


def test_the_table_of_estimates_stays_at_95_percent(fit):
    pd.testing.assert_frame_equal(
        fit.intervals()[["estimate", "ci_low", "ci_high"]].iloc[: len(fit.estimates)],
        fit.estimates[["estimate", "ci_low", "ci_high"]],
    )
    wide, narrow = fit.intervals(0.99), fit.intervals(0.5)
    known = wide["ci_low"].notna()
    assert (wide["ci_low"] < narrow["ci_low"])[known].all()
    assert wide.iloc[-1][["lhs", "op", "rhs"]].tolist() == ["double", ":=", "2*a"]
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit.intervals(95)
    with pytest.raises(ValueError, match="there is: std_all, std_lv, std_nox"):
        fit.standardized("std.lv")


# ---- how numbers are printed ---------------------------------------------------------------------


def test_numbers_as_the_field_prints_them():
    assert [number(v) for v in (-0.0004, 0.0, 1.23456, -2.0, np.nan)] == [
        *("0.000", "0.000", "1.235", "-2.000", "")
    ]
    assert [p_value(p) for p in (0.0, 0.0004, 0.0126, 0.05, 0.9998, 1.0, np.nan)] == [
        *("<.001", "<.001", ".013", ".050", ">.999", ">.999", "")
    ]
    assert [whole(v) for v in (24.0, 18.25, np.nan)] == ["24", "18.250", ""]


# ---- the summary ---------------------------------------------------------------------------------


def numbers_of(line):
    return [float(x) for x in re.findall(r"(?<![\w<>])-?\d*\.\d+", line.split("  ", 2)[-1])]


def test_print_shows_what_lavaans_summary_does(fit):
    text = str(fit)
    assert text == repr(fit) == fit.summary().text
    order = ["Estimator", "Test and fit", "Chi-square", "Baseline model", "CFI", "TLI", "AIC"]
    order += ["BIC", "RMSEA", "SRMR", "Latent variables", "Regressions", "Variances", "R-square"]
    places = [text.index(word) for word in [*order, "Defined"]]
    assert places == sorted(places)
    row = fit.estimates.query("lhs == 'g' and rhs == 'age'").iloc[0]
    (line,) = [line for line in text.splitlines() if line.strip().startswith("age")]
    shown = [f"{row[c]:.3f}" for c in ("estimate", "se", "z")]
    shown += [p_value(row["p"]), f"{row['std_lv']:.3f}", f"{row['std_all']:.3f}"]
    assert line.split()[1:] == shown
    for column in ("standard", "scaled", "robust"):
        cfi = fit.measures.set_index("measure").loc["cfi", column]
        assert f"{cfi:.3f}" in next(x for x in text.splitlines() if x.strip().startswith("CFI"))


def test_every_estimate_stands_in_the_summary_once(compared):
    fit, _, _ = compared
    text = fit.summary().text
    shown = fit.layout.table[~fit.layout.table["exogenous"].astype(bool)]
    heads = ("Latent", "Regressions", "Covariances", "Intercepts", "Thresholds", "Variances")
    blocks = [b for b in text.split("\n\n") if b.startswith((*heads, "Scales"))]
    rows = [line for b in blocks for line in b.splitlines()[2:] if re.search(r"\.\d{3}", line)]
    assert len(rows) == len(shown)
    assert max(map(len, text.splitlines())) <= 100


def test_columns_of_numbers_are_aligned(fit):
    for block in fit.summary(0.9, intervals=True).text.split("\n\n"):
        if block.startswith(("Latent", "Variances")):
            heading, *rows = block.splitlines()[1:]
            ends = {m.end() for m in re.finditer(r"\S+(?: %)?(?: low)?", heading)}
            for row in rows:
                assert {m.end() for m in re.finditer(r"(?<=\s)[-<>]?\d*\.\d{3}", row)} <= ends


def test_problems_come_first_and_no_number_is_shown_without_a_solution():
    data = semfit.example_data(40)
    data["x3"] = data["x1"] * 0.5 + data["x2"] * 0.01 + 1e-4 * data["x4"]
    model = semfit.read_model("f =~ x1 + x2 + x3; g =~ x4 + x5 + x6")
    whole_fit = semfit.fit(model, semfit.example_data(60))
    text = str(whole_fit)
    assert text.index("Problems") < text.index("Estimator") < text.index("Test and fit")
    broken = _without_solution(whole_fit)
    text, html = broken.summary().text, broken._repr_html_()
    assert "error" in text.split("Estimator")[0]
    for view in (text, html):
        assert "Latent variables" not in view and "CFI" not in view
    assert set(broken.summary().tables) == {"problems"}


def _without_solution(fit):
    """The fit, with what a search that ended nowhere leaves."""
    from dataclasses import replace

    row = {
        "code": "not_converged",
        "severity": "error",
        "what": "not converged",
        "where": "f =~ x2",
    }
    row |= {"next_step": "free less", "values": "{}"}
    return replace(fit, converged=False, problems=pd.DataFrame([row]))


def test_options_of_a_summary(fit):
    plain = fit.summary(standardized=False, measures=False, decimals=2)
    assert "Std.all" not in plain.text and "CFI" not in plain.text
    assert re.search(r"x2 +\d\.\d\d +", plain.text)
    wide = fit.summary(0.9, intervals=True)
    assert "90 % low" in wide.text
    merged = wide.tables["estimates"].merge(fit.intervals(0.9), on=KEY)
    close(merged["ci_low_x"], merged["ci_low_y"])
    close(wide.tables["defined"]["ci_high"], fit.intervals(0.9)["ci_high"].iloc[-1:])
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit.summary(0)


class Page(HTMLParser):
    """Tags that are open, tables with their parts, and words."""

    def __init__(self):
        super().__init__()
        self.open, self.tables, self.scopes, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag in ("caption", "thead", "tbody"):
            self.tables[-1].append(tag)
        elif tag == "th":
            self.scopes.append(dict(attrs).get("scope"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] != "style":
            self.words.append(data)


def test_html_is_well_formed_and_holds_the_same_numbers(compared):
    fit, _, _ = compared
    html, text = fit._repr_html_(), fit.summary().text
    page = Page()
    page.feed(html)
    assert page.open == [] and "<script" not in html and "http" not in html
    assert None not in page.scopes
    assert all("caption" in table for table in page.tables[1 + bool(len(fit.problems)) :])
    numbers = re.compile(r"[-<>]?\d*\.\d{3}\b")
    assert sorted(numbers.findall(" ".join(page.words))) == sorted(numbers.findall(text))


def test_names_are_escaped_in_html(fit):
    from semfit.results.blocks import Block, Row, block_html

    html = block_html(Block("a < b", ("x&y",), [Row("<i>", ("<.001",), "f =~ <b>")]))
    assert "<i>" not in html and "&lt;i&gt;" in html and "x&amp;y" in html
    assert "<.001" not in html and "<b>" not in html and "a < b" not in html


# ---- scores, predictions, moments ----------------------------------------------------------------


def per_group(values):
    """What R wrote as a named list, one for each group, or as a list."""
    return list(values.values()) if isinstance(values, dict) else values


def theirs_of(fit, answers, values, columns):
    """Lavaan's values of the rows that we use; it keeps a row without any value."""
    rows = np.array(answers["rows"]) - 1
    table = pd.DataFrame(values, index=rows, columns=columns).astype(float)
    left_out = table[~table.index.isin(fit.rows.index)]
    assert left_out.isna().all(axis=None)
    return table.drop(left_out.index)


def test_scores_are_lavaans(compared):
    fit, answers, _ = compared
    if fit.layout.ordered:
        pytest.skip("see test_scores_of_ordered_variables")
    for method, found in answers["scores"].items():
        theirs = theirs_of(fit, answers, found["values"], answers["latents"])
        ours = fit.scores(method, se=True)
        assert ours.index.equals(fit.rows.index)
        ours = ours.loc[theirs.index]
        unknown = ours[answers["latents"]].isna()
        for latent in answers["latents"]:  # nothing is known of these by a Bartlett score
            marks = fit.model.parameters.query("op == '=~' and lhs == @latent")["rhs"]
            seen = fit.rows.loc[theirs.index, [m for m in marks if m in fit.rows]].notna()
            assert not seen[unknown[latent]].any(axis=None)
        close(ours[answers["latents"]].where(~unknown, theirs), theirs, 1e-8)
        errors = [np.array(part, float) for part in per_group(found["se"])]
        sizes = [len(part) if len(part) > 1 else n for part, n in zip(errors, fit.group_sizes)]
        errors = [np.broadcast_to(e, (n, e.shape[1])) for e, n in zip(errors, sizes)]
        known = ~unknown.to_numpy()
        errors = pd.DataFrame(np.vstack(errors), np.array(answers["rows"]) - 1)
        close(
            ours[[f"{n}_se" for n in answers["latents"]]].to_numpy()[known],
            errors.loc[theirs.index].to_numpy()[known],
            1e-8,
        )


def log_density(fit, g, scores, method):
    """Of our own making: the sum over the variables, and what keeps scores near their mean."""
    from scipy.stats import norm

    structure = fit.objective.fitted[g]
    found = structure.implied(fit.point.theta)
    names, k = list(structure.observed), structure.n_latent
    rows = fit.rows.loc[scores.index]
    loadings = (found.total @ np.linalg.inv(found.inverse))[:, :k]
    table = fit.estimates[fit.estimates["group"] == fit.groups[g]].set_index(["lhs", "op", "rhs"])
    covariates = rows[list(fit.model.covariates)].to_numpy()
    mean = found.latent_mean[:k] + covariates @ found.inverse[:k, k:].T
    gap = scores.to_numpy() - mean
    weight = np.linalg.inv(found.latent_cov[:k, :k]) if method == "ebm" else 1e-5 * np.eye(k)
    value = -np.einsum("nm,mk,nk->n", gap, weight, gap) / 2
    for j, name in enumerate(names):
        if name in fit.model.covariates:
            continue
        sd = np.sqrt(table.loc[(name, "~~", name), "estimate"])
        centre = table.loc[(name, "~1", ""), "estimate"] + scores.to_numpy() @ loadings[j]
        if name not in fit.layout.ordered:
            value += norm.logpdf(rows[name], centre, sd)
            continue
        cuts = table["estimate"][[key[:2] == (name, "|") for key in table.index]].to_numpy()
        padded = np.concatenate([[-np.inf], cuts, [np.inf]])
        code = np.searchsorted(np.unique(fit.rows[name]), rows[name])
        a, b = (padded[code] - centre) / sd, (padded[code + 1] - centre) / sd
        value += np.log(np.where(a > 0, norm.sf(a) - norm.sf(b), norm.cdf(b) - norm.cdf(a)))
    return value


def test_scores_of_ordered_variables(compared):
    """Lavaan's search ends some 1e-4 away; ours is never at a lower density."""
    fit, answers, _ = compared
    if not fit.layout.ordered:
        pytest.skip("numeric")
    rows = np.array(answers["rows"]) - 1
    for method, found in answers["scores"].items():
        theirs = theirs_of(fit, answers, found["values"], answers["latents"])
        ours = fit.scores(method)
        first = rows[: fit.group_sizes[0]]  # of later groups: see the next test
        near, far = ours.loc[first], theirs.loc[first, list(ours.columns)]
        mine, lavaans = (log_density(fit, 0, part, method) for part in (near, far))
        assert (mine > lavaans - 1e-9).all() and (mine < lavaans + 2e-3).all()
        if method == "ebm":
            close(near, far, 2e-4, 0)


def test_means_of_a_later_group_count_once(monkeypatch):
    name = "hscat_wlsmv_listwise_group_thresholds"
    answers = ANSWERS[name]
    fit = fit_case(*read_case(name))
    from scipy.stats import norm

    from semfit.results import ordered

    structure = fit.objective.fitted[1]
    found = structure.implied(fit.point.theta)
    theirs = theirs_of(fit, answers, answers["scores"]["ebm"]["values"], answers["latents"])
    theirs = theirs[(fit.rows.loc[theirs.index, "school"] == fit.groups[1]).to_numpy()]
    ours = fit.scores("ebm").loc[theirs.index]
    mine, lavaans = (log_density(fit, 1, part, "ebm") for part in (ours, theirs[ours.columns]))
    assert (mine > lavaans - 1e-9).all() and np.abs(ours - theirs).max(axis=None) > 0.1
    # the shares of the categories that the density above implies are those that were fitted
    draws = np.random.default_rng(1).multivariate_normal(
        found.latent_mean, found.latent_cov, 200_000
    )
    table = fit.estimates[fit.estimates["group"] == fit.groups[1]].set_index(["lhs", "op", "rhs"])
    sd = np.sqrt(table.loc[("x1", "~~", "x1"), "estimate"])
    cut, load = (table.loc[key, "estimate"] for key in (("x1", "|", "t1"), ("visual", "=~", "x1")))
    share = norm.cdf((cut - load * draws[:, 0]) / sd).mean()
    d = table.loc[("x1", "~*~", "x1"), "estimate"]
    assert share == pytest.approx(norm.cdf(d * (cut - found.mean[0])), abs=2e-3)
    # with mean and scale taken out of the thresholds, lavaan's scores are ours
    limits = ordered._limits

    def doubled(fit, structure, values, answers, kept):
        low, high = limits(fit, structure, values, answers, kept)
        centre = structure.implied(fit.point.theta).mean[kept]
        scale = structure.scales(values)[kept]
        return (low - centre) * scale, (high - centre) * scale

    monkeypatch.setattr(ordered, "_limits", doubled)
    close(fit.scores("ebm").loc[theirs.index], theirs[ours.columns], 2e-4, 0)


def test_fitted_values_and_predictions_are_lavaans(compared):
    fit, answers, data = compared
    if fit.layout.ordered:
        for call in (fit.predict, fit.fitted_values):
            with pytest.raises(ValueError, match="numeric variables"):
                call()
        return
    theirs = theirs_of(fit, answers, answers["yhat"], answers["observed"])
    close(fit.fitted_values().loc[theirs.index, answers["observed"]], theirs, 1e-8)
    if answers.get("predicted"):
        found = answers["predicted"]
        theirs = theirs_of(fit, answers, found["values"], found["y"])
        ours = fit.predict(outcomes=found["y"], given=found["x"])
        close(ours.loc[theirs.index], theirs, 1e-8)
    if answers.get("new"):
        new, marks = data.iloc[10:40].copy(), fit.model.parameters.query("op == '=~'")["rhs"]
        marks = [name for name in marks.unique() if name in data]
        new[marks] *= 1.1
        if fit.missing == "listwise":
            new = new.dropna(subset=list(fit.model.observed))
        ours = fit.scores(data=new)
        assert ours.index.equals(new.index)
        close(ours[answers["latents"]], np.array(answers["new"], float), 1e-8)


def test_implied_moments_are_lavaans(compared):
    fit, answers, _ = compared
    latents = answers["latents"]
    case = json.loads((REFERENCE / "estimators" / f"{_case_of(answers)}.json").read_text())
    for g, label in enumerate(fit.groups):
        ours = fit.implied(label)
        theirs = case["implied"][g]
        close(ours.latent_cov.loc[latents, latents], per_group(answers["cov.lv"])[g], 1e-7)
        close(ours.latent_mean[latents], per_group(answers["mean.lv"])[g], 1e-7)
        if "cov" in theirs:
            names = theirs["cov"]["names"]
            scales = fit.estimates.query("op == '~*~' and group == @label").set_index("lhs")
            scales = scales["estimate"].reindex(names).fillna(1).to_numpy()
            mine = ours.cov.loc[names, names] * np.outer(scales, scales)
            close(mine, np.array(theirs["cov"]["values"], float), 1e-7)
        if "mean" in theirs and not fit.layout.ordered:
            close(ours.mean[theirs["mean"]["names"]], theirs["mean"]["values"], 1e-7)
        cuts = fit.estimates.query("op == '|' and group == @label")
        assert list(ours.thresholds.index) == list(cuts["lhs"] + "|" + cuts["rhs"])
        close(ours.thresholds, cuts["estimate"])
    with pytest.raises(ValueError, match="name one of the groups"):
        fit.implied("no such")


def _case_of(answers):
    return next(name for name, value in ANSWERS.items() if value is answers)


def test_new_rows_need_what_the_model_has():
    data = semfit.example_data()
    fit = semfit.fit(semfit.read_model("f =~ x1 + x2 + x3; x4 ~ f + age"), data, group="group")
    again = fit.scores(data=data)
    pd.testing.assert_frame_equal(again, fit.scores())
    shuffled = data.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(fit.scores(data=shuffled), again.loc[shuffled.index])
    pd.testing.assert_frame_equal(
        fit.predict(data[["age", "group"]]).loc[shuffled.index], fit.predict().loc[shuffled.index]
    )
    gaps = data.copy()
    gaps.loc[0, ["x1", "x4"]] = np.nan
    gaps.loc[1, [*fit.model.observed]] = np.nan
    gaps.loc[2, "group"] = None
    found = fit.scores(data=gaps)["f"]
    assert found.isna().to_numpy().nonzero()[0].tolist() == [1, 2]
    assert found[0] != again.loc[0, "f"] and found[3] == again.loc[3, "f"]
    with pytest.raises(ValueError, match="Group 'z' was not in the fit"):
        fit.scores(data=data.assign(group="z"))
    with pytest.raises(ValueError, match="there is: regression, ebm, bartlett, ml"):
        fit.scores("thurstone")
    with pytest.raises(ValueError, match="name one of the groups"):
        fit.implied()
    with pytest.raises(ValueError, match="outcomes=: 'y' is not in the model"):
        fit.predict(outcomes="y")
    assert list(fit.predict(given=["x1"], outcomes="x4")) == ["x4"]
    broken = _without_solution(fit)
    for call in (broken.scores, broken.predict, broken.fitted_values, broken.implied):
        with pytest.raises(ValueError, match="no solution"):
            call()


def test_scores_of_answers_that_were_not_there():
    data = semfit.example_data()
    items = ["x1", "x2", "x3", "x4"]
    answers = data[items].apply(lambda x: (x > x.median()).astype(int) + (x > x.quantile(0.8)))
    model = semfit.read_model("f =~ x1 + x2 + x3 + x4")
    fit = semfit.fit(model, answers, estimator="WLSMV", ordered="all")
    gaps = answers.astype(float)
    gaps.loc[0, "x1"], gaps.loc[1] = np.nan, np.nan
    found = fit.scores(data=gaps)["f"]
    assert found.notna().to_numpy().sum() == len(gaps) - 1 and np.isnan(found[1])
    with pytest.raises(ValueError, match="'x2' has the value 7, which was not in the fit"):
        fit.scores(data=answers.assign(x2=7))
    with pytest.raises(ValueError, match="no standard errors of scores of ordered"):
        fit.scores(se=True)


def test_scores_do_not_depend_on_the_parameterization():
    data = semfit.example_data()
    items = ["x1", "x2", "x3", "x4"]
    answers = data[items].apply(lambda x: np.digitize(x, x.quantile([0.3, 0.7])))
    fits = [
        semfit.fit("f =~ x1 + x2 + x3 + x4", answers, "WLSMV", ordered="all", parameterization=how)
        for how in ("delta", "theta")
    ]
    for method in ("ebm", "ml"):
        delta, theta = (one.scores(method)["f"] for one in fits)
        middle = answers.mean(axis=1).between(0.3, 1.7)  # at the ends "ml" has only its faint prior
        scale = np.sqrt(fits[1].implied().latent_cov / fits[0].implied().latent_cov).iloc[0, 0]
        close(theta[middle], delta[middle] * scale, 2e-4, 0)


# ---- LaTeX ---------------------------------------------------------------------------------------


def commands(text):
    """Environments are closed in order, braces are balanced, rows have as many cells as columns."""
    open_, width = [], 0
    for line in text.splitlines():
        if found := re.match(r"\\begin\{(\w+)\}(?:\{l(r+)\})?$", line):
            open_.append(found[1])
            width = 1 + len(found[2] or "") if found[1] == "tabular" else width
        elif found := re.match(r"\\end\{(\w+)\}$", line):
            assert open_.pop() == found[1]
        elif line.endswith(r" \\"):
            plain = re.sub(r"\\.", "", line)
            across = re.match(r"\\multicolumn\{(\d+)\}", line)
            assert int(across[1]) == width if across else plain.count("&") + 1 <= width
        plain = re.sub(r"\\[{}&%$#_]", "", line)
        assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0
        assert not re.search(r"[%#_^~<>]", re.sub(r"\$[^$]*\$", "", plain))
    assert open_ == []


@pytest.mark.parametrize("table", ["estimates", "measures", "r_squared"])
def test_latex_is_balanced_and_holds_every_number(compared, table):
    fit, _, _ = compared
    text = fit.to_latex(table, caption="50 % & more_of_it", label="tab:fit", intervals=True)
    commands(text)
    assert r"\caption{50 \% \& more\_of\_it}" in text and r"\label{tab:fit}" in text
    shown = fit.summary(intervals=True).text
    numbers = {n for n in re.findall(r"-?\d*\.\d{3}\b", text)}
    assert numbers <= {n for n in re.findall(r"-?\d*\.\d{3}\b", shown)}
    if table == "measures":
        assert f"{fit.measures.set_index('measure').loc['cfi', 'standard']:.3f}" in numbers
    elif table == "estimates":
        rows = ~fit.layout.table["exogenous"].astype(bool)
        assert {
            f"{e + 0.0:.3f}".replace("-0.000", "0.000") for e in fit.estimates["estimate"][rows]
        } <= numbers
    for label in fit.groups:
        assert (f"Group {label}" in text) == (bool(fit.group) and table != "measures")


def test_names_are_escaped_in_latex():
    from semfit.results.latex import escaped

    assert escaped(r"a_b & c% $d# {e} ~f^g\h") == (
        r"a\_b \& c\% \$d\# \{e\} \textasciitilde{}f\textasciicircum{}g\textbackslash{}h"
    )
    data = semfit.example_data().rename(columns={"x1": "x_1"})
    fit = semfit.fit("f =~ x_1 + x2 + x3", data)
    assert r"x\_1" in fit.to_latex() and "x_1" not in fit.to_latex()
    with pytest.raises(ValueError, match="there is: estimates, measures, r_squared"):
        fit.to_latex("loadings")
    with pytest.raises(ValueError, match="no solution"):
        _without_solution(fit).to_latex()


# ---- diagram -------------------------------------------------------------------------------------


def boxes_apart(ax):
    """Nodes and numbers do not cover each other."""
    from matplotlib.patches import Ellipse, Rectangle

    nodes = [p for p in ax.patches if isinstance(p, Ellipse | Rectangle)]
    renderer = ax.figure.canvas.get_renderer()
    areas = [p.get_window_extent(renderer) for p in nodes]
    count = sum(a.overlaps(b) for i, a in enumerate(areas) for b in areas[i + 1 :])
    inside = ax.get_window_extent(renderer)
    for area in areas:
        assert inside.x0 <= area.x0 and area.x1 <= inside.x1
        assert inside.y0 <= area.y0 and area.y1 <= inside.y1
    return len(nodes), count


FACTORS = "\n".join(f"f{k} =~ {' + '.join(f'f{k}_i{i}' for i in range(1, 6))}" for k in range(1, 6))
VALUES = re.sub(r"(f\d_i)", r"0.7*\1", FACTORS)


@pytest.mark.parametrize(
    ("paths", "values", "arrows"),
    [
        ("", "f1 ~~ .3*f2", 25 + 10),
        ("\nf3 ~ f1 + f2\nf4 ~ f3 + f1 + z\nf5 ~ f4 + f2\nf1_i1 ~~ f1_i2", "f3 ~ .4*f1", 25 + 9),
        ("\ng =~ f1 + f2 + f3\nf4 ~ g + z\nf5 ~ f4", "f4 ~ .4*f1", 25 + 3 + 3),
    ],
)
def test_a_diagram_of_25_items_has_no_overlap(paths, values, arrows):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    data = semfit.simulate(f"{VALUES}\n{values}\nf1_i1 ~ .1*z", 500, seed=2)
    fit = semfit.fit(FACTORS + paths, data)
    ax = fit.plot()
    ax.figure.canvas.draw()
    n, overlaps = boxes_apart(ax)
    variables = {*fit.model.latents, *fit.model.observed}
    assert (n, overlaps) == (len(variables), 0)
    names = [text.get_text() for text in ax.texts]
    assert variables <= {*names} and len(names) == len(variables) + arrows
    if not paths:  # covariances of factors keep clear of the loadings
        ellipses = [p for p in ax.patches if isinstance(p, matplotlib.patches.Ellipse)]
        arcs = [p for p in ax.patches if getattr(p, "_path_original", None) is not None]
        arcs = [p._path_original.vertices[:, 0] for p in arcs]
        left = max(e.center[0] + 1e-9 for e in ellipses)
        assert sum((x < left).all() for x in arcs) == 10
    matplotlib.pyplot.close(ax.figure)


def test_numbers_and_dashes_of_a_diagram():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.patches import FancyArrowPatch

    data = semfit.example_data()
    data["noise"] = np.random.default_rng(3).standard_normal(len(data))
    fit = semfit.fit("f =~ x1 + x2 + x3; x4 ~ f + noise", data, group="group")
    with pytest.raises(ValueError, match="name one of the groups"):
        fit.plot()
    ax = fit.plot("b")
    rows = fit.estimates.query("group == 'b' and op in ('=~', '~')")
    shown = [text.get_text() for text in ax.texts]
    assert sorted(t for t in shown if "." in t) == sorted(f"{v:.2f}" for v in rows["std_all"])
    arrows = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    dashed = sum(p.get_linestyle() not in ("-", "solid") for p in arrows)
    assert len(arrows) == len(rows) and dashed == (rows["p"] >= 0.05).sum() == 1
    assert ax.get_title() == "b"
    again = fit.plot("a", ax=matplotlib.pyplot.subplots()[1])
    assert again.get_title() == "a"
    matplotlib.pyplot.close("all")
    with pytest.raises(ValueError, match="no solution"):
        _without_solution(fit).plot("a")


def test_a_diagram_needs_matplotlib(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fit = semfit.fit("f =~ x1 + x2 + x3", semfit.example_data())
    with pytest.raises(ImportError, match="plot\\(\\) needs matplotlib"):
        fit.plot()


def test_a_circle_of_paths_is_drawn_too():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    data = semfit.example_data()
    fit = semfit.fit("x4 ~ .1*x1 + x2; x1 ~ .2*x4 + x3", data)
    ax = fit.plot()
    ax.figure.canvas.draw()
    assert boxes_apart(ax) == (4, 0)
    matplotlib.pyplot.close(ax.figure)


def test_scores_of_ordered_variables_that_predict():
    """Their residuals are no longer independent given the latent variables."""
    data = semfit.example_data()
    cut = lambda x: np.digitize(x, x.quantile([0.3, 0.7]))
    items = ["x1", "x2", "x3", "x4", "x5"]
    answers = data[items].apply(cut).assign(age=data["age"])
    outcome = semfit.fit("f =~ x1 + x2 + x3; x4 ~ f + age", answers, "WLSMV", ordered=items[:4])
    assert outcome.scores().notna().all(axis=None)
    path = semfit.fit("f =~ x1 + x2 + x3; x4 ~ f; x5 ~ x4 + f", answers, "WLSMV", ordered=items)
    with pytest.raises(ValueError, match="x5.*x4|x4.*x5"):
        path.scores()


def test_scores_with_gaps_under_pairwise():
    data = semfit.example_data()
    items = ["x1", "x2", "x3", "x4"]
    answers = data[items].apply(lambda x: np.digitize(x, x.quantile([0.3, 0.7]))).astype(float)
    answers.iloc[::7, 0] = np.nan
    fit = semfit.fit("f =~ x1 + x2 + x3 + x4", answers, "WLSMV", "pairwise", ordered="all")
    found = fit.scores()
    assert len(found) == len(answers) and found.notna().all(axis=None)
    pd.testing.assert_frame_equal(fit.scores(data=answers), found)
