"""The options of a fit as people write them: other spellings are read, other options named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

MISSING_WORDS = {"ml": "fiml", "direct": "fiml", "fiml": "fiml", "listwise": "listwise"}
MISSING_WORDS |= {"default": "listwise", "pairwise": "pairwise", "available.cases": "pairwise"}
MISSING_REFUSED = {
    "ml.x": "missing='fiml' with fixed_x=False models the covariates, and so keeps rows without them",
    "two.stage": "use missing='fiml'",
    "multiple imputation": "use missing='fiml'",
}
MISSING_REFUSED |= {"fiml.x": MISSING_REFUSED["ml.x"], "direct.x": MISSING_REFUSED["ml.x"]}
MISSING_REFUSED |= {"robust.two.stage": "use missing='fiml' with estimator='MLR'"}
MISSING_REFUSED |= {"mi": MISSING_REFUSED["multiple imputation"]}

_ROBUST = (
    "use estimator='MLR', whose standard errors and test do not assume normal variables either"
)
_ORDINAL = "use estimator='WLSMV' with ordered=, which gives the same estimates as DWLS"
_NORMAL = "use estimator='ML' (or 'MLR' for variables that are not normal)"
ESTIMATORS_REFUSED = {
    **dict.fromkeys(("MLM", "MLMV", "MLMVS", "MLF"), _ROBUST),
    **dict.fromkeys(
        ("GLS", "ULS", "WLS", "ADF", "DLS", "NTRLS"), f"{_NORMAL}; for ordered ones 'WLSMV'"
    ),
    **dict.fromkeys(("DWLS", "WLSM", "WLSMVS"), _ORDINAL),
    **dict.fromkeys(("ULSM", "ULSMV", "ULSMVS", "PML", "FML", "MML", "CATML"), _ORDINAL),
    **dict.fromkeys(("BAYES", "BSEM", "MCMC"), _NORMAL),
    **dict.fromkeys(("IV", "MIIV", "2SLS", "PLS", "SAM"), _NORMAL),
}

# what is typed for an option by habit (without dots and underscores), and what to write
HABITS = {
    "groupequal": "equal=",
    "groupinvariance": "equal=",
    "grouppartial": "free=",
    "grouplabel": "groups= (the values of the grouping variable in order)",
    "se": "estimator='MLR' (robust), cluster=, or semfit.bootstrap(fit)",
    "test": "estimator= (its chi-square follows from it): 'MLR' or 'WLSMV'",
    "bootstrap": "semfit.bootstrap(fit)",
    "bounds": "lower() and upper() in the model",
    "start": "start() in the model (start(0.5)*x)",
    "constraints": "the model: one line for each (a == b)",
    "samplecov": "rows: covariance matrices are not taken as input",
    "samplenobs": "rows: covariance matrices are not taken as input",
    "likelihood": "nothing: covariances are divided by n (likelihood = 'normal')",
    "weights": "sampling_weights=",
    "clusters": "cluster=",
    "meanstruct": "mean_structure=",
    "means": "mean_structure=",
    "fiml": "missing='fiml'",
    "categorical": "ordered=",
    "obj": "estimator=",
    "method": "estimator=",
    "autofixfirst": "std_lv=True, or NA* before the first indicator",
    "autocovlvx": "orthogonal=True, or f ~~ 0*g in the model",
    "autocovy": "y ~~ 0*z in the model",
    "intovfree": "y ~ 0*1 in the model, or model_type='growth'",
    "intlvfree": "f ~ 1 in the model, or model_type='growth'",
    "growth": "model_type='growth'",
    "conditionalx": "nothing: WLSMV conditions on covariates, ML does not",
    "rotation": "reliability.exploratory_factors()",
    "nfactors": "reliability.exploratory_factors()",
    "optimizer": "nothing: the search is of its own",
    "optimmethod": "nothing: the search is of its own",
    "control": "nothing: the search is of its own",
    "verbose": "nothing: fit.message and fit.optimizer tell of the search",
    "warn": "nothing: fit.problems tells what is wrong",
}


def estimator_name(name: Any, known: Collection[str]) -> str:
    """Return the name of an estimator, in any case; refuse others, with what to use."""
    word = str(name).upper()
    if word in known:
        return word
    if word in ESTIMATORS_REFUSED:
        raise ValueError(f"estimator={name!r} is not there: {ESTIMATORS_REFUSED[word]}.")
    raise ValueError(f"estimator={name!r} does not exist; there is: {', '.join(known)}.")


def missing_name(name: Any, known: Collection[str]) -> str:
    """Return what is done with missing values, by lavaan's words too, in any case."""
    word = MISSING_WORDS.get(str(name).lower(), "")
    if word in known:
        return word
    advice = MISSING_REFUSED.get(str(name).lower())
    if advice:
        raise ValueError(f"missing={name!r} is not there: {advice}.")
    raise ValueError(f"missing={name!r} does not exist; there is: {', '.join(known)}.")


def refuse_unknown(names: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse options that do not exist, with the one that is meant."""
    for name in names:
        bare = re.sub(r"[._]", "", name.lower())
        same = [option for option in known if option.replace("_", "") == bare]
        close = difflib.get_close_matches(name.lower(), known, 1)
        meant = [f"{option}=" for option in same or close]
        advice = HABITS.get(bare) or (meant[0] if meant else "")
        hint = f" Write {advice}." if advice else f" There are: {', '.join(known)}."
        raise TypeError(f"fit() has no option {name!r}.{hint}")
