"""Claims against responses: each statistic by hand, each comparator at its edges, each number of
the whitepaper, and a few changed answers that make the right claims fail."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mkb21.page import claims as claim_words
from mkb21.run.paths import Project
from mkb21.survey import published
from mkb21.survey.cleaning import clean, derive
from mkb21.survey.ingest import read_export
from mkb21.survey.instrument import load_wave

ROOT = Path(__file__).parents[1]
FILE = ROOT / "data" / "published" / "2012.csv"
NAN = float("nan")


@pytest.fixture(scope="module")
def wave():
    return load_wave(Project(ROOT), "2012")


@pytest.fixture(scope="module")
def responses(wave):
    return clean(read_export(Project(ROOT), wave), wave).responses


@pytest.fixture(scope="module")
def claims():
    return published.read(FILE)


@pytest.fixture(scope="module")
def register(claims, responses):
    return published.compare(claims, responses).set_index("id")


def claim(**given):
    """One claim as `read` gives it."""
    empty = dict.fromkeys(published.COLUMNS, "") | {"id": "c", "figure": "1"}
    return empty | dict.fromkeys(("value", "value_high", "decimals"), NAN) | given


def judged(frame, *given):
    """The register of a few claims about a small frame."""
    named = [{"id": f"c{k}"} | g for k, g in enumerate(given)]
    return published.compare(pd.DataFrame([claim(**g) for g in named]), frame)


# --- statistics ----------------------------------------------------------------------------------

SMALL = pd.DataFrame(
    {
        "a": [1, 2, 2, 5, NAN],
        "b": [4, 4, NAN, 1, 2],
        "c": [NAN, 3, 3, 2, NAN],
        "no": [NAN] * 5,
        "g": [0, 0, 1, 1, 1],
    },
    dtype=float,
)


@pytest.mark.parametrize(
    ("statistic", "variables", "codes", "value", "n"),
    [
        ("n_rows", "", "", 5, 5),
        ("n_answering", "a", "", 4, 4),
        ("n_answering", "a|c", "", 4, 4),
        ("n_answering", "a|b", "", 5, 5),
        ("n_answering", "no", "", 0, 0),
        ("n_items", "a|b|c", "", 3, 5),
        ("n_items", "a|b|no", "", 2, 5),
        ("percent", "a", "2", 50, 4),
        ("percent", "a", "2|5", 75, 4),
        ("percent", "a", "4", 0, 4),
        ("percent", "no", "1", NAN, 0),
        ("percent_of_rows", "a", "2", 40, 5),
        ("percent_of_rows", "no", "2", 0, 5),
        ("min_percent", "a|b|c", "1|2", 100 / 3, 3),
        ("max_percent", "a|b|c", "1|2", 75, 4),
        ("min_percent", "a|no|c", "1|2", NAN, 0),
        ("max_percent", "a|no|c", "1|2", NAN, 0),
        ("min_percent", "no|a", "1|2", NAN, 0),
        ("max_percent", "no|a", "1|2", NAN, 0),
        ("mean", "a", "", 2.5, 4),
        ("mean", "no", "", NAN, 0),
        ("scale_mean", "a|b", "", (2.5 + 3 + 2 + 3 + 2) / 5, 5),
        ("scale_mean", "a|no", "", 2.5, 4),
        ("scale_mean", "a|b|no", "", (2.5 + 3 + 3) / 3, 3),  # half of three items is two
        ("scale_mean", "no", "", NAN, 0),
        ("max_gap", "a>b|a>c", "", max((3 + 2 - 4) / 3, (1 + 1 - 3) / 3), 3),
        ("max_gap", "a>b|a>no", "", NAN, 0),
    ],
)
def test_statistics(statistic, variables, codes, value, n):
    found = judged(SMALL, dict(statistic=statistic, variables=variables, codes=codes,
                               comparator="equals", value=0.0, decimals=0))  # fmt: skip
    assert found["computed"][0] == pytest.approx(value, abs=1e-12, nan_ok=True)
    assert found["n"][0] == n


def test_alpha_by_its_formula():
    rng = np.random.default_rng(5)
    items = pd.DataFrame(rng.integers(1, 6, (40, 3)) + rng.integers(0, 3, (40, 1)), dtype=float)
    items.columns = ["x", "y", "z"]
    items.loc[:4, "y"] = NAN
    whole = items.dropna()
    parts, total = whole.var(ddof=1).sum(), whole.sum(axis=1).var(ddof=1)
    found = judged(items, dict(statistic="alpha", variables="x|y|z", comparator="equals",
                               value=0.5, decimals=3))  # fmt: skip
    assert found["computed"][0] == pytest.approx(3 / 2 * (1 - parts / total), abs=1e-12)
    assert found["n"][0] == len(whole) == 35


def test_filter():
    small = judged(
        SMALL,
        dict(statistic="n_rows", filter="g == 1", comparator="equals", value=3, decimals=0),
        dict(statistic="mean", variables="b", filter="g == 1", comparator="equals", value=1.5,
             decimals=1),
        dict(statistic="percent", variables="b", codes="4", filter="g == 7", comparator="equals",
             value=0, decimals=0),
    )  # fmt: skip
    assert small["computed"].tolist()[:2] == [3, 1.5] and small["holds"].tolist()[:2] == [True] * 2
    assert np.isnan(small["computed"][2]) and not small["holds"][2]


def by_hand(claim, responses):
    """A claim's statistic written anew with plain Python loops."""
    rows = responses
    for text, user in (("user == 1", 1), ("user == 0", 0)):
        if claim["filter"] == text:
            rows = [r for r in responses if r["user"] == user]
    names = claim["variables"].split("|") if claim["variables"] else []
    codes = {float(code) for code in claim["codes"].split("|") if code}
    asked = {
        name: [r[name] for r in rows if r[name] == r[name]] for name in names if ">" not in name
    }

    def share(name):
        return 100 * sum(value in codes for value in asked[name]) / len(asked[name])

    def gap(pair):
        first, second = pair.split(">")
        both = [
            r[second] - r[first] for r in rows if r[first] == r[first] and r[second] == r[second]
        ]
        return sum(both) / len(both)

    def half(row):
        return 2 * np.isfinite(row).sum() >= len(row)

    answers = [[r.get(name, NAN) for name in names] for r in rows]
    complete = [row for row in answers if not np.isnan(row).any()]
    return {
        "n_rows": lambda: len(rows),
        "n_answering": lambda: sum(any(r[n] == r[n] for n in names) for r in rows),
        "n_items": lambda: sum(any(r[n] == r[n] for r in rows) for n in names),
        "percent": lambda: share(names[0]),
        "percent_of_rows": lambda: 100 * sum(r[names[0]] in codes for r in rows) / len(rows),
        "min_percent": lambda: min(map(share, names)),
        "max_percent": lambda: max(map(share, names)),
        "mean": lambda: sum(asked[names[0]]) / len(asked[names[0]]),
        "scale_mean": lambda: np.mean([np.nanmean(row) for row in answers if half(row)]),
        "alpha": lambda: alpha(np.array(complete)),
        "max_gap": lambda: max(map(gap, names)),
    }[claim["statistic"]]()


