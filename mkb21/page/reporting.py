"""What a reader must be told of a structural model: the items of APA's JARS-Quant, filled in.

Items after Appelbaum et al. (2018), *American Psychologist* 73, table 7 (structural equation
modeling) and the general part: https://doi.org/10.1037/amp0000191. Every line is written from
results; one that cannot be filled is an error, not an empty cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from mkb21.page import numerals
from mkb21.page.tables import interval, number, p_value, percent
from mkb21.page.words import say, values

LARGE_RESIDUAL = 0.10


@dataclass(frozen=True)
class Results:
    """What the items are filled from; what is None or empty leaves its item without content.

    Attributes
    ----------
    fit : sem.Fit
    flow : DataFrame
        step, dropped, remaining: how respondents were kept or dropped (notebook 01).
    missing_share : float
        Share of missing values among the variables of the model, of those who were asked.
    reliability : DataFrame
        label, coefficient (its name) and value, per scale or latent variable.
    effects : DataFrame or str
        name, estimate, ci_low, ci_high of indirect and total effects; a text says why there are none.
    effects_method : str
        How their intervals were made, with draws and seed.
    invariance : DataFrame or str
        step, verdict; a text says why it was not tested.
    comparison : DataFrame or str
        model, cfi, chisq_diff, df_diff, p, against: of `sem.compare`; a text says why there is none.
    respecifications : tuple of str or None
        Changes of the model after seeing the data, each with "planned" or "not planned"; an empty
        tuple says that there were none, None that nobody said.
    limits : tuple of str
    origin : dict
        From `provenance.origin`.
    versions : dict
        From `provenance.versions`.
    labels : dict
        Variable -> text.
    """

    fit: object
    flow: pd.DataFrame = None
    missing_share: float = None
    reliability: pd.DataFrame = None
    effects: pd.DataFrame = None
    effects_method: str = ""
    invariance: pd.DataFrame = None
    comparison: pd.DataFrame = None
    respecifications: tuple = None
    limits: tuple = ()
    origin: dict = None
    versions: dict = None
    labels: dict = field(default_factory=dict)


def reporting_table(results: Results, language: str) -> pd.DataFrame:
    """The items of the reporting standard, filled from results.

    Parameters
    ----------
    results : Results
    language : {"nl", "en"}

    Returns
    -------
    DataFrame
        number, item, content; one row per item, in the order of an article.

    Raises
    ------
    ValueError
        Items that cannot be filled, all of them named.
    """
    rows, empty = [], []
    for place, (nl, en, write) in enumerate(ITEMS, start=1):
        item = say(nl, en, language)
        content = write(results, language)
        rows.append({"number": place, "item": item, "content": content})
        if not content:
            empty.append(f"{place} {item}")
    if empty:
        raise ValueError(
            f"These items of the reporting standard have no content: {'; '.join(empty)}. "
            "Give `Results` what they are written from."
        )
    return pd.DataFrame(rows)


def _measure(fit, name, column):
    return fit.measures.set_index("measure").loc[name, column]


def reported_column(fit) -> str:
    """The column of fit measures to report: the most robust one that has a CFI."""
    return numerals.reported_column(fit.measures.set_index("measure").loc["cfi"])


def _sample(results, language):
    flow, fit = results.flow, results.fit
    if flow is None or flow.empty:
        return ""
    read, kept = int(flow["remaining"].iloc[0]), int(flow["remaining"].iloc[-1])
    lost = flow[flow["dropped"] > 0]
    reasons = zip(values(lost["step"], language), lost["dropped"], strict=True)
    reasons = ", ".join(f"{reason} {int(n)}" for reason, n in reasons) or "0"
    return say(
        f"{read} ingevulde vragenlijsten, {kept} behouden (afgevallen: {reasons}); in dit model "
        f"{fit.n_used} van {fit.n_used + fit.n_dropped} respondenten aan wie het gevraagd is.",
        f"{read} questionnaires, {kept} kept (dropped: {reasons}); in this model {fit.n_used} of "
        f"{fit.n_used + fit.n_dropped} respondents who were asked.",
        language,
    )


def _missing(results, language):
    if results.missing_share is None:
        return ""
    share = percent(100 * results.missing_share, 1, language)
    if results.fit.missing == "fiml":
        return say(
            f"{share} van de waarden ontbreekt; full information maximum likelihood, dat uitgaat "
            "van ontbreken dat alleen van gegeven antwoorden afhangt (MAR).",
            f"{share} of the values are missing; full information maximum likelihood, which takes "
            "missingness to depend on observed answers only (MAR).",
            language,
        )
    dropped = results.fit.n_dropped
    return say(
        f"{share} van de waarden ontbreekt; {dropped} respondenten met een ontbrekende waarde zijn "
        "weggelaten, wat uitgaat van toevallig ontbreken (MCAR).",
        f"{share} of the values are missing; {dropped} respondents with a missing value were left "
        "out, which takes missingness to be completely at random (MCAR).",
        language,
    )


REASONS_NL = {
    "ML": "gaat uit van normaal verdeelde variabelen",
    "MLR": "schattingen van maximum likelihood; standaardfouten (sandwich) en χ² (Yuan-Bentler) "
    "bestand tegen niet-normale antwoorden op vijf punten",
    "WLSMV": "antwoorden als geordende categorieën: polychorische correlaties, robuuste fouten",
}
REASONS_EN = {
    "ML": "takes variables to be normal",
    "MLR": "maximum-likelihood estimates; standard errors (sandwich) and χ² (Yuan-Bentler) that "
    "allow for non-normal answers on five points",
    "WLSMV": "answers as ordered categories: polychoric correlations, robust standard errors",
}


def _estimator(results, language):
    name = results.fit.estimator
    return f"{name}: {say(REASONS_NL[name], REASONS_EN[name], language)}."


def _software(results, language):
    if not results.versions:
        return ""
    return ", ".join(f"{name} {version}" for name, version in results.versions.items()) + "."


def _identification(results, language):
    fit = results.fit
    npar, df = int(_measure(fit, "npar", "standard")), int(_measure(fit, "df", "standard"))
    return say(
        f"{npar} vrije parameters, df = {df}; elke latente variabele geschaald door haar eerste "
        "indicator; lokale identificatie nagegaan met de rang van de afgeleiden.",
        f"{npar} free parameters, df = {df}; each latent variable scaled by its first indicator; "
        "local identification checked by the rank of the derivatives.",
        language,
    )


def _convergence(results, language):
    fit = results.fit
    found = fit.problems[fit.problems["severity"] != "note"]
    problems = "; ".join(f"{row.what}: {row.where}" for row in found.itertuples())
    steps, gradient = fit.optimizer["scoring_steps"], fit.optimizer["gradient"]
    ending = (
        ("geconvergeerd", "converged") if fit.converged else ("NIET geconvergeerd", "NOT converged")
    )
    return say(
        f"{ending[0]} in {steps} stappen, grootste gradiënt {gradient:.0e}; onjuiste schattingen: "
        f"{problems or 'geen'}.",
        f"{ending[1]} in {steps} steps, largest gradient {gradient:.0e}; improper estimates: "
        f"{problems or 'none'}.",
        language,
    )


def _global_fit(results, language):
    fit, column = results.fit, reported_column(results.fit)
    if not column:
        return ""
    test = numerals.reported_column(fit.measures.set_index("measure").loc["chisq"])
    value = lambda name, which, decimals: number(_measure(fit, name, which), decimals, language)
    limits = [_measure(fit, f"rmsea_ci_{end}", column) for end in ("low", "high")]
    return (
        f"χ² ({test}) = {value('chisq', test, 2)}, df = {value('df', test, 0)}, "
        f"p {_equals(_measure(fit, 'pvalue', test), language)}; {column}: "
        f"CFI = {value('cfi', column, 3)}, TLI = {value('tli', column, 3)}, "
        f"RMSEA = {value('rmsea', column, 3)} {interval(*limits, 3, language)} (90%); "
        f"SRMR = {value('srmr', 'standard', 3)}."
    )


def _equals(p, language):
    text = p_value(p, language)
    return text if text[0] in "<>" else f"= {text}"


def _local_fit(results, language):
    rows = results.fit.residuals
    if rows.empty:
        return ""
    large = int((rows["residual"].abs() > LARGE_RESIDUAL).sum())
    first, limit = rows.iloc[0], number(LARGE_RESIDUAL, 2, language)
    pair = f"{_name(results, first['lhs'])} – {_name(results, first['rhs'])}"
    size = number(first["residual"], 2, language)
    return say(
        f"{large} van {len(rows)} residuele correlaties boven {limit}; de grootste {size} ({pair}).",
        f"{large} of {len(rows)} residual correlations above {limit}; the largest {size} ({pair}).",
        language,
    )


def _name(results, variable):
    return results.labels.get(variable, variable)


def _rows(results, op):
    table = results.fit.estimates
    return table[(table["op"] == op)]


def _loadings(results, language):
    std = _rows(results, "=~")["std_all"]
    if std.empty:
        return ""
    low, high = number(std.min(), 2, language), number(std.max(), 2, language)
    return say(
        f"{len(std)} ladingen, gestandaardiseerd van {low} tot {high} (sem_estimates.csv).",
        f"{len(std)} loadings, standardised from {low} to {high} (sem_estimates.csv).",
        language,
    )


def _reliability(results, language):
    if results.reliability is None or results.reliability.empty:
        return ""
    parts = []
    for name, rows in results.reliability.groupby("coefficient", sort=False):
        shown = [f"{r.label} {number(r.value, 2, language)}" for r in rows.itertuples()]
        parts.append(f"{name}: {', '.join(shown)}")
    return "; ".join(parts) + "."


def _paths(results, language):
    rows = _rows(results, "~")
    if rows["se"].isna().all():
        return ""
    parts = []
    for row in rows.itertuples():
        effect = f"{_name(results, row.rhs)} → {_name(results, row.lhs)}"
        group = f" ({row.group})" if row.group else ""
        std = interval(row.std_ci_low, row.std_ci_high, 2, language)
        parts.append(
            f"{effect}{group}: b = {number(row.estimate, 2, language)}, "
            f"β = {number(row.std_all, 2, language)} {std}"
        )
    return "; ".join(parts) + "."


def _r_squared(results, language):
    outcomes = set(_rows(results, "~")["lhs"])
    rows = results.fit.r_squared[results.fit.r_squared["variable"].isin(outcomes)]
    parts = [
        f"{_name(results, row.variable)}{f' ({row.group})' if row.group else ''} "
        f"{number(row.r_squared, 2, language)}"
        for row in rows.itertuples()
    ]
    return "; ".join(parts) + "." if parts else ""


def _effects(results, language):
    if isinstance(results.effects, str):
        return results.effects
    if results.effects is None or results.effects.empty or not results.effects_method:
        return ""
    parts = [
        f"{row.name} {number(row.estimate, 2, language)} "
        f"{interval(row.ci_low, row.ci_high, 2, language)}"
        for row in results.effects.itertuples(index=False)
    ]
    return f"{results.effects_method}: {'; '.join(parts)}."


def _invariance(results, language):
    if isinstance(results.invariance, str):
        return results.invariance
    if results.invariance is None or results.invariance.empty:
        return ""
    steps, verdicts = (values(results.invariance[key], language) for key in ("step", "verdict"))
    return "; ".join(f"{a}: {b}" for a, b in zip(steps, verdicts, strict=True)) + "."


def _comparison(results, language):
    if isinstance(results.comparison, str):
        return results.comparison
    if results.comparison is None or results.comparison.empty:
        return ""
    parts = []
    for row in results.comparison.itertuples():
        text = f"{row.model}: CFI = {number(row.cfi, 3, language)}"
        if pd.notna(row.p):
            change = number(row.chisq_diff, 2, language)
            text += f", Δχ²({row.df_diff:.0f}) = {change}, p {_equals(row.p, language)}"
            text += f" ({say('tegen', 'against', language)} {row.against})"
        parts.append(text)
    return "; ".join(parts) + "."


def _respecifications(results, language):
    if results.respecifications is None:
        return ""
    none = say(
        "Geen: het model is getoetst zoals het in zijn bestand staat.",
        "None: the model was tested as its file has it.",
        language,
    )
    return "; ".join(results.respecifications) or none


def _limits(results, language):
    notes = results.fit.problems[results.fit.problems["severity"] == "note"]
    return "; ".join([*results.limits, *notes["what"]])


def _reproduction(results, language):
    known = results.origin or {}
    if not all(known.get(name) for name in ("data", "seed")):
        return ""
    words = {
        "commit": say("commit", "commit", language),
        "lock": say("vergrendelde versies (sha256)", "locked versions (sha256)", language),
        "data": say("gegevens (sha256)", "data (sha256)", language),
        "seed": say("startgetal", "seed", language),
    }
    short = {name: known[name][:12] for name in ("lock", "data")} | {
        "commit": known["commit"][:12] + ("-dirty" if known["commit"].endswith("-dirty") else ""),
        "seed": known["seed"],
    }
    short = {name: text or say("geen", "none", language) for name, text in short.items()}
    return "; ".join(f"{text} {short[name]}" for name, text in words.items()) + "."


ITEMS = (
    ("Steekproef en uitsluitingen", "Sample and exclusions", _sample),
    ("Ontbrekende waarden", "Missing data", _missing),
    ("Schatter, en waarom", "Estimator, and why", _estimator),
    ("Programmatuur", "Software", _software),
    ("Identificatie", "Identification", _identification),
    ("Convergentie", "Convergence", _convergence),
    ("Passing van het geheel", "Global fit", _global_fit),
    ("Passing in onderdelen", "Local fit", _local_fit),
    ("Ladingen", "Loadings", _loadings),
    ("Betrouwbaarheid", "Reliability", _reliability),
    ("Paden", "Paths", _paths),
    ("Verklaarde variantie (R²)", "Explained variance (R²)", _r_squared),
    ("Indirecte en totale effecten", "Indirect and total effects", _effects),
    ("Meetinvariantie", "Measurement invariance", _invariance),
    ("Vergeleken modellen", "Models compared", _comparison),
    ("Wijzigingen van het model", "Respecifications", _respecifications),
    ("Beperkingen", "Limits", _limits),
    ("Herhaling", "Reproduction", _reproduction),
)
