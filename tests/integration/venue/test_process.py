"""`genesis venue serve` as a process: ready line, page, faults, kills, the same log again."""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.signing import sign_l1_action

from benchmarks.venue_process import port_of, signed, timed
from genesis.market.bars import Bars
from genesis.market.store import BarStore
from tests.integration.venue.rig import GTC, IOC, eventually, now_ms, resting

KEYS = [f"0x{number:064x}" for number in (11, 12)]
# A minute before an hour is full, so that funding is paid on the way.
START = 1_795_600_800_000 // 3_600_000 * 3_600_000 - 60_000


class Process:
    """A venue in a process of its own."""

    def __init__(self, started: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.started = started
        self.ready = ready
        self.url = str(ready["url"])

    def control(self, call: str, body: Any = None) -> Any:
        if body is None:
            return requests.get(f"{self.url}/control/{call}", timeout=30).json()
        answer = requests.post(f"{self.url}/control/{call}", json=body, timeout=30).json()
        assert answer["ok"], answer
        return answer

    def act(self, key: str, action: dict[str, Any], nonce: int) -> Any:
        signature = sign_l1_action(Account.from_key(key), action, None, nonce, None, False)
        body = {"action": action, "nonce": nonce, "signature": signature}
        return requests.post(f"{self.url}/exchange", json=body, timeout=30).json()

    def kill(self) -> None:
        self.started.kill()
        self.started.wait(10)


@contextmanager
def serving(home: Path, *more: str) -> Iterator[Process]:
    command = [sys.executable, "-m", "genesis", "--home", str(home), "venue", "serve", *more]
    command += ["--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            ready = json.loads(started.stdout.readline())
            assert ready["ok"] is True, ready
            yield Process(started, ready)
        finally:
            try:
                started.send_signal(signal.SIGINT)
                started.wait(20)
            finally:
                started.kill()


def order(asset: int, buy: bool, px: str, sz: str, tif: str = "Gtc") -> dict[str, Any]:
    row = {"a": asset, "b": buy, "p": px, "s": sz, "r": False, "t": {"limit": {"tif": tif}}}
    return {"type": "order", "orders": [row], "grouping": "na"}


def scene(venue: Process) -> None:
    """The same requests each time, over two minutes of scripted time."""
    for key in KEYS:
        venue.control("fund", {"user": Account.from_key(key).address, "usd": "100000"})
    for step in range(6):
        stamp = START + 20_000 * (step + 1)
        venue.control("time", {"now_ms": stamp})
        for number, key in enumerate(KEYS):
            buy = (step + number) % 2 == 0
            book = requests.post(
                f"{venue.url}/info", json={"type": "l2Book", "coin": "ETH"}, timeout=30
            ).json()
            px = book["levels"][1 if buy else 0][3]["px"]
            venue.act(key, order(1, buy, px.removesuffix(".0"), "0.5", "Ioc"), stamp)
            venue.act(key, order(0, True, "30000", "0.01"), stamp + 1)


def test_check_37_an_order_takes_less_than_five_milliseconds(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--market", "still", "--unlimited") as venue:
        wallet = Account.from_key(KEYS[0])
        venue.control("fund", {"user": wallet.address, "usd": "1000000"})
        stamp = now_ms()
        bodies = [signed(wallet, order(0, True, "30000", "0.001"), stamp + k) for k in range(200)]
        medians = []
        # The best of five: a median over a machine that others use is a figure of theirs.
        for part in range(5):
            some = bodies[40 * part : 40 * part + 40]
            taken, answers = asyncio.run(timed(port_of(venue.url), "/exchange", some))
            assert all(b'"resting"' in answer for answer in answers)
            medians.append(statistics.median(taken))
        assert min(medians) < 0.005


def test_check_36_the_same_seed_and_clock_write_the_same_log(tmp_path: Path) -> None:
    logs, hashes = [], []
    for name in ("one", "two"):
        state = tmp_path / name
        options = ["--seed", "5", "--scripted", str(START), "--state", str(state)]
        with serving(tmp_path / "home", *options) as venue:
            scene(venue)
            hashes.append(venue.control("hash"))
        logs.append((state / "log.jsonl").read_bytes())
    assert hashes[0] == hashes[1]
    assert logs[0] == logs[1]
    assert logs[0].count(b"\n") > 20


def test_check_36_a_killed_venue_knows_orders_fills_and_nonces(tmp_path: Path) -> None:
    options = ["--scripted", str(START), "--state", str(tmp_path / "state")]
    with serving(tmp_path / "home", *options) as venue:
        scene(venue)
        before = venue.control("hash")
        venue.kill()
    with serving(tmp_path / "home", *options) as venue:
        assert venue.control("hash") == before
        user = Account.from_key(KEYS[0]).address
        info = Info(venue.url, True, timeout=30)
        assert len(info.open_orders(user)) == 6
        assert len(info.user_fills(user)) >= 6
        stamp = START + 20_000 * 6
        again = venue.act(KEYS[0], order(0, True, "30000", "0.01"), stamp + 1)
        assert again == {"status": "err", "response": f"Invalid nonce: duplicate nonce {stamp + 1}"}
        assert len(info.open_orders(user)) == 6


def test_check_36_killed_under_load_it_keeps_everything_that_it_answered(tmp_path: Path) -> None:
    state = ["--market", "still", "--unlimited", "--state", str(tmp_path / "state")]
    wallets = [Account.from_key(f"0x{number:064x}") for number in range(21, 29)]
    answered: list[int] = []

    def send(url: str, wallet: Any, bodies: list[bytes]) -> None:
        with requests.Session() as session:
            for body in bodies:
                try:
                    answer = session.post(f"{url}/exchange", data=body, timeout=30).json()
                except requests.RequestException:
                    return  # killed: what was under way may be there or not
                answered.append(answer["response"]["data"]["statuses"][0]["resting"]["oid"])

    with serving(tmp_path / "home", *state) as venue, ThreadPoolExecutor(len(wallets)) as pool:
        stamp, buy = now_ms(), order(0, True, "30000", "0.001")
        for wallet in wallets:
            venue.control("fund", {"user": wallet.address, "usd": "1000000"})
        for wallet in wallets:
            bodies = [signed(wallet, buy, stamp + k) for k in range(150)]
            pool.submit(send, venue.url, wallet, bodies)
        eventually(lambda: len(answered) >= 400, 30.0)
        venue.kill()
    assert 400 <= len(answered) < 150 * len(wallets), "it was killed between requests"
    with serving(tmp_path / "home", *state) as venue:
        info = Info(venue.url, True, timeout=30)
        kept = {row["oid"] for wallet in wallets for row in info.open_orders(wallet.address)}
    assert set(answered) <= kept


def test_the_official_sdk_on_a_living_market(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--state", str(tmp_path / "state")) as venue:
        assert venue.ready["ws"].startswith("ws://127.0.0.1:")
        wallet = Account.create()
        venue.control("fund", {"user": wallet.address, "usd": "50000"})
        trader = Exchange(wallet, venue.url, timeout=30)
        opened = trader.market_open("BTC", True, 0.01)
        assert "filled" in opened["response"]["data"]["statuses"][0]
        far = resting(trader.order("ETH", True, 0.1, 1_500, GTC))
        closed = trader.market_close("BTC")
        assert "filled" in closed["response"]["data"]["statuses"][0]
        state = trader.info.user_state(wallet.address)
        assert state["assetPositions"] == []
        assert Decimal(0) < 50_000 - Decimal(state["marginSummary"]["accountValue"]) < 10
        assert trader.order("ETH", True, 0.1, 1_500, IOC)["status"] == "ok"
    with serving(tmp_path / "home", "--state", str(tmp_path / "state")) as venue:
        rows = Info(venue.url, True, timeout=30).open_orders(wallet.address)
        assert [row["oid"] for row in rows] == [far]


def test_a_replay_follows_recorded_bars(tmp_path: Path) -> None:
    home = tmp_path / "home"
    closes = np.linspace(40_000.0, 44_000.0, 48)
    opens = np.r_[closes[:1], closes[:-1]]
    bars = Bars(
        START // 3_600_000 * 3_600_000 + np.arange(48, dtype=np.int64) * 3_600_000,
        opens,
        np.maximum(opens, closes),
        np.minimum(opens, closes),
        closes,
        np.ones(48),
    )
    BarStore(home / "data").write_bars("binance_perp", "BTCUSDT", "1h", bars)
    options = ["--market", "replay", "binance_perp:BTCUSDT:1h", "--scripted", str(START)]
    with serving(home, *options) as venue:
        info = Info(venue.url, True, timeout=30)
        assert 39_900 < float(info.all_mids()["BTC"]) < 40_100
        venue.control("time", {"advance_ms": 24 * 3_600_000})
        assert 41_900 < float(info.all_mids()["BTC"]) < 42_200
        assert 2_000 < float(info.all_mids()["ETH"]) < 4_500, "other coins stay synthetic"


def test_a_file_of_faults_and_the_page(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("faults: [{kind: too_many, where: {type: allMids}, count: 2}]\n")
    with serving(tmp_path / "home", "--faults", str(path)) as venue:
        assert venue.ready["faults"] == 1
        ask = {"type": "allMids"}
        codes = [
            requests.post(f"{venue.url}/info", json=ask, timeout=5).status_code for _ in range(3)
        ]
        assert codes == [429, 429, 200]
        page = requests.get(f"{venue.url}/", timeout=5)
        assert page.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "http://" not in page.text.replace("http://127.0.0.1", "")
        state = venue.control("state")
        assert {"markets", "orders", "faults", "accounts"} <= set(state)
        (fault,) = state["faults"]
        assert (fault["struck"], fault["over"]) == (2, True)


def test_a_profile_changes_behaviour_and_limits(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("venue: {min_value: 50}\nlimits: {ip_weight: 100}\n")
    with serving(tmp_path / "home", "--market", "still", "--profile", str(path)) as venue:
        user = Account.from_key(KEYS[0]).address
        venue.control("fund", {"user": user, "usd": "1000"})
        answer = venue.act(KEYS[0], order(0, True, "30000", "0.001"), now_ms())
        told = answer["response"]["data"]["statuses"][0]["error"]
        assert told.startswith("Order must have minimum value of $50.")
        ask = {"type": "meta"}
        codes = [
            requests.post(f"{venue.url}/info", json=ask, timeout=5).status_code for _ in range(6)
        ]
        assert codes == [200, 200, 200, 200, 429, 429]
    path.write_text("venue: {min_valu: 50}\n")
    command = [sys.executable, "-m", "genesis", "venue", "serve", "--profile", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "did you mean 'min_value'" in json.loads(done.stdout)["error"]["what"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--market", "mars"], "no market 'mars'"),
        (["--market", "synth"], "did you mean 'synthetic'"),
        (["--state", "/dev/null"], "the state cannot be kept in /dev/null"),
        (["--state", "/proc/none"], "the state cannot be kept in /proc/none"),
        (["--profile", "/nowhere.yaml"], "is no profile"),
        (["--market", "replay"], "a replay needs a dataset"),
        (["binance_perp:BTCUSDT:1h"], "only a replay plays one"),
        (["--faults", "/nowhere.yaml"], "is no file of faults"),
    ],
)
def test_bad_lines_are_explained(tmp_path: Path, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "genesis", "--home", str(tmp_path), "venue", "serve"]
    done = subprocess.run(
        [*command, *arguments, "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert words in json.loads(done.stdout)["error"]["what"]


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as venue:
        port = venue.url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "genesis", "venue", "serve", "--port", port, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert f"port {port}" in json.loads(done.stdout)["error"]["what"]
