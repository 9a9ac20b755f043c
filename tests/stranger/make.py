"""Make the export of the invented bicycle shop: `python make.py` writes data/raw/2024/form.csv.

Its 200 rows follow a known model: service -> trust -> loyalty, with the standardised paths and
loadings below; answers are the latent ones cut at fixed points, so that they stay near these values.
The last rows are a test entry and somebody who filled in the form twice.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

HERE = Path(__file__).parent
SEED = 5
ROWS = 198  # customers
PATHS = {"trust": 0.6, "loyalty": 0.5}  # of service on trust, of trust on loyalty
LOADINGS = (0.8, 0.75, 0.7, 0.75)
CUTS = (-1.5, -0.75, 0.1, 0.95)
DISTRICTS = (0.4, 0.25, 0.2, 0.15)
GAPS = 0.02
REMARKS = ("Thank you!", "Please open on Sunday, I work all week.", "More e-bikes, ask Zoë")


def customers(rng: np.random.Generator) -> pd.DataFrame:
    """The codes of all answers, before anything went wrong with them."""
    service = rng.normal(size=ROWS)
    trust = PATHS["trust"] * service + np.sqrt(1 - PATHS["trust"] ** 2) * rng.normal(size=ROWS)
    loyalty = PATHS["loyalty"] * trust + np.sqrt(1 - PATHS["loyalty"] ** 2) * rng.normal(size=ROWS)
    columns = {
        "district": rng.choice([1, 2, 3, 4], ROWS, p=DISTRICTS),
        "visits": np.minimum(rng.poisson(np.exp(1.2 + 0.3 * loyalty)), 60),
    }
    blocks = read("instrument.yaml")["blocks"]
    for name, latent in (("service", service), ("trust", trust), ("loyalty", loyalty)):
        for (item, spec), loading in zip(blocks[name]["items"].items(), LOADINGS, strict=True):
            behind = loading * latent + np.sqrt(1 - loading**2) * rng.normal(size=ROWS)
            code = 1 + np.digitize(behind, CUTS)
            columns[item] = 6 - code if spec.get("reverse") else code
    return pd.DataFrame(columns)


def read(name: str) -> dict:
    """A file of data/."""
    return yaml.safe_load((HERE / "data" / name).read_text(encoding="utf-8"))


def export() -> pd.DataFrame:
    """The form as it came: labels, gaps, a few cells that are wrong, and two rows too many."""
    rng = np.random.default_rng(SEED)
    codes = customers(rng)
    scales = read("instrument.yaml")["scales"]
    agreement = {code: text["en"] for code, text in scales["agreement"]["codes"].items()}
    district = {code: text["en"] for code, text in scales["district"]["codes"].items()}
    form = codes.astype(str)
    form["district"] = codes["district"].map(district)
    items = form.columns[2:]
    form[items] = codes[items].apply(lambda column: column.map(agreement))
    blank = rng.random((ROWS, len(form.columns))) < GAPS
    form = form.mask(blank, "")
    form = form.mask(rng.random(form.shape) < [0, 0] + [GAPS / 2] * len(items), "no opinion")
    form["remark"] = [REMARKS[k % 3] if k % 9 == 0 else "" for k in range(ROWS)]
    form.loc[3, "ser_prompt"], form.loc[7, "tru_price"] = "  Agree", "STRONGLY AGREE"  # spelling
    form.loc[11, "loy_return"] = "7"  # no code of the scale
    form.loc[19, "visits"], form.loc[23, "visits"] = "400", "about 10"
    form["email"] = [f"customer{k}@example.invalid" for k in range(ROWS)]
    minutes = pd.Timestamp("2024-03-01 09:00") + pd.to_timedelta(
        rng.integers(0, 43_000, ROWS), "min"
    )
    form["started"] = pd.Series(minutes).sort_values().dt.strftime("%Y-%m-%d %H:%M").to_numpy()
    double, test = form.iloc[[40]].copy(), form.iloc[[0]].assign(email="test@example.invalid")
    form = pd.concat([form, double, test], ignore_index=True)
    form["respondent_id"] = [str(k + 1) for k in range(len(form))]
    wave = read("waves/2024.yaml")
    names = wave["columns"] | wave["personal"]
    return form[list(names)].rename(columns=names)


if __name__ == "__main__":
    export().to_csv(HERE / "data/raw/2024/form.csv", index=False, lineterminator="\n")
