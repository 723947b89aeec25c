"""The page of the evidence on a strategy, in a real browser: offline, and whole on a telephone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from genesis.backtest.report_page import TEMPLATES
from genesis.system.strategy_evidence_page import STYLES, write_evidence_page
from genesis.system.strategy_evidence_parts import Problem, Section
from tests.integration.report_samples import EVIL
from tests.integration.test_report_pages import browse, console, outline
from tests.integration.test_report_pages import proxy as proxy
from tests.unit.evidence.conftest import bred as bred
from tests.unit.evidence.conftest import settled_code as settled_code
from tests.unit.system.evidence_homes import evidence_of, live_home, mark_live
from tests.unit.system.promotion_homes import promotion_home

PARTS = [
    "strategy", "lineage", "study", "gates", "paper", "decisions", "approvals", "stages", "live",
    "expectation", "alerts",
]  # fmt: skip
LIMIT_BYTES = 150_000
INSIDE = """<script>
addEventListener("load", () => setTimeout(() => {
  const out = [...document.querySelectorAll("body *")].filter((e) =>
    !e.closest(".scroll") && !e.closest("svg") && !e.matches(".skip")
    && e.getBoundingClientRect().right > innerWidth + 1);
  const stacked = [...document.querySelectorAll(".stack td")].filter((e) =>
    e.getBoundingClientRect().right > innerWidth + 1);
  parent.postMessage({inner: innerWidth, wide: document.documentElement.scrollWidth,
    out: [...out, ...stacked].map((e) => e.tagName + "." + e.className).join(" ")}, "*");
}, 200));
</script></body>"""
OUTSIDE = """<!doctype html><body style="margin:0"><script>
addEventListener("message", (e) => Object.assign(document.body.dataset, e.data));
</script><iframe src="inner.html" style="width:375px;height:4000px;border:0"></iframe></body>"""


@pytest.fixture(scope="module")
def evidence(bred: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All there is on a strategy that traded live."""
    with pytest.MonkeyPatch.context() as patch:
        mark_live(patch)
        return evidence_of(live_home(promotion_home(bred, tmp_path_factory.mktemp("home"))))


@pytest.fixture(scope="module")
def page(evidence: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evidence_page(evidence, tmp_path_factory.mktemp("page") / "page.html")


@pytest.mark.slow
def test_the_page_is_small_whole_and_has_every_part_in_order(page: Path) -> None:
    seen = outline(page)
    assert page.stat().st_size < LIMIT_BYTES
    assert seen.sources == []
    assert all(href.startswith(("#", "data:")) for href in seen.hrefs)
    assert [name for name in seen.ids if name in PARTS] == PARTS
    assert len(set(seen.ids)) == len(seen.ids)
    text = page.read_text(encoding="utf-8")
    assert text.count("Where these numbers come from, and how to check it") == len(PARTS)
    # The step to canary rests on a decision, so that no part is empty.
    assert "Not there yet: nothing was decided about it" not in text
    assert "Not what was written" not in text
    assert text.count("<path d=") == 7  # live, shadow, expected, bound; CUSUM, amber, red
    assert "http:" not in text.replace("http-equiv", "")


@pytest.mark.slow
def test_what_comes_from_a_run_is_escaped(evidence: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    gates = evidence.sections["gates"]
    facts = {**gates.facts, "shortfalls": [EVIL]}
    problem = Problem("gates", f"what {EVIL}", EVIL, EVIL)
    evil = Section("gates", "Gates", facts, gates.sources, "", (problem,))
    changed = replace(evidence, sections={**evidence.sections, "gates": evil})
    path = write_evidence_page(changed, tmp_path / "evil.html")
    assert outline(path).scripts == 2  # data and ours
    assert path.read_text(encoding="utf-8").count("✗ Not what was written") == 2


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_chromium_shows_the_page_and_asks_nobody(
    page: Path, mode: str, tmp_path: Path, proxy: tuple[int, list[bytes]]
) -> None:
    port, asked = proxy
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]
    document, log = browse(page, tmp_path / "profile", port, *(dark if mode == "dark" else []))
    assert console(log) == []
    assert 'data-ready="yes"' in document
    assert [request for request in asked if b"google" not in request] == []


@pytest.mark.slow
def test_nothing_is_wider_than_a_telephone(
    page: Path, tmp_path: Path, proxy: tuple[int, list[bytes]]
) -> None:
    """In a frame of 375 pixels, since a browser without a window keeps a greater least width."""
    text = page.read_text(encoding="utf-8")
    (tmp_path / "inner.html").write_text(text.replace("</body>", INSIDE), encoding="utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(OUTSIDE, encoding="utf-8")
    document, _ = browse(outer, tmp_path / "profile", proxy[0])
    found = dict(re.findall(r'data-(inner|wide|out)="([^"]*)"', document))
    assert (found["inner"], found["out"]) == ("375", "")
    assert int(found["wide"]) <= 375


# ---- colours ---------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_text_and_lines_have_contrast_in_both_themes(theme: int) -> None:
    """WCAG AA: 4.5 for text, 3 for what a figure needs."""
    blocks = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(), re.S)
    colours = dict(re.findall(r"(--[a-z]+): (#[0-9a-f]{6})", blocks[theme]))
    for ground in ("--card", "--ground"):
        for text in ("--ink", "--quiet", "--accent"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line, _ in STYLES.values():
        assert _contrast(colours[line], colours["--card"]) >= 3.0, line


def test_no_two_lines_of_a_figure_differ_by_colour_alone() -> None:
    for names in (("live", "shadow backtest", "expected", "99 % bound"), ("CUSUM", "amber", "red")):
        dashes = [STYLES[name][1] for name in names]
        assert len(set(dashes)) == len(dashes)
