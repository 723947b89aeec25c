"""The page in a real browser: it draws what the exchange has, and asks nobody else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from genesis.exchange.venue.page import page
from tests.conftest import require
from tests.integration.venue.rig import GTC, rig


def test_the_page_is_self_contained() -> None:
    shown = page()
    text = shown.html.decode()
    for word in ("src=", "href=", "@import", "url("):
        assert word not in text
    assert "innerHTML" not in text, "what a client named must not become markup"
    assert "sha256-" in shown.policy


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
def test_chromium_shows_markets_orders_and_faults(tmp_path: Path, width: int) -> None:
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    require(binary is not None, "chromium")
    with rig() as venue:
        trader = venue.trader()
        trader.order("BTC", True, 0.01, 51_234, GTC)
        venue.fault("drop_after", id="<b>odd</b>")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        flags += ["--enable-logging=stderr", "--v=0", f"--window-size={width},2000"]
        flags += ["--virtual-time-budget=4000", "--dump-dom", f"{venue.url}/"]
        done = subprocess.run(
            [str(binary), *flags], capture_output=True, text=True, timeout=120, check=True
        )
    assert ":CONSOLE" not in done.stderr
    for word in ("51234.0", "kPEPE", "drop_after", trader.wallet.address.lower(), venue.url):
        assert word in done.stdout, word
    assert "<b>odd</b>" not in done.stdout