def alpha(x):
    k = x.shape[1]
    return k / (k - 1) * (1 - np.trace(np.cov(x.T)) / np.cov(x.T).sum())


def test_every_number_of_the_real_wave_by_hand(claims, register, responses):
    records = responses.to_dict("records")
    plain = claims[~claims["comparator"].isin(published.ORDERINGS)]
    assert len(plain) >= 50
    for _, row in plain.iterrows():
        expected = by_hand(row, records)
        assert register.at[row["id"], "computed"] == pytest.approx(expected, abs=1e-9), row["id"]


def test_every_order_of_the_real_wave_by_hand(claims, register, responses):
    orders = claims[claims["comparator"].isin(published.ORDERINGS)]
    assert len(orders) >= 20
    for _, row in orders.iterrows():
        of = responses.query(row["filter"]) if row["filter"] else responses
        among, chosen = row["among"].split("|"), row["variables"].split("|")
        if among[0].isdigit():
            shares = of[row["variables"]].value_counts()
            score, chosen = {a: shares.get(float(a), 0) for a in among}, row["codes"].split("|")
        elif row["statistic"] == "mean":
            score = of[among].mean().to_dict()
        else:
            counted = of[among].isin([float(c) for c in row["codes"].split("|")])
            score = (counted.sum() / of[among].notna().sum()).to_dict()
        ranked = sorted(score, key=score.get, reverse=row["comparator"] != "smallest")
        places = [ranked.index(unit) + 1 for unit in chosen]
        others = {value for unit, value in score.items() if unit not in chosen}
        assert not others & {score[unit] for unit in chosen}, f"{row['id']}: a tie"
        assert register.at[row["id"], "computed"] == max(places), row["id"]


# --- comparators ---------------------------------------------------------------------------------


def holds_of(mean, given):
    """Does the claim hold of a variable with this mean?"""
    frame = pd.DataFrame({"x": [mean, mean], "low": [1.0, 1.0], "high": [3.0, 3.0]})
    others = [
        dict(id=name, statistic="mean", variables=name, comparator="equals", value=0, decimals=0)
        for name in ("low", "high")
    ]
    found = judged(frame, dict(statistic="mean", variables="x") | given, *others)
    return bool(found["holds"][0])


@pytest.mark.parametrize(
    ("mean", "given", "holds"),
    [
        (61.4999, dict(comparator="equals", value=62, decimals=0), False),
        (61.5, dict(comparator="equals", value=62, decimals=0), True),
        (61.5, dict(comparator="equals", value=61, decimals=0), True),
        (61.5001, dict(comparator="equals", value=61, decimals=0), False),
        (62.5, dict(comparator="equals", value=62, decimals=0), True),
        (62.5001, dict(comparator="equals", value=62, decimals=0), False),
        (0.9435, dict(comparator="equals", value=0.944, decimals=3), True),
        (0.94349, dict(comparator="equals", value=0.944, decimals=3), False),
        (0.9445, dict(comparator="equals", value=0.944, decimals=3), True),
        (0.94451, dict(comparator="equals", value=0.944, decimals=3), False),
        (50.0, dict(comparator="between", value=50, value_high=55), False),
        (50.001, dict(comparator="between", value=50, value_high=55), True),
        (54.999, dict(comparator="between", value=50, value_high=55), True),
        (55.0, dict(comparator="between", value=50, value_high=55), False),
        (50.0, dict(comparator="greater", value=50), False),
        (50.001, dict(comparator="greater", value=50), True),
        (0.0, dict(comparator="less", value=0), False),
        (-0.001, dict(comparator="less", value=0), True),
        (3.0, dict(comparator="greater", than="low|high"), False),
        (3.001, dict(comparator="greater", than="low|high"), True),
        (2.0, dict(comparator="greater", than="low|high"), False),
        (2.0, dict(comparator="greater", than="low"), True),
        (1.0, dict(comparator="less", than="low|high"), False),
        (0.999, dict(comparator="less", than="high|low"), True),
        (2.0, dict(comparator="less", than="low|high"), False),
        (2.0, dict(comparator="less", than="high"), True),
    ],
)
def test_numbers_just_inside_and_just_outside(mean, given, holds):
    assert holds_of(mean, given) is holds


