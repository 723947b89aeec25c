"""A kill in a live run: entries and positions go, and the exchange itself is asked until none is.

The latch is set before this begins, so nothing that adds risk leaves any more. The loop first does
what it does for any person who flattens, so that its books follow; then the account is swept at
the exchange, which also ends what nobody here sent. A loop that fails stops nothing: its books
follow at the next start, or when they are compared by hand.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from genesis.domain.clock import Clock
from genesis.domain.errors import StorageError
from genesis.exchange.hyperliquid.sweep import Remains
from genesis.trading.kill_latch import KillOrder
from genesis.trading.kill_report import KillReport, write_kill_report
from genesis.trading.live import LiveDriver, MarketGate
from genesis.trading.payloads import OperatorCommand

KILL = "kill: "
"""In the reason of the halt that a kill brings."""
FIRST_S = 0.2
"""How long the loop is given before the account is looked at; it goes on beside that."""
AGAIN_S, UNHEARD_S = 0.3, 0.5
"""Pauses between looks: where the exchange acts, and where it does not answer."""
LONGEST_S = 5.0
"""Up to so long they grow while the exchange answers and refuses."""
_SLEEP_S = 0.05


class Sweeper(Protocol):
    """An exchange that can empty an account."""

    def sweep(self, account: str, *, flatten: bool) -> Remains:
        """Cancel what rests and close what is held; what it returns was seen before it acted."""
        ...


class KillSequence:
    """Carries a kill out; used by the thread of the loop.

    Parameters
    ----------
    driver : LiveDriver or None
        Of the loop; None where there is none.
    gate : MarketGate
        Shut first: nothing is decided any more.
    exchange : Sweeper
    accounts : sequence of str
    publish : callable
        ``publish(command, id)`` puts a command on the bus and lets the loop run.
    folder : Path
        Of the run; the report is written there.
    clock : Clock
    had : callable
        Says what the books show at the beginning.

    Attributes
    ----------
    failure : BaseException or None
        Why the loop is left alone, if it is.
    begun : bool
        Whether somebody is at it, or was.
    """

    def __init__(
        self,
        driver: LiveDriver | None,
        gate: MarketGate,
        exchange: Sweeper,
        accounts: Sequence[str],
        publish: Callable[[OperatorCommand, str], None],
        folder: Path,
        clock: Clock,
        had: Callable[[], str] = str,
    ) -> None:
        self._driver = driver
        self._gate = gate
        self._exchange = exchange
        self._accounts = tuple(accounts)
        self._publish = publish
        self._folder = folder
        self._clock = clock
        self._held, self._had = had, ""
        self.failure: BaseException | None = None
        self.begun = False

    def run(
        self,
        order: KillOrder,
        given_up: Callable[[], bool],
        latest: Callable[[], KillOrder | None] = lambda: None,
    ) -> KillReport:
        """Go on until the exchange says that nothing is left, or somebody gives up.

        Parameters
        ----------
        order : KillOrder
        given_up : callable
            Asked between looks.
        latest : callable
            The order that holds by now, asked before each look: one that asks for more takes the
            place of the first. None where there is none any more; then this one is carried out.

        Raises
        ------
        StorageError
            If the last report cannot be written; what was sent was sent.
        """
        self.begun = True
        self._gate.shut()
        with suppress(Exception):  # where it is told from beside the loop
            self._had = self._had or self._held()
        self._turn(lambda: self._command("halt", order))
        self._turn(lambda: self._command("flatten" if order.flatten else "cancel_entries", order))
        self._pause(given_up, FIRST_S)
        pause = AGAIN_S
        while True:
            newer = latest()
            if newer is not None and newer.flatten and not order.flatten:
                order = newer
                self._turn(partial(self._command, "flatten", newer))
            report, heard = self._look(order)
            if report.done or given_up():
                write_kill_report(self._folder, report)
                return report
            if report.trouble:
                with suppress(StorageError):  # a full disk keeps no account from being emptied
                    write_kill_report(self._folder, report)
            refused = heard and report.trouble
            pause = min(2.0 * pause, LONGEST_S) if refused else AGAIN_S if heard else UNHEARD_S
            self._pause(given_up, pause)

    def _turn(self, act: Callable[[], object]) -> None:
        """Let the loop do something, unless it has failed."""
        if self._driver is None or self.failure is not None:
            return
        try:
            act()
        except Exception as error:
            self.failure = error

    def _pause(self, given_up: Callable[[], bool], seconds: float) -> None:
        driver = self._driver
        if driver is not None:
            self._turn(lambda: driver.until(given_up, seconds))
        if driver is None or self.failure is not None:  # nobody else lets time pass
            never = threading.Event()
            for _ in range(math.ceil(seconds / _SLEEP_S)):
                if given_up():
                    return
                never.wait(_SLEEP_S)

    def _look(self, order: KillOrder) -> tuple[KillReport, bool]:
        """What is left, and whether the exchange hears what it is asked."""
        orders, verified, heard = 0, True, True
        positions: list[str] = []
        trouble: list[str] = []
        for account in self._accounts:
            try:
                seen = self._exchange.sweep(account, flatten=order.flatten)
            except Exception as error:  # whatever it is, the next look may succeed
                verified = heard = False
                trouble.append(str(error))
                continue
            orders += seen.orders
            positions += [f"{account} {held}" for held in seen.positions]
            verified, heard = verified and seen.seen, heard and seen.heard
            if seen.trouble:
                trouble.append(seen.trouble)
        report = KillReport(
            latched_ms=order.at_ms,
            told_ms=self._clock.now_ms(),
            orders=orders,
            positions=tuple(positions),
            verified=verified,
            trouble="; ".join(trouble),
            flatten=order.flatten,
            had=self._had,
        )
        return report, heard

    def _command(self, name: str, order: KillOrder) -> None:
        who, reason = order.who or "the kill latch", order.reason or "the kill latch is set"
        data = OperatorCommand(f"CMD_{token_hex(8)}", name, f"{KILL}{reason}", who)
        self._publish(data, data.command_id)
