"""What leaves a venue with a state folder is on the disk, and one write serves all who wait."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from eth_account import Account

from benchmarks.venue_process import order, signed
from genesis.domain.errors import GenesisError
from genesis.exchange.venue.clock import VenueClock
from genesis.exchange.venue.core import VenueMeta
from genesis.exchange.venue.durable import DurableCore
from genesis.exchange.venue.profile import STILL
from genesis.exchange.venue.threaded import ThreadedVenue
from genesis.exchange.venue.venue import Venue
from genesis.system.clock import SystemClock
from tests.integration.venue.rig import AMPLE, Rig, eventually, now_ms


class Disk:
    """The disk: each write to it can be held up, or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sync = os.fdatasync
        self._open = threading.Event()
        self._open.set()
        self.writes = 0
        self.broken = False
        monkeypatch.setattr(os, "fdatasync", self.write)

    def write(self, file: int) -> None:
        self.writes += 1
        assert self._open.wait(30)
        if self.broken:
            raise OSError(5, "Input/output error")
        self._sync(file)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()


@contextmanager
def kept(folder: Path) -> Iterator[Rig]:
    clock = VenueClock(SystemClock())
    core = DurableCore(folder, VenueMeta.default(), seed=7, profile=STILL, now_ms=clock.now_ms())
    venue = Venue(core, clock, limits=AMPLE, requests=folder / "requests.jsonl")
    with ThreadedVenue(venue) as running:
        yield Rig(running)


def asked(venue: Rig, body: dict[str, Any]) -> Any:
    return requests.post(f"{venue.url}/info", json=body, timeout=30).json()


def sent(venue: Rig, body: bytes) -> Any:
    return requests.post(f"{venue.url}/exchange", data=body, timeout=30).json()


def held_back(*answers: Future[Any]) -> bool:
    """Whether none of the answers comes while the disk stands still."""
    time.sleep(0.3)
    return not any(answer.done() for answer in answers)


def test_neither_answers_nor_reads_nor_frames_tell_what_the_disk_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with kept(tmp_path) as venue, ThreadPoolExecutor(3) as pool:
        wallet = venue.wallet()
        frames: list[str] = []

        async def listen() -> None:
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{venue.url}/ws") as ws:
                wanted = {"type": "orderUpdates", "user": wallet.address}
                await ws.send_json({"method": "subscribe", "subscription": wanted})
                async for message in ws:
                    frames.append(str(message.data))
                    if '"orderUpdates","data"' in frames[-1]:
                        return

        heard = pool.submit(asyncio.run, listen())
        eventually(lambda: frames)
        core = venue.venue.core
        with disk.held():
            answer = pool.submit(sent, venue, signed(wallet, order("30000"), now_ms()))
            eventually(lambda: venue.running.call(lambda: core.user_info.open_orders(user(wallet))))
            read = pool.submit(asked, venue, {"type": "openOrders", "user": wallet.address})
            assert held_back(answer, read, heard)
        (status,) = answer.result(10)["response"]["data"]["statuses"]
        (row,) = read.result(10)
        assert status["resting"]["oid"] == row["oid"]
        heard.result(10)


def user(wallet: Any) -> str:
    return str(wallet.address).lower()


def test_inputs_that_wait_share_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    with kept(tmp_path) as venue, ThreadPoolExecutor(12) as pool:
        wallet, stamp = venue.wallet(), now_ms()
        bodies = [signed(wallet, order("30000"), stamp + k) for k in range(12)]
        before = disk.writes
        core = venue.venue.core

        def taken() -> int:
            return len(venue.running.call(lambda: core.user_info.open_orders(user(wallet))))

        with disk.held():
            answers = [pool.submit(sent, venue, body) for body in bodies]
            eventually(lambda: taken() == 12)
            assert held_back(*answers)
        oids = {
            one.result(10)["response"]["data"]["statuses"][0]["resting"]["oid"] for one in answers
        }
        assert len(oids) == 12
        # The first input begins a write; the others come while it is under way.
        assert disk.writes - before == 2


def test_a_venue_whose_disk_fails_answers_nothing_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    wallet = Account.create()
    with suppress(GenesisError), kept(tmp_path) as venue:  # it ends with the error it died of
        venue.control("fund", {"user": wallet.address, "usd": "1000"})
        disk.broken = True
        body = signed(wallet, order("30000", "0.001"), now_ms())
        for path, sent_body in (("exchange", body), ("info", b'{"type": "meta"}')):
            answer = requests.post(f"{venue.url}/{path}", data=sent_body, timeout=30)
            assert answer.status_code == 500
        heart = asyncio.run_coroutine_threadsafe(
            venue.running.server.failed(), venue.running.call(asyncio.get_running_loop)
        )
        assert isinstance(heart.exception(10), GenesisError)
    disk.broken = False
    with kept(tmp_path) as venue:
        assert asked(venue, {"type": "userRole", "user": wallet.address}) == {"role": "user"}


def used(venue: Rig, wallet: Any) -> int:
    return venue.running.call(lambda: venue.venue.requests.budget.used(user(wallet)))


def test_a_request_that_was_answered_cannot_be_repeated_after_a_loss_of_power(
    tmp_path: Path,
) -> None:
    """What is left is what was forced to the disk: the rest of each file is gone."""
    lost = tmp_path / "lost"
    lost.mkdir()
    with kept(tmp_path / "venue") as venue:
        forced = (tmp_path / "venue" / "requests.jsonl").read_bytes()
        wallet = venue.wallet()
        body = signed(wallet, order("30000"), now_ms())
        assert "resting" in str(sent(venue, body))
        assert "duplicate nonce" in str(sent(venue, body))
        count = used(venue, wallet)
        synced = venue.venue.core.synced  # type: ignore[attr-defined]
        log = (tmp_path / "venue" / "log.jsonl").read_bytes()[:synced]
        (lost / "log.jsonl").write_bytes(log)
        (lost / "requests.jsonl").write_bytes(forced)
    for _ in range(2):
        with kept(lost) as venue:
            assert "duplicate nonce" in str(sent(venue, body))
            assert len(asked(venue, {"type": "openOrders", "user": wallet.address})) == 1
            assert used(venue, wallet) == count > 0, "nothing is counted twice"


def test_a_nonce_is_on_the_disk_before_the_answer_says_that_it_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with kept(tmp_path) as venue, ThreadPoolExecutor(1) as pool:
        wallet, stamp = venue.wallet(), now_ms()
        for action in ({"type": "noop"}, {"type": "claimRewards"}):
            stamp += 1
            before = used(venue, wallet)
            with disk.held():
                answer = pool.submit(sent, venue, signed(wallet, action, stamp))
                eventually(lambda before=before: used(venue, wallet) > before)
                assert held_back(answer)
            answer.result(10)
            again = sent(venue, signed(wallet, action, stamp))
            assert "duplicate nonce" in str(again)


def test_a_folder_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    wallet = Account.create()
    stamp = now_ms()
    with kept(tmp_path) as venue:
        venue.control("fund", {"user": wallet.address, "usd": "1000"})
    signer = user(wallet)
    (tmp_path / "requests.jsonl").write_text(
        f'{{"nonces":{{}},"used":{{}}}}\n["{signer}",{stamp},"{signer}",7]\n["{signer}",{stamp + 1}'
    )
    with kept(tmp_path) as venue:
        body = signed(wallet, order("30000", "0.001"), stamp)
        assert "duplicate nonce" in str(sent(venue, body))
        assert used(venue, wallet) == 7
