"""Time this package and, where R has lavaan, lavaan on the same data in the same run.

    make bench                    all cases
    make bench ARGS="ml wlsmv"    some of them

Prints milliseconds (median of the repetitions after one that is not counted) and their ratio. Each
case is timed here and in R one after the other, both with one BLAS thread. Nothing is asserted: see
README.md for what was measured and how.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported; R inherits it

import pandas as pd

import semfit as sem

HERE = Path(__file__).parent
DATA = HERE.parent / "reference" / "estimators" / "data_wave2012.csv"
MODELS = HERE.parent / "reference" / "models"
DRAWS = 1000  # lavaan makes a part of them: see bench.R
ITEMS = ("cul_", "env_", "way_", "rep_")  # answers on five points; the other indicators are scores


def cases(model, data):
    """Return the name of each case -> (what to time, repetitions)."""
    ordered = [name for name in model.observed if name.startswith(ITEMS)]
    fitted = sem.fit(model, data)
    incomplete = sem.fit(model, data, "MLR", "fiml")
    draws = {"draws": DRAWS, "seed": 1, "progress": False}
    return {
        "ml": (lambda: whole(sem.fit(model, data, "ML")), 5),
        "mlr": (lambda: whole(sem.fit(model, data, "MLR")), 5),
        "fiml": (lambda: whole(sem.fit(model, data, "ML", "fiml")), 3),
        "mlr_fiml": (lambda: whole(sem.fit(model, data, "MLR", "fiml")), 3),
        "wlsmv": (lambda: whole(sem.fit(model, data, "WLSMV", ordered=ordered)), 3),
        "invariance": (lambda: sem.invariance(model, data, "solo"), 1),
        "bootstrap": (lambda: sem.bootstrap(fitted, n_jobs=2, **draws), 1),
        "bootstrap_fiml": (lambda: sem.bootstrap(incomplete, n_jobs=2, **draws), 1),
    }


def whole(fit):
    """Return the tables of a fit, which are made when they are read."""
    return fit.estimates, fit.measures, fit.residuals, fit.r_squared, fit.problems


def milliseconds(call, repetitions):
    """Return the median time of a call; the first is not counted when there are more."""
    times = []
    for _ in range(repetitions + (repetitions > 1)):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return median(times[1:] or times)


def lavaan(name):
    """Return lavaan's milliseconds for a case, None without R or lavaan."""
    if shutil.which("Rscript") is None:
        return None
    model = MODELS / "gebruiksmodel.lav"
    command = ["Rscript", str(HERE / "bench.R"), name, str(DATA), str(model), str(DRAWS)]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    if said.returncode:
        print(said.stderr.strip(), file=sys.stderr)
        return None
    return json.loads(said.stdout.strip().splitlines()[-1])


def main():
    """Time the cases and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help="default: all")
    asked = parser.parse_args().case
    data, model = (
        pd.read_csv(DATA),
        sem.read_model("gebruiksmodel", MODELS),
    )
    known = cases(model, data)
    unknown = [name for name in asked if name not in known]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(known)}")
    print(f"{'case':<16}{'semfit (ms)':>12}{'lavaan (ms)':>13}{'lavaan / semfit':>16}")
    for name in asked or known:
        ours, theirs = milliseconds(*known[name]), lavaan(name)
        ratio = f"{theirs / ours:>16.1f}" if theirs else f"{'-':>16}"
        print(f"{name:<16}{ours:>12.0f}{theirs or float('nan'):>13.0f}{ratio}", flush=True)


if __name__ == "__main__":
    main()
