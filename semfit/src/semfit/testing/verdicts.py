"""When a step of invariance holds: its limits, its verdict, and why.

The first step is judged by the level of its fit indices. Each later one by the test of the difference,
by the size of what that finds, and in between by the change of cfi. How often that is right, and what
other rules would have done: ``semfit/docs/invariance.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from semfit.fitting.fitting import Fit
from semfit.fitting.requirements import has_solution
from semfit.messages import Message, message

Row: TypeAlias = dict[str, Any]

HOLDS = ("holds", "holds_partially")
ALLOWED = {
    "configural": "allowed_structure",
    "thresholds": "allowed_structure",
    "metric": "allowed_covariances",
    "scalar": "allowed_latent_means",
    "strict": "allowed_observed_means",
}
INDICES = ("cfi", "rmsea", "srmr")
CONFIGURAL = (0.90, 0.08, 0.08)  # cfi, rmsea (Browne & Cudeck 1993), srmr (Hu & Bentler 1999)
DIFFERS = 0.05  # p of the difference test: from here on nothing is found
CLEARLY = 0.01  # below it, what is found is no chance
SLIGHT = 0.05  # rmsea of the difference: below it, what is found is small ("close fit")
FALL = -0.010  # change of cfi that counts where p is in between (Cheung & Rensvold 2002; Chen 2007)
COLUMNS = "step cfi rmsea srmr p p_clear rmsea_diff delta_cfi source".split()


# ---- limits --------------------------------------------------------------------------------------


def cutoff_table(steps: Sequence[str]) -> pd.DataFrame:
    """Return the limits of each step, `Invariance.cutoffs`."""
    none = (np.nan,)
    rows = [
        (step, *CONFIGURAL, *none * 4, "limits_level")
        if step == "configural"
        else (step, *none * 3, DIFFERS, CLEARLY, SLIGHT, FALL, "limits_difference")
        for step in steps
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def rmsea_of_difference(chisq: float, df: float, n: int, n_groups: int) -> float:
    """Return sqrt(G (D - df)+ / (N df)) of a chi-square difference D: misfit per restriction.

    Unlike the change of rmsea, it is not watered down by what both models share (Savalei, Brace &
    Fouladi 2024; Browne & du Toit 1992). NaN without restrictions.
    """
    return float(np.sqrt(n_groups * max(chisq - df, 0.0) / (n * df))) if df > 0 else np.nan


# ---- verdicts ------------------------------------------------------------------------------------


def judge(
    row: Row, one: Fit, limits: pd.Series, failed: Message | None, note: Message | None
) -> tuple[str, Message]:
    """Return verdict and reason of a step; see `invariance`.

    Parameters
    ----------
    row : dict
        Of the table of steps, with its indices, changes and difference test.
    one : Fit
    limits : Series
        Of the step, from `cutoff_table`.
    failed : Message or None
        The step before it that did not hold.
    note : Message or None
        Of `compare`, why there is no test.
    """
    if not has_solution(one):
        return "fails", message("no_solution")
    if failed:
        return "not_tested", message("step_before_must_hold")
    verdict, reason = (of_level if row["step"] == "configural" else of_change)(row, limits)
    if reason is None:
        return "undecided", note or message("change_not_known")
    return ("holds_partially" if verdict == "holds" and row["freed"] else verdict), reason


def of_change(row: Row, limits: pd.Series) -> tuple[str, Message | None]:
    """Return the verdict of a later step."""
    shown = {name: row[name] for name in ("p_diff", "rmsea_diff", "delta_cfi")}
    if not np.isfinite(list(shown.values())).all():
        return "undecided", None
    p, limit = shown["p_diff"], {f"{name}_limit": limits[name] for name in ("p", "p_clear")}
    limit |= {f"{name}_limit": limits[name] for name in ("rmsea_diff", "delta_cfi")}
    if p >= limits["p"]:
        return "holds", message("difference_not_found", **shown, **limit)
    if shown["rmsea_diff"] < limits["rmsea_diff"]:
        return "holds", message("difference_slight", **shown, **limit)
    if p < limits["p_clear"]:
        return "fails", message("difference_found", **shown, **limit)
    if shown["delta_cfi"] > limits["delta_cfi"]:
        return "holds", message("difference_unlikely", **shown, **limit)
    return "undecided", message("difference_likely", **shown, **limit)


def of_level(row: Row, limits: pd.Series) -> tuple[str, Message | None]:
    """Return the verdict of the first step."""
    values = {name: row[name] for name in INDICES}
    if not np.isfinite(list(values.values())).all():
        return "undecided", None
    far = {n: v < limits[n] if n == "cfi" else v > limits[n] for n, v in values.items()}
    indices = [
        message(f"level_{'beyond' if far[n] else 'within'}", index=n, value=v, limit=limits[n])
        for n, v in values.items()
    ]
    shown = message("level_of_fit", indices=indices)
    if not far["cfi"] and not (far["rmsea"] and far["srmr"]):
        return "holds", shown
    return ("fails" if far["cfi"] and (far["rmsea"] or far["srmr"]) else "undecided"), shown


def allowed(step: str, verdict: str, freed: str) -> str:
    """Return the code of what groups may be compared on."""
    if verdict not in HOLDS:
        return "allowed_as_before"
    code = ALLOWED[step]
    return f"{code}_partial" if freed and code != "allowed_structure" else code