@pytest.mark.parametrize(
    ("means", "given", "place", "holds"),
    [
        ((3, 2, 1), dict(comparator="largest"), 1, True),
        ((2, 3, 1), dict(comparator="largest"), 2, False),
        ((3, 3, 1), dict(comparator="largest"), 2, False),
        ((1, 2, 3), dict(comparator="smallest"), 1, True),
        ((2, 1, 3), dict(comparator="smallest"), 2, False),
        ((1, 1, 3), dict(comparator="smallest"), 2, False),
        ((2, 3, 1), dict(comparator="rank", value=2), 2, True),
        ((3, 2, 1), dict(comparator="rank", value=2), 1, False),
        ((2, 3, 2), dict(comparator="rank", value=2), 3, False),
        ((3, 2, 1), dict(comparator="top", value=2, variables="x|y"), 2, True),
        ((2, 3, 1), dict(comparator="top", value=2, variables="x|y"), 2, True),
        ((3, 1, 2), dict(comparator="top", value=2, variables="x|y"), 3, False),
        ((3, 2, 2), dict(comparator="top", value=2, variables="x|y"), 3, False),
        ((3, 3, 2), dict(comparator="top", value=2, variables="x|y"), 2, True),
        ((2, 3, 1), dict(comparator="top", value=2), 2, True),
        ((1, 3, 2), dict(comparator="top", value=2), 3, False),
        ((3, 2, NAN), dict(comparator="largest"), NAN, False),
        ((NAN, 2, 1), dict(comparator="smallest"), NAN, False),
        ((NAN, 2, 1), dict(comparator="top", value=3), NAN, False),
    ],
)
def test_orders_and_ties_of_variables(means, given, place, holds):
    frame = pd.DataFrame([means, means], columns=["x", "y", "z"], dtype=float)
    found = judged(frame, dict(statistic="mean", variables="x", among="x|y|z") | given)
    assert found["computed"][0] == pytest.approx(place, nan_ok=True)
    assert found["holds"][0] == holds


@pytest.mark.parametrize(
    ("answers", "code", "among", "comparator", "value", "holds"),
    [
        ("11123", "1", "1|2|3", "largest", NAN, True),
        ("11223", "1", "1|2|3", "largest", NAN, False),
        ("11223", "3", "1|2|3", "smallest", NAN, True),
        ("11223", "4", "1|2|3|4", "smallest", NAN, True),
        ("111223", "2", "1|2|3", "rank", 2, True),
        ("111223", "2", "2|3", "rank", 1, True),
        ("11233", "2", "1|2|3", "rank", 2, False),
    ],
)
def test_orders_and_ties_of_the_codes_of_one_variable(
    answers, code, among, comparator, value, holds
):
    frame = pd.DataFrame({"x": [float(a) for a in answers] + [NAN]})
    found = judged(frame, dict(statistic="percent", variables="x", codes=code, among=among,
                               comparator=comparator, value=value))  # fmt: skip
    assert found["holds"][0] == holds


EVERY_COMPARATOR = [
    dict(comparator="equals", value=0.0, decimals=0),
    dict(comparator="between", value=-1e9, value_high=1e9),
    dict(comparator="greater", value=-1e9),
    dict(comparator="less", value=1e9),
    dict(comparator="largest", among="no|g"),
    dict(comparator="smallest", among="no|g"),
    dict(comparator="rank", value=1.0, among="no|g"),
    dict(comparator="top", value=2.0, among="no|g"),
]


def test_nothing_holds_of_what_cannot_be_computed():
    assert {given["comparator"] for given in EVERY_COMPARATOR} == set(published.COMPARATORS)
    found = judged(SMALL, *[dict(statistic="mean", variables="no") | g for g in EVERY_COMPARATOR])
    assert not found["holds"].any() and found["holds"].dtype == bool
    assert found["computed"].isna().all() and found["difference"].isna().all()


@pytest.mark.parametrize("than", ["c0|c1", "c1|c0"])
@pytest.mark.parametrize("comparator", ["greater", "less"])
def test_no_comparison_holds_with_what_cannot_be_computed(than, comparator):
    other = dict(statistic="mean", comparator="equals", value=0, decimals=0)
    value = {"greater": "b", "less": "g"}[comparator]
    found = judged(
        SMALL,
        other | dict(variables="a"),
        other | dict(variables="no"),
        dict(statistic="mean", variables=value, comparator=comparator, than=than),
        dict(statistic="mean", variables=value, comparator=comparator, than="c0"),
    )
    assert found["holds"].tolist()[2:] == [False, True]


