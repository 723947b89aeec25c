"""How a live run ends: entries are taken back, positions closed if asked, the rest is told."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from genesis.trading.core import TradingCore
from genesis.trading.live import LiveDriver, MarketGate
from genesis.trading.payloads import OperatorCommand
from genesis.trading.worker import ENTRY

CALL_OFF_S = 15.0
"""How long the end of resting entries is waited for."""
FLATTEN_S, AGAIN_S = 60.0, 10.0
"""How long positions are closed, and when that is asked for again."""


class WindDown:
    """The last orders of a sitting; used by the thread of the loop.

    Protective stops stay at the exchange as long as there is something to protect.

    Parameters
    ----------
    core : TradingCore
    driver : LiveDriver
    gate : MarketGate
        Shut first: nothing is decided any more.
    publish : callable
        ``publish(command, id)`` puts a command on the bus.
    interrupted : callable
        Whether something else is to be done at once.
    """

    def __init__(
        self,
        core: TradingCore,
        driver: LiveDriver,
        gate: MarketGate,
        publish: Callable[[OperatorCommand, str], None],
        interrupted: Callable[[], bool],
    ) -> None:
        self._desk = core.desk
        self._driver = driver
        self._gate = gate
        self._publish = publish
        self._interrupted = interrupted

    def run(self, *, flatten: bool) -> str:
        """Take back entries, close positions if asked; says what is left at the exchange."""
        self._gate.shut()
        self._order("cancel_entries")
        self._driver.until(lambda: not self._entries() or self._interrupted(), CALL_OFF_S)
        left = FLATTEN_S if flatten else 0.0
        while left > 0.0 and self._anything() and not self._interrupted():
            if self.positions():
                self._order("flatten")
            self._driver.until(lambda: not self._anything() or self._interrupted(), AGAIN_S)
            left -= AGAIN_S
        return self._remains()

    def positions(self) -> list[str]:
        """Readable: symbol and size of each open position."""
        ledger = self._desk.ledger
        return [
            f"{held.symbol} {held.size}"
            for account in sorted(ledger.accounts)
            for held in ledger.positions(account)
            if held.size
        ]

    def working(self) -> int:
        """Number of orders that live."""
        return len(self._desk.orders.open_orders())

    def holds(self) -> str:
        """Readable: what the books show at the exchange."""
        held, orders = self.positions(), self.working()
        positions = f"positions {', '.join(held)}" if held else "no position"
        return f"{positions}, {orders or 'no'} working orders"

    def _entries(self) -> bool:
        return any(one.purpose == ENTRY for one in self._desk.orders.open_orders())

    def _anything(self) -> bool:
        return bool(self.positions()) or self.working() > 0

    def _order(self, command: str) -> None:
        data = OperatorCommand(f"CMD_{token_hex(8)}", command, "the run is being ended", "genesis")
        self._publish(data, data.command_id)

    def _remains(self) -> str:
        held, orders = self.positions(), self.working()
        if not held and not orders:
            return "nothing is left at the exchange"
        positions = f"positions {', '.join(held)}" if held else "no position"
        return f"left at the exchange: {positions}; {orders} resting orders (stops, targets)"
