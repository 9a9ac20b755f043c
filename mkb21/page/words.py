"""The words on tables and figures in both languages. Labels of questions stand in data/instrument.yaml instead."""

from __future__ import annotations

# column of a tidy table -> heading in Dutch, heading in English, format (see tables.display); some names stand for a pair
# of columns or another format of a column: see SHORT
COLUMNS = {
    "alpha": ("alfa", "alpha", "decimals3"),
    "alpha_if_dropped": ("alfa zonder item", "alpha if dropped", "decimals3"),
    "block": ("onderdeel", "block", "text"),
    "ci": ("95%-BI", "95% CI", "interval2"),
    "ci_percent": ("95%-BI", "95% CI", "interval1"),
    "cohens_dz": ("Cohens d_z", "Cohen's d_z", "decimals2"),
    "communality": ("communaliteit", "communality", "decimals2"),
    "component": ("component", "component", "integer"),
    "computed": ("berekend", "computed", "decimals2"),
    "correlation": ("correlatie", "correlation", "decimals2"),
    "correlation_disattenuated": ("gecorrigeerd", "disattenuated", "decimals2"),
    "difference_points": ("verschil (procentpunt)", "difference (points)", "decimals1"),
    "difference": ("verschil", "difference", "decimals2"),
    "dropped": ("afgevallen", "dropped", "integer"),
    "dz_ci": ("95%-BI d_z", "95% CI d_z", "interval2"),
    "eigenvalue": ("eigenwaarde", "eigenvalue", "decimals2"),
    "estimate": ("schatting", "estimate", "decimals3"),
    "estimate_short": ("schatting", "estimate", "decimals2"),
    "exceeds_own": ("hoger dan eigen schaal", "above own scale", "bool"),
    "beta": ("beta (regressie)", "beta (regression)", "decimals2"),
    "beta_se": ("se", "se", "decimals3"),
    "first": ("eerste", "first", "text"),
    "g_ci": ("95%-BI g", "95% CI g", "interval2"),
    "group": ("groep", "group", "text"),
    "hedges_g": ("Hedges' g", "Hedges' g", "decimals2"),
    "holds": ("klopt", "holds", "bool"),
    "name": ("naam", "name", "text"),
    "formula": ("formule", "formula", "text"),
    "holds_zero": ("nul binnen interval", "zero inside interval", "bool"),
    "htmt": ("HTMT", "HTMT", "decimals2"),
    "htmt2": ("HTMT2", "HTMT2", "decimals2"),
    "hypothesis": ("hypothese", "hypothesis", "text"),
    "id": ("bewering", "claim", "text"),
    "implied": ("verwacht", "implied", "decimals2"),
    "indicator": ("aanwijzing", "indicator", "text"),
    "inside": ("binnen interval", "inside interval", "bool"),
    "item": ("item", "item", "text"),
    "item_rest_correlation": ("item-restcorrelatie", "item-rest correlation", "decimals2"),
    "lhs": ("variabele", "variable", "text"),
    "rhs": ("en", "and", "text"),
    "label": ("omschrijving", "label", "text"),
    "mean": ("gemiddelde", "mean", "decimals2"),
    "mean_first": ("gem. eerste", "mean first", "decimals2"),
    "mean_inter_item_r": ("gem. inter-itemcorrelatie", "mean inter-item correlation", "decimals2"),
    "mean_second": ("gem. tweede", "mean second", "decimals2"),
    "measure": ("maat", "measure", "text"),
    "n": ("n", "n", "integer"),
    "n_asked": ("gevraagd", "asked", "integer"),
    "n_cases": ("respondenten", "respondents", "integer"),
    "n_cells": ("cellen", "cells", "integer"),
    "n_dropped": ("deels ingevuld", "incomplete", "integer"),
    "n_first": ("n eerste", "n first", "integer"),
    "n_items": ("items", "items", "integer"),
    "n_missing": ("ontbreekt", "missing", "integer"),
    "n_second": ("n tweede", "n second", "integer"),
    "n_used": ("n (alfa)", "n (alpha)", "integer"),
    "n_valid": ("n geldig", "valid n", "integer"),
    "observed": ("gevonden", "observed", "decimals2"),
    "next_step": ("volgende stap", "next step", "text"),
    "or_ci": ("95%-BI (OR)", "95% CI (OR)", "interval2"),
    "path": ("pad", "path", "text"),
    "severity": ("ernst", "severity", "text"),
    "odds_ratio": ("odds ratio", "odds ratio", "decimals2"),
    "omega_ci": ("95%-BI omega", "95% CI omega", "interval2"),
    "omega_implied": ("omega (model)", "omega (model)", "decimals3"),
    "omega_observed": ("omega (gevonden)", "omega (observed)", "decimals3"),
    "ordinal_alpha": ("ordinale alfa", "ordinal alpha", "decimals3"),
    "p": ("p", "p", "p"),
    "p_holm": ("p (Holm)", "p (Holm)", "p"),
    "percent": ("percentage", "per cent", "percent1"),
    "percent_first": ("% eerste", "% first", "percent1"),
    "percent_second": ("% tweede", "% second", "percent1"),
    "phi": ("phi", "phi", "decimals2"),
    "place": ("plaats", "place", "text"),
    "planted": ("ingebouwd", "planted", "decimals2"),
    "published": ("gepubliceerd of gelezen als", "published or read as", "text"),
    "quantile": ("grens bij toeval", "limit by chance", "decimals2"),
    "r_squared": ("R²", "R²", "decimals2"),
    "reading": ("lezing", "reading", "text"),
    "remaining": ("over", "remaining", "integer"),
    "residual": ("residu", "residual", "decimals2"),
    "retained": ("boven toeval", "above chance", "bool"),
    "rule": ("regel", "rule", "text"),
    "scale": ("schaal", "scale", "text"),
    "scope": ("betreft", "scope", "text"),
    "sd": ("sd", "sd", "decimals2"),
    "se": ("se", "se", "decimals3"),
    "second": ("tweede", "second", "text"),
    "standard": ("standaard", "standard", "decimals3"),
    "std_all": ("gestandaardiseerd", "standardised", "decimals2"),
    "std_ci": ("95%-BI (gest.)", "95% CI (std.)", "interval2"),
    "step": ("stap", "step", "text"),
    "t": ("t", "t", "decimals2"),
    "text": ("tekst", "text", "text"),
    "test": ("toets", "test", "text"),
    "what": ("wat", "what", "text"),
    "where": ("waar", "where", "text"),
    "with": ("met", "with", "percent1"),
    "without": ("zonder", "without", "percent1"),
    "z": ("z", "z", "decimals2"),
    "ave_std": ("AVE", "AVE", "decimals2"),
    "sqrt_ave": ("√AVE", "√AVE", "decimals2"),
    "limits": ("grenzen (CFI, RMSEA, SRMR)", "limits (CFI, RMSEA, SRMR)", "text"),
    "max_correlation": ("grootste correlatie", "largest correlation", "decimals2"),
    "composite_reliability_std": (
        "samengestelde betrouwbaarheid",
        "composite reliability",
        "decimals2",
    ),
    "delta_ci": ("delta", "delta", "interval2"),
    "mc_ci": ("Monte Carlo", "Monte Carlo", "interval2"),
    "percentile_ci": ("percentiel", "percentile", "interval2"),
    "bca_ci": ("BCa", "BCa", "interval2"),
    "scaled": ("geschaald", "scaled", "decimals3"),
    "robust": ("robuust", "robust", "decimals3"),
    "parameter": ("parameter", "parameter", "text"),
    "mi": ("MI", "MI", "decimals2"),
    "epc": ("verwachte verandering", "expected change", "decimals2"),
    "sepc_all": ("gestandaardiseerd", "standardised", "decimals2"),
    "model": ("model", "model", "text"),
    "npar": ("parameters", "parameters", "integer"),
    "df": ("df", "df", "integer"),
    "chisq": ("χ²", "χ²", "decimals2"),
    "chisq_scaled": ("χ² (geschaald)", "χ² (scaled)", "decimals2"),
    "cfi": ("CFI", "CFI", "decimals3"),
    "rmsea": ("RMSEA", "RMSEA", "decimals3"),
    "srmr": ("SRMR", "SRMR", "decimals3"),
    "aic": ("AIC", "AIC", "decimals1"),
    "bic": ("BIC", "BIC", "decimals1"),
    "against": ("tegen", "against", "text"),
    "chisq_diff": ("Δχ²", "Δχ²", "decimals2"),
    "df_diff": ("Δdf", "Δdf", "integer"),
    "equal": ("gelijk", "equal", "text"),
    "freed": ("vrij", "freed", "text"),
    "delta_cfi": ("ΔCFI", "ΔCFI", "decimals3"),
    "delta_rmsea": ("ΔRMSEA", "ΔRMSEA", "decimals3"),
    "delta_srmr": ("ΔSRMR", "ΔSRMR", "decimals3"),
    "verdict": ("oordeel", "verdict", "text"),
    "reason": ("waarom", "reason", "text"),
    "allowed": ("te vergelijken", "may be compared", "text"),
    "free": ("vrij te laten", "to set free", "text"),
    "wald_p": ("p (Wald)", "p (Wald)", "p"),
    "lrt_chisq": ("Δχ²", "Δχ²", "decimals2"),
    "lrt_p": ("p (Δχ²)", "p (Δχ²)", "p"),
    "lrt_p_holm": ("p (Holm)", "p (Holm)", "p"),
    "d": ("d", "d", "decimals2"),
    "d_ci": ("95%-BI d", "95% CI d", "interval2"),
    "number": ("nr.", "no.", "integer"),
    "content": ("inhoud", "content", "text"),
}