def test_limits_and_difference_of_the_register():
    found = judged(
        SMALL,
        dict(statistic="mean", variables="a", comparator="equals", value=2.4, decimals=1),
        dict(statistic="mean", variables="a", comparator="greater", value=2.0),
        dict(statistic="mean", variables="a", comparator="less", than="c0"),
        dict(statistic="mean", variables="a", comparator="rank", value=2.0, among="a|b"),
    )
    assert found["lower"].tolist() == pytest.approx([2.35, 2.0, -np.inf, 2.0])
    assert found["upper"].tolist() == pytest.approx([2.45, np.inf, 2.5, 2.0])
    assert found["difference"].tolist() == pytest.approx([0.1, NAN, NAN, 0.0], nan_ok=True)
    assert found["holds"].tolist() == [False, True, False, True]
    assert list(found.columns) == [
        *published.COLUMNS, "computed", "n", "lower", "upper", "difference", "holds"
    ]  # fmt: skip


def test_compare_leaves_its_frames_alone(claims, responses):
    before = claims.copy(), responses.copy()
    published.compare(claims, responses)
    pd.testing.assert_frame_equal(claims, before[0])
    pd.testing.assert_frame_equal(responses, before[1])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(variables="absent"), "'c0' cannot be computed: 'absent'"),
        (dict(variables="a", filter="absent == 1"), "'c0' cannot be computed: name 'absent'"),
        (dict(variables="a", filter="g =="), "'c0' cannot be computed: "),
    ],
)
def test_claims_that_do_not_fit_the_responses_are_named(given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        judged(SMALL, dict(statistic="mean", comparator="greater", value=0) | given)


def test_an_alpha_without_variance_names_the_claim():
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4, 5], "y": [2.0] * 5})
    with pytest.raises(ValueError, match="'c0' cannot be computed: .*y"):
        judged(frame, dict(statistic="alpha", variables="x|y", comparator="equals", value=0.9,
                           decimals=3))  # fmt: skip


# --- the file ------------------------------------------------------------------------------------

GOOD = dict(id="one", statistic="percent", variables="x", codes="1", comparator="equals",
            value="62", decimals="0")  # fmt: skip


def write(tmp_path, *rows, header=published.COLUMNS):
    path = tmp_path / "claims.csv"
    lines = [",".join(f'"{row.get(c, "")}"' for c in header) for row in rows]
    path.write_text("\n".join([",".join(header), *lines]), encoding="utf-8")
    return path


def refusal(path):
    with pytest.raises(ValueError) as refused:
        published.read(path)
    return str(refused.value)


def test_the_file_as_it_is_read(tmp_path):
    path = write(tmp_path, GOOD | {"reading": "a, b"}, GOOD | {"id": "two", "value": ".5"})
    for text in (path.read_text(), "\ufeff" + path.read_text()):  # Excel adds a byte-order mark
        path.write_text(text, encoding="utf-8")
        found = published.read(path)
        assert list(found.columns) == published.COLUMNS and found.index.tolist() == [0, 1]
        assert found["value"].tolist() == [62, 0.5] and found["value_high"].isna().all()
        assert found["reading"].tolist() == ["a, b", ""]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(id=""), "(no id): the id must be there, and be used once"),
        (dict(value="62 %"), "one: value is '62 %', which is not a number"),
        (dict(value="0,9"), "one: value is '0,9', which is not a number"),
        (dict(value_high="x"), "one: value_high is 'x', which is not a number"),
        (dict(decimals="none"), "one: decimals is 'none', which is not a number"),
        (dict(value=""), "one: equals needs a value"),
        (dict(decimals=""), "one: equals needs the number of printed decimals"),
        (dict(statistic="median"), "one: unknown statistic 'median'; use one of n_rows, "),
        (dict(comparator="is"), "one: unknown comparator 'is'; use one of equals, "),
        (dict(variables=""), "one: percent needs variables"),
        (dict(variables="x|y"), "one: percent is of one variable; there are 2"),
        (dict(statistic="mean", variables="x|y"), "one: mean is of one variable; there are 2"),
        (dict(codes=""), "one: percent needs the codes that are counted"),
        (dict(codes="1|b"), "one: the code 'b' is not a whole number"),
        (dict(statistic="max_gap", variables="x|y"), "one: max_gap needs pairs of variables"),
        (dict(comparator="between"), "one: between needs a value and a larger value_high"),
        (dict(comparator="between", value_high="62"), "one: between needs a value and a larger"),
        (dict(comparator="greater", value=""), "one: greater needs either a value or ids"),
        (dict(comparator="less", than="one"), "one: less needs either a value or ids under than"),
        (dict(comparator="less", than="two", value=""), "one: than names the unknown claim 'two'"),
        (dict(comparator="largest"), "one: largest needs what the order is taken over (among)"),
        (dict(comparator="top", value=""), "one: top needs a value"),
        (dict(comparator="rank", value=""), "one: rank needs a value"),
        (dict(comparator="largest", among="y|z"), "one: among lacks x, of which the claim is"),
        (dict(comparator="largest", among="2|3"), "one: among lacks 1, of which the claim is"),
    ],
)
def test_faults_of_a_claim(tmp_path, change, said):
    path = write(tmp_path, GOOD | {"id": "zero"}, GOOD | change)
    text = refusal(path)
    assert f"{path}:3: {said}" in text
    assert ":2:" not in text


