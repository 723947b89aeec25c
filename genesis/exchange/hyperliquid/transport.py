"""Requests over HTTP: one pooled session, timeouts that follow latency, a budget of weight.

Reads are tried again; what acts on the exchange is sent once, whatever happens.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp
import msgspec

from genesis.exchange.hyperliquid.answers import UNSENT, Reply, Verdict, read_reply
from genesis.exchange.hyperliquid.breaker import Breaker
from genesis.exchange.hyperliquid.latency import Latency
from genesis.exchange.hyperliquid.limits import Priority, WeightBudget
from genesis.exchange.hyperliquid.unreached import in_words, silent
from genesis.exchange.hyperliquid.waits import Waits, within

_LIGHT = frozenset(
    (
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    )
)
_JSON = {"Content-Type": "application/json"}
_RETRY_S, _LONGEST_RETRY_S = 0.2, 5.0
_AT_ONCE = 24
"""Requests under way at a time; those beyond wait here, where they are not sent yet."""
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
"""How long reads and orders pause after the exchange said 429, doubled while it goes on."""


def info_weight(kind: str) -> int:
    """Weight of a read, before its rows are counted."""
    return 2 if kind in _LIGHT else 60 if kind == "userRole" else 20


def rows_weight(kind: str, answer: Any) -> int:
    """Weight that the rows of an answer add."""
    if not isinstance(answer, list):
        return 0
    return len(answer) // (60 if kind == "candleSnapshot" else 20) if len(answer) > 20 else 0


class _Failed(Exception):
    """A read without a usable answer; ``again`` if another try may have one."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class Transport:
    """HTTP side of the exchange; used on one event loop.

    Parameters
    ----------
    url : str
        Base address.
    waits : Waits
    budget : WeightBudget
    breaker : Breaker
    reads, acts : Latency
    attempts : int
        Tries of a read.
    random_ : random.Random
        Of the jitter between them.
    """

    def __init__(
        self,
        url: str,
        waits: Waits,
        budget: WeightBudget,
        breaker: Breaker,
        reads: Latency,
        acts: Latency,
        attempts: int,
        random_: random.Random,
    ) -> None:
        self._url = url
        self._waits = waits
        self.budget = budget
        self.breaker = breaker
        self.reads, self.acts = reads, acts
        self._attempts = attempts
        self._random = random_
        self._session: aiohttp.ClientSession | None = None
        self._pause_s = _PAUSE_S
        # Exits do not queue behind entries that hang.
        self.lanes = {priority: asyncio.Semaphore(_AT_ONCE) for priority in Priority}
        self.sent = self.asking = 0

    @property
    def session(self) -> aiohttp.ClientSession:
        """The shared session; websockets use it too."""
        if self._session is None:
            # asyncio sets TCP_NODELAY; idle connections are dropped before servers drop them.
            pool = aiohttp.TCPConnector(limit=0, keepalive_timeout=20.0, ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(
                connector=pool, timeout=aiohttp.ClientTimeout(total=None), trust_env=False
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ---- reads -----------------------------------------------------------------------------

    async def info(
        self, body: dict[str, Any], priority: Priority = Priority.READ, tries: int = 0
    ) -> Any:
        """Ask the exchange something, ``tries`` times at most (0: as configured).

        Raises
        ------
        InfrastructureError
            If no usable answer comes, however often it is asked.
        """
        self.asking += 1
        try:
            return await self._ask(body, priority, tries or self._attempts)
        finally:
            self.asking -= 1

    async def _ask(self, body: dict[str, Any], priority: Priority, tries: int) -> Any:
        kind, why = str(body["type"]), ""
        for attempt in range(tries):
            if attempt:
                await self._pause(attempt)
            weight = info_weight(kind)
            await self.budget.spend(weight, priority)
            try:
                answer = await self._read(body)
            except _Failed as error:
                why = str(error)
                if not error.again:
                    break
                continue
            finally:
                self.budget.landed(weight)
            self.budget.add(rows_weight(kind, answer))
            return answer
        raise silent(self._url, kind, why)

    async def probe(self) -> bool:
        """Ask once for the exchange's time, to see whether it answers."""
        await self.budget.spend(2, Priority.CANCEL)
        try:
            await self._read({"type": "exchangeStatus"}, probe=True)
        except _Failed:
            return False
        finally:
            self.budget.landed(2)
        return True

    async def _pause(self, attempt: int) -> None:
        longest = min(_RETRY_S * 2.0**attempt, _LONGEST_RETRY_S)
        await self._waits.sleep(longest * (0.5 + 0.5 * self._random.random()))

    async def _read(self, body: dict[str, Any], *, probe: bool = False) -> Any:
        async with self.lanes[Priority.READ]:
            return await self._read_now(body, probe)

    async def _read_now(self, body: dict[str, Any], probe: bool) -> Any:
        began = self._waits.monotonic()
        try:
            status, data = await within(
                self._waits, self.reads.timeout_s, self._post("/info", msgspec.json.encode(body))
            )
        except TimeoutError:
            self.reads.timed_out()
            raise self._failed(f"no answer within {self.reads.timeout_s:g} s", probe) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(in_words(error), probe) from None
        self.reads.answered(self._waits.monotonic() - began)
        if status == 429:
            self._limited()
            raise _Failed("too many requests (429)")
        if status >= 500:
            raise self._failed(f"status {status}", probe)
        if status != 200:
            text = data[:200].decode(errors="replace")
            raise _Failed(f"status {status}: {text}", again=False)
        try:
            answer = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._failed("an answer that is no JSON", probe) from None
        self._answered()
        return answer

    def _failed(self, why: str, probe: bool) -> _Failed:
        self.breaker.failure(why, probe=probe)
        return _Failed(why)

    # ---- acts ------------------------------------------------------------------------------

    async def exchange(self, body: bytes) -> Reply:
        """Send an action, once; its weight was spent by the caller, who holds a lane."""
        began = self._waits.monotonic()
        self.sent += 1
        timeout = self.acts.timeout_s
        try:
            status, data = await within(self._waits, timeout, self._post("/exchange", body))
        except TimeoutError:
            self.acts.timed_out()
            return self._lost("timeout", f"no answer within {timeout:g} s")
        except aiohttp.ClientConnectorError as error:
            # No connection was made, so that not a byte was sent.
            self.breaker.failure(in_words(error))
            return Reply(Verdict.REFUSED, reason=UNSENT, text=in_words(error))
        except (aiohttp.ClientError, OSError) as error:
            return self._lost("connection", in_words(error))
        self.acts.answered(self._waits.monotonic() - began)
        reply = read_reply(status, data)
        if status == 429:
            self._limited()
        elif reply.verdict is Verdict.UNKNOWN and reply.reason != "nonce":
            self.breaker.failure(reply.text)
        else:
            self._answered()
        return reply

    def _answered(self) -> None:
        self.breaker.success()
        self._pause_s = _PAUSE_S

    def _lost(self, reason: str, why: str) -> Reply:
        self.breaker.failure(why)
        return Reply(Verdict.UNKNOWN, reason=reason, text=why)

    def _limited(self) -> None:
        self.budget.refused(self._pause_s * (1.0 + 0.5 * self._random.random()))
        self._pause_s = min(2.0 * self._pause_s, _LONGEST_PAUSE_S)

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        async with self.session.post(self._url + path, data=body, headers=_JSON) as response:
            return response.status, await response.read()
