"""Charts: what a reader sees in the text, and that no series whatever brings the process down."""

from __future__ import annotations

import ast
import itertools
import math
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from wcwidth import wcswidth

import gdrepl
from gdrepl.display.axis import fit
from gdrepl.display.charts import LEAST_HEIGHT, LEAST_WIDTH, draw
from gdrepl.display.series import thin_line, thin_points
from gdrepl.insight.chart import COLORS, Chart, Series

PACKAGE = Path(gdrepl.__file__).parent
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
BRAILLE = re.compile(r"[\u2801-\u28ff]")
FUZZED = 5_000
BLUE, RED = "\x1b[38;5;4m", "\x1b[38;5;1m"


def chart(*series, log=False, title="", x_label="step", y_label="loss"):
    return Chart(title, x_label, y_label, series, log)


def line(y, x=None, label=""):
    return Series(label, np.arange(len(y)) if x is None else x, np.asarray(y))


def points(y, x=None, label="", color=""):
    return Series(label, np.arange(len(y)) if x is None else x, np.asarray(y), "points", color)


def canvas(text):
    """The rows right of the y axis and above the x axis, top first."""
    rows = [row for row in text.splitlines() if "│" in row or "┤" in row]
    return [re.split("[│┤]", row, maxsplit=1)[1] for row in rows]


def where(text, glyph):
    """(column, row) of each glyph on the canvas, the lowest row being 0."""
    rows = canvas(text)
    return sorted((c, len(rows) - 1 - r) for r, row in enumerate(rows) for c, seen in enumerate(row) if seen == glyph)


def y_labels(text):
    return [row.split("┤")[0].strip() for row in text.splitlines() if "┤" in row]


def x_labels(text):
    rows = text.splitlines()
    return rows[next(i for i, row in enumerate(rows) if "└" in row) + 1].split()


def descent():
    """Chart (1): the parabola, 200 visited points, start and current."""
    x, visited = np.linspace(-10, 110, 400), 50 - 55 * 0.97 ** np.arange(200)
    loss = lambda at: (at - 50) ** 2  # noqa: E731
    return chart(
        Series("loss", x, loss(x)),
        Series("visited", visited, loss(visited), "points", "blue"),
        Series("start", visited[:1], loss(visited[:1]), "points", "red"),
        Series("current", visited[-1:], loss(visited[-1:]), "points", "red"),
        title="(x-50)**2",
        x_label="x",
    )


# Places


def test_points_stand_in_the_corners_of_the_canvas():
    text = draw(chart(points([0.0, 1.0, 0.0, 1.0], x=[0, 0, 1, 1])), 60, 15, color=False)
    rows = canvas(text)
    width = 60 - text.splitlines()[-3].index("└") - 1
    assert where(text, "•") == [(0, 0), (0, len(rows) - 1), (width - 1, 0), (width - 1, len(rows) - 1)]


def test_the_right_edge_is_the_last_column_asked_for():
    text = draw(chart(points([0.0, 1.0, 2.0])), 60, 15, color=False)
    assert max(map(len, text.splitlines())) == 60


def test_a_rising_line_rises():
    text = draw(chart(line(np.linspace(0, 1, 50))), 60, 15, color=False)
    rows = canvas(text)
    first = [BRAILLE.search(row).start() for row in rows]
    assert first == sorted(first, reverse=True)
    assert len(set(first)) == len(rows)


def test_unsorted_x_is_placed_by_value_not_by_order():
    text = draw(chart(points([2.0, 0.0, 1.0], x=[2, 0, 1])), 60, 15, color=False)
    (left, low), (middle, half), (right, top) = where(text, "•")
    assert left < middle < right
    assert low < half < top


def test_the_descent_shows_its_start_left_of_and_above_where_it_is_now():
    text = draw(descent(), color=False)
    (start,), (current,) = where(text, "◆"), where(text, "▲")
    assert start[0] < current[0]
    assert start[1] > current[1]
    assert where(text, "•")


def test_points_hide_the_line_whatever_the_order_of_the_series():
    series = [line([1.0, 1.0, 1.0]), points([1.0, 1.0, 1.0])]
    for order in (series, series[::-1]):
        assert len(where(draw(chart(*order), 60, 15, color=False), "•")) == 3


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8", "bool"])
def test_other_number_types_draw_the_same(dtype):
    y = np.array([0, 1, 1, 0, 1])
    assert draw(chart(line(y.astype(dtype)))) == draw(chart(line(y.astype(float))))


