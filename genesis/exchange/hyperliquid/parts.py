"""The parts of a gateway, put together: what its thread works with."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from genesis.domain.errors import GenesisError
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.breaker import Breaker
from genesis.exchange.hyperliquid.checks import StartChecks, refuse_master
from genesis.exchange.hyperliquid.dead_man import DeadMan
from genesis.exchange.hyperliquid.delivery import Delivery
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.latency import Latency
from genesis.exchange.hyperliquid.limits import WeightBudget
from genesis.exchange.hyperliquid.listener import AccountListener
from genesis.exchange.hyperliquid.markets import Markets
from genesis.exchange.hyperliquid.nonces import NonceStore
from genesis.exchange.hyperliquid.orders import OrderDesk
from genesis.exchange.hyperliquid.sdk import Signer
from genesis.exchange.hyperliquid.sending import Sender
from genesis.exchange.hyperliquid.settings import HyperliquidSettings, private_folder
from genesis.exchange.hyperliquid.spelling import Spelling
from genesis.exchange.hyperliquid.status import StatusDesk
from genesis.exchange.hyperliquid.sweep import Sweep
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Leg, Ticket, Tickets
from genesis.exchange.hyperliquid.transport import Transport
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.payloads import ConnectionChanged

_TICK_S = 0.5
_LEAST_BEAT_S = 10.0


class Parts:
    """Everything behind the port of a gateway.

    Parameters
    ----------
    settings : HyperliquidSettings
    key : AgentKey
    waits : Waits
    delivery : Delivery
    ours : callable
        ``ours(client_id)``: whether a resting order found at start is of this run.
    chase : callable
        Begins to fetch the fills that a leg waits for.

    Raises
    ------
    RefusedError
        If the key is an account's master key, or another process trades with it.
    ConfigError, StorageError
        If the folder of the state cannot be used.
    """

    def __init__(
        self,
        settings: HyperliquidSettings,
        key: AgentKey,
        waits: Waits,
        delivery: Delivery,
        ours: Callable[[str], bool],
        chase: Callable[[Ticket, Leg], None],
    ) -> None:
        self.settings, self.waits, self.delivery = settings, waits, delivery
        self.random = random.Random(settings.seed)  # noqa: S311  jitter, not a secret
        self.accounts = {
            one.name: BoundAccount(one.name, one.address, settings.address_reserve)
            for one in settings.accounts
        }
        refuse_master(key.address, self.accounts)
        folder = private_folder(Path(settings.state_dir))
        self.signer = Signer(key, mainnet=settings.mainnet)
        self.nonces = NonceStore(folder, key.address, waits)
        self.spelling = Spelling(folder / "spelling.jsonl")
        self.listeners: dict[str, AccountListener] = {}
        self._skewed = False
        self.transport = self._transport()
        self.markets = Markets(self.transport, waits, settings.mid_age_s, self._rules_changed)
        self.tickets = Tickets()
        self.teller = Teller(delivery, self.tickets, settings.name, chase, self._traded)
        self.reader = AccountReader(self.transport, waits, self.tickets, self.teller, self.spelling)
        self.status = StatusDesk(
            self.reader,
            waits,
            self.tickets,
            self.teller,
            self.spelling,
            self.accounts,
            settings.fill_wait_s,
            settings.overlap_ms,
        )
        self.sender = Sender(
            self.transport, waits, self.signer, self.nonces, settings.expiry_ms, self._halted
        )
        self.desk = OrderDesk(
            settings,
            waits,
            self.transport,
            self.sender,
            self.markets,
            self.tickets,
            self.teller,
            self.spelling,
            self.status,
            self.accounts,
            self._stand_down,
        )
        self.beat_s: float | None = None
        self.dead_men = {
            bound.name: DeadMan(
                bound,
                settings.dead_man_s,
                self.sender,
                self.reader,
                self.tickets,
                self.teller,
                waits,
                folder,
                self._alive,
            )
            for bound in self.accounts.values()
        }
        self.sweep = Sweep(self.reader, self.sender, self.markets, waits, settings.stop_slippage)
        self.checks = StartChecks(
            settings, self.reader, self.sender, lambda: self.markets.rules, ours
        )

    def _transport(self) -> Transport:
        settings, waits = self.settings, self.waits
        budget = WeightBudget(
            waits, settings.weight_limit, settings.cancel_reserve, settings.order_reserve
        )
        breaker = Breaker(
            settings.breaker_failures,
            settings.breaker_first_s,
            settings.breaker_longest_s,
            self._breaker_changed,
        )
        return Transport(
            settings.url,
            waits,
            budget,
            breaker,
            Latency(settings.least_timeout_s, settings.timeout_s),
            Latency(settings.least_act_timeout_s, settings.timeout_s),
            settings.read_attempts,
            self.random,
        )

    def close(self) -> None:
        """Let go of the files."""
        self.spelling.close()
        self.nonces.close()

    # ---- what goes on by itself ------------------------------------------------------------

    async def maintain(self) -> None:
        """Probe while the breaker is open; keep rules and budgets fresh."""
        settings, waits = self.settings, self.waits
        rules_s = waits.monotonic() + settings.meta_refresh_s
        rates_s = waits.monotonic() + settings.rate_check_s
        while True:
            await waits.sleep(_TICK_S)
            if self.transport.breaker.open:
                await waits.sleep(self.transport.breaker.probe_wait_s)
                await self.transport.probe()
                continue
            now = waits.monotonic()
            try:
                if now >= rules_s:
                    rules_s = now + settings.meta_refresh_s
                    await self.markets.refresh()
                if now >= rates_s:
                    rates_s = now + settings.rate_check_s
                    await self.check_clock()
                    for bound in self.accounts.values():
                        await self.reader.refresh_budget(bound)
            except GenesisError as error:
                self.teller.alert("warning", "rules or limits cannot be refreshed", str(error))

    async def check_clock(self) -> None:
        """Compare our clock with the exchange's: expiries mean nothing where they differ.

        Raises
        ------
        InfrastructureError
        """
        bound = next(iter(self.accounts.values()))
        asked = self.waits.now_ms()
        there = await self.reader.time_ms(bound)
        # The answer was made some time between question and now.
        ahead = max(there - self.waits.now_ms(), asked - there, 0)
        skewed = ahead > self.settings.max_skew_ms
        if skewed != self._skewed:
            self._skewed = skewed
            source = f"{self.settings.name}:clock"
            why = f"our clock and the exchange's differ by {ahead} ms"
            self.delivery.tell(ConnectionChanged(source, not skewed, why), source)

    def _breaker_changed(self, opened: bool, why: str) -> None:
        source = f"{self.settings.name}:orders"
        self.delivery.tell(ConnectionChanged(source, not opened, why), source)
        if not opened:  # what was lost meanwhile is asked for
            for listener in self.listeners.values():
                listener.soon()

    def _halted(self, why: str) -> None:
        source = f"{self.settings.name}:signer"
        self.delivery.tell(ConnectionChanged(source, False, why), source)
        self.teller.alert("critical", "nothing can be signed any more", why)

    def _rules_changed(self, lines: list[str]) -> None:
        self.teller.alert("warning", "the exchange changed its rules", "\n".join(lines))

    def _traded(self, account: str, dollars: Decimal) -> None:
        self.accounts[account].budget.traded(dollars)
        self.dead_men[account].on_fill()

    async def _stand_down(self, account: str) -> None:
        await self.dead_men[account].stand_down()

    def _alive(self) -> bool:
        """Whether who decides has shown itself lately; who never does is taken to be there."""
        longest_s = max(self.settings.dead_man_s / 2.0, _LEAST_BEAT_S)
        return self.beat_s is None or self.waits.monotonic() - self.beat_s <= longest_s
