"""Nonces rise across threads, clocks and restarts, and belong to one process."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError, RefusedError, StorageError
from genesis.exchange.hyperliquid.nonces import AHEAD_MS, NonceStore
from tests.unit.exchange.hyperliquid.hands import HandWaits

SIGNER = "0x" + "ab" * 20


def test_eight_threads_never_share_a_nonce(tmp_path: Path) -> None:
    store = NonceStore(tmp_path / "s", SIGNER, HandWaits())
    given: list[int] = []
    threads = [
        threading.Thread(target=lambda: [given.append(store.next()) for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 4_000


def test_a_restart_goes_on_above_whatever_the_clock_says(tmp_path: Path) -> None:
    waits = HandWaits()
    store = NonceStore(tmp_path / "s", SIGNER, waits)
    last = max(store.next() for _ in range(10))
    stored = json.loads((tmp_path / "s" / f"nonce-{SIGNER}.json").read_text())["mark"]
    assert last <= stored  # it was stored before it was given
    store.close()
    waits.skew_ms = -120_000  # the clock was set back two minutes
    again = NonceStore(tmp_path / "s", SIGNER, waits)
    assert again.next() > last
    assert again.next() - last <= AHEAD_MS + 2  # and stays near the exchange's time


def test_one_write_serves_many_nonces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = NonceStore(tmp_path / "s", SIGNER, HandWaits())
    writes: list[int] = []
    real = os.replace

    def counted(*args: object) -> None:
        writes.append(1)
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", counted)
    for _ in range(1_000):
        store.next()
    assert len(writes) == 1


def test_a_second_process_is_refused_and_one_that_was_replaced_signs_nothing(
    tmp_path: Path,
) -> None:
    waits = HandWaits()
    store = NonceStore(tmp_path / "s", SIGNER, waits)
    with pytest.raises(RefusedError, match="another process"):
        NonceStore(tmp_path / "s", SIGNER, waits)
    other = NonceStore(tmp_path / "s", "0x" + "cd" * 20, waits)  # another agent may
    other.close()
    path = tmp_path / "s" / f"nonce-{SIGNER}.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps(plain | {"epoch": plain["epoch"] + 1}))
    with pytest.raises(RefusedError, match="taken over"):
        store.next()


def test_without_a_stored_mark_there_is_no_nonce(tmp_path: Path) -> None:
    waits = HandWaits()
    folder = tmp_path / "s"
    store = NonceStore(folder, SIGNER, waits)
    folder.joinpath(f"nonce-{SIGNER}.json").write_text("damaged")
    with pytest.raises(StorageError):
        store.next()
    store.close()
    with pytest.raises(StorageError, match="cannot be read"):
        NonceStore(folder, SIGNER, waits)


def test_a_folder_that_others_can_look_into_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match="others can look"):
        NonceStore(folder, SIGNER, HandWaits())
