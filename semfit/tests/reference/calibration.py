"""How often does `semfit.invariance` say that a step holds, when it does and when it does not?

Two factors (r = .4) with four items each, loadings .7, unit variance; two groups, latent means .3 apart.
Ordered items have five categories, cut at -1, -.3, .3 and 1, and are fitted by WLSMV; numeric ones by MLR.
In the second group:

    equal         nothing else differs
    loadings      four of the eight loadings are lower by `size`
    thresholds    the third threshold of six of the eight items lies `size` higher or lower
    intercepts    six of the eight items (all their thresholds) lie `size` standard deviations higher or lower

`n` is the number of respondents of each group (1:1) or of the second; the first then has 4 n (1:4).

Run from the root of the repository, with semfit installed:

    python semfit/tests/reference/calibration.py draws.csv [replications]     draws, appends; goes on where it stopped
    python semfit/tests/reference/calibration.py --table draws.csv            makes calibration.csv beside this
        script, and the table of semfit/docs/invariance.md
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

import semfit
from semfit.fitting.dwls import statistics_of
from semfit.fitting.estimates import Point
from semfit.fitting.estimator import Prepared
from semfit.fitting.fitting import Fit, estimator_of
from semfit.fitting.measures import measure_table
from semfit.fitting.search import Start, scoring
from semfit.moments.sample import sample_of
from semfit.testing.compare import chisq_difference
from semfit.testing.groups import ORDERED_STEPS, STEPS
from semfit.testing.verdicts import cutoff_table, of_change, of_level, rmsea_of_difference

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "invariance.md"
MARKS = "<!-- calibration -->", "<!-- end of calibration -->"
MODEL = semfit.read_model("f =~ u1 + u2 + u3 + u4\ng =~ u5 + u6 + u7 + u8")
CUTS = np.array([-1, -0.3, 0.3, 1.0])
SIGNS = np.array([0, 1, -1, 1, 0, -1, 1, -1])
LOADING, CORRELATION, MEAN = 0.7, 0.4, 0.3
INDICES = ("cfi", "rmsea", "srmr")
# condition -> step that it breaks, sizes
CONDITIONS = {
    "equal": ("", (0.0,)),
    "loadings": ("metric", (0.2, 0.4)),
    "thresholds": ("thresholds", (0.3, 0.5)),
    "intercepts": ("scalar", (0.3, 0.5)),
}
COLUMNS = """kind n balance condition size replication step df cfi rmsea srmr chisq_diff df_diff p_diff
delta_cfi delta_rmsea delta_srmr""".split()


@dataclass(frozen=True)
class Cell:
    """One cell of the simulation."""

    kind: str  # ordered, continuous
    n: int  # of the second group
    balance: str  # 1:1, 1:4
    condition: str
    size: float

    @property
    def steps(self) -> dict[str, tuple[str, ...]]:
        """The steps that are fitted: up to the one that is broken."""
        known = ORDERED_STEPS if self.kind == "ordered" else STEPS
        names, broken = [*known], CONDITIONS[self.condition][0]
        last = names.index(broken) if broken else len(names) - 1
        return {name: known[name] for name in names[: last + 1]}

    def seed(self, replication: int) -> list[int]:
        """Return what the random numbers of a replication start from."""
        place = [*CONDITIONS].index(self.condition)
        flags = [self.kind == "ordered", self.balance == "1:4", place, round(100 * self.size)]
        return [*map(int, flags), self.n, replication]


def cells() -> list[Cell]:
    """Return every cell of the table."""
    result = []
    for kind, n, balance in product(("ordered", "continuous"), (100, 250, 500), ("1:1", "1:4")):
        for condition, (_, sizes) in CONDITIONS.items():
            if kind == "ordered" or condition != "thresholds":
                result += [Cell(kind, n, balance, condition, size) for size in sizes]
    return result


def draw(cell: Cell, replication: int) -> pd.DataFrame:
    """Return the answers of a replication, and the group ("a" or "b") of each respondent."""
    rng = np.random.default_rng(cell.seed(replication))
    parts = []
    for group, rows in (("a", cell.n * (4 if cell.balance == "1:4" else 1)), ("b", cell.n)):
        second = group == "b"
        responses = _responses(rng, cell, rows, second)
        if cell.kind == "ordered":
            responses = _categories(responses, cell, second)
        parts.append(pd.DataFrame(responses, columns=MODEL.observed).assign(group=group))
    return pd.concat(parts, ignore_index=True)


def _responses(rng: np.random.Generator, cell: Cell, rows: int, second: bool) -> np.ndarray:
    """Return the items as they are before they are cut into categories."""
    cov = [[1, CORRELATION], [CORRELATION, 1]]
    factors = rng.multivariate_normal([MEAN * second] * 2, cov, rows)
    loadings = np.full(8, LOADING)
    if second and cell.condition == "loadings":
        loadings[1::2] -= cell.size
    noise = np.sqrt(1 - LOADING**2) * rng.normal(size=(rows, 8))
    responses = np.repeat(factors, 4, axis=1) * loadings + noise
    moved = second and cell.condition == "intercepts"
    return responses - SIGNS * cell.size * moved


def _categories(responses: np.ndarray, cell: Cell, second: bool) -> np.ndarray:
    """Return responses cut into the categories 1 to 5."""
    cuts = np.tile(CUTS, (8, 1))
    if second and cell.condition == "thresholds":
        cuts[:, 2] += SIGNS * cell.size
    return 1.0 + (responses[:, :, None] > cuts).sum(axis=2)


# ---- fits: the numbers of `invariance`, without what is not needed here ---------------------------


@cache
def template(kind: str, step: str) -> Fit:
    """Return a fit of a step to a large sample without differences: its layout, and where to start."""
    options = {"estimator": "MLR", "group": "group", "labels": "by_group"}
    if kind == "ordered":
        options |= {"estimator": "WLSMV", "ordered": "all", "parameterization": "theta"}
        options["identification"] = "wu_estabrook"
    data = draw(Cell(kind, 5000, "1:1", "equal", 0.0), 0)
    equal = (ORDERED_STEPS if kind == "ordered" else STEPS)[step]
    return semfit.fit(MODEL, data, **options, equal=equal)


def samples_of(kind: str, data: pd.DataFrame) -> list:
    """Return the sample statistics of both groups."""
    frames = [rows[[*MODEL.observed]] for _, rows in data.groupby("group")]
    if kind == "continuous":
        return [sample_of(frame.to_numpy()) for frame in frames]
    levels = {name: np.arange(1.0, 6.0) for name in MODEL.observed}
    return [statistics_of(MODEL, MODEL.observed, levels, frame) for frame in frames]


def statistics(cell: Cell, replication: int) -> Iterator[dict]:
    """Return a row for each step: fit, and what its equalities change."""
    key = [cell.kind, cell.n, cell.balance, cell.condition, cell.size, replication]
    try:
        samples = samples_of(cell.kind, draw(cell, replication))
    except ValueError:  # a category that a group lacks
        yield dict(zip(COLUMNS, [*key, "refused"], strict=False))
        return
    before: Fit | None = None
    last: dict = {}
    for step in cell.steps:
        row = dict(zip(COLUMNS, [*key, step], strict=False))
        one, measures = fit_step(template(cell.kind, step), samples)
        row |= measures
        if before is not None and one is not None:
            test = chisq_difference(before, one)
            row |= {"chisq_diff": test.chisq, "df_diff": test.df, "p_diff": test.p}
            row |= {f"delta_{name}": row[name] - last[name] for name in INDICES}
        yield row
        before, last = one, row


def fit_step(known: Fit, samples: list) -> tuple[Fit | None, dict]:
    """Return the fit of a step to these samples, and its measures."""
    way, layout, objective = estimator_of(known.estimator), known.layout, copy(known.objective)
    objective.samples, objective.n = samples, sum(sample.n for sample in samples)
    found = scoring(objective, known.point.theta)
    tested = way.tests(Prepared(layout, objective, Start(np.eye(8), [])), found)
    if not found.converged or tested.test is None or tested.vcov is None:
        return None, {}
    point = Point(layout, objective.structures, found.theta, tested.vcov)
    one = replace(known, n_used=objective.n, objective=objective, point=point, test=tested.test)
    fits, shared = objective.group_fits(found.theta), (tested.test, tested.baseline)
    table = measure_table(objective.k, tested.df, fits, *shared).set_index("measure")
    column = "scaled" if way.ordered else "robust"
    values = {name: table.loc[name, column] for name in ("cfi", "rmsea")}
    return one, values | {"srmr": table.loc["srmr", "standard"], "df": tested.df}


def run(path: Path, replications: int) -> None:
    """Append the replications that the file has not yet."""
    done = set()
    if path.exists():
        known = pd.read_csv(path, dtype={"balance": str})
        done = {tuple(row) for row in known[COLUMNS[:6]].itertuples(index=False)}
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not done:
            writer.writeheader()
        for replication, cell in product(range(replications), cells()):
            key = (cell.kind, cell.n, cell.balance, cell.condition, cell.size, replication)
            if key in done:
                continue
            with np.errstate(all="ignore"):  # a search that goes astray turns back
                rows = [*statistics(cell, replication)]
            for row in rows:
                writer.writerow({k: _short(v) for k, v in row.items()})
            file.flush()


def _short(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


# ---- the table -----------------------------------------------------------------------------------

KEY = ["kind", "condition", "size", "step", "n", "balance"]


def verdicts(draws: pd.DataFrame) -> pd.DataFrame:
    """Return draws with the verdict of each step by itself, and what Chen's limits would say."""
    limits = cutoff_table(["configural", "scalar"]).set_index("step")
    judged = draws[draws["step"] != "refused"]
    total = judged["n"] * np.where(judged["balance"] == "1:4", 5, 2)
    tests = zip(judged["chisq_diff"], judged["df_diff"], total, strict=True)
    judged = judged.assign(rmsea_diff=[rmsea_of_difference(*test, 2) for test in tests])
    verdict = [
        of_level(row, limits.loc["configural"])[0]
        if row["step"] == "configural"
        else of_change(row, limits.loc["scalar"])[0]
        for row in judged.to_dict("records")
    ]
    judged = judged.assign(verdict=verdict)
    first = judged["step"] == "configural"
    return judged.assign(chen=np.where(first, judged["verdict"] == "holds", chen(judged, total)))


