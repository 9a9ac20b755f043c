"""How processor time grows: rows, variables, groups, patterns of missing values, beside two lavaans.

    python semfit/tests/benchmarks/growth.py                  every case
    python semfit/tests/benchmarks/growth.py small rows_10000  some of them
    python semfit/tests/benchmarks/growth.py --write          and keep the table in growth.csv

Each case is drawn from a model of factors with three indicators (seed 1), and fitted here and by R,
one after the other, with one BLAS thread. Times are of the processor (user and system), in
milliseconds, so that other work on the machine counts less. "fit" is one fit without tables (lavaan:
`sem()`), "tables" what comes on top for estimates, standardised ones and fit measures. Set LAVAAN_NEW
to the library of a second lavaan. Nothing is asserted: see README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported; R inherits it

import numpy as np
import pandas as pd

import semfit

HERE = Path(__file__).parent
DRAWS = 200  # of the bootstrap
PROGRAMS = ("lavaan 0.6", "lavaan 0.7")


def case(rows=500, variables=9, groups=1, gaps=0.0, categories=0, estimator="ML", draws=0):
    """Return a case; `draws` of the bootstrap, 0 for a fit."""
    return {
        "rows": rows,
        "variables": variables,
        "groups": groups,
        "gaps": gaps,
        "categories": categories,
        "estimator": "WLSMV" if categories else estimator,
        "draws": draws,
    }


CASES = {
    "small": case(300),
    "small_mlr": case(300, estimator="MLR"),
    "two_factors": case(300, variables=3 * 2),
    "rows_1000": case(1000),
    "rows_10000": case(10_000),
    "rows_100000": case(100_000),
    "rows_100000_mlr": case(100_000, estimator="MLR"),
    "variables_21": case(variables=21),
    "variables_42": case(variables=42),
    "variables_60": case(variables=60),
    "variables_60_mlr": case(variables=60, estimator="MLR"),
    "groups_2": case(1000, groups=2),
    "groups_5": case(1000, groups=5),
    "groups_10": case(2000, groups=10),
    "gaps_9_variables": case(gaps=0.1),
    "gaps_15_variables": case(variables=15, gaps=0.1),
    "gaps_21_variables": case(variables=21, gaps=0.1),
    "gaps_21_variables_mlr": case(variables=21, gaps=0.1, estimator="MLR"),
    "ordered_9": case(categories=5),
    "ordered_21": case(variables=21, categories=5),
    "ordered_42": case(variables=42, categories=5),
    "ordered_rows_30000": case(30_000, categories=5),
    "ordered_groups_5": case(1500, groups=5, categories=4),
    "bootstrap": case(300, draws=DRAWS),
    "bootstrap_gaps": case(300, gaps=0.05, draws=DRAWS),
}


def model_of(one):
    """Return the model: factors that covary, with three indicators each."""
    factors = range(one["variables"] // 3)
    return "\n".join(f"f{i} =~ v{3 * i} + v{3 * i + 1} + v{3 * i + 2}" for i in factors)


def data_of(one):
    """Return rows drawn from it: loadings .7, correlations of factors .36."""
    random, n, p = np.random.default_rng(1), one["rows"], one["variables"]
    factors = 0.6 * random.normal(size=(n, 1)) + 0.8 * random.normal(size=(n, p // 3))
    values = 0.7 * np.repeat(factors, 3, axis=1) + 0.7 * random.normal(size=(n, p))
    if one["categories"]:
        values = np.digitize(values, np.linspace(-1.2, 1.2, one["categories"] - 1)).astype(float)
    values[random.random((n, p)) < one["gaps"]] = np.nan
    data = pd.DataFrame(values, columns=[f"v{i}" for i in range(p)])
    return data.assign(g=random.integers(0, one["groups"], n))


def options_of(one):
    """Return the options of the fit."""
    return {
        "estimator": one["estimator"],
        "missing": "fiml" if one["gaps"] else "listwise",
        "group": "g" if one["groups"] > 1 else None,
        "ordered": "all" if one["categories"] else (),
    }


def processor(call: Callable[[], object]) -> float:
    """Return the milliseconds of the processor that a call takes."""
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def repetitions(one):
    """Return how often a case is timed: once if it is large."""
    many = one["variables"] > (9 if one["gaps"] else 30)
    large = one["rows"] * one["variables"] > 100_000 or many or one["draws"]
    return 1 if large else 5


def ours(one, data):
    """Return the milliseconds of a fit and of its tables, or of a bootstrap and NaN."""
    model, options = semfit.read_model(model_of(one)), options_of(one)
    fit = semfit.fit(model, data, **options)  # not counted: what is loaded the first time
    if one["draws"]:
        draw = {"n_jobs": 1, "seed": 1, "interval": "percentile", "progress": False}
        return processor(lambda: semfit.bootstrap(fit, one["draws"], **draw)), np.nan

    fits, looks = [], []
    for _ in range(repetitions(one)):
        fits.append(processor(lambda: semfit.fit(model, data, **options)))
        fresh = semfit.fit(model, data, **options)
        looks.append(processor(lambda fit=fresh: (fit.estimates, fit.measures, fit.problems)))
    return median(fits), median(looks)


def lavaans(one, data, library):
    """Return the same of lavaan in R's own library, or in another; NaN without R."""
    if shutil.which("Rscript") is None or library is None:
        return np.nan, np.nan
    with tempfile.TemporaryDirectory() as folder:
        data.to_csv(Path(folder) / "data.csv", index=False)
        details = {**one, **options_of(one), "model": model_of(one), "repeat": repetitions(one)}
        (Path(folder) / "case.json").write_text(json.dumps(details))
        command = ["Rscript", str(HERE / "growth.R"), folder]
        environment = os.environ | {"LAVAAN_NEW": library}
        said = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if said.returncode:
        print(said.stderr.strip(), file=sys.stderr)
        return np.nan, np.nan
    return tuple(float(x) for x in said.stdout.split()[-2:])


def measured(name):
    """Return the row of a case."""
    one = CASES[name]
    data = data_of(one)
    row = {"case": name, **one}
    row["semfit_fit"], row["semfit_tables"] = ours(one, data)
    for program, library in zip(PROGRAMS, ("", os.environ.get("LAVAAN_NEW")), strict=True):
        key = program.replace(" ", "_").replace(".", "")
        row[f"{key}_fit"], row[f"{key}_tables"] = lavaans(one, data, library)
        row[f"{key}_ratio"] = row[f"{key}_fit"] / row["semfit_fit"]
    return row


def main():
    """Time the cases and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help="default: all")
    parser.add_argument("--write", action="store_true", help="keep the table in growth.csv")
    asked = parser.parse_args()
    unknown = [name for name in asked.case if name not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    rows = []
    for name in asked.case or CASES:
        rows.append(measured(name))
        shown = {k: v for k, v in rows[-1].items() if k.endswith(("_fit", "_tables", "_ratio"))}
        print(f"{name:<24}" + "  ".join(f"{k} {v:.1f}" for k, v in shown.items()), flush=True)
    if asked.write:
        pd.DataFrame(rows).round(1).to_csv(HERE / "growth.csv", index=False)


if __name__ == "__main__":
    main()
