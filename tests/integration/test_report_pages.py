"""Report pages: complete, escaped, self-contained, and drawn by a real browser offline."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from genesis.backtest.report import write_backtest_report
from genesis.domain.errors import StorageError
from genesis.evolution.report import write_report
from genesis.evolution.run import Run

HERE = Path(__file__).resolve().parent
LIMIT_BYTES = 9_000_000


def load(path: Path) -> ModuleType:
    """Import a file beside this one (tests are no package)."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


samples = load(HERE / "report_samples.py")
conftest = load(HERE.parent / "conftest.py")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    run = Run(samples.sample_run(folder))
    backtests = [samples.sample(seed=3), samples.sample(seed=4)]
    return {
        "backtest": write_backtest_report(samples.sample(), folder / "backtest.html"),
        "study": write_report(run, folder / "study.html", backtests=backtests),
    }


class Outline(HTMLParser):
    """Ids, headings, links, addresses and script elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.hrefs: list[str] = []
        self.sources: list[str] = []
        self.figures: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {k: v or "" for k, v in attrs}
        self.scripts += tag == "script"
        if "id" in values:
            self.ids.append(values["id"])
        if "href" in values:
            self.hrefs.append(values["href"])
        if "src" in values:
            self.sources.append(values["src"])
        if "data-figure" in values:
            self.figures.append(values["data-figure"])


def outline(path: Path) -> Outline:
    seen = Outline()
    seen.feed(path.read_text(encoding="utf-8"))
    return seen


def data_of(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', text, re.S)
    assert found is not None
    value: dict[str, Any] = json.loads(found.group(1))
    return value


@pytest.mark.parametrize("name", ["backtest", "study"])
def test_a_page_is_self_contained_and_escaped(pages: dict[str, Path], name: str) -> None:
    page = outline(pages[name])
    assert pages[name].stat().st_size < LIMIT_BYTES
    assert page.sources == []
    assert all(href.startswith(("#", "data:")) for href in page.hrefs)
    assert all(href[1:] in page.ids for href in page.hrefs if href.startswith("#"))
    assert len(set(page.ids)) == len(page.ids)
    assert page.scripts == 3  # data, plotly, ours: the one in a sentence stayed text
    assert "Content-Security-Policy" in pages[name].read_text(encoding="utf-8")
    assert set(page.figures) <= set(data_of(pages[name])["figures"])


def test_a_study_page_has_every_part_and_no_credentials(pages: dict[str, Path]) -> None:
    page = outline(pages["study"])
    parts = {"leaderboard", "front", "convergence", "archive", "strategies", "failures"}
    assert parts | {"configuration", "s0", "s1"} <= set(page.ids)
    figures = {"pareto", "convergence", "health", "archive", "failures"}
    own = {f"s{i}-{part}" for i in (0, 1) for part in ("equity", "costs")}
    assert figures | own | {"s0-lineage"} <= set(page.figures)
    text = pages["study"].read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert "http://***@127.0.0.1:5000" in text
    assert "C2USDT has no funding series" in text
    assert "a" * 64 in text


def test_evaluations_are_counted_by_arm(tmp_path: Path) -> None:
    run = Run(samples.sample_run(tmp_path, generations=2))  # 64 and 8 a generation
    text = write_report(run, tmp_path / "page.html", backtests=()).read_text(encoding="utf-8")
    tiles = dict(re.findall(r"<dt>(Evaluations[^<]*)</dt><dd>([^<]*)</dd>", text))
    assert tiles["Evaluations, search"] == "128"
    assert tiles["Evaluations, random arm"] == "16"
    assert "Evaluations" not in tiles


def test_candles_are_shared_by_the_strategies(pages: dict[str, Path]) -> None:
    data = data_of(pages["study"])
    assert set(data["candles"]) == {f"C{s}USDT" for s in range(4)}
    assert set(data["widgets"]) == {"s0-trades", "s1-trades"}
    levels = data["widgets"]["s0-trades"]["C0USDT"]["levels"]
    assert {t["type"] for traces in levels.values() for t in traces} == {"scatter"}


def test_a_run_whose_data_is_gone_still_has_a_page(tmp_path: Path) -> None:
    run = Run(samples.sample_run(tmp_path, generations=2))
    text = write_report(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No charts of strategies" in text
    assert 'id="leaderboard"' in text


def test_a_run_interrupted_before_anything_has_a_page(tmp_path: Path) -> None:
    folder = samples.sample_run(tmp_path, generations=1)
    for name in ("archive.json", "leaderboard.json", "metrics.jsonl", "trials.jsonl"):
        (folder / name).unlink()
    text = write_report(Run(folder), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No strategy met the constraints" in text


def test_an_unwritable_place_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_backtest_report(samples.sample(bars=800, symbols=1), tmp_path / "file" / "x.html")


# -- a real browser ------------------------------------------------------------------------------


@pytest.fixture
def proxy() -> Iterator[tuple[int, list[bytes]]]:
    """A loopback port that records whoever connects: the browser's only way out."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.settimeout(2)
                    asked.append(peer.recv(300))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port, asked


def browse(page: Path, profile: Path, port: int, *more: str) -> tuple[str, str]:
    """Load a page in headless Chromium; its document after scripts ran, and its log."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    conftest.require(binary is not None, "chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += [f"--user-data-dir={profile}", f"--proxy-server=127.0.0.1:{port}"]
    flags += ["--proxy-bypass-list=<-loopback>", "--enable-logging=stderr", "--v=0"]
    flags += ["--virtual-time-budget=15000", "--window-size=1280,20000", *more, "--dump-dom"]
    done = subprocess.run(
        [str(binary), *flags, page.as_uri()], capture_output=True, timeout=240, check=True
    )
    return done.stdout.decode(), done.stderr.decode(errors="replace")


def console(log: str) -> list[str]:
    return [line for line in log.splitlines() if ":CONSOLE" in line]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["backtest", "study"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_chromium_draws_every_figure_and_asks_nobody(
    pages: dict[str, Path],
    name: str,
    mode: str,
    tmp_path: Path,
    proxy: tuple[int, list[bytes]],
) -> None:
    port, asked = proxy
    # An errand inside the page would show here; those of the browser itself name its vendor.
    more = (
        ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if mode == "dark" else []
    )
    document, log = browse(pages[name], tmp_path / "profile", port, *more)
    assert console(log) == []
    assert 'data-ready="yes"' in document
    visible = len(outline(pages[name]).figures)
    widgets = pages[name].read_text(encoding="utf-8").count("data-widget=")
    assert document.count('class="main-svg"') >= visible + widgets
    assert "window.broken" not in document.split("<script")[-1]
    assert [request for request in asked if b"google" not in request] == []


@pytest.mark.slow
def test_the_browser_test_can_fail(tmp_path: Path, proxy: tuple[int, list[bytes]]) -> None:
    port, asked = proxy
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<script>console.error("oops")</script><img src="http://pixel.invalid/pixel.png">'
    )
    _, log = browse(bad, tmp_path / "profile", port)
    assert any("oops" in line for line in console(log))
    assert any(b"pixel.png" in request for request in asked)
