"""The gateway contract on the local venue, over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.exchange.hyperliquid.settings import AccountBinding
from genesis.exchange.venue.core import VenueProfile
from genesis.trading.events import Event
from tests.contract.gateway_contract import Bench, GatewayContract
from tests.integration.hyperliquid.live_rig import ACCOUNT, COIN, MASTER, live_rig


class TestHyperliquid(GatewayContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        with live_rig(tmp_path, profile=VenueProfile(min_value=1)) as rig:
            rig.price(100.0)
            accounts = (
                AccountBinding(ACCOUNT, MASTER),
                AccountBinding(f"{ACCOUNT}-other", rig.sub),
            )
            more: dict[str, Any] = {"accounts": accounts, "min_notional": Decimal(1)}
            events: list[Event] = []
            gateway = rig.gateway(events.append, **more)

            def price(value: float) -> None:
                rig.price(value)
                rig.advance(1_000)
                assert gateway.settle()

            def settle() -> None:
                assert gateway.settle()

            def reopen(sink: Callable[[Event], None]) -> Any:
                return rig.gateway(sink, **more)

            yield Bench(
                gateway, ACCOUNT, COIN, price, settle, rig.venue.clock.now_ms, reopen, events
            )
