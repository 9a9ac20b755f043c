"""Every kind of figure: what it draws equals the frame, no text is cut or covers another."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text
from PIL import Image

from mkb21.page import figures

NOTICE = "Reconstructie: verzonnen respondenten die de gepubliceerde cijfers van 2012 weergeven."
LONG = (
    "een heel lang antwoord dat over verschillende regels moet lopen, met eenonafbreekbaarlangwoord"
)
SCALE = {1: "zeer onwaarschijnlijk", 2: "onwaarschijnlijk", 3: "misschien"}
SCALE |= {4: "waarschijnlijk", 5: "zeer waarschijnlijk"}


def shares(values, **more):
    """A frame of shares with intervals of six points, within 0 and 100."""
    percent = np.array(values, dtype=float)
    low, high = (percent - 6).clip(0, 100), (percent + 6).clip(0, 100)
    names = [f"v{i}" for i in range(len(values))]
    frame = {"variable": names, "n_valid": 256, "percent": percent, "ci_low": low, "ci_high": high}
    return pd.DataFrame(frame | more)


def answers(parts):
    """Shares of the codes 1 to 5 per variable."""
    rows = [(f"v{i}", code, p) for i, row in enumerate(parts) for code, p in enumerate(row, 1)]
    return pd.DataFrame(rows, columns=["variable", "code", "percent"]).assign(n_valid=314)


def pairs(first, second):
    frame = {"first": [f"v{i}" for i in range(len(first))], "n": 250}
    frame |= {"mean_first": np.array(first), "mean_second": np.array(second)}
    frame = pd.DataFrame(frame)
    frame["difference"] = frame["mean_second"] - frame["mean_first"]
    return frame.assign(ci_low=frame["difference"] - 0.1, ci_high=frame["difference"] + 0.1)


def eigenvalues(*series):
    """Twelve components of each series: two above chance."""
    found = np.array([4.31, 1.82, 1.2, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.35, 0.25, 0.15])
    table = {
        "component": np.arange(1, 13),
        "eigenvalue": found,
        "quantile": 1.5 - 0.08 * found.argsort(),
    }
    table = pd.DataFrame(table).assign(retained=found > 1.5, n_used=230)
    return pd.concat([table.assign(series=name) for name in series], ignore_index=True)


def bins(steps):
    """Eight bins of a width per variable, the highest in the middle."""
    parts = []
    for i, step in enumerate(steps):
        low = step * np.arange(8)
        part = {"variable": f"v{i}", "low": low, "high": low + step, "n_valid": 200}
        parts.append(pd.DataFrame(part | {"percent": [1, 4, 20, 40, 25, 5, 3, 2]}))
    return pd.concat(parts, ignore_index=True)


def names(count, text="antwoord {}"):
    return {f"v{i}": text.format(i) for i in range(count)}


MEANS = (
    shares([4.12, 1.0, 5.0]).rename(columns={"percent": "mean"}).drop(columns=["ci_low", "ci_high"])
)
MEANS = MEANS.assign(ci_low=[4.0, np.nan, 4.8], ci_high=[4.25, np.nan, 5.0])
PATHS = pd.concat(
    [
        pd.DataFrame(
            {
                "series": name,
                "variable": ["v0", "v1", "v2"],
                "std_all": [0.4, -0.1, np.round(k / 10, 1)],
                "std_ci_low": [0.2, -0.3, np.nan],
                "std_ci_high": [0.6, 0.1, np.nan],
            }
        )
        for k, name in enumerate(["ML", "MLR", "WLSMV", "rest"])
    ],
    ignore_index=True,
)
WAYS = {"ML": "ML (n = 188)", "MLR": "MLR, FIML (n = 254)", "WLSMV": "WLSMV", "rest": LONG}
MIXED = [[20, 20, 20, 20, 20], [99, 1, 0, 0, 0], [0, 0, 0, 0, 100], [3, 47, 2, 46, 2]]
REASONS = pd.concat(
    [shares([2.5, 0, 1]).assign(reason="blank"), shares([6.1, 0, 0.4]).assign(reason="unknown")]
)
WHY = {"blank": "niet beantwoord", "unknown": "weet niet / n.v.t."}

CHANCE = {"motivation": "motivatie", "perception": "perceptie"} | {k: k.upper() for k in "abcde"}

KINDS = {
    "bars": (figures.bars, shares([40, 20, 11, 0, 100]), names(5)),
    "bars_long": (figures.bars, shares([12, 7]), names(2, LONG + " {}")),
    "bars_one": (figures.bars, shares([100]), names(1)),
    "bars_zero": (figures.bars, shares([0, 0]).drop(columns=["ci_low", "ci_high"]), names(2)),
    "bars_many": (figures.bars, shares(np.linspace(1, 80, 60)), names(60)),
    "coefficients": (figures.coefficients, PATHS, names(3, LONG + " {}") | WAYS),
    "means": (figures.means, MEANS, names(3), SCALE),
    "means_long": (figures.means, MEANS, names(3, LONG), dict.fromkeys(range(1, 6), LONG)),
    "stacked": (figures.stacked, answers(MIXED), names(4) | SCALE),
    "stacked_long": (figures.stacked, answers(MIXED), names(4, LONG) | dict.fromkeys(SCALE, LONG)),
    "gaps": (
        figures.gaps,
        pairs([4.2, 3.9, 2.0], [3.7, 3.9, 2.6]),
        names(3),
        ("motief", "ervaring"),
    ),
    "gaps_one": (figures.gaps, pairs([3.0], [3.0]), names(1, LONG), (LONG, LONG)),
    "histogram": (figures.histogram, bins([0.1, 0.25, 30]), names(3, "omzet {} (x 1000 euro)")),
    "histogram_long": (figures.histogram, bins([1000]), names(1, LONG)),
    "histogram_one": (figures.histogram, bins([5]).head(1).assign(percent=100), names(1)),
    "missing": (figures.missing, REASONS, names(3) | WHY),
    "scree": (figures.scree, eigenvalues("motivation", "perception"), CHANCE),
    "scree_long": (figures.scree, eigenvalues("a", "b", "c"), dict.fromkeys(CHANCE, LONG)),
    "scree_rows": (figures.scree, eigenvalues(*"abcde"), CHANCE),
    "scree_one": (figures.scree, eigenvalues("a").drop(columns="n_used"), CHANCE),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def drawn_texts(figure):
    """(text, box in pixels) of all that is written; ticks outside the axes are not drawn."""
    figure.draw_without_rendering()
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            outside = [
                t for t in axis.get_major_ticks() if not low - 1e-9 <= t.get_loc() <= high + 1e-9
            ]
            unseen |= {t.label1 for t in outside}
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [(t, t.get_window_extent()) for t in found if t not in unseen]


def assert_readable(figure, smallest=7):
    """No text is cut, covers another, or is smaller than 7 points."""
    texts = drawn_texts(figure)
    assert texts
    edge = figure.bbox
    for text, box in texts:
        cut = box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > edge.x1 + 0.5 or box.y1 > edge.y1 + 0.5
        assert not cut, f"cut: {text.get_text()!r}"
        assert text.get_fontsize() >= smallest, text.get_text()
    for (one, first), (two, second) in combinations(texts, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across < 1 or down < 1, f"{one.get_text()!r} covers {two.get_text()!r}"


def widths(axes):
    """Bar lengths from top to bottom, per series of bars."""
    return [[bar.get_width() for bar in container] for container in axes.containers]


def rows_of(figure):
    return [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("title", [None, f"Figuur 1. {LONG}"])
def test_nothing_is_cut_or_covered(kind, language, title, tmp_path):
    function, *arguments = kind
    figure = function(*arguments, language, title)
    assert_readable(figure)
    figures.save(figure, tmp_path, "f", NOTICE, "alt")
    assert_readable(figure)


def test_caller_keeps_frame_settings_and_pyplot(kind):
    function, frame, *more = kind
    before, settings = frame.copy(deep=True), dict(mpl.rcParams)
    function(frame, *more, "nl")
    pd.testing.assert_frame_equal(frame, before)
    assert dict(mpl.rcParams) == settings
    assert plt.get_fignums() == []


def test_same_bytes_whatever_the_settings_of_the_user(kind, tmp_path):
    function, *arguments = kind
    first = figures.save(function(*arguments, "nl", "T"), tmp_path / "a", "f", NOTICE, "alt")
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": True}):
        second = figures.save(function(*arguments, "nl", "T"), tmp_path / "b", "f", NOTICE, "alt")
    assert [path.name for path in first] == ["f.svg", "f.png"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["f.png", "f.svg"]


def test_notice_is_drawn_once_below_everything_and_described(tmp_path):
    figure = figures.bars(shares([40, 20]), names(2), "nl", "Titel & <teken>")
    size, plot = figure.get_size_inches(), None
    figure.draw_without_rendering()
    plot = figure.axes[0].get_window_extent().size
    for _ in range(2):
        svg, png = figures.save(figure, tmp_path, "f", NOTICE, 'Staven "a" & <b>')
    written = [(text, box) for text, box in drawn_texts(figure) if text.get_gid() == "notice"]
    assert [text.get_text().replace("\n", " ") for text, _ in written] == [NOTICE]
    others = [box.y0 for text, box in drawn_texts(figure) if text.get_gid() != "notice"]
    assert written[0][1].y1 < min(others)
    assert figure.get_size_inches()[1] > size[1]
    assert figure.axes[0].get_window_extent().size == pytest.approx(plot, abs=1.5)
    root = ET.fromstring(svg.read_text("utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text == "Titel & <teken>"
    assert root.find(f"{space}desc").text == f'Staven "a" & <b> {NOTICE}'
    assert root.get("aria-labelledby") == "f-title f-desc"
    drawn = " ".join(re.findall("<!-- (.*?) -->", svg.read_text("utf-8")))
    assert all(word in drawn for word in NOTICE.split())  # matplotlib notes each text it draws
    with Image.open(png) as image:
        assert image.info["Description"] == f'Staven "a" & <b> {NOTICE}'
        assert "Software" not in image.info
        assert image.size == tuple((200 * figure.get_size_inches()).astype(int))
        strip = np.asarray(image.convert("L"))[-25:]
    assert (strip < 100).any()


def test_observed_wave_has_no_notice_and_no_strip(tmp_path):
    figure = figures.bars(shares([40]), names(1), "en")
    size = figure.get_size_inches().copy()
    svg, _ = figures.save(figure, tmp_path, "f", None, "Bars")
    assert figure.get_size_inches() == pytest.approx(size)
    assert "<desc" in svg.read_text("utf-8")
    assert "Matplotlib v" not in svg.read_text("utf-8")


def test_notice_and_alt_cannot_be_forgotten(tmp_path):
    figure = figures.bars(shares([40]), names(1), "en")
    with pytest.raises(TypeError, match="notice"):
        figures.save(figure, tmp_path, "f", alt="Bars")
    with pytest.raises(ValueError, match="alternative text"):
        figures.save(figure, tmp_path, "f", None, "")
    assert list(tmp_path.iterdir()) == []


def test_publish_shows_the_saved_png(tmp_path):
    figure = figures.bars(shares([40]), names(1), "en")
    image = figures.publish(figure, tmp_path, "f", NOTICE, "Bars")
    assert image.data == (tmp_path / "f.png").read_bytes()
    assert image.alt == "Bars"


def test_bars_are_the_values_from_high_to_low_with_their_intervals():
    frame = shares([11.4, 40.2, 20])
    figure = figures.bars(frame, names(3), "nl")
    axes = figure.axes[0]
    assert widths(axes) == [[40.2, 20, 11.4]]
    assert rows_of(figure) == ["antwoord 1", "antwoord 2", "antwoord 0"]
    lines = [line[:, 0].tolist() for line in axes.collections[0].get_segments()]
    assert lines == frame.loc[[1, 2, 0], ["ci_low", "ci_high"]].to_numpy().tolist()
    assert {"40%", "20%", "11%"} <= {text.get_text() for text in axes.texts}
    assert [text.xy[0] for text in axes.texts] == frame.loc[[1, 2, 0], "ci_high"].tolist()
    assert axes.get_xlim()[0] == 0
    assert "n = 256." in figure.texts[0].get_text()


def test_bars_keep_the_order_of_a_scale_and_take_codes_of_one_variable():
    frame = shares([5, 50, 20]).assign(variable="size", code=[1, 2, 3])
    figure = figures.bars(frame, {1: "solo", 2: "klein", 3: "groot"}, "nl", sort=False)
    assert rows_of(figure) == ["solo", "klein", "groot"]
    assert widths(figure.axes[0]) == [[5, 50, 20]]


def test_long_words_are_not_broken_while_there_is_room():
    frame = shares([11, 77]).drop(columns=["ci_low", "ci_high"])
    labels = {"v0": "communicatie- of marketingmedewerker", "v1": "directeur/eigenaar"}
    figure = figures.bars(frame, labels, "nl")
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["directeur/eigenaar", "communicatie- of\nmarketingmedewerker"]


def test_coefficients_stand_at_the_values_with_their_intervals_in_the_order_of_the_frame():
    figure = figures.coefficients(PATHS, names(3) | WAYS, "nl")
    axes = figure.axes[0]
    lines = [line for line in axes.lines if line.get_marker() != "None"]
    assert [list(line.get_xdata()) for line in lines] == [[0.4, -0.1, k / 10] for k in range(4)]
    assert len({(line.get_marker(), line.get_markerfacecolor()) for line in lines}) == 4
    assert rows_of(figure) == ["antwoord 0", "antwoord 1", "antwoord 2"]
    heights = np.array([line.get_ydata() for line in lines])
    assert (np.diff(heights, axis=0) > 0).all()  # no marker hides another
    drawn = [list(part[:, 0]) for c in axes.collections for part in c.get_segments() if len(part)]
    assert drawn == [[0.2, 0.6], [-0.3, 0.1]] * 4
    assert 0 in [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "None"]


def test_coefficients_need_no_intervals_and_no_full_series():
    part = PATHS.drop(index=[0, 5]).drop(columns=["std_ci_low", "std_ci_high"])
    figure = figures.coefficients(part, names(3) | WAYS, "en")
    lines = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert [len(line.get_xdata()) for line in lines] == [2, 2, 3, 3]


def test_means_stand_on_their_scale_and_its_ends_are_named():
    figure = figures.means(MEANS, names(3), SCALE, "nl")
    axes = figure.axes[0]
    drawn = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(drawn.get_xdata()) == [4.12, 1.0, 5.0]
    ends = ["zeer onwaarschijnlijk", "zeer waarschijnlijk"]
    assert [t.get_text().replace("\n", " ") for t in axes.texts] == ["4,12", "1,00", "5,00", *ends]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4", "5"]


def test_stacked_parts_are_the_shares_and_labels_contrast():
    figure = figures.stacked(answers(MIXED), names(4) | SCALE, "en")
    axes = figure.axes[0]
    assert rows_of(figure) == ["antwoord 2", "antwoord 0", "antwoord 3", "antwoord 1"]
    assert np.transpose(widths(axes)).tolist() == [MIXED[2], MIXED[0], MIXED[3], MIXED[1]]
    starts = [[bar.get_x() for bar in container] for container in axes.containers]
    ends = np.cumsum(widths(axes), axis=0)
    assert np.allclose(starts, np.vstack([np.zeros(4), ends[:-1]]))
    shown = [text.get_text() for text in axes.texts]
    assert sorted(shown) == sorted(["100%", *["20%"] * 5, "47%", "46%", "99%"])  # small parts bare
    assert {text.get_color() for text in axes.texts} == {"black", "white"}
    grey = [np.dot(c[0].get_facecolor()[:3], [0.299, 0.587, 0.114]) for c in axes.containers]
    assert (np.diff(grey) < -0.1).all()  # darker with each code


def test_gaps_join_the_means_and_give_the_difference():
    frame = pairs([2.0, 4.2], [2.6, 3.7])
    figure = figures.gaps(frame, names(2), ("motief", "ervaring"), "nl")
    axes = figure.axes[0]
    assert rows_of(figure) == ["antwoord 1", "antwoord 0"]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[4.2, 2.0], [3.7, 2.6]]
    segments = [line[:, 0].tolist() for line in axes.collections[0].get_segments()]
    assert segments == [[3.7, 4.2], [2.0, 2.6]]
    shown = [text.get_text() for text in axes.texts]
    assert "−0,50 [−0,60; −0,40]" in shown and "0,60 [0,50; 0,70]" in shown
    side = {text.get_text(): text.get_ha() for text in axes.texts}
    assert side["motief"] == "left" and side["ervaring"] == "right"  # the higher mean is the first
    turned = figures.gaps(pairs([3.7], [4.2]), names(1), ("motief", "ervaring"), "nl").axes[0]
    side = {text.get_text(): text.get_ha() for text in turned.texts}
    assert side["motief"] == "right" and side["ervaring"] == "left"


def test_histogram_has_a_panel_per_variable_and_a_bar_per_bin():
    figure = figures.histogram(bins([0.25, 30]), names(2), "nl")
    figure.draw_without_rendering()
    assert [axes.get_xlabel() for axes in figure.axes] == ["antwoord 0", "antwoord 1"]
    for axes, step in zip(figure.axes, (0.25, 30), strict=True):
        bars = axes.patches
        assert [bar.get_x() for bar in bars] == [step * k for k in range(8)]
        assert [bar.get_height() for bar in bars] == [1, 4, 20, 40, 25, 5, 3, 2]
    assert {"0,5", "1,5"} <= {text.get_text() for text in figure.axes[0].get_xticklabels()}


def test_missing_adds_the_reasons_up():
    figure = figures.missing(REASONS, names(3) | WHY, "nl")
    assert np.allclose(widths(figure.axes[0]), [[2.5, 1, 0], [6.1, 0.4, 0]], atol=1e-12)
    assert {"8,6%", "1,4%", "0,0%"} == {text.get_text() for text in figure.axes[0].texts}


def test_scree_draws_both_lines_and_fills_what_is_retained():
    frame = eigenvalues("motivation", "perception")
    frame.loc[frame["series"] == "perception", "eigenvalue"] *= 0.5
    figure = figures.scree(frame.sample(frac=1, random_state=1), CHANCE, "nl")
    assert {axes.get_title(loc="left") for axes in figure.axes} == {"motivatie", "perceptie"}
    for axes in figure.axes:
        name = {"motivatie": "motivation", "perceptie": "perception"}[axes.get_title(loc="left")]
        part = frame[frame["series"] == name]
        found, chance, kept = axes.lines
        assert found.get_xdata().tolist() == chance.get_xdata().tolist() == list(range(1, 13))
        assert found.get_ydata().tolist() == part["eigenvalue"].tolist()
        assert chance.get_ydata().tolist() == part["quantile"].tolist()
        assert kept.get_ydata().tolist() == part["eigenvalue"].tolist()[:2]
        assert kept.get_markerfacecolor() != found.get_markerfacecolor() == "white"
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert "n = 230. Gevuld: hoger dan toeval." in figure.texts[0].get_text()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["eigenwaarde van de items", "95e percentiel van toevalsgetallen"]
    assert len(figures.scree(eigenvalues(*"abcde"), CHANCE, "nl").axes) == 6  # two rows
    with pytest.raises(ValueError, match="component stands twice"):
        figures.scree(frame.assign(series="a"), CHANCE, "nl")


def call(name, frame):
    function, _, *more = KINDS[name]
    return function(frame, *more, "nl")


@pytest.mark.parametrize(
    ("name", "column"),
    [("bars", "percent"), ("coefficients", "std_all"), ("means", "mean"), ("stacked", "percent")]
    + [("gaps", "mean_second"), ("missing", "percent"), ("scree", "quantile")]
    + [("histogram", "low")],
)
def test_frames_that_cannot_be_drawn_are_refused(name, column):
    frame = KINDS[name][1].reset_index(drop=True)
    with pytest.raises(ValueError, match="no rows"):
        call(name, frame.iloc[:0])
    with pytest.raises(ValueError, match=f"no column '{column}'"):
        call(name, frame.drop(columns=column))
    with pytest.raises(ValueError, match=f"'{column}' holds nan in row 1"):
        call(name, frame.assign(**{column: frame[column].where(frame.index != 1)}))
    with pytest.raises(ValueError, match="holds 12% in row 0"):
        call(name, frame.assign(**{column: "12%"}))


def test_other_faults_are_named():
    with pytest.raises(ValueError, match="no label for 'v1'"):
        figures.bars(shares([1, 2]), names(1), "nl")
    with pytest.raises(ValueError, match="language is 'de'"):
        figures.bars(shares([1]), names(1), "de")
    with pytest.raises(ValueError, match="outside 0 to 100"):
        figures.bars(shares([120]), names(1), "nl")
    with pytest.raises(ValueError, match="not on the scale 1 to 5"):
        figures.means(MEANS.assign(mean=5.2), names(3), SCALE, "nl")
    with pytest.raises(ValueError, match="'v0' do not add up to 100"):
        figures.stacked(answers([[20, 20, 20, 20, 10]]), names(1) | SCALE, "nl")
    with pytest.raises(ValueError, match="variable twice"):
        figures.coefficients(pd.concat([PATHS, PATHS]), names(3) | WAYS, "nl")
    with pytest.raises(ValueError, match="More than 4 series"):
        fifth = PATHS[PATHS["series"] == "ML"].assign(series="fifth")
        figures.coefficients(pd.concat([PATHS, fifth]), names(3) | WAYS | {"fifth": "x"}, "nl")


def test_in_words_names_every_number_in_the_language():
    frame = pd.DataFrame({"code": [1, 2], "percent": [40.2, 59.8], "mean": [2.0, 3.456]})
    labels = {1: "ja", 2: "nee"}
    assert (
        figures.in_words("Kop", frame, "code", "percent", labels, "nl") == "Kop: ja 40%, nee 60%."
    )
    assert figures.in_words("Kop", frame, "code", "mean", labels, "nl") == "Kop: ja 2,00, nee 3,46."
    texts = frame.assign(code=["ja", "nee"])
    assert figures.in_words("Kop", texts, "code", "mean", None, "en") == "Kop: ja 2.00, nee 3.46."
    with pytest.raises(ValueError, match="no label for 2"):
        figures.in_words("Kop", frame, "code", "mean", {1: "ja"}, "nl")