# Colours and characters


def test_points_carry_the_colour_asked_for():
    text = draw(descent())
    assert f"{BLUE}•" in text
    assert f"{RED}◆" in text
    assert f"{RED}▲" in text


def test_a_series_without_a_colour_takes_one_that_no_other_asked_for():
    asked = [points([1.0], color=color) for color in ("green", "magenta", "cyan", "blue", "red")]
    assert "\x1b[38;5;3m" in draw(chart(line([0.0, 1.0]), *asked))  # 3 is orange, all that is left of the cycle


def test_without_colour_there_are_no_escape_codes_and_the_same_rows():
    assert draw(descent(), color=False).splitlines()[5:9] == [
        row.rstrip() for row in ESCAPE.sub("", draw(descent())).splitlines()[5:9]
    ]
    assert "\x1b" not in draw(descent(), color=False)


def test_without_colour_two_lines_have_two_glyphs():
    text = draw(chart(line([0.0, 1.0], label="a"), line([1.0, 0.0], label="b")), color=False)
    assert where(text, "+")
    assert BRAILLE.search(text)
    assert "── a  ++ b" in text


def test_ascii_means_axes_markers_and_labels():
    one = Series("Δloss — über", np.arange(5), np.arange(5))
    text = draw(chart(one, points([1.0, 2.0], label="日本"), title="∂f/∂x²", y_label="perte é"), ascii_only=True)
    assert text.isascii()
    assert "perte e" in text
    assert "?loss ? uber" in text


def test_control_characters_in_labels_do_nothing():
    hostile = "a\nb\tc\x1b[31md\r\x07e\u202ef\x9b2Jg\ud800\u2028h"
    text = draw(
        Chart(hostile, hostile, hostile, (line([1.0, 2.0], label=hostile),)),
        color=False,
    )
    assert len(text.splitlines()) == len(draw(chart(line([1.0, 2.0], label="x"), title="t")).splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\ud800]", text)
    assert "a b c?[31md ?ef?2Jg? h" in text


@pytest.mark.parametrize("text", ["w" * 500, "漢字" * 200, "e\u0301" * 300, "👩‍👩‍👧‍👦❤️🇩🇪" * 30, " " * 300])
@pytest.mark.parametrize("width", [10, 33, 80])
def test_long_and_wide_labels_are_cut_to_the_width(text, width):
    drawn = draw(Chart(text, text, text, (line([1.0, 2.0], label=text),)), width, 12, color=False)
    assert max(map(cell_len, drawn.splitlines())) <= width
    assert max(map(wcswidth, drawn.splitlines())) <= width
    assert len(drawn.splitlines()) <= 12


# What is named


def test_axes_title_and_legend_are_named():
    text = draw(descent(), color=False)
    rows = text.splitlines()
    assert rows[0].startswith("loss ")
    assert rows[0].endswith(" (x-50)**2")
    assert rows[-2].strip() == "x"
    assert rows[-1] == "  ── loss  • visited  ◆ start  ▲ current"
    assert y_labels(text) == ["3000", "2000", "1000", "0"]
    assert x_labels(text) == ["0", "20", "40", "60", "80", "100"]


def test_the_legend_lists_both_branches_and_no_series_without_a_label():
    two = line([3.0, 2.0, 1.0], label="main"), line([3.0, 1.0, 0.0], label="lr 0.1")
    text = draw(chart(*two, line([0.0, 0.0])), color=False)
    assert "main" in text.splitlines()[-1]
    assert "lr 0.1" in text.splitlines()[-1]
    assert draw(chart(line([1.0, 2.0])), color=False).splitlines()[-1].strip() == "step"


def test_a_long_legend_takes_at_most_a_fifth_of_the_height():
    many = [line([float(i), 0.0], label=f"branch number {i} of forty") for i in range(40)]
    text = draw(chart(*many), 80, 20, color=False)
    assert sum("branch" in row for row in text.splitlines()) == 4
    assert len(canvas(text)) >= 10