def chen(judged: pd.DataFrame, total: pd.Series) -> pd.Series:
    """Tell whether a step holds by Chen (2007): cfi within its limit, and rmsea or srmr too."""
    small, metric = (total <= 300) | (judged["balance"] != "1:1"), judged["step"] == "metric"
    cfi = judged["delta_cfi"] > -np.where(small, 0.005, 0.010)
    rmsea = judged["delta_rmsea"] < np.where(small, 0.010, 0.015)
    least = np.where(metric, np.where(small, 0.025, 0.030), np.where(small, 0.005, 0.010))
    return cfi & (rmsea | (judged["delta_srmr"] < least))


def table(draws: pd.DataFrame) -> pd.DataFrame:
    """Return the table of the simulation: rates of each verdict, of steps that hold or are broken.

    Without differences also the rate at which all steps hold ("all").
    """
    judged = verdicts(draws)
    broken = judged["condition"].map({name: step for name, (step, _) in CONDITIONS.items()})
    parts = [judged[(judged["condition"] == "equal") | (judged["step"] == broken)]]
    parts.append(_all_steps(parts[0][parts[0]["condition"] == "equal"]))
    rows = []
    for key, group in pd.concat(parts).groupby(KEY, sort=False):
        rates = {
            name: (group["verdict"] == name).mean() for name in ("holds", "undecided", "fails")
        }
        k, p = len(group), rates["holds"]
        rates |= {"se": np.sqrt(p * (1 - p) / k), "chen_holds": group["chen"].mean()}
        rows.append(dict(zip(KEY, key, strict=True)) | {"replications": k} | rates)
    order = {name: k for k, name in enumerate(["ordered", "continuous", *CONDITIONS, *STEP_ORDER])}
    result = pd.DataFrame(rows).sort_values(KEY, key=lambda c: c.map(lambda v: order.get(v, v)))
    return result.round(3).reset_index(drop=True)


