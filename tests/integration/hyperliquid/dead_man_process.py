"""A trader of one resting entry, to be killed: prints what it does, then waits for its end."""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal

from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.settings import AccountBinding, HyperliquidSettings, Network
from genesis.exchange.hyperliquid.waits import RealWaits
from genesis.system.clock import SystemClock
from genesis.trading.gateway import OrderKind, OrderRequest, Side


def main() -> None:
    given = json.loads(sys.argv[1])
    settings = HyperliquidSettings(
        state_dir=given["state"],
        accounts=(AccountBinding("one", given["account"]),),
        network=Network.LOCAL,
        base_url=given["url"],
        dead_man_s=10.0,
    )
    gateway = HyperliquidGateway(settings, AgentKey(given["key"]), RealWaits(SystemClock()))
    gateway.connect(lambda _: None)
    gateway.submit(
        OrderRequest(
            "ORD_1", "0x" + "0" * 31 + "1", "one", "SOL", Side.BUY, OrderKind.LIMIT,
            Decimal(1), Decimal(95),
        )
    )  # fmt: skip
    while not gateway.parts.dead_men["one"].until_ms:
        time.sleep(0.01)
    print("armed", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
