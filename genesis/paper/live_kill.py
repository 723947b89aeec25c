"""A kill in a live run: entries and positions go, and the exchange itself is asked until none is.

The latch is set before this begins, so nothing that adds risk leaves any more. The loop first does
what it does for any person who flattens, so that its books follow; then the account is swept at
the exchange, which also ends what nobody here sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from genesis.domain.clock import Clock
from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid.sweep import Remains
from genesis.trading.kill_latch import KillOrder
from genesis.trading.kill_report import KillReport, write_kill_report
from genesis.trading.live import LiveDriver, MarketGate
from genesis.trading.payloads import OperatorCommand

KILL = "kill: "
"""In the reason of the halt that a kill brings."""
FIRST_S = 0.2
"""How long the loop is given before the account is looked at; it goes on beside that."""
AGAIN_S = 0.3
LONGEST_S = 5.0
"""Pauses between looks: they grow while the exchange does not answer."""


class Sweeper(Protocol):
    """An exchange that can empty an account."""

    def sweep(self, account: str, *, flatten: bool) -> Remains:
        """Cancel what rests and close what is held; what it returns was seen before it acted."""
        ...


class KillSequence:
    """Carries a kill out; used by the thread of the loop.

    Parameters
    ----------
    driver : LiveDriver
    gate : MarketGate
        Shut first: nothing is decided any more.
    exchange : Sweeper
    accounts : sequence of str
    publish : callable
        ``publish(command, id)`` puts a command on the bus and lets the loop run.
    folder : Path
        Of the run; the report is written there.
    clock : Clock
    """

    def __init__(
        self,
        driver: LiveDriver,
        gate: MarketGate,
        exchange: Sweeper,
        accounts: Sequence[str],
        publish: Callable[[OperatorCommand, str], None],
        folder: Path,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._gate = gate
        self._exchange = exchange
        self._accounts = tuple(accounts)
        self._publish = publish
        self._folder = folder
        self._clock = clock

    def run(self, order: KillOrder, given_up: Callable[[], bool]) -> KillReport:
        """Go on until the exchange says that nothing is left, or somebody gives up.

        Parameters
        ----------
        order : KillOrder
        given_up : callable
            Asked between looks.

        Raises
        ------
        StorageError
            If the report cannot be written; what was sent was sent.
        """
        self._gate.shut()
        self._command("halt", order)
        self._command("flatten" if order.flatten else "cancel_entries", order)
        self._driver.until(given_up, FIRST_S)
        pause = AGAIN_S
        while True:
            report = self._look(order)
            if report.done or given_up():
                write_kill_report(self._folder, report)
                return report
            if report.trouble:
                write_kill_report(self._folder, report)
                pause = min(2.0 * pause, LONGEST_S)
            else:
                pause = AGAIN_S
            self._driver.until(given_up, pause)

    def _look(self, order: KillOrder) -> KillReport:
        orders, positions, trouble = 0, [], ""
        for account in self._accounts:
            try:
                seen = self._exchange.sweep(account, flatten=order.flatten)
            except InfrastructureError as error:
                trouble = str(error)
                continue
            orders += seen.orders
            positions += [f"{account} {held}" for held in seen.positions]
        return KillReport(
            latched_ms=order.at_ms,
            told_ms=self._clock.now_ms(),
            orders=orders,
            positions=tuple(positions),
            verified=not trouble,
            trouble=trouble,
            flatten=order.flatten,
        )

    def _command(self, name: str, order: KillOrder) -> None:
        who, reason = order.who or "the kill latch", order.reason or "the kill latch is set"
        data = OperatorCommand(f"CMD_{token_hex(8)}", name, f"{KILL}{reason}", who)
        self._publish(data, data.command_id)
