"""The report of a paper run: complete as JSON, escaped and small as a page, whatever is missing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.errors import StorageError
from genesis.paper.report import SHOWN_TRADES, PaperReport, paper_report, write_paper_report
from genesis.paper.report_figures import WIDTH, bar_figure, curve_figure, nice_levels
from genesis.paper.report_page import money, paper_page, percent
from tests.unit.paper.paper_reports import EVIL, sample_report

LIMIT_BYTES = 400_000


@pytest.fixture(scope="module")
def report() -> PaperReport:
    return sample_report()


@pytest.fixture(scope="module")
def page(report: PaperReport) -> str:
    return paper_page(report)


class Outline(HTMLParser):
    """Ids, links and scripts of a page, and the text of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.hrefs: list[str] = []
        self.sources: list[str] = []
        self.scripts = self.paths = self.rects = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {k: v or "" for k, v in attrs}
        self.scripts += tag == "script"
        self.paths += tag == "path"
        self.rects += tag == "rect"
        self.ids += [values["id"]] if "id" in values else []
        self.hrefs += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []


def test_a_page_is_small_self_contained_and_escaped(page: str) -> None:
    seen = Outline(page)
    assert len(page.encode()) < LIMIT_BYTES
    assert "Plotly.newPlot" not in page
    assert seen.sources == []
    assert all(href.startswith(("#", "data:")) for href in seen.hrefs)
    assert {href[1:] for href in seen.hrefs if href.startswith("#")} <= set(seen.ids)
    assert len(set(seen.ids)) == len(seen.ids)
    assert seen.scripts == 2  # data and ours: those in a run's texts stayed text
    assert EVIL not in page
    assert "Content-Security-Policy" in page


def test_a_page_has_every_part(page: str, report: PaperReport) -> None:
    seen = Outline(page)
    assert {"strategies", "execution", "rejected", "risk", "provenance", "s0", "s1", "s2"} <= set(
        seen.ids
    )
    for one in report.strategies:
        assert one.id in page
    assert "s" * 64 in page
    assert "d" * 64 in page
    assert f"the latest {SHOWN_TRADES} of" in page
    assert "missing fill" in page
    assert "untested" in page
    assert "Neither side filled anything." in page
    assert "No score: no trade was completed." in page
    assert seen.paths >= 5  # paper and backtest of two, paper alone of one
    assert seen.rects > 20


def test_the_page_tells_what_risk_did(page: str, report: PaperReport) -> None:
    for text in (
        "500 orders assessed, 43 refused; enforced it had refused 50 and cut 43, 81% of the size",
        "3 breakers tripped (rapid_loss); highest level CRITICAL",
        "Profile observe, genome risk_0123456789ab",
        '<th scope="row">max_position</th><td>0</td><td>0</td><td>3</td>',
        '<th scope="row">bear</th><td>40</td><td data-value="0.7">70.0%</td>',
        "the latest 1 of 120 changes",
        '<td class="text">LOW</td><td class="text">CRITICAL</td>',
    ):
        assert text in page, text
    plain = report.to_plain()["risk_impact"]
    assert plain["would_cut"] == {"size": 40, "max_position": 3}
    assert plain["breakers"][0]["trips"] == 3


def test_strategies_stand_in_order_of_their_rank(page: str, report: PaperReport) -> None:
    assert [one.rank for one in report.strategies] == [1, 2, 3]
    places = [page.index(f'id="s{k}"') for k in range(3)]
    assert places == sorted(places)
    heads = re.findall(r'id="h-s\d">(strat_\w+) <span class="rank">rank (\d)', page)
    assert heads == [(one.id, str(one.rank)) for one in report.strategies]