def test_all_faults_are_said_at_once(tmp_path):
    path = write(tmp_path, GOOD, GOOD, GOOD | {"id": "c", "value": "x", "statistic": "y"})
    lines = refusal(path).splitlines()
    assert lines[0] == "claims.csv has 5 fault(s):"
    assert [line.split(": ")[0] for line in lines[1:]] == [f"{path}:{n}" for n in (2, 3, 4, 4, 4)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lacks the column(s) id, figure"),
        (b"id,statistic\n1,2\n", "lacks the column(s) figure, variables"),
        (",".join(published.COLUMNS).encode(), "holds no claim"),
        (",".join(published.COLUMNS).encode() + b"\na,b\n", "on line(s) 2 there are more or fewer"),
        (
            ",".join(published.COLUMNS).encode() + b"\n" + b"," * 20,
            "on line(s) 2 there are more or",
        ),
        (",".join(published.COLUMNS).encode() + b'\n"a', "cannot be read as a table in UTF-8"),
        ("id,é".encode("cp1252"), "cannot be read as a table in UTF-8"),
    ],
)
def test_files_that_are_no_claims(tmp_path, content, said):
    path = tmp_path / "claims.csv"
    path.write_bytes(content)
    text = refusal(path)
    assert said in text and str(path) in text


def test_without_a_file(tmp_path):
    text = refusal(tmp_path / "none.csv")
    assert text.endswith("none.csv does not exist: this wave has no published numbers.")


# --- the whitepaper ------------------------------------------------------------------------------
# Read line by line: what is printed (or ordered), and the row that says so: statistic, variables,
# codes, filter, comparator, value (for between: both ends; for than: its ids).

MEDIA = "twitter facebook linkedin hyves googleplus video photo blogs forums location".split()
PREPARATIONS = "prep_research|prep_training|prep_guidelines|prep_policy|prep_evaluation"
WAYS = "way_spread|way_listen|way_respond|way_initiate|way_feedback|way_innovation"
AIMS = ("awareness messages dialogue turnover leads offers questions complaints monitoring "
        "informing rumours signals").split()  # fmt: skip
REPUTATION = "rep_feeling|rep_admiration|rep_respect|rep_trust|rep_appeal"
REASONS = ("reason_knowledge|reason_time|reason_value|reason_audience|reason_risk|reason_cost|"
           "reason_other")  # fmt: skip
MANAGERS = "manager_owner|manager_marketing|manager_employee|manager_external|manager_intern"
USERS, OTHERS = "user == 1", "user == 0"


def each(prefix, names):
    return "|".join(prefix + name for name in names)


def below_three(way):
    return ("mean", way, "", USERS, "less", "fig11_spread|fig11_listen|fig11_respond")


