"""Data sets from the planted Gebruiksmodel, the model fitted to each, and what that shows.

The population is that of data/assumptions/2012.yaml: its paths, loadings, covariates and shares of
answers. Two things differ from a reconstruction: the model is exactly true (no doublets), and nothing
is tied to published numbers. `python tests/simulation.py` writes tests/reference/simulation.csv.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import norm

import semfit as sem
from mkb21.reconstruct import load_assumptions, planted_paths
from mkb21.run.paths import Project
from mkb21.survey.instrument import load_wave

TABLE = Path(__file__).parent / "reference" / "simulation.csv"
SETS = 200
SEED = 2012
FIT = ["condition", "n", "fit"]
PATH = ["lhs", "op", "rhs"]

# Skewed and kurtotic. Chi-square components alone would not do: where factors and errors are
# independent, the normal-theory standard errors of paths hold whatever the distribution (Satorra 1990).
# So all that is drawn for a respondent is also multiplied by one factor: some answer extremely.
DEGREES = 4  # of the chi-squares
SHAPE = 2.0  # of the gamma distribution of the squared factor, whose mean is 1

# Missing at random. About a fifth of the respondents leave out a quarter of the answers: those who use
# social media rarely, and small companies. Frequency of use and covariates are always answered.
SKIPPERS = -1.6  # logit, at the mean of both
LESS_USE, SMALLER = 0.8, 0.4  # logit, per standard deviation
SKIPPED = 0.25


@dataclass(frozen=True)
class Condition:
    """How a data set is drawn, and the fits: name -> options of `sem.fit`.

    The first fit is the one that should hold; others show what the condition does to it.
    """

    name: str
    n: int
    fits: dict

    def __str__(self):
        return f"{self.name} {self.n}"


ML, MLR = {"estimator": "ML"}, {"estimator": "MLR"}
FIML = {"estimator": "MLR", "missing": "fiml"}
WLSMV = {"estimator": "WLSMV", "ordered": "all"}
CONDITIONS = (
    Condition("normal", 1000, {"ML": ML}),
    Condition("missing", 1000, {"MLR fiml": FIML, "ML listwise": ML}),
    Condition("skewed", 1000, {"MLR": MLR, "ML": ML}),
    Condition("ordered", 1000, {"WLSMV": WLSMV}),
    Condition("normal", 256, {"ML": ML}),  # as many as the users of social media in 2012
    Condition("missing", 256, {"MLR fiml": FIML}),
    Condition("skewed", 256, {"MLR": MLR}),
    Condition("ordered", 256, {"WLSMV": WLSMV}),
)


@dataclass(frozen=True, eq=False)
class Population:
    """What is planted; every variable but the covariates has mean 0 and variance 1.

    Attributes
    ----------
    planted : DataFrame
        lhs, op, rhs, planted.
    paths : dict
        Effect -> cause -> standardised path.
    correlation : float
        Of culture and environment.
    covariates : dict
        Name -> (codes, shares).
    loadings : dict
        Indicator -> (factor, loading).
    pairs : dict
        Indicator of perception -> that of motivation.
    uniqueness : float
        Correlation of the unique parts of a pair.
    shares : dict
        Indicator -> shares of five answers.
    """

    planted: pd.DataFrame
    paths: dict
    correlation: float
    covariates: dict
    loadings: dict
    pairs: dict
    uniqueness: float
    shares: dict


@cache
def model():
    """The model of the analysis; without its defined effects, which cost time and are not looked at."""
    lines = sem.read_model(
        "gebruiksmodel", Project(Path(__file__).parents[1]).models
    ).text.splitlines()
    return sem.read_model("\n".join(line for line in lines if ":=" not in line))


@cache
def population():
    """The population of the assumptions of 2012."""
    project = Project(Path(__file__).parents[1])
    wave = load_wave(project, "2012")
    assumptions = load_assumptions(project, wave)
    planted = assumptions.model
    rows = model().parameters
    measured = rows[rows["op"] == "=~"]
    constructs = wave.instrument.constructs
    items = {i: constructs[i].items if i in constructs else [i] for i in measured["rhs"]}
    return Population(
        planted=planted_paths(assumptions),
        paths=planted.paths,
        correlation=planted.correlation["culture"]["environment"],
        covariates=_covariates(assumptions, wave.instrument),
        loadings={
            name: (factor, _loading(planted.loadings, factor, name, items[name]))
            for factor, name in measured[["lhs", "rhs"]].itertuples(index=False)
        },
        pairs={late: early for early, late in planted.paired_dimensions},
        uniqueness=planted.paired_uniqueness,
        shares={
            name: np.mean([_shares(assumptions.marginal(item)) for item in of], axis=0)
            for name, of in items.items()
        },
    )


def _covariates(assumptions, instrument):
    """Codes and shares of the covariates of the model."""
    found = {}
    for name in model().covariates:
        recode = instrument.derived[name].recode if name in instrument.derived else None
        source = recode.source if recode else name
        shares = dict(
            zip(instrument.codes(source), assumptions.traits.marginals[source], strict=True)
        )
        old = recode.codes if recode else {code: [code] for code in shares}
        weights = np.array([sum(shares[code] for code in codes) for codes in old.values()])
        found[name] = np.array(list(old), float), weights / weights.sum()
    return found


def _loading(loadings, factor, name, items):
    """Loading of an indicator: as assumed, or, of a mean of items, what theirs make of it.

    The mean of standardised items with loadings l on one factor correlates sum(l) / sqrt(sum(l)^2 +
    sum(1 - l^2)) with it.
    """
    if items == [name]:
        return loadings[factor][name]
    of = loadings.get(name, loadings[factor])
    values = np.array([of[item] for item in items])
    common = values.sum() / np.sqrt(values.sum() ** 2 + (1 - values**2).sum())
    return loadings[factor].get(name, 1.0) * common


def _shares(marginal):
    """Shares of five answers: as given, or of a normal distribution cut between the codes."""
    if isinstance(marginal, list):
        return np.array(marginal) / sum(marginal)
    edges = [-np.inf, 1.5, 2.5, 3.5, 4.5, np.inf]
    return np.diff(norm.cdf(edges, marginal["mean"], marginal["sd"]))


# ---- drawing -------------------------------------------------------------------------------------


def draw(condition, rng):
    """One data set."""
    planted = population()
    covariates = pd.DataFrame(
        {
            name: rng.choice(codes, condition.n, p=shares)
            for name, (codes, shares) in planted.covariates.items()
        }
    )
    component = _components(condition, rng)
    latent = _latents(planted, covariates, component)
    unique = {name: component() for name in planted.loadings}
    r = planted.uniqueness
    for late, early in planted.pairs.items():
        unique[late] = r * unique[early] + np.sqrt(1 - r**2) * unique[late]
    frame = pd.DataFrame(
        {
            name: loading * latent[factor] + np.sqrt(1 - loading**2) * unique[name]
            for name, (factor, loading) in planted.loadings.items()
        }
    )
    if condition.name == "missing":
        frame = _skip(frame, _standardised(planted, covariates)["size"], rng)
    if condition.name == "ordered":
        frame = _cut(frame, planted.shares)
    return frame.join(covariates)


def _components(condition, rng):
    """A function that draws (n,) numbers of mean 0 and variance 1, uncorrelated between calls."""
    n = condition.n
    if condition.name != "skewed":
        return lambda: rng.standard_normal(n)
    extreme = np.sqrt(rng.gamma(SHAPE, 1 / SHAPE, n))
    return lambda: extreme * (rng.chisquare(DEGREES, n) - DEGREES) / np.sqrt(2 * DEGREES)


def _standardised(planted, covariates):
    """Covariates with mean 0 and variance 1 in the population."""
    result = {}
    for name, (codes, shares) in planted.covariates.items():
        mean = shares @ codes
        result[name] = (covariates[name] - mean) / np.sqrt(shares @ (codes - mean) ** 2)
    return result


def _latents(planted, covariates, component):
    """Latent variables: the sum of their causes times the paths, filled up to variance 1."""
    scores = _standardised(planted, covariates)
    r = planted.correlation
    scores["culture"] = component()
    scores["environment"] = r * scores["culture"] + np.sqrt(1 - r**2) * component()
    cov = pd.DataFrame(np.eye(len(scores)), index=list(scores), columns=list(scores))
    cov.loc["culture", "environment"] = cov.loc["environment", "culture"] = r
    for effect, paths in planted.paths.items():
        b = pd.Series(paths).reindex(cov.columns, fill_value=0.0)
        explained = sum(b[cause] * score for cause, score in scores.items())
        scores[effect] = explained + np.sqrt(1 - b @ cov @ b) * component()
        cov[effect] = cov @ b
        cov.loc[effect] = [*cov[effect], 1.0]
    return scores


def _skip(frame, size, rng):
    """Leave out about 5 % of the answers, at random given frequency of use and size."""
    logit = SKIPPERS - LESS_USE * frame["use_frequency"] - SMALLER * size
    skipper = rng.random(len(frame)) < 1 / (1 + np.exp(-logit))
    gone = (rng.random(frame.shape) < SKIPPED) & skipper.to_numpy()[:, None]
    gone[:, frame.columns.get_loc("use_frequency")] = False
    return frame.mask(gone)


def _cut(frame, shares):
    """Five answers in the assumed shares."""
    cuts = {name: norm.ppf(np.cumsum(share)[:-1]) for name, share in shares.items()}
    return frame.apply(lambda column: 1.0 + np.digitize(column, cuts[column.name]))


# ---- fitting -------------------------------------------------------------------------------------


def seeds(condition):
    """A seed for each data set of a condition; none depends on how many there are."""
    of_conditions = np.random.SeedSequence(SEED).spawn(len(CONDITIONS))
    return of_conditions[CONDITIONS.index(condition)].spawn(SETS)


def one_set(condition, seed):
    """Draw a data set and fit the model; one row per fit and planted path."""
    frame = draw(condition, np.random.default_rng(seed))
    return pd.concat(
        [
            _result(sem.fit(model(), frame, **options)).assign(
                condition=condition.name, n=condition.n, fit=name
            )
            for name, options in condition.fits.items()
        ]
    )


def _result(fit):
    """Planted and estimated paths of a fit, and how it ended."""
    found = population().planted.merge(fit.estimates, on=PATH, validate="1:1")
    test = fit.measures.set_index("measure").loc[["chisq", "pvalue"]]
    column = "standard" if fit.estimator == "ML" else "scaled"
    return found[[*PATH, "planted", "std_all", "std_se", "std_ci_low", "std_ci_high", "p"]].assign(
        converged=fit.converged,
        improper=(fit.problems["severity"] == "warning").any(),
        chisq=test.at["chisq", column],
        chisq_p=test.at["pvalue", column],
        df=fit.measures.set_index("measure").at["df", "standard"],
    )


def summary(sets):
    """What the data sets show, per condition, fit and path.

    Parameters
    ----------
    sets : DataFrame
        Rows of `one_set`. A fit that did not converge is counted and left out; an improper one
        (a negative variance, say) is counted and kept: to leave it out would bias the rest.

    Returns
    -------
    DataFrame
        Per condition and fit, repeated in each of its rows: sets, converged, improper; df of the
        chi-square (the scaled one, where there is one), its mean, and chisq_rejected, the share that
        is significant at 5 %. Per path: planted; mean and sd of the standardised estimates; bias and
        its Monte Carlo standard error, relative_bias (NaN for a path of 0); se, the mean standard
        error, and se_ratio, se over sd; coverage of the 95 % intervals; rejected, the share of paths
        that are significant at 5 %, by the test of the raw one.
    """
    sets = sets.assign(
        held=sets["planted"].between(sets["std_ci_low"], sets["std_ci_high"]),
        significant=sets["p"] < 0.05,
        chisq_significant=sets["chisq_p"] < 0.05,
    )
    ended = sets.groupby([*FIT, *PATH], sort=False)[["converged", "improper"]]
    counts = ended.sum().assign(sets=ended.size())[["sets", "converged", "improper"]]
    table = (
        sets[sets["converged"]]
        .groupby([*FIT, *PATH], sort=False)
        .agg(
            df=("df", "first"),
            chisq_mean=("chisq", "mean"),
            chisq_rejected=("chisq_significant", "mean"),
            planted=("planted", "first"),
            mean=("std_all", "mean"),
            sd=("std_all", "std"),
            se=("std_se", "mean"),
            coverage=("held", "mean"),
            rejected=("significant", "mean"),
        )
    )
    table = counts.join(table)
    bias = table["mean"] - table["planted"]
    table.insert(8, "bias", bias)
    table.insert(9, "relative_bias", (bias / table["planted"]).where(table["planted"] != 0))
    table.insert(10, "bias_mc_se", table["sd"] / np.sqrt(table["converged"]))
    table.insert(13, "se_ratio", table["se"] / table["sd"])
    return table.reset_index()


def simulate(n_jobs=-1):
    """The table of all conditions; `n_jobs` processes, -1 for as many as there are cores."""
    tasks = [(condition, seed) for condition in CONDITIONS for seed in seeds(condition)]
    return summary(pd.concat(Parallel(n_jobs)(delayed(one_set)(*task) for task in tasks)))


if __name__ == "__main__":
    import simulation  # by its name, under which the other processes find it

    table = simulation.simulate()
    table.to_csv(TABLE, index=False, float_format="%.6f", lineterminator="\n")