SHORT = {
    "delta_ci": ("delta_low", "delta_high"),
    "mc_ci": ("mc_low", "mc_high"),
    "percentile_ci": ("percentile_low", "percentile_high"),
    "bca_ci": ("bca_low", "bca_high"),
    "d_ci": ("d_ci_low", "d_ci_high"),
    "ci": ("ci_low", "ci_high"),
    "ci_percent": ("ci_low", "ci_high"),
    "difference_points": "difference",
    "dz_ci": ("dz_ci_low", "dz_ci_high"),
    "estimate_short": "estimate",
    "g_ci": ("g_ci_low", "g_ci_high"),
    "omega_ci": ("omega_ci_low", "omega_ci_high"),
    "or_ci": ("or_ci_low", "or_ci_high"),
    "std_ci": ("std_ci_low", "std_ci_high"),
}

# name of a step, rule or reason in the tables of the package -> Dutch, English
VALUES = {
    "read": ("gelezen", "read"),
    "test_entries": ("proefinvoer", "test entries"),
    "incomplete": ("niet afgemaakt", "not completed"),
    "outside_province": ("buiten de regio", "outside the region"),
    "outside_size": ("te groot bedrijf", "company too large"),
    "duplicates": ("dubbele deelname", "took part twice"),
    "kept": ("behouden", "kept"),
    "label_spelling": ("spelling van antwoord gelezen", "answer read in another spelling"),
    "multiple_blank": ("lege optie naast een gekozen optie", "blank option beside a chosen one"),
    "out_of_range": ("code buiten de schaal verwijderd", "code outside the scale removed"),
    "routing": (
        "antwoord op niet gestelde vraag verwijderd",
        "answer to a question not asked removed",
    ),
    "case": ("respondent", "respondent"),
    "cell": ("antwoord", "answer"),
    "npar": ("geschatte parameters", "free parameters"),
    "n": ("respondenten", "respondents"),
    "chisq": ("χ²", "χ²"),
    "df": ("vrijheidsgraden", "degrees of freedom"),
    "pvalue": ("p van χ²", "p of χ²"),
    "baseline_chisq": ("χ² van het nulmodel", "χ² of the baseline model"),
    "scaling_factor": ("schaalfactor van χ²", "scaling factor of χ²"),
    "baseline_scaling_factor": (
        "schaalfactor van het nulmodel",
        "scaling factor of the baseline model",
    ),
    "baseline_df": ("vrijheidsgraden van het nulmodel", "degrees of freedom of the baseline model"),
    "cfi": ("CFI", "CFI"),
    "tli": ("TLI", "TLI"),
    "rmsea": ("RMSEA", "RMSEA"),
    "rmsea_ci_low": ("RMSEA, 90%-BI onder", "RMSEA, 90% CI low"),
    "rmsea_ci_high": ("RMSEA, 90%-BI boven", "RMSEA, 90% CI high"),
    "rmsea_pvalue": ("p van RMSEA ≤ .05", "p of RMSEA ≤ .05"),
    "srmr": ("SRMR", "SRMR"),
    "logl": ("log-likelihood", "log-likelihood"),
    "logl_unrestricted": ("log-likelihood, verzadigd", "log-likelihood, saturated"),
    "aic": ("AIC", "AIC"),
    "bic": ("BIC", "BIC"),
    "gfi": ("GFI", "GFI"),
    "indicator_1": (
        "1 Wekelijks of vaker: de vier hoogste media (%)",
        "1 Weekly or more: the four highest media (%)",
    ),
    "indicator_2": (
        "2 Niet-gebruik door te weinig kennis, van allen (%)",
        "2 Non-use for lack of knowledge, of all (%)",
    ),
    "indicator_3": ("3 Maatregel vooraf getroffen (%)", "3 Measure taken beforehand (%)"),
    "indicator_4": (
        "4 Interactieve min andere manieren (schaalpunten)",
        "4 Interactive minus other ways (scale points)",
    ),
    "indicator_5": (
        "5 Interactieve min andere doelen (schaalpunten)",
        "5 Interactive minus other aims (scale points)",
    ),
    "configural": ("configureel", "configural"),
    "metric": ("metrisch", "metric"),
    "scalar": ("scalair", "scalar"),
    "strict": ("strikt", "strict"),
    "loadings": ("ladingen", "loadings"),
    "intercepts": ("intercepten", "intercepts"),
    "residuals": ("residuele varianties", "residual variances"),
    "holds": ("houdt stand", "holds"),
    "holds partially": ("houdt deels stand", "holds partially"),
    "fails": ("houdt geen stand", "fails"),
    "undecided": ("onbeslist", "undecided"),
    "which items belong together; nothing in numbers": (
        "welke items bij elkaar horen; niets in getallen",
        "which items belong together; nothing in numbers",
    ),
    "covariances and paths of latent variables": (
        "covarianties en paden van latente variabelen",
        "covariances and paths of latent variables",
    ),
    "latent means, covariances and paths": (
        "latente gemiddelden, covarianties en paden",
        "latent means, covariances and paths",
    ),
    "observed means and scale scores, latent means, covariances and paths": (
        "waargenomen gemiddelden en schaalscores, latente gemiddelden, covarianties en paden",
        "observed means and scale scores, latent means, covariances and paths",
    ),
    "no more than the last step that holds": (
        "niet meer dan bij de laatste stap die standhoudt",
        "no more than the last step that holds",
    ),
    "culture": ("cultuur", "culture"),
    "environment": ("omgeving", "environment"),
    "motivation": ("motivatie", "motivation"),
    "use": ("gebruik", "use"),
    "perception": ("perceptie", "perception"),
    "reputation": ("reputatie", "reputation"),
}