def test_the_plain_form_is_json_and_bounded(report: PaperReport) -> None:
    plain = json.loads(json.dumps(report.to_plain(), allow_nan=False))
    first = max(plain["strategies"], key=lambda one: one["trades_total"])
    assert first["trades_total"] > SHOWN_TRADES == len(first["trades"])
    exits = [trade["exit_ms"] for trade in first["trades"]]
    assert exits == sorted(exits, reverse=True)
    assert set(first["equity"]) == {"paper", "backtest"}
    assert len(first["equity"]["paper"]["ts_ms"]) <= 602
    assert plain["provenance"]["state_hash"] == "s" * 64
    assert plain["risk_impact"]["refused_total"] == 2 + 41
    assert [row["count"] for row in plain["rejected"]] == [33, 12]
    assert sum(plain["quality"].values()) == sum(
        sum(one["performance"]["quality"].values()) for one in plain["strategies"]
    )
    assert list(plain["quality"])[:5] == ["excellent", "good", "fair", "poor", "failed"]


def test_a_run_without_anything_has_a_page(tmp_path: Path) -> None:
    from genesis.paper.feedback import Provenance

    empty = paper_report(Provenance("paper-0", "replay"), [])
    path = write_paper_report(empty, tmp_path / "empty.html")
    text = path.read_text(encoding="utf-8")
    assert "The run had no strategy." in text
    assert "Every signal led to an order." in text
    json.dumps(empty.to_plain(), allow_nan=False)


def test_an_unwritable_place_is_a_clear_error(tmp_path: Path, report: PaperReport) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_paper_report(report, tmp_path / "file" / "x.html")


def test_a_curve_goes_through_its_points() -> None:
    ts = np.array([0, 25, 100], dtype=np.int64)
    values = np.array([0.0, -0.1, 0.3])
    figure = curve_figure({"paper": (ts, values), "backtest": (ts, values * 0.5)})
    assert figure is not None
    pairs = [tuple(map(float, p.split(","))) for p in figure.lines[0].path[1:].split(" L")]
    assert [x for x, _ in pairs] == [0.0, 250.0, WIDTH]
    heights = [y for _, y in pairs]
    # y is linear in the value, upside down, and within the drawing.
    slopes = np.diff(heights) / np.diff(values)
    assert slopes == pytest.approx([slopes[0]] * 2, rel=1e-3)
    assert slopes[0] < 0
    assert 0.0 < heights[2] < heights[0] < heights[1] < 300.0
    zero = next(level for level in figure.levels if level.value == 0.0)
    assert zero.y == pytest.approx(heights[0], abs=0.06)
    assert zero.share == pytest.approx(zero.y / 300.0)
    assert figure.lines[1].last == pytest.approx(0.15)


def test_a_curve_needs_two_marks_and_stands_a_flat_one() -> None:
    ts = np.array([0, 1], dtype=np.int64)
    assert curve_figure({"paper": (ts, np.array([np.nan, 0.1]))}) is None
    assert curve_figure({}) is None
    flat = curve_figure({"paper": (ts, np.zeros(2))})
    assert flat is not None
    assert "nan" not in flat.lines[0].path


def test_bars_stand_on_the_base_or_hang_from_it() -> None:
    figure = bar_figure([("a", 4.0, 2), ("b", -1.0, 3), ("c", 0.0, 0)])
    assert figure is not None
    up, down, none = figure.bars
    assert up.y + up.height == pytest.approx(figure.base)
    assert down.y == pytest.approx(figure.base)
    assert up.height == pytest.approx(4 * down.height)
    assert none.height == 0.0
    assert down.y + down.height <= 300.0
    assert bar_figure([("a", 0.0, 1)]) is None


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-0.322, 0.171), (0.0, 3e-5), (-7.0, 0.0), (0.0, 1234.5)]
)
def test_levels_are_round_and_inside(low: float, high: float) -> None:
    levels = nice_levels(low, high)
    assert 2 <= len(levels) <= 6
    assert all(low - 1e-12 <= v <= high * (1 + 1e-9) + 1e-12 for v in levels)
    steps = np.diff(levels)
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert any(v == 0.0 for v in levels)
    mantissa = steps[0] / 10.0 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - m) for m in (1.0, 2.0, 2.5, 5.0)) < 1e-6


def test_words_of_numbers() -> None:
    assert [money(v) for v in (None, 0.0, -0.001, 1234.5, -2.0)] == [
        "–", "0.00", "0.00", "+1,234.50", "-2.00",
    ]  # fmt: skip
    assert [percent(v) for v in (None, -1e-9, 0.1234)] == ["–", "0.0%", "12.3%"]
