"""The gateway port over Hyperliquid: requests from the loop's thread, sockets on their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from genesis.domain.errors import (
    ConfigError,
    DataError,
    InfrastructureError,
    did_you_mean,
)
from genesis.exchange.hyperliquid.accounts import BoundAccount, Funds
from genesis.exchange.hyperliquid.checks import AccountReport
from genesis.exchange.hyperliquid.delivery import Delivery
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.listener import AccountListener, subscriptions
from genesis.exchange.hyperliquid.market_feed import MarketFeed
from genesis.exchange.hyperliquid.parts import Parts
from genesis.exchange.hyperliquid.settings import HyperliquidSettings
from genesis.exchange.hyperliquid.stream import Stream
from genesis.exchange.hyperliquid.sweep import Remains
from genesis.exchange.hyperliquid.tickets import Leg, Ticket
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.gateway import AccountState, OrderRequest, Sink

T = TypeVar("T")
_PATIENCE_S = 60.0
_CLOSING_S = 5.0


class HyperliquidGateway:
    """Live orders and accounts.

    Requests return at once; their answers come through the sink, from one thread. What acts on
    the exchange is sent once at most, and what got no clear answer is told as unknown.

    Parameters
    ----------
    settings : HyperliquidSettings
    key : AgentKey
    waits : Waits
        Time; `RealWaits` in earnest.
    ours : callable
        ``ours(client_id)``: whether a resting order found at start is of this run. Without it
        those that have a client id are.

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
        *,
        ours: Callable[[str], bool] = bool,
    ) -> None:
        self.settings = settings
        self._waits = waits
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._delivery = Delivery(waits, f"{settings.name}-delivery")
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending = 0
        self._changed = threading.Condition()
        self._closing = False
        try:
            self.parts = Parts(settings, key, waits, self._delivery, ours, self._chase)
        except BaseException:
            self._loop.close()
            raise
        self.reports: dict[str, AccountReport] = {}
        self.streams: dict[str, Stream] = {}

    # ---- the port --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Short name for logs and events."""
        return self.settings.name

    def connect(self, sink: Sink) -> None:
        """Check key and accounts, open the streams, and begin to deliver answers.

        Raises
        ------
        RefusedError
            If the key is no agent's, or an account is not as it must be.
        InfrastructureError
            If the exchange does not answer.
        """
        self._delivery.start(sink)
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        try:
            self._await(self._start(), _PATIENCE_S)
        except BaseException:
            self.close()
            raise

    def submit(self, order: OrderRequest) -> None:
        """Send an order."""
        self._request("submit", order.client_id, self.parts.desk.submit(order))

    def cancel(self, account: str, symbol: str, client_id: str) -> None:
        """Ask for the end of an order."""
        self._request("cancel", client_id, self.parts.desk.cancel(account, symbol, client_id))

    def modify(self, order: OrderRequest) -> None:
        """Ask for another price and size of an order."""
        self._request("modify", order.client_id, self.parts.desk.modify(order))

    def query(self, account: str, symbol: str, client_id: str) -> None:
        """Ask what became of an order."""
        del symbol
        self._request("query", client_id, self.parts.status.query(account, client_id))

    def account_state(self, account: str, since_ms: int) -> AccountState:
        """Positions, open orders, fills and funding of an account; blocks.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        ConfigError
            If the account is not bound.
        """
        # Of an account that is being emptied nothing else is left to be asked for.
        priority = Priority.CANCEL if self.parts.desk.shut else Priority.READ
        work = self.parts.reader.state(self._bound(account), since_ms, priority)
        return self._await(work, _PATIENCE_S)

    def funds(self, account: str) -> Funds:
        """Money of an account; blocks.

        Raises
        ------
        InfrastructureError
        ConfigError
        """
        return self._await(self.parts.reader.funds(self._bound(account)), _PATIENCE_S)

    def sweep(self, account: str, *, flatten: bool) -> Remains:
        """Cancel what rests in an account and close what it holds, whoever it is from; blocks.

        It is asked for again until nothing remains: what it returns was seen before it acted.
        From the first time on nothing that adds risk leaves this gateway.

        Raises
        ------
        InfrastructureError
            If it does not come to an end.
        ConfigError
            If the account is not bound.
        """
        self.parts.desk.shut = "the account is being emptied"
        work = self.parts.sweep.once(self._bound(account), flatten=flatten)
        return self._await(work, _PATIENCE_S)

    def beat(self) -> None:
        """Say that who decides is at work; after the first time it has to be said again and again.

        The dead man's switch is moved on for nobody else.
        """
        self.parts.beat_s = self._waits.monotonic()

    def info(self, body: dict[str, Any]) -> Any:
        """Answer of the exchange to a question that concerns no account of ours; blocks.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        """
        return self._await(self.parts.transport.info(body), _PATIENCE_S)

    def follow(self, symbols: Sequence[str], interval: str, **options: Any) -> MarketFeed:
        """Begin to deliver bars and quotes of some coins to the same sink; blocks until it does.

        Parameters
        ----------
        symbols : sequence of str
        interval : str
        **options
            ``grace_ms`` and ``rules`` of `MarketFeed`.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        DataError
            If there is no such market.
        """
        known = self.parts.markets.rules
        for symbol in symbols:
            if symbol not in known:
                raise DataError(f"the exchange lists no {symbol}{did_you_mean(symbol, known)}")
        return self._await(self._follow(symbols, interval, options), _PATIENCE_S)

    async def _follow(
        self, symbols: Sequence[str], interval: str, options: dict[str, Any]
    ) -> MarketFeed:
        feed = MarketFeed(
            symbols,
            interval,
            self.parts.transport,
            self._waits,
            self._delivery,
            self.settings.ws_url,
            self.settings.stream,
            self.parts.random,
            name=f"{self.name}:market",
            **options,
        )
        self.streams[f"market {len(self.streams)}"] = feed.stream
        self._spawn(feed.run())
        await feed.ready.wait()
        return feed

    def close(self) -> None:
        """Let go of connections; sends nothing. Requests under way end as unknown."""
        if self._closing:
            return
        self._closing = True
        if self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(2 * _CLOSING_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSING_S)
        self._loop.close()
        self._delivery.close(_CLOSING_S)
        self.parts.close()

    def settle(self, timeout_s: float = 30.0, *, reads: bool = False) -> bool:
        """Wait until every request is answered and everything said until now was told.

        Parameters
        ----------
        timeout_s : float
        reads : bool
            Whether questions count too, such as those of a feed for the end of a bar.

        Returns
        -------
        bool
            False if that took longer than the timeout.
        """
        before = time.monotonic()  # the calendar may stand while it is waited
        while True:
            left = timeout_s - (time.monotonic() - before)
            with self._changed:
                if left <= 0 or not self._changed.wait_for(lambda: self._pending == 0, left):
                    return False
            try:
                quiet = self._await(self._quiet(reads=reads), left)
            except InfrastructureError:
                if time.monotonic() - before >= timeout_s:
                    return False
                raise
            if quiet and self._pending == 0:
                return self._delivery.drain(left)

    async def _quiet(self, *, reads: bool) -> bool:
        """Hear everything that was said until now; whether no fills or answers are missing."""
        for stream in self.streams.values():
            await stream.barrier()
        if self._awaited(reads=reads):
            await asyncio.sleep(0.001 if reads else 0.01)
        return not self._awaited(reads=reads)

    def _awaited(self, *, reads: bool) -> bool:
        asking = reads and self.parts.transport.asking > 0
        return asking or bool(self.parts.tickets.waiting())

    # ---- requests --------------------------------------------------------------------------

    def _request(self, what: str, client_id: str, work: Coroutine[Any, Any, None]) -> None:
        if self._thread is None or self._closing:
            work.close()
            raise InfrastructureError(f"the gateway '{self.name}' is not connected")
        with self._changed:
            self._pending += 1
        self._loop.call_soon_threadsafe(self._begin, what, client_id, work)

    def _begin(self, what: str, client_id: str, work: Coroutine[Any, Any, None]) -> None:
        self._spawn(self._carry_out(what, client_id, work))

    async def _carry_out(self, what: str, client_id: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            self._in_doubt(what, client_id, "the gateway was closed")
            raise
        except Exception as error:
            # A fault of ours in the middle of a request: what it did is not known.
            self._in_doubt(what, client_id, f"{type(error).__name__}: {error}")
            self.parts.teller.alert(
                "critical", f"a fault during {what}", f"{type(error).__name__}: {error}"
            )
        finally:
            with self._changed:
                self._pending -= 1
                self._changed.notify_all()

    def _in_doubt(self, what: str, client_id: str, why: str) -> None:
        if what != "query":
            self.parts.teller.unknown(client_id, what, why)

    def _bound(self, account: str) -> BoundAccount:
        found = self.parts.accounts.get(account)
        if found is None:
            raise ConfigError(
                f"no account '{account}' is bound", fix=f"use {', '.join(self.parts.accounts)}"
            )
        return found

    def _await(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        if self._thread is None or self._loop.is_closed():
            work.close()
            raise InfrastructureError(f"the gateway '{self.name}' is not connected")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise InfrastructureError(
                "the exchange does not answer", why=f"nothing came within {timeout_s:g} s"
            ) from None

    # ---- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self) -> None:
        await self.parts.markets.refresh()
        await self.parts.checks.agent(self.parts.signer.address, self.parts.accounts)
        await self.parts.check_clock()
        for bound in self.parts.accounts.values():
            self.reports[bound.name] = await self.parts.checks.account(bound)
            await self._listen(bound)
        for listener in self.parts.listeners.values():
            await listener.ready.wait()
        self._spawn(self.parts.maintain())
        for dead_man in self.parts.dead_men.values():
            self._spawn(dead_man.run())

    async def _listen(self, bound: BoundAccount) -> None:
        started_ms = await self.parts.reader.time_ms(bound)
        settings = self.settings
        listener = AccountListener(
            bound,
            f"{self.name}:{bound.name}",
            self._delivery,
            self._waits,
            self.parts.markets,
            self.parts.tickets,
            self.parts.teller,
            self.parts.status,
            self.parts.reader,
            started_ms=started_ms,
            overlap_ms=settings.overlap_ms,
            spawn=self._spawn,
        )
        stream = Stream(
            settings.ws_url,
            lambda: self.parts.transport.session,
            self._waits,
            settings.stream,
            self.parts.random,
            listener,
            list(subscriptions(bound.address)),
        )
        self.parts.listeners[bound.name], self.streams[bound.name] = listener, stream
        self._spawn(stream.run())

    async def _stop(self) -> None:
        if self._pending:
            await asyncio.sleep(0)
        await asyncio.gather(*(one.close() for one in self.parts.dead_men.values()))
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSING_S)
        await self.parts.transport.close()

    def _chase(self, ticket: Ticket, leg: Leg) -> None:
        self._spawn(self.parts.status.chase(ticket, leg))