@pytest.mark.parametrize(
    ("values", "name", "labels"),
    [
        ([0.0, 1e30], "loss (1e30)", ["1.0", "0.5", "0.0"]),
        ([1e-30, 3e-30], "loss (1e-30)", ["3", "2", "1"]),
        ([-1e300, 1e300], "loss (1e300)", ["1", "0", "-1"]),
        ([5e-324, 1e-320], "loss (1e-321)", ["10", "5", "0"]),
        ([0.0, 0.1, 0.2, 0.30000000000000004], "loss", ["0.3", "0.2", "0.1", "0.0"]),
        ([0.69314710, 0.69314713], "loss - 0.6931471 (1e-9)", ["30", "20", "10", "0"]),
        ([-1000001.0, -1000000.0], "loss + 1000010", ["10", "9"]),
        ([0.0, 25_000.0], "loss", ["20000", "10000", "0"]),
        ([7.0, 7.0], "loss", ["8", "7", "6"]),
        ([1e-30, 1e-30], "loss (1e-30)", ["1.1", "1.0", "0.9"]),
        ([1e30, 1e30], "loss (1e30)", ["1.1", "1.0", "0.9"]),
        ([0.0, -0.0], "loss", ["1", "0", "-1"]),
    ],
)
def test_ticks_are_short_and_readable(values, name, labels):
    text = draw(chart(line(values)), 60, 15, color=False)
    assert text.splitlines()[0] == name
    assert y_labels(text) == labels


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1e-2, 1e3], ["1000", "100", "10", "1", "0.1", "0.01"]),
        ([1e-30, 1e30], ["1e30", "1e20", "1e10", "1e0", "1e-10", "1e-20", "1e-30"]),
        ([5e-324, 1e308], ["1e200", "1e0", "1e-200"]),
        ([0.3, 3.3], ["2.0", "1.0", "0.5"]),
        ([2e-30, 3e-30], ["3.0e-30", "2.8e-30", "2.6e-30", "2.4e-30", "2.2e-30"]),
        ([7.0, 7.0], ["20", "10", "5"]),
    ],
)
def test_log_ticks_are_short_and_readable(values, labels):
    text = draw(chart(line(values), log=True), 60, 22, color=False)
    assert text.splitlines()[0] == "loss (log)"
    assert y_labels(text) == labels


def test_ticks_of_steps_are_whole_numbers():
    assert x_labels(draw(chart(line([3.0, 2.0, 1.0])), color=False)) == ["0", "1", "2"]


@pytest.mark.parametrize("low", [-1e300, -3.7e9, -1.0, -1e-30, 0.0, 5e-324, 1e-30, 0.6931, 12.5, 1e30])
@pytest.mark.parametrize("span", [1e-14, 1e-6, 0.3, 1.0, 1e5])
def test_a_tick_label_is_the_value_found_at_its_place(low, span):
    low, high = low, low + span * (abs(low) or 1.0)
    axis = fit([np.array([low, high])])
    ticks = axis.ticks(5)
    assert 1 <= len(ticks) <= 24
    assert [tick.position for tick in ticks] == sorted({tick.position for tick in ticks})
    assert all(len(tick.label) <= 8 for tick in ticks)
    for tick in ticks:
        at = axis.low + tick.position * (axis.high - axis.low)
        assert at == pytest.approx(float(tick.label), abs=1e-6 * (axis.high - axis.low))
    named = re.search(r"\((1e-?\d+)\)", axis.name(""))
    factor = Decimal(named[1] if named else 1)  # a Decimal, since 1e-324 is no float
    ends = [axis.offset + Decimal(end) * factor for end in (axis.low, axis.high)]
    if low < high:
        # The offset, a decimal, is off by half a unit in the last place once it is a float.
        room = (Decimal(high) - Decimal(low)) / 1_000_000 + Decimal(math.ulp(low))
        assert abs(ends[0] - Decimal(low)) <= room
        assert abs(ends[1] - Decimal(high)) <= room
    else:
        assert ends[0] < Decimal(low) < ends[1]


# What is left out


def test_nothing_at_all_says_so():
    assert draw(chart()) == "nothing to draw: loss has no values yet"
    assert draw(chart(line([]))) == "nothing to draw: loss has no values yet"


