"""One process at a time sends orders for an account at an exchange, whatever the kind of run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from genesis.domain.errors import RefusedError
from genesis.paper.live_facts import LiveFacts
from genesis.paper.settings import PaperMode
from genesis.system.live_hold import LEASES, lease_names
from genesis.trading.lease import last_holder
from tests.integration.hyperliquid.live_paper_rig import bench
from tests.integration.hyperliquid.live_rig import MASTER, live_rig


@pytest.mark.parametrize("mode", [PaperMode.TESTNET, PaperMode.LIVE])
def test_a_second_run_on_the_same_account_is_refused_and_told_who_has_it(
    tmp_path: Path, mode: PaperMode
) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        rig.price(100.0)
        for _ in range(8):
            rig.advance(15_000)
        first = desk.start("one")
        with pytest.raises(RefusedError, match="being traded already") as refused:
            desk.start("two", replace(desk.settings(), mode=mode))
        assert f"run one, process {os.getpid()}" in refused.value.why
        assert not (desk.workspace.home / "trading" / "two").exists()
        with pytest.raises(RefusedError, match="being traded already"):
            desk.resume("one")
        assert first.alive
        first.stop()
        facts = LiveFacts.of(desk.settings())
        (name,) = lease_names(facts)
        assert last_holder(desk.workspace.home / LEASES, name) is None
        desk.resume("one").stop()


def test_an_address_is_another_account_on_another_network() -> None:
    def names(network: str, url: str = "") -> list[str]:
        facts = LiveFacts(
            "hyperliquid", network, url, ("SOL",), "1m", {"a": MASTER.upper(), "b": MASTER}, 0, 0
        )
        return lease_names(facts)

    assert names("testnet") == [f"{MASTER.lower()}@testnet"]
    assert names("testnet") != names("mainnet")
    assert names("local", "http://127.0.0.1:3001") == names("local", "http://localhost:3001")
    assert names("local", "http://127.0.0.1:3001") != names("local", "http://127.0.0.1:3002")