WHITEPAPER = {
    # headings of the figures, and the last page
    "N=314 (about the whitepaper)": ("n_rows", "", "", "", "equals", 314),
    "figure 1, N=312": ("n_answering", "province", "", "", "equals", 312),
    "figure 2, N=312": ("n_answering", "sector", "", "", "equals", 312),
    "figure 3, N=312": ("n_answering", "size", "", "", "equals", 312),
    "figure 4, N=312": ("n_answering", "b2b|b2c", "", "", "equals", 312),
    "figure 5, N=314": ("n_answering", "responsible", "", "", "equals", 314),
    "figure 6, N=314": ("n_answering", MANAGERS, "", "", "equals", 314),
    "figure 7, N=314": ("n_answering", each("use_", MEDIA), "", "", "equals", 314),
    "figure 8, N=314": ("n_answering", each("exp_", MEDIA), "", "", "equals", 314),
    "figure 9, N=58": ("n_answering", REASONS, "", OTHERS, "equals", 58),
    "figure 10, N=256": ("n_answering", PREPARATIONS, "", USERS, "equals", 256),
    "figure 11, N=256": ("n_answering", WAYS, "", USERS, "equals", 256),
    "figure 12, N=256": ("n_answering", each("mot_", AIMS), "", USERS, "equals", 256),
    "figure 12, N=256 (result)": ("n_answering", each("per_", AIMS), "", USERS, "equals", 256),
    "figure 13, N=256": ("n_answering", REPUTATION, "", USERS, "equals", 256),
    "256 users": ("n_rows", "", "", USERS, "equals", 256),
    "de 58 MKB-ers, die alle sociale media niet/nauwelijks": (
        "n_rows", "", "", OTHERS, "equals", 58),
    # findings and conclusion
    "het wel/niet gebruiken: Twitter, Facebook en LinkedIn hoger dan de overige": (
        "percent", each("use_", MEDIA[:3]), "2|3|4|5", "", "top", 3),
    "ongeveer 10% van de respondenten gebrek aan kennis/vaardigheid": (
        "percent_of_rows", "reason_knowledge", "1", "", "equals", 10),
    "slechts 10-20% een uitgestippeld plan (10)": (
        "min_percent", PREPARATIONS, "4|5", USERS, "between", (9.5, 20.5)),
    "slechts 10-20% een uitgestippeld plan (20)": (
        "max_percent", PREPARATIONS, "4|5", USERS, "between", (9.5, 20.5)),
    "in mindere mate gesprekken initiëren": below_three("way_initiate"),
    "in mindere mate feedback vragen": below_three("way_feedback"),
    "in mindere mate betrekken bij innovaties": below_three("way_innovation"),
    "eenzelfde trend bij de motivatie: minder interactie (gesprek)": (
        "mean", "mot_dialogue", "", USERS, "smallest", ""),
    "eenzelfde trend bij de motivatie: minder interactie (vragen)": (
        "mean", "mot_questions", "", USERS, "smallest", ""),
    "eenzelfde trend bij de motivatie: minder interactie (klachten)": (
        "mean", "mot_complaints", "", USERS, "smallest", ""),
    "liefst 82% ziet dat sociale media waardevol kan zijn": (
        "percent", "user", "1", "", "equals", 82),
    # the sample
    "Oost-Nederland (62%)": ("percent", "region", "2", "", "equals", 62),
    "het grootste gedeelte uit Oost-Nederland": ("percent", "region", "2", "", "largest", ""),
    "voornamelijk Overijssel": ("percent", "province", "4", "", "largest", ""),
    "Zakelijke diensten (40%)": ("percent", "sector", "9", "", "equals", 40),
    "de meeste in Zakelijke diensten": ("percent", "sector", "9", "", "rank", 1),
    "Overig 20%": ("percent", "sector", "11", "", "equals", 20),
    "Overig volgt": ("percent", "sector", "11", "", "rank", 2),
    "Detailhandel 11%": ("percent", "sector", "5", "", "equals", 11),
    "Detailhandel volgt": ("percent", "sector", "5", "", "rank", 3),
    "ZZP (42%)": ("percent", "size", "1", "", "equals", 42),
    "ZZP het sterkst vertegenwoordigd": ("percent", "size", "1", "", "largest", ""),
    "2 t/m 9 werknemers (31%)": ("percent", "size", "2", "", "equals", 31),
    "gevolgd door 2 t/m 9": ("percent", "size", "2", "", "rank", 2),
    "bedrijvenmarkt (79%)": ("percent", "b2b", "1", "", "equals", 79),
    "de meeste op de bedrijvenmarkt": ("percent", "b2b", "1", "", "largest", ""),
    "consumentenmarkt (61%)": ("percent", "b2c", "1", "", "equals", 61),
    "directeur/eigenaar (77%) verantwoordelijk": ("percent", "responsible", "1", "", "equals", 77),
    "voor het overgrote deel de directeur/eigenaar": (
        "percent", "responsible", "1", "", "largest", ""),
    "datzelfde geldt voor wie beheert (grootste)": (
        "percent", "manager_owner", "1", "", "largest", ""),
    "datzelfde geldt voor wie beheert (overgrote deel)": (
        "percent", "manager_owner", "1", "", "greater", 50),
    # use
    "Twitter, Facebook en LinkedIn verreweg het meest": (
        "percent", each("use_", MEDIA[:3]), "3|4|5", "", "top", 3),
    "iets meer dan 50% wekelijks of vaker: Twitter": (
        "percent", "use_twitter", "3|4|5", "", "between", (50, 55)),
    "iets meer dan 50% wekelijks of vaker: Facebook": (
        "percent", "use_facebook", "3|4|5", "", "between", (50, 55)),
    "iets meer dan 50% wekelijks of vaker: LinkedIn": (
        "percent", "use_linkedin", "3|4|5", "", "between", (50, 55)),
    "Hyves, met 1% aan actieve gebruikers": ("percent", "use_hyves", "2|3|4|5", "", "equals", 1),
    "Hyves het meest links": ("percent", "use_hyves", "2|3|4|5", "", "smallest", ""),
    "Facebook (64%)": ("percent", "exp_facebook", "4|5", "", "equals", 64),
    "LinkedIn (63%)": ("percent", "exp_linkedin", "4|5", "", "equals", 63),
    "Twitter (61%)": ("percent", "exp_twitter", "4|5", "", "equals", 61),
    "Videosites (51%)": ("percent", "exp_video", "4|5", "", "equals", 51),
    "voornamelijk deze vier": (
        "percent", "exp_facebook|exp_linkedin|exp_twitter|exp_video", "4|5", "", "top", 4),
    "verwachten het gebruik te vergroten: Facebook": (
        "percent", "exp_facebook", "4|5", "", "greater", "fig07_facebook"),
    "verwachten het gebruik te vergroten: LinkedIn": (
        "percent", "exp_linkedin", "4|5", "", "greater", "fig07_linkedin"),
    "verwachten het gebruik te vergroten: Twitter": (
        "percent", "exp_twitter", "4|5", "", "greater", "fig07_twitter"),
    "verwachten het gebruik te vergroten: videosites": (
        "percent", "exp_video", "4|5", "", "greater", "fig07_video"),
    "deze drie verreweg het meest, niet videosites": (
        "percent", "use_video", "3|4|5", "", "less", "fig07_twitter|fig07_facebook|fig07_linkedin"),
    "meer dan de helft van de 58 gebrek aan kennis": (
        "percent", "reason_knowledge", "1", OTHERS, "greater", 50),
    "gebrek aan kennis voorop": ("percent", "reason_knowledge", "1", OTHERS, "largest", ""),
    "gebrek aan tijd (45%)": ("percent", "reason_time", "1", OTHERS, "equals", 45),
    "gebrek aan tijd in de top 3": ("percent", "reason_time", "1", OTHERS, "top", 3),
    "zonder (61)": ("min_percent", PREPARATIONS, "1|2", USERS, "equals", 61),
    "zonder (73)": ("max_percent", PREPARATIONS, "1|2", USERS, "equals", 73),
    "onderzoek (M=2,28)": ("mean", "prep_research", "", USERS, "equals", 2.28),
    "scholing (M=2,13)": ("mean", "prep_training", "", USERS, "equals", 2.13),
    "richtlijnen (M=2,07)": ("mean", "prep_guidelines", "", USERS, "equals", 2.07),
    "beleidsplan (M=2,07)": ("mean", "prep_policy", "", USERS, "equals", 2.07),
    "evaluatiecriteria (M=1,89)": ("mean", "prep_evaluation", "", USERS, "equals", 1.89),
    "verspreiden content (M=4,12)": ("mean", "way_spread", "", USERS, "equals", 4.12),
    "voornamelijk zelf content": ("mean", "way_spread", "", USERS, "largest", ""),
    "geluisterd (M=3,49)": ("mean", "way_listen", "", USERS, "equals", 3.49),
    "gereageerd (M=3,61)": ("mean", "way_respond", "", USERS, "equals", 3.61),
    # motivation, perception, reputation
    "naamsbekendheid, boodschappen en verkoop voorop": (
        "mean", "mot_awareness|mot_messages|mot_turnover", "", USERS, "top", 3),
    "eenzelfde trend bij de ervaring": (
        "mean", "per_awareness|per_messages|per_turnover", "", USERS, "top", 3),
    "in alle gevallen blijft de ervaring achter": (
        "max_gap", "|".join(f"mot_{a}>per_{a}" for a in AIMS), "", USERS, "less", 0),
    "alpha = 0,944": ("alpha", REPUTATION, "", USERS, "equals", 0.944),
    "5 items": ("n_items", REPUTATION, "", USERS, "equals", 5),
    "(M=3,64)": ("scale_mean", REPUTATION, "", USERS, "equals", 3.64),
    "het er over eens zijn": ("scale_mean", REPUTATION, "", USERS, "greater", 3),
}  # fmt: skip


