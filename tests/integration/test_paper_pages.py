"""The page of a paper run in a real browser: drawn offline, and usable on a telephone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genesis.paper.report import write_paper_report
from tests.integration.test_report_pages import browse, console
from tests.integration.test_report_pages import proxy as proxy
from tests.unit.paper.paper_reports import sample_report

WIDE = """<script>
addEventListener("load", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  const out = [...document.querySelectorAll("body *")].filter((e) =>
    !e.closest(".scroll") && !e.closest("svg") && !e.matches(".skip")
    && e.getBoundingClientRect().right > innerWidth + 1);
  document.body.dataset.inner = innerWidth;
  document.body.dataset.wide = document.documentElement.scrollWidth;
  document.body.dataset.out = out.map((e) => e.tagName + "." + e.className).join(" ");
});
</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paper_report(sample_report(), tmp_path_factory.mktemp("paper") / "paper.html")


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
    assert document.count("<path d=") >= 5
    assert [request for request in asked if b"google" not in request] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [420, 1280])
def test_nothing_is_wider_than_the_window(
    page: Path, width: int, tmp_path: Path, proxy: tuple[int, list[bytes]]
) -> None:
    """Tables scroll in their own boxes; opened details too."""
    text = page.read_text(encoding="utf-8")
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace("</body>", WIDE), encoding="utf-8")
    document, _ = browse(copy, tmp_path / "profile", proxy[0], f"--window-size={width},3000")
    found = re.search(r'data-inner="(\d+)" data-wide="(\d+)" data-out="([^"]*)"', document)
    assert found is not None
    assert int(found[1]) <= max(width, 500)  # a browser without a window keeps a least width
    assert int(found[2]) <= int(found[1])
    assert found[3] == ""