def test_nothing_finite_says_why():
    values = [np.nan] * 12 + [np.inf, -np.inf]
    assert draw(chart(line(values))) == "nothing to draw: loss has no finite value (12 NaN, 2 Inf)"
    assert draw(chart(line(values[:12]))) == "nothing to draw: loss has no finite value (12 NaN)"


def test_a_log_chart_of_non_positive_values_says_why():
    text = draw(chart(line([0.0, -1.0, -0.0, np.nan]), log=True))
    assert text == "nothing to draw: no loss above 0 for a log axis (1 NaN, 3 <= 0)"


def test_a_log_chart_drops_and_counts_non_positive_values():
    text = draw(chart(line([1.0, 10.0, 0.0, 100.0, -5.0, np.nan]), log=True), color=False)
    assert text.splitlines()[-1] == "1 non-finite value and 2 values <= 0 not drawn"


def test_non_finite_values_are_counted_under_the_chart():
    text = draw(chart(line([1.0, np.nan, 2.0, np.inf, -np.inf, 3.0])), color=False)
    assert text.splitlines()[-1] == "3 non-finite values not drawn"


def test_the_count_of_what_is_missing_outlives_every_other_line_in_a_small_chart():
    text = draw(chart(line([1.0, np.nan, 2.0]), title="t"), 40, LEAST_HEIGHT, color=False)
    assert text.splitlines()[-1] == "1 non-finite value not drawn"


@pytest.mark.parametrize("count", [60, 100_000])
def test_a_gap_is_not_bridged(count):
    y = np.linspace(1.0, 2.0, count)
    y[count // 3 : 2 * count // 3] = np.nan
    rows = canvas(draw(chart(line(y)), 60, 15, color=False))
    filled = [any(BRAILLE.match(row[column : column + 1]) for row in rows) for column in range(55)]
    runs = [(key, len(list(group))) for key, group in itertools.groupby(filled)]
    assert [key for key, _ in runs] == [True, False, True]
    assert all(length >= 16 for _, length in runs)


def test_a_single_value_between_gaps_is_seen():
    y = np.full(31, np.nan)
    y[[0, 15, 30]] = 0.0, 1.0, 0.0
    text = draw(chart(line(y)), 60, 15, color=False)
    assert len(BRAILLE.findall(text)) == 3


# A million points


@pytest.mark.parametrize("order", ["sorted", "random", "zigzag"])
def test_thinning_a_million_points_keeps_the_lowest_and_the_highest(order):
    random = np.random.default_rng(1)
    count, columns = 1_000_000, 75
    u = {"sorted": np.linspace(0, 1, count), "random": random.random(count), "zigzag": np.arange(count) % 1000 / 999}[order]
    v = 0.25 + 0.5 * random.random(count)
    v[765_432], v[123_456] = 0.0, 1.0
    kept, piece = thin_line(u, v, np.zeros(count, dtype=np.intp), columns)
    assert {765_432, 123_456} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    assert kept.size <= 16 * columns
    assert piece.shape == kept.shape


def test_thinning_keeps_the_lowest_and_highest_of_every_column():
    random = np.random.default_rng(2)
    u, v = np.sort(random.random(20_000)) ** 3, random.random(20_000)
    kept, _ = thin_line(u, v, np.zeros(u.size, dtype=np.intp), 40)
    assert kept.size <= 4 * 40
    column = np.floor(u * 39 + 0.5)  # the first and the last are centred on the ends of the axis
    for one in range(40):
        every, mine = v[column == one], v[kept][column[kept] == one]
        assert every.size == 0 or (every.min(), every.max()) == (mine.min(), mine.max())


def test_a_thousand_short_gaps_in_a_million_points_leave_a_line():
    y = np.linspace(1.0, 0.0, 1_000_000)
    y[::1000] = np.nan
    rows = canvas(draw(chart(line(y)), 60, 15, color=False))
    assert all(any(BRAILLE.match(row[column : column + 1]) for row in rows) for column in range(55))


def test_thinned_points_fill_the_same_cells():
    random = np.random.default_rng(3)
    u, v = random.random(50_000), random.random(50_000) ** 4
    kept = thin_points(u, v, 30, 10)
    cells = lambda i: set(zip(np.floor(u[i] * 29 + 0.5).tolist(), np.floor(v[i] * 9 + 0.5).tolist()))  # noqa: E731
    assert cells(kept) == cells(slice(None))
    assert len(kept) == len(cells(slice(None)))


def test_a_spike_of_one_step_in_a_million_is_seen():
    y = np.zeros(1_000_000)
    y[500_000] = 1.0
    rows = canvas(draw(chart(line(y)), 60, 15, color=False))
    assert BRAILLE.search(rows[0])


# Sizes


@pytest.mark.parametrize("width", [-1, 0, 1, 5, 9, 10, 11, 20, 79, 200])
@pytest.mark.parametrize("height", [-1, 0, 1, 4, 5, 6, 7, 24])
def test_no_size_is_refused_or_exceeded(width, height):
    text = draw(descent(), width, height, color=False)
    rows = text.splitlines()
    assert len(rows) <= max(0, height)
    assert all(cell_len(row) <= max(0, width) for row in rows)
    assert ("┤" in text or "│" in text) == (width >= LEAST_WIDTH and height >= LEAST_HEIGHT)


# The shared library


def test_charts_from_many_threads_are_those_from_one():
    charts = [descent(), chart(line([1.0, 2.0])), chart(points([3.0, 1.0, 2.0]), log=True)] * 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(draw, charts)) == [draw(one) for one in charts]