def _pick(pair, language: str) -> str:
    if language not in ("nl", "en"):
        raise ValueError(f"language is {language!r}; use nl or en.")
    return pair[0] if language == "nl" else pair[1]


def say(nl: str, en: str, language: str) -> str:
    """One of two texts: for the titles that a notebook writes itself."""
    return _pick((nl, en), language)


def values(names, language: str) -> list[str]:
    """Names of steps, rules or reasons in words; a name without words stays as it is."""
    return [_pick(VALUES[name], language) if name in VALUES else name for name in names]


def names(keys, language: str) -> dict[str, str]:
    """`values` as a dict: key -> words."""
    return dict(zip(keys, values(keys, language), strict=True))


def columns(names: str, language: str) -> dict:
    """The `columns` argument of `tables.display`: heading and format of each column of a tidy table.

    Parameters
    ----------
    names : str
        Names out of `COLUMNS`, in the order of the table, with spaces between: "label n mean ci".
    language : {"nl", "en"}

    Raises
    ------
    ValueError
        A column without words: add it to `COLUMNS`.
    """
    unknown = [name for name in names.split() if name not in COLUMNS]
    if unknown:
        raise ValueError(f"No heading for {unknown[0]!r}: add it to COLUMNS in mkb21/words.py.")
    return {
        SHORT.get(name, name): (_pick(COLUMNS[name], language), COLUMNS[name][2])
        for name in names.split()
    }
