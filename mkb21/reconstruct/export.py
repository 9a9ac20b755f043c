"""The export of a reconstructed wave, with everything in it that cleaning has to find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from pandas import DataFrame

from mkb21.reconstruct.assumptions import Assumptions, ExportRows, load_assumptions
from mkb21.reconstruct.model import Draws
from mkb21.reconstruct.respondents import Sample, simulate
from mkb21.survey import published
from mkb21.survey.cleaning import derive
from mkb21.survey.files import Folders, write_whole
from mkb21.survey.instrument import Instrument, Wave, load_wave


def write(
    project: Folders, wave: str, seed: int | None = None, out: Path | None = None
) -> list[Path]:
    """Make the export of a reconstructed wave; the files written.

    Parameters
    ----------
    seed : int, optional
        Default: the seed in the assumptions.
    out : path, optional
        Folder to write into; default `data/raw/<wave>/`.

    Raises
    ------
    ValueError
        The wave is no reconstruction, the assumptions have faults, or a published number is not met: names
        the claims.
    """
    described = load_wave(project, wave)
    assumptions = load_assumptions(project, described)
    claims = published.read(project.published(wave))
    sample = simulate(described, assumptions, claims, seed)
    _check_claims(sample, described.instrument, claims)
    draws = Draws(assumptions.seed if seed is None else seed)
    frame = _as_columns(_rows(sample, described, assumptions, draws), described)
    folder = Path(out) if out else project.raw(wave)
    path = folder / described.export.file
    text = frame.to_csv(sep=described.export.delimiter, index=False, lineterminator="\r\n")
    return [write_whole(path, text.encode(described.export.encoding))]


def _check_claims(sample: Sample, instrument: Instrument, claims: DataFrame) -> None:
    """Refuse a sample that does not meet every claim."""
    responses = sample.values.join(derive(sample.values, instrument))
    register = published.compare(claims, responses)
    failed = register[~register["holds"]]
    lines = ["The assumptions do not agree with what was published; change them:"]
    for r in failed.itertuples():
        lines.append(f"  {r.id}: {r.computed:.4g}, should lie in [{r.lower:.4g}, {r.upper:.4g}]")
    if len(failed):
        raise ValueError("\n".join(lines))


def _rows(sample: Sample, wave: Wave, assumptions: Assumptions, draws: Draws) -> DataFrame:
    """Interviews as text, by time of start; `kind` says why a row is there."""
    spec = assumptions.export
    kept = _as_text(sample, wave)
    kept["kind"] = np.where(np.isin(kept.index, sample.fast), "fast", "kept")
    rows = pd.concat([kept, _strangers(kept, wave, spec, draws("export"))], ignore_index=True)
    _abandon(rows, wave, draws("abandoned"))
    _add_times(rows, wave, draws("times"))
    _add_persons(rows, draws("persons"))
    again = _duplicates(rows, wave, spec.duplicates, draws("duplicates"))
    _stain(rows, sample, wave, spec, draws("stains"))  # last: a copied slip would count twice
    rows = pd.concat([rows, again], ignore_index=True)
    return rows.sort_values("started", kind="stable", ignore_index=True)


def _as_text(sample: Sample, wave: Wave) -> DataFrame:
    """Codes as the labels of the export; blank where nothing was asked or answered."""
    instrument, language = wave.instrument, wave.export.language
    text = DataFrame("", index=sample.values.index, columns=sample.values.columns, dtype=object)
    for item in sample.values:
        labels = instrument.codes(item, language)
        own = wave.answers.get(instrument.scale_name(item), {})
        labels |= {code: label for label, code in own.items() if isinstance(code, int)}
        text[item] = sample.values[item].map(labels).fillna("").astype(object)
        text.loc[sample.missing[item] == "dont_know", item] = instrument.missing.dont_know[language]
    return text


def _strangers(kept: DataFrame, wave: Wave, spec: ExportRows, rng: Generator) -> DataFrame:
    """Rows that are no respondent of the wave: tests, abandoned interviews, other companies."""
    elsewhere, large = _ineligible(wave, "province"), _ineligible(wave, "size")
    parts = [
        _hot_deck(kept, wave, spec.test_entries, rng).assign(kind="test"),
        _hot_deck(kept, wave, spec.abandoned, rng).assign(kind="abandoned"),
        _hot_deck(kept, wave, spec.outside_region, rng).assign(kind="outside", province=elsewhere),
        _hot_deck(kept, wave, spec.too_large, rng).assign(kind="large", size=large),
    ]
    return pd.concat(parts, ignore_index=True)


def _ineligible(wave: Wave, variable: str) -> str:
    """The first answer that does not belong to the population."""
    eligible = wave.rules.eligible.get(variable, [])
    labels = wave.instrument.codes(variable, wave.export.language)
    outside = [label for code, label in labels.items() if code not in eligible]
    if not eligible or not outside:
        raise ValueError(f"Under rules: eligible: no answer to {variable} is outside; name them.")
    return outside[0]


def _hot_deck(kept: DataFrame, wave: Wave, n: int, rng: Generator) -> DataFrame:
    """Rows put together, block by block, of different respondents who use social media."""
    donors = kept.index[kept["way_spread"] != ""]
    parts = []
    for name in wave.instrument.blocks:
        items = [i for i in wave.instrument.block(name) if i in kept]
        parts.append(kept.loc[rng.choice(donors, n), items].reset_index(drop=True))
    return pd.concat(parts, axis=1)


def _abandon(rows: DataFrame, wave: Wave, rng: Generator) -> None:
    """Interviews that stopped before the end of the question on use."""
    last = wave.items.index(wave.instrument.block("frequency")[-1])
    for row in rows.index[rows["kind"] == "abandoned"]:
        rows.loc[row, wave.items[int(rng.integers(1, last + 1)) :]] = ""
    first = rows.index[rows["kind"] == "test"][:2]  # who tests often stops half-way, too
    rows.loc[first, wave.items[last:]] = ""


def _add_times(rows: DataFrame, wave: Wave, rng: Generator) -> None:
    """Start within the fieldwork, mostly early on working days; duration by what was answered."""
    days = pd.date_range(wave.fieldwork.start, wave.fieldwork.end)
    interest = np.where(days.day_of_week < 5, 1.0, 0.3) * np.linspace(1.6, 0.4, len(days))
    day = rng.choice(days, len(rows), p=interest / interest.sum())
    hour = np.clip(rng.normal(13.5, 3.2, len(rows)), 7, 22.5)  # around lunch, into the evening
    filled = (rows[wave.items] != "").mean(axis=1).to_numpy()
    minutes = np.maximum(3.2 * filled + 0.4, 14 * filled * rng.lognormal(0, 0.35, len(rows)))
    minutes = np.where(rows["kind"] == "fast", rng.uniform(1.4, 2.6, len(rows)), minutes)
    minutes = np.where((rows["kind"] == "kept") & (minutes < 3.2), 3.2, minutes)
    rows["duration_minutes"] = np.round(minutes, 1)
    rows["started"] = day + pd.to_timedelta(np.round(hour * 3600), unit="s")
    took = pd.to_timedelta(np.round(rows["duration_minutes"] * 60), unit="s")
    rows["finished"] = rows["started"] + took


def _add_persons(rows: DataFrame, rng: Generator) -> None:
    """Personal data that nobody takes for real: reserved names and addresses (RFC 2606, 5737)."""
    networks = ("192.0.2", "198.51.100", "203.0.113")
    number = rng.permutation(len(rows)) + 1
    rows["company"] = [f"Verzonnen bedrijf {i:04d}" for i in number]
    rows["email"] = [f"respondent{i:04d}@voorbeeld.invalid" for i in number]
    rows["ip"] = [f"{networks[i % 3]}.{i // 3 % 254 + 1}" for i in number]
    tests = rows.index[rows["kind"] == "test"]
    names = ("test", "Test bedrijf", "TEST vragenlijst")
    rows.loc[tests, "company"] = [names[i % 3] for i in range(len(tests))]


def _duplicates(rows: DataFrame, wave: Wave, n: int, rng: Generator) -> DataFrame:
    """Respondents who came back some days later: the same address, other answers on culture."""
    chosen = rng.choice(rows.index[rows["kind"] == "kept"], n, replace=False)
    other = rng.choice(chosen, n, replace=False)
    again = rows.loc[chosen].reset_index(drop=True)
    culture = wave.instrument.block("culture")
    again[culture] = rows.loc[other, culture].to_numpy()
    later = pd.to_timedelta(rng.integers(600, 3 * 86400, n), unit="s")
    again["started"], again["finished"] = again["started"] + later, again["finished"] + later
    spelt = (str.upper, lambda mail: f"{mail} ", str)  # the same address all the same
    again["email"] = [spelt[i % 3](mail) for i, mail in enumerate(again["email"])]
    return again.assign(kind="duplicate")


def _stain(rows: DataFrame, sample: Sample, wave: Wave, spec: ExportRows, rng: Generator) -> None:
    """Cells that cleaning has to mend, without loss of an answer.

    Impossible codes where one is missing anyway, other spellings, answers to what was not asked.
    """
    instrument, missing = wave.instrument, sample.missing
    unsure = [i for i in missing if instrument.scales[instrument.scale_name(i)].dont_know]
    for at, k in _cells(missing[unsure] == "not_answered", spec.impossible_codes, rng):
        rows.at[at] = ("9", "99", "0")[k % 3]
    words = rows.loc[missing.index, unsure].map(lambda label: " " in label)
    for at, k in _cells((missing[unsure] == "") & words, spec.stray_spelling, rng):
        label = rows.at[at]
        rows.at[at] = (f" {label}", f"{label} ", label.upper(), label.replace(" ", "  "))[k % 4]
    for at, _ in _cells(missing[instrument.block("ways")] == "not_asked", spec.routing_slips, rng):
        rows.at[at] = instrument.codes(at[1], wave.export.language)[3]


def _cells(allowed: DataFrame, n: int, rng: Generator) -> Iterator[tuple[tuple[int, str], int]]:
    """((row, column), counter) of `n` different cells out of those that are allowed."""
    rows, columns = np.nonzero(allowed.to_numpy())
    for counter, cell in enumerate(rng.choice(len(rows), n, replace=False)):
        yield (allowed.index[rows[cell]], allowed.columns[columns[cell]]), counter


def _as_columns(rows: DataFrame, wave: Wave) -> DataFrame:
    """Under the names, in the order and with the number format of the export."""
    out = DataFrame(index=rows.index)
    columns = wave.columns
    out[columns["respondent_id"]] = [str(1001 + i) for i in range(len(rows))]
    out["Status"] = np.where(rows["kind"] == "abandoned", "afgebroken", "voltooid")
    for name in ("started", "finished"):
        out[columns[name]] = rows[name].dt.strftime(wave.export.datetime)
    out.loc[rows["kind"] == "abandoned", columns["finished"]] = ""
    minutes = rows["duration_minutes"].map("{:.1f}".format)
    out[columns["duration_minutes"]] = minutes.str.replace(".", wave.export.decimal, regex=False)
    for name, column in wave.personal.items():
        out[column] = rows[name]
    for item in wave.items:
        out[columns[item]] = rows[item]
    return out