def test_a_figure_of_the_users_own_stays_as_it_was():
    import plotext

    plotext.figure.title("mine")
    plotext.figure.draw(plotext.figure.signal([1, 2, 3], [3, 1, 2]))
    try:
        before = plotext.figure.build().string()
        draw(descent(), 40, 10)
        assert plotext.figure.build().string() == before
    finally:
        plotext.figure.clear()


def test_only_one_module_imports_plotext():
    def imports(path):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""

    users = [path for path in PACKAGE.rglob("*.py") if any(name.split(".")[0] == "plotext" for name in imports(path))]
    assert users == [PACKAGE / "display" / "charts.py"]


# The data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", [1, 2], [1]), "differ in length: 2 and 1"),
        (("", [[1]], [[1]]), "one-dimensional"),
        (("", [1], ["a"]), "real numbers"),
        (("", [1], [1j]), "real numbers"),
        (("", [1], [1], "bars"), "unknown style 'bars'"),
        (("", [1], [1], "line", "mauve"), "unknown color 'mauve'"),
    ],
)
def test_a_series_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Series(*arguments)


@pytest.mark.parametrize("color", COLORS[1:])
def test_plotext_knows_every_colour(color):
    assert re.search(r"\x1b\[38;5;\d+m", draw(chart(points([1.0], color=color))))


# Anything at all


def random_values(random, count):
    kinds = [
        lambda: random.normal(size=count),
        lambda: np.full(count, random.choice([0.0, -0.0, 1e30, -1e300, 5e-324, 1.7e308, np.pi])),
        lambda: random.normal(size=count) * 10.0 ** random.integers(-308, 308, size=count),
        lambda: random.normal(size=count) * 10.0 ** random.integers(-300, 300),
        lambda: random.choice([5e-324, 1e-310, -1e-320, 0.0, -0.0], size=count),
        lambda: random.choice([1.7976931348623157e308, -1.7976931348623157e308, 1e-30, 1.0], size=count),
        lambda: 1.0 + random.integers(-3, 4, size=count) * 2.0**-52,
        lambda: 1e16 + np.arange(count) * 2.0,
        lambda: np.arange(count),
        lambda: random.integers(-(2**63), 2**63 - 1, size=count),
        lambda: random.normal(size=count).astype(np.float32),
        lambda: np.exp(np.minimum(np.arange(count) * random.uniform(-5, 5), 700)),
    ]
    values = kinds[random.integers(len(kinds))]()
    if values.dtype.kind == "f" and random.random() < 0.4:
        values = np.where(
            random.random(count) < random.choice([0.05, 0.5, 1.0]), random.choice([np.nan, np.inf, -np.inf]), values
        )
    return np.sort(values) if random.random() < 0.3 else values