def key(row):
    """A row of the file in the form of the checklist."""
    value = row["than"] or ("" if np.isnan(row["value"]) else row["value"])
    if row["comparator"] == "between":
        value = (row["value"], row["value_high"])
    same = (row["statistic"], row["variables"], row["codes"], row["filter"], row["comparator"])
    return *same, value


def test_every_number_of_the_whitepaper_is_a_row_and_every_row_is_in_the_whitepaper(claims):
    rows = {row["id"]: key(row) for _, row in claims.iterrows()}
    assert len(set(WHITEPAPER.values())) == len(WHITEPAPER)
    assert {what for what, k in WHITEPAPER.items() if k not in rows.values()} == set()
    assert {name for name, k in rows.items() if k not in WHITEPAPER.values()} == set()


def test_printed_decimals(claims):
    whole = {"n_rows", "n_answering", "n_items", "percent", "percent_of_rows"}
    for _, row in claims[claims["comparator"] == "equals"].iterrows():
        decimals = {"mean": 2, "scale_mean": 2, "alpha": 3}.get(row["statistic"], 0)
        assert row["decimals"] == decimals, row["id"]
        assert row["value"] == round(row["value"], decimals)
        assert row["statistic"] in whole | {"mean", "scale_mean", "alpha", "min_percent",
                                            "max_percent"}  # fmt: skip


def test_orders_are_taken_over_all_there_is(claims, wave):
    """Over every code or item of the question, but for the claims that compare a few."""
    few = {"fig12_dialogue_smallest", "fig12_questions_smallest", "fig12_complaints_smallest"}
    eligible = {v: list(map(str, codes)) for v, codes in wave.rules.eligible.items()}
    for _, row in claims[claims["comparator"].isin(published.ORDERINGS)].iterrows():
        first, among = row["variables"].split("|")[0], row["among"].split("|")
        if among[0].isdigit():
            whole = eligible.get(first, [str(c) for c in wave.instrument.codes(first)])
        else:
            whole = wave.instrument.block(wave.instrument.block_of[first])
        assert (among == whole) is (row["id"] not in few), row["id"]


def test_open_wordings_say_how_they_were_read(claims):
    readings = claims.set_index("id")["reading"]
    open_ones = [
        "fig01_overijssel_largest", "users_share", "fig06_owner_majority", "fig07_twitter",
        "fig07_facebook", "fig07_linkedin", "fig07_hyves", "fig08_facebook",
        "fig09_knowledge_of_all", "fig10_without_min", "fig10_plan_min", "fig11_initiate",
        "fig12_dialogue_smallest", "fig12_perception_top3", "fig13_alpha", "fig13_mean",
    ]  # fmt: skip
    assert all(len(readings[name]) > 20 for name in open_ones)
    assert claims["place"].str.len().gt(5).all()


# --- the check can fail --------------------------------------------------------------------------