STEP_ORDER = ("configural", "thresholds", "metric", "scalar", "strict", "all", "1:1", "1:4")


def _all_steps(equal: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each replication without differences: do all its steps hold?"""
    keys = [*(name for name in KEY if name != "step"), "replication"]
    holds = equal.assign(holds=equal["verdict"] == "holds").groupby(keys, sort=False)
    rows = holds[["holds", "chen"]].all().reset_index()
    return rows.assign(step="all", verdict=rows["holds"].map({True: "holds", False: "fails"}))


def markdown(rates: pd.DataFrame) -> str:
    """Return the table as it stands in the docs: percentages of "holds", after / those of Chen."""
    cells = [f"{100 * p:.0f} / {100 * c:.0f}" for p, c in rates[["holds", "chen_holds"]].to_numpy()]
    rates = rates.assign(
        cell=cells, column=[f"{n}, {b}" for n, b in rates[["n", "balance"]].to_numpy()]
    )
    columns = list(dict.fromkeys(rates.sort_values(["n", "balance"])["column"]))
    lines = [
        f"| items | in group b | step | {' | '.join(columns)} |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for (kind, condition, size, step), group in rates.groupby(KEY[:4], sort=False):
        shown = dict(zip(group["column"], group["cell"], strict=True))
        what = f"{condition}, {size}" if size else condition
        line = [kind, what, step, *(shown.get(column, "") for column in columns)]
        lines.append(f"| {' | '.join(line)} |")
    few, many, worst = rates["replications"].min(), rates["replications"].max(), rates["se"].max()
    note = (
        f"{few} to {many} replications a cell; Monte Carlo standard error {100 * worst:.1f} points"
    )
    return "\n".join([*lines, "", f"{note} or less."])


def page(rates: pd.DataFrame) -> str:
    """Return the page of the docs with this table between its marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(f"{MARKS[0]}\n")
    after = rest.split(MARKS[1])[1]
    return f"{before}{MARKS[0]}\n\n{markdown(rates)}\n\n{MARKS[1]}{after}"


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        made = table(pd.read_csv(sys.argv[2], dtype={"balance": str}))
        made.to_csv(HERE / "calibration.csv", index=False)
        PAGE.write_text(page(made), encoding="utf-8")
    else:
        run(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100)