def random_label(random):
    alphabet = [
        "loss",
        "x",
        " ",
        "\n",
        "\x1b[2J",
        "é",
        "漢",
        "🎉",
        "\u200d",
        "\u202e",
        "\ufe0f",
        "\ud800",
        "\x00",
        "e\u0301",
        "│",
    ]
    return "".join(random.choice(alphabet, size=random.integers(0, 12)))


def fuzz(count):
    """Draw `count` random charts and check what holds for each; run in a process of its own, since a fault is an abort."""
    random = np.random.default_rng(20260801)
    for trial in range(count):
        series = []
        for _ in range(random.integers(1, 4)):
            length = int(random.choice([0, 1, 2, 3, 10, 50, 500]))
            xs = np.arange(length) if random.random() < 0.4 else random_values(random, length)
            style, color = random.choice(["line", "points"]), random.choice(COLORS)
            series.append(Series(random_label(random), xs, random_values(random, length), str(style), str(color)))
        width, height = int(random.integers(-1, 100)), int(random.integers(-1, 30))
        log, color, ascii_only = (bool(flag) for flag in random.random(3) < 0.5)
        one = Chart(random_label(random), random_label(random), random_label(random), tuple(series), log)
        text = draw(one, width, height, color=color, ascii_only=ascii_only)
        rows = ESCAPE.sub("", text).splitlines()
        assert len(rows) <= max(0, height), trial
        assert all(cell_len(row) <= max(0, width) for row in rows), (trial, text)
        assert color or "\x1b" not in text, trial
        assert text.isascii() or not ascii_only, (trial, text)
        assert "\x1b" not in "".join(rows), trial
        text.encode()
    print("drawn", count)


def test_two_thousand_random_charts_neither_abort_nor_overflow():
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    # 4 GB of address space, so that a line far outside its limits fails here instead of filling the machine.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{limit}; import test_charts; test_charts.fuzz({FUZZED})"],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=Path(__file__).parent,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"drawn {FUZZED}\n"), done.stderr[-3000:]


# --- log x axes, outlines, hidden marks -----------------------------------------------------------------------------------


def test_a_log_x_axis_has_powers_of_ten_evenly_spaced_and_leaves_out_what_is_not_positive():
    rates = np.geomspace(1e-6, 1, 61)
    across = np.concatenate([[-1.0, 0.0], rates])
    text = draw(Chart("", "rate", "loss", (Series("", across, np.arange(63.0)),), log_x=True), color=False)
    assert x_labels(text) == [f"1e{power}" for power in range(-6, 1)]
    assert "2 values <= 0 not drawn" in text
    assert "rate (log)" in text
    rising = [row.rstrip() for row in canvas(text)]  # y rises evenly with the logarithm: a straight line
    ends = [len(row) for row in rising[::-1] if row]
    assert set(np.diff(ends)[1:-1]) <= {4, 5}


def test_an_outline_keeps_its_pieces_apart_and_joins_what_belongs_together():
    pieces = []  # forty slim towers, each in two storeys, of two corners and a gap
    for across in np.linspace(0, 1, 40):
        for low, high in ((0.0, 0.4), (0.6, 1.0)):
            pieces.append(np.array([[across, low], [across, high], [np.nan, np.nan]]))
    whole = np.concatenate(10 * pieces)  # more corners than a line would keep
    text = draw(Chart("", "", "", (Series("", whole[:, 0], whole[:, 1], "outline", sampled=True),)), 200, 40, color=False)
    rows = canvas(text)
    assert rows[len(rows) // 2].strip() == ""
    assert len(rows[len(rows) // 4].split()) == 40


def marks(*places: tuple[float, float]) -> str:
    names = ("one", "two", "three")
    series = [Series(name, np.array([x]), np.array([y]), "points") for name, (x, y) in zip(names, places)]
    text = draw(chart(line([0.0, 10.0]), *series), color=False)
    return text.splitlines()[-1]


def test_the_legend_says_under_which_mark_one_lies_that_cannot_be_seen():
    assert "one (under ◆)" in marks((0.5, 5.0), (0.5, 5.0))
    assert "under" not in marks((0.0, 5.0), (1.0, 5.0))
    assert "one (under ▲)" in marks((0.5, 5.0), (0.5, 5.0), (0.5, 5.0))
    assert "two (under ▲)" in marks((0.5, 5.0), (0.5, 5.0), (0.5, 5.0))