def test_every_claim_holds_of_the_reconstruction(register):
    assert register.index[~register["holds"]].tolist() == []


def flip_provinces(r, people):
    rows = people(r["province"] == 4, 12)
    r.loc[rows, "province"] = 1.0


def quit_twitter(r, people):
    r.loc[people((r["use_twitter"] >= 3) & (r["use_facebook"] >= 3), 20), "use_twitter"] = 1.0


def join_hyves(r, people):
    r.loc[people((r["use_hyves"] == 1) & (r["user"] == 1), 5), "use_hyves"] = 2.0


def prepare_more(r, people):
    r.loc[people(r["prep_policy"].isin([3, 4]), 20), "prep_policy"] += 1.0


def contradict_reputation(r, people):
    rows = people(r["rep_trust"].notna() & r[REPUTATION.split("|")].notna().all(axis=1), 30)
    r.loc[rows, "rep_trust"] = 6.0 - r.loc[rows, "rep_trust"]


def agree_with_one_result(r, people):
    r.loc[r["per_signals"].notna(), "per_signals"] = 5.0


def leave_out_background(r, people):
    r.loc[people(r["size"] == 3, 1), "size"] = NAN


def find_time(r, people):
    r.loc[people(r["reason_time"] == 1, 2), "reason_time"] = 0.0


def start_conversations(r, people):
    r.loc[r["way_initiate"].notna(), "way_initiate"] = 5.0


def expect_video(r, people):
    r.loc[people(r["exp_video"].isin([1, 2, 3]), 8), "exp_video"] = 4.0


CHANGES = [
    (flip_provinces, {"fig01_east"}),
    (quit_twitter, {"fig07_twitter"}),
    (join_hyves, {"fig07_hyves"}),
    (prepare_more, {"fig10_policy"}),
    (contradict_reputation, {"fig13_alpha", "fig13_mean"}),
    (agree_with_one_result, {"fig12_perception_top3", "fig12_perception_below"}),
    (leave_out_background, {"fig03_n"}),
    (find_time, {"fig09_time"}),
    (start_conversations, {"fig11_initiate", "fig11_spread_largest"}),
    (expect_video, {"fig08_video"}),
]


@pytest.mark.parametrize(("change", "failing"), CHANGES, ids=[c.__name__ for c, _ in CHANGES])
def test_a_few_changed_answers_make_the_right_claims_fail_and_no_other(
    claims, responses, wave, change, failing
):
    rng = np.random.default_rng(3)

    def people(rows, n):
        return rng.choice(np.flatnonzero(rows), n, replace=False)

    work = responses[[*wave.items, "user"]].copy()
    change(work, people)
    work = work.drop(columns="user")
    found = published.compare(claims, work.join(derive(work, wave.instrument)))
    assert set(found.loc[~found["holds"], "id"]) == failing


def test_a_user_who_stops_changes_the_numbers_of_users(claims, responses, wave):
    work = responses[wave.items].copy()
    last = responses.index[responses["user"] == 1][-1]
    work.loc[last, wave.instrument.block("frequency")] = 1.0
    found = published.compare(claims, work.join(derive(work, wave.instrument))).set_index("id")
    failing = set(found.index[~found["holds"]])
    assert {"users_n", "non_users_n", "fig10_n", "fig11_n", "fig12_n", "fig13_n"} <= failing
    assert found.at["users_n", "computed"] == 255 and found.at["non_users_n", "computed"] == 59
    assert found.at["sample_n", "holds"]


# --- in words ------------------------------------------------------------------------------------


def test_every_claim_has_words_in_both_languages(claims, wave):
    for language in ("nl", "en"):
        words = claim_words.labels(claims, wave.instrument, language)
        assert list(words) == list(claims["id"]) and all(words.values())
    assert words["fig07_twitter"] == "7 Twitter: weekly – continuously"
    assert words["fig02_other"] == "2 sector: other"
    assert words["fig04_b2b"] == "4 businesses (B2B)"
    assert words["fig10_without_min"] == "10 preparation: strongly disagree – disagree (lowest)"
    assert words["users_n"] == "10 respondents (uses social media: yes)"
    assert words["fig13_n"] == "13 answers to influence on reputation"


@pytest.mark.parametrize(
    ("given", "dutch", "english"),
    [
        (dict(comparator="equals", value=2.1, decimals=2), "2,10", "2.10"),
        (dict(comparator="equals", value=62.0, decimals=0), "62", "62"),
        (dict(comparator="greater", value=50.0), "> 50", "> 50"),
        (dict(comparator="less", than="c1|c2"), "< c1, c2", "< c1, c2"),
        (dict(comparator="between", value=9.5, value_high=20.5), "9,5 – 20,5", "9.5 – 20.5"),
        (dict(comparator="largest", among="a|b"), "grootste van 2", "largest of 2"),
        (dict(comparator="rank", value=2.0, among="1|2|3"), "plaats 2 van 3", "place 2 of 3"),
        (
            dict(comparator="top", value=3.0, among="a|b|c|d"),
            "eerste 3 van 4",
            "among first 3 of 4",
        ),
    ],
)
def test_what_was_published_as_text(given, dutch, english):
    one = pd.DataFrame([claim(**given)])
    assert claim_words.as_text(one, "nl") == [dutch]
    assert claim_words.as_text(one, "en") == [english]
