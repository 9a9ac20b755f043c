"""Flow, claims and path diagram: what they say equals the frame, and nothing covers anything."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.patches import ArrowStyle, Ellipse, FancyArrowPatch, Rectangle
from matplotlib.path import Path
from test_figures import LONG, NOTICE, assert_readable, drawn_texts

from mkb21.page import diagrams, figures
from semfit.results import geometry

FLOW = pd.DataFrame(
    {
        "step": ["read", "test", "abandoned", "double", "kept"],
        "dropped": [0, 7, 0, 50, 0],
        "remaining": [371, 364, 364, 314, 314],
    }
)
STEPS = {"read": "ingelezen", "test": "testinvoer", "abandoned": LONG, "double": "dubbel"}
STEPS["kept"] = "in de analyse"


def path(lhs, rhs, value, op="~", se=0.07):
    limits = {"std_ci_low": value - 1.96 * se, "std_ci_high": value + 1.96 * se}
    p = 0.2 if abs(value) < 1.96 * se else 0.001
    return {"lhs": lhs, "op": op, "rhs": rhs, "std_all": value, "p": p} | limits


LATENT = ["culture", "environment", "motivation", "use", "perception", "reputation"]
COVARIATES = ["size", "b2c", "east"]
MODEL = pd.DataFrame(
    [
        *[path(latent, "item", 0.7, "=~") for latent in LATENT],
        path("motivation", "culture", 0.31),
        path("motivation", "environment", 0.42),
        *[path("motivation", covariate, 0.05) for covariate in COVARIATES],
        path("use", "motivation", -0.48),
        path("use", "culture", 0.18),
        *[path("use", covariate, 0.16) for covariate in COVARIATES],
        path("perception", "use", 0.61),
        path("reputation", "perception", 0.52),
        path("reputation", "use", 0.09),
        path("culture", "environment", 0.28, "~~"),
        path("culture", "culture", 1.0, "~~"),
        path("item", "item", 0.5, "~~"),
    ]
)
TEXTS = dict(zip(LATENT, ["bedrijfscultuur", "omgeving", "motivatie", "gebruik"], strict=False))
TEXTS |= {"perception": "perceptie van het resultaat", "reputation": "invloed op de reputatie"}
TEXTS |= {"size": "bedrijfsomvang", "b2c": "consumentenmarkt", "east": "gevestigd in het oosten"}


def claim(name, statistic, comparator, limits, computed, holds=True, **more):
    row = {"id": name, "statistic": statistic, "comparator": comparator, "value": np.nan}
    row |= {"value_high": np.nan, "decimals": np.nan, "lower": limits[0], "upper": limits[1]}
    return row | {"computed": computed, "holds": holds} | more


CLAIMS = pd.DataFrame(
    [
        claim("p_zero", "percent", "equals", (-0.5, 0.5), 0.0, value=0, decimals=0),
        claim("p_half", "percent", "equals", (49.5, 50.5), 50.4, value=50, decimals=0),
        claim("p_all", "min_percent", "greater", (90, np.inf), 100.0, value=90),
        claim("p_off", "percent", "between", (9.5, 20.5), 31.0, False, value=9.5, value_high=20.5),
        claim("n_all", "n_rows", "equals", (313.5, 314.5), 314, value=314, decimals=0),
        claim("mean_one", "mean", "equals", (2.095, 2.105), 2.0999, value=2.1, decimals=2),
        claim("mean_less", "mean", "less", (-np.inf, 3.49), 2.5),
        claim("first", "percent", "largest", (1, 1), 1),
        claim("top", "mean", "top", (1, 3), 3, value=3),
        claim("alpha", "alpha", "equals", (0.9435, 0.9445), np.nan, False, value=0.944, decimals=3),
        claim("gap", "max_gap", "less", (-np.inf, 0), -0.08, value=0),
        claim("other", "new_statistic", "equals", (4.5, 5.5), 5, value=5, decimals=0),
    ]
)
KINDS = {
    "flow": (diagrams.flow, FLOW, STEPS),
    "flow_short": (diagrams.flow, FLOW.iloc[[0, 3, 4]].assign(remaining=[364, 314, 314]), STEPS),
    "claims": (diagrams.claims, CLAIMS, {"p_half": LONG}),
    "claims_one": (diagrams.claims, CLAIMS[:1], {}),
    "paths": (diagrams.path_diagram, MODEL, TEXTS),
    "paths_one": (diagrams.path_diagram, MODEL[MODEL["op"] == "~"][:1], TEXTS),
    "paths_long": (
        diagrams.path_diagram,
        MODEL,
        TEXTS | dict.fromkeys([*LATENT, "size"], LONG[:63]),
    ),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_nothing_is_cut_or_covered(kind, language, tmp_path):
    function, *arguments = kind
    figure = function(*arguments, language, "Titel")
    assert_readable(figure)
    figures.save(figure, tmp_path, "f", NOTICE, "alt")
    assert_readable(figure)


def test_frame_is_kept_and_bytes_are_the_same(kind, tmp_path):
    function, frame, *more = kind
    before = frame.copy(deep=True)
    for folder in "ab":
        figures.save(function(frame, *more, "nl"), tmp_path / folder, "f", NOTICE, "alt")
    pd.testing.assert_frame_equal(frame, before)
    for name in ("f.svg", "f.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


def lowest_and_highest(patch):
    """Corners of a patch in pixels."""
    box = patch.get_window_extent()
    return np.array([[box.x0, box.y0], [box.x1, box.y1]])


# --- flow ----------------------------------------------------------------------------------------


def test_flow_says_every_number_from_top_to_bottom():
    figure = diagrams.flow(FLOW, STEPS, "nl")
    boxed = ["ingelezen n = 371", "testinvoer: n = 7", "dubbel: n = 50", "in de analyse n = 314"]
    shown = texts(figure)
    assert [text for text in shown if text in boxed] == boxed
    assert [text for text in shown if text.startswith("n = ")] == ["n = 364", "n = 364"]
    figure.draw_without_rendering()
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    tops = [lowest_and_highest(box)[1, 1] for box in boxes]
    assert len(boxes) == 5 and tops == sorted(tops, reverse=True)
    right = [lowest_and_highest(box)[0, 0] for box in boxes]
    assert min(right[1:4]) > max(right[0], right[4])


def test_text_stays_in_its_box():
    for figure in (diagrams.flow(FLOW, STEPS, "nl"), diagrams.path_diagram(MODEL, TEXTS, "nl")):
        figure.draw_without_rendering()
        boxes = [p for p in figure.axes[0].patches if isinstance(p, Rectangle | Ellipse)]
        centred = [(t, t.get_window_extent()) for t in figure.axes[0].texts]
        for box in boxes:
            low, high = lowest_and_highest(box)
            middle = (low + high) / 2
            own = [
                b
                for t, b in centred
                if np.allclose(t.get_transform().transform(t.get_position()), middle, atol=1)
            ]
            assert len(own) == 1
            corners = np.array(own[0].corners())
            if isinstance(box, Ellipse):
                assert ((((corners - middle) / ((high - low) / 2)) ** 2).sum(axis=1) < 1.15).all()
            else:
                assert (corners >= low).all() and (corners <= high).all()


def test_flow_that_does_not_add_up_is_refused():
    with pytest.raises(ValueError, match="does not add up"):
        diagrams.flow(FLOW.assign(dropped=[0, 7, 0, 49, 0]), STEPS, "nl")
    with pytest.raises(ValueError, match="two rows"):
        diagrams.flow(FLOW[:1], STEPS, "nl")
    with pytest.raises(ValueError, match="no rows"):
        diagrams.flow(FLOW[:0], STEPS, "nl")
    with pytest.raises(ValueError, match="no label for 'kept'"):
        diagrams.flow(FLOW, {step: "x" for step in STEPS if step != "kept"}, "nl")
    with pytest.raises(ValueError, match="'dropped' holds nan in row 2"):
        diagrams.flow(FLOW.assign(dropped=[0, 7, np.nan, 50, 0]), STEPS, "nl")


# --- claims --------------------------------------------------------------------------------------


def test_every_claim_has_its_numbers_and_verdict():
    figure = diagrams.claims(CLAIMS, {}, "en")
    shown = texts(figure)
    lines = {
        shown[i]: shown[i + 1 : i + 4] for i in range(len(shown)) if shown[i] in set(CLAIMS["id"])
    }
    assert lines == {
        "p_zero": ["0%", "0.0%", "✓ holds"],
        "p_half": ["50%", "50.4%", "✓ holds"],
        "p_all": ["> 90%", "100.0%", "✓ holds"],
        "p_off": ["9.5–20.5%", "31.0%", "✗ fails"],
        "n_all": ["314", "314", "✓ holds"],
        "mean_one": ["2.10", "2.100", "✓ holds"],
        "mean_less": ["< 3.49", "2.500", "✓ holds"],
        "first": ["1", "1", "✓ holds"],
        "top": ["≤ 3", "3", "✓ holds"],
        "alpha": ["0.944", "–", "✗ fails"],
        "gap": ["< 0", "−0.080", "✓ holds"],
        "other": ["5", "5.000", "✓ holds"],
    }
    assert figure.texts[0].get_text().startswith("10 of 12 hold.")
    panels = ["Percentages", "Means", "Counts", "Place in an order", "Cronbach's alpha"]
    assert set(panels) <= set(shown) and "new_statistic" in shown


def test_dots_of_claims_stand_at_their_place_on_the_scale():
    axes = diagrams.claims(CLAIMS, {}, "en").axes[0]
    rows = {text.get_text(): text.get_position()[1] for text in axes.texts}
    left_half = [line for line in axes.lines if line.get_xdata()[0] < diagrams.WIDE / 2]
    dots, rings = (
        {
            round(line.get_ydata()[0], 6): line.get_xdata()[0]
            for line in left_half
            if line.get_marker() == "o" and (line.get_markersize() > 4) == large
        }
        for large in (False, True)
    )
    left, half, right = (dots[round(rows[name], 6)] for name in ("p_zero", "p_half", "p_all"))
    scale = {segment[0, 0] for lines in axes.collections for segment in lines.get_segments()}
    assert {left, right} <= scale  # 0% and 100% are the ends
    assert half == pytest.approx(left + 0.504 * (right - left))
    assert rings[round(rows["p_half"], 6)] == pytest.approx(left + 0.5 * (right - left))
    assert round(rows["p_off"], 6) not in rings  # a reach, not a number
    bars = {line.get_ydata()[0]: line for line in left_half if line.get_marker() != "o"}
    reach = left + np.array([0.095, 0.205]) * (right - left)
    assert bars[rows["p_off"]].get_xdata() == pytest.approx(reach)
    absent = [line for line in axes.lines if np.isnan(line.get_xdata()).any()]
    assert [line.get_ydata()[0] for line in absent] == [rows["alpha"]]
    shaded = [patch for patch in axes.patches if patch.get_facecolor() != colors.to_rgba("white")]
    assert len(shaded) == 2  # the claims that do not hold


def test_claims_without_a_column_or_row_are_refused():
    with pytest.raises(ValueError, match="no column 'lower'"):
        diagrams.claims(CLAIMS.drop(columns="lower"), {}, "nl")
    with pytest.raises(ValueError, match="no rows"):
        diagrams.claims(CLAIMS[:0], {}, "nl")


# --- path diagram --------------------------------------------------------------------------------


def test_layers_follow_the_causes():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("x", "b"), ("c", "d"), ("b", "d")]
    places = diagrams.layered(["a", "x", "b", "c", "d"], edges)
    assert {node: column for node, (column, _) in places.items()} == {
        "a": 0,
        "x": 0,
        "b": 1,
        "c": 2,
        "d": 3,
    }
    assert all((column + row) % 2 == 0 for column, row in places.values())
    assert len(set(places.values())) == 5
    assert places["a"][1] < places["x"][1]  # nearest to what it points at
    with pytest.raises(ValueError, match="circle"):
        diagrams.layered(["a", "b"], [("a", "b"), ("b", "a")])


def test_one_regression_is_a_straight_arrow_between_two_boxes():
    assert diagrams.layered(["a", "b"], [("a", "b")]) == {"a": (0, 0), "b": (1, 0)}
    one = pd.DataFrame([path("outcome", "predictor", 0.4)])
    names = {"predictor": "gebruiksfrequentie", "outcome": "invloed"}
    figure = diagrams.path_diagram(one, names, "en")
    said = [text.get_text() for text, _ in drawn_texts(figure)]
    assert {"gebruiksfrequentie", "invloed"} <= {*said}  # each on one line, in a box that holds it
    assert "Ellipse" not in " ".join(said) and not figure.findobj(Ellipse)
    chain = pd.DataFrame([path("b", "a", 0.4), path("c", "b", 0.3), path("c", "a", 0.1)])
    assert (
        len(diagrams.path_diagram(chain, dict(zip("abc", "abc")), "nl").findobj(FancyArrowPatch))
        == 3
    )


def test_arrows_in_words_go_from_cause_to_effect():
    rows = pd.DataFrame([("y", "~", "x"), ("f", "=~", "x"), ("x", "~~", "y"), ("y", "~", "z")])
    rows.columns = ["lhs", "op", "rhs"]
    told = diagrams.arrows(rows, {"x": "X", "y": "Y", "f": "F"})
    assert told.tolist()[:3] == ["X → Y", "F → X", "Y ↔ X"] and told.isna().tolist()[3]
    assert diagrams.arrows(rows[["lhs", "rhs"]], {"x": "X", "y": "Y"})[0] == "X → Y"


def test_arrow_avoids_a_node_that_is_in_the_way():
    shapes = {
        name: (x, 1.0, 1.0, 0.4, False) for name, x in zip("abc", (0.5, 3.0, 5.5), strict=True)
    }
    bent = geometry.route("a", "c", "~", shapes, diagrams.WIDE)
    assert not geometry.within(bent, shapes["b"]).any()
    straight = geometry.route("a", "b", "~", shapes, diagrams.WIDE)
    assert np.ptp(straight[:, 1]) == pytest.approx(0)
    assert straight[0, 0] == pytest.approx(1.0, abs=0.05)  # from edge to edge
    assert straight[-1, 0] == pytest.approx(2.5, abs=0.05)


def test_coefficient_leaves_the_place_where_arrows_cross():
    t = np.linspace(0, 1, 101)[:, None]
    routes = [t * [4, 4] + [1, 1], t * [4, -4] + [1, 5]]
    spots = geometry.label_spots(routes, ["0.50\n[0.40, 0.60]"] * 2, {}, diagrams._label_size)
    half = np.array([figures.text_width("[0.40, 0.60]"), 2 * figures.LINE[7]]) / 2
    for spot, own, other in zip(spots, routes, routes[::-1], strict=True):
        assert (own == spot).all(axis=1).any()
        assert not ((other > spot - half) & (other < spot + half)).all(axis=1).any()


def drawn(figure):
    """Arrows in pixels, boxes of nodes, boxes of coefficients."""
    figure.draw_without_rendering()
    axes = figure.axes[0]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    paths = [arrow.get_path() for arrow in arrows]  # line and heads
    lines = [axes.transData.transform(p.vertices[p.codes != Path.CLOSEPOLY]) for p in paths]
    nodes = [lowest_and_highest(p) for p in axes.patches if isinstance(p, Ellipse)]
    labels = [t for t in axes.texts if t.get_bbox_patch() is not None]
    return arrows, lines, nodes, labels


@pytest.mark.parametrize("language", ["nl", "en"])
def test_coefficients_stand_on_their_arrow_and_cover_nothing_else(language):
    arrows, lines, nodes, labels = drawn(diagrams.path_diagram(MODEL, TEXTS, language))
    assert len(arrows) == len(labels) == 8
    for position, text in enumerate(labels):
        box = text.get_window_extent()
        for other, line in enumerate(lines):
            inside = ((line > box.min) & (line < box.max)).all(axis=1).any()
            assert inside == (other == position), text.get_text()
        for low, high in nodes:
            assert (box.min >= high).any() or (box.max <= low).any(), text.get_text()


def test_arrows_cross_no_node():
    _, lines, nodes, _ = drawn(diagrams.path_diagram(MODEL, TEXTS, "nl"))
    for line in lines:
        for low, high in nodes:
            middle, half = (low + high) / 2, (high - low) / 2
            assert not ((((line - middle) / half) ** 2).sum(axis=1) < 0.99).any()


def test_arrows_show_size_significance_and_kind():
    arrows, _, _, labels = drawn(diagrams.path_diagram(MODEL, TEXTS, "en"))
    by = {text.get_text().split("\n")[0]: arrow for text, arrow in zip(labels, arrows, strict=True)}
    assert set(by) == {"0.31", "0.42", "−0.48", "0.18", "0.61", "0.52", "0.09", "0.28"}
    size = [by[name].get_linewidth() for name in ("0.09", "0.18", "0.31", "−0.48", "0.61")]
    assert size == sorted(size) and len(set(size)) == 5
    assert [name for name, arrow in by.items() if arrow.get_linestyle() != "-"] == ["0.09"]
    assert "[−0.05, 0.23]" in next(t.get_text() for t in labels if t.get_text()[:4] == "0.09")
    two = ArrowStyle.CurveFilledAB
    both = [name for name, arrow in by.items() if isinstance(arrow.get_arrowstyle(), two)]
    assert both == ["0.28"]


def test_arrow_points_from_cause_to_effect():
    figure = diagrams.path_diagram(MODEL, TEXTS, "nl")
    _, lines, _, labels = drawn(figure)
    nodes_first = figure.axes[0].texts[::-1]  # the table below has the same names
    at = {t.get_text().replace("\n", " "): t for t in nodes_first}
    spot = {name: at[TEXTS[name]].get_window_extent() for name in ("motivation", "use")}
    line = next(
        line for line, t in zip(lines, labels, strict=True) if t.get_text().startswith("−0,48")
    )
    x = [(box.x0 + box.x1) / 2 for box in spot.values()]
    assert x[0] < line[0, 0] < line[-3:, 0].mean() < x[1]  # the head is drawn last


def test_covariates_stand_in_a_table_below():
    figure = diagrams.path_diagram(MODEL, TEXTS, "nl")
    shown = texts(figure)
    start = shown.index("Covariaten, effect op:")
    small, large = "0,05 [−0,09; 0,19]", "0,16 [0,02; 0,30]"
    names = [TEXTS[name] for name in COVARIATES]
    expected = [cell for name in names for cell in (name, small, large)]
    assert shown[start + 1 :] == ["motivatie", "gebruik", *expected]
    boxes = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    ellipses = [p for p in figure.axes[0].patches if isinstance(p, Ellipse)]
    assert len(boxes) == 3 and len(ellipses) == 6


def test_model_of_observed_variables_has_rectangles_and_no_table():
    frame = MODEL[(MODEL["op"] == "~") & ~MODEL["rhs"].isin(COVARIATES)]
    figure = diagrams.path_diagram(frame, TEXTS, "nl")
    boxes = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    assert len(boxes) == 6 and "Covariaten, effect op:" not in texts(figure)


def test_arrows_in_words_point_from_cause_to_effect():
    rows = MODEL[MODEL["op"] != "=~"]
    both = rows["op"] == "~~"
    shown = diagrams.arrows(rows, {name: name.upper() for name in {*rows["lhs"], *rows["rhs"]}})
    assert both.any() and shown[both].str.count(" ↔ ").eq(1).all()
    assert shown[~both].tolist() == [
        f"{row.rhs.upper()} → {row.lhs.upper()}" for row in rows[~both].itertuples()
    ]
    plain = pd.DataFrame({"rhs": ["a", ""], "lhs": ["b", ""]})
    assert diagrams.arrows(plain, {"a": "A", "b": "B"}).fillna("all").tolist() == ["A → B", "all"]


def test_own_layout_and_p_without_interval():
    frame = MODEL[MODEL["op"] == "~"][:2].drop(columns=["std_ci_low", "std_ci_high"])
    places = {"culture": (0, 0), "environment": (0, 1), "motivation": (1, 1)}
    figure = diagrams.path_diagram(frame, TEXTS, "en", layout=places)
    assert "0.42 p = .001" in texts(figure)
    boxes = [
        t.get_window_extent() for t, _ in drawn_texts(figure) if t.get_text() in TEXTS.values()
    ]
    assert sorted(round(box.y0) for box in boxes)[1:] == pytest.approx(
        [max(b.y0 for b in boxes)] * 2, abs=3
    )
    with pytest.raises(ValueError, match="no place for 'motivation'"):
        diagrams.path_diagram(frame, TEXTS, "en", layout={"culture": (0, 0), "environment": (0, 1)})


def test_estimates_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        diagrams.path_diagram(MODEL[MODEL["op"] == "=~"], TEXTS, "nl")
    with pytest.raises(ValueError, match="no column 'std_all'"):
        diagrams.path_diagram(MODEL.drop(columns="std_all"), TEXTS, "nl")
    with pytest.raises(ValueError, match="'std_all' holds nan"):
        diagrams.path_diagram(MODEL.assign(std_all=np.nan), TEXTS, "nl")
    with pytest.raises(ValueError, match="motivation ~ culture stands twice"):
        diagrams.path_diagram(pd.concat([MODEL, MODEL]), TEXTS, "nl")
    with pytest.raises(ValueError, match="circle"):
        loop = pd.DataFrame([path("culture", "reputation", 0.2)])
        diagrams.path_diagram(pd.concat([MODEL, loop]), TEXTS, "nl")
    with pytest.raises(ValueError, match="no label for 'use'"):
        diagrams.path_diagram(MODEL, {k: v for k, v in TEXTS.items() if k != "use"}, "nl")
    with pytest.raises(ValueError, match="language is 'de'"):
        diagrams.path_diagram(MODEL, TEXTS, "de")
