"""From a decided action to one request: budget, expiry, nonce, signature, and its fate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from genesis.domain.errors import GenesisError, RefusedError
from genesis.exchange.hyperliquid.accounts import BoundAccount
from genesis.exchange.hyperliquid.answers import Reply, Verdict
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.nonces import NonceStore
from genesis.exchange.hyperliquid.sdk import Json, Signer
from genesis.exchange.hyperliquid.transport import Transport
from genesis.exchange.hyperliquid.waits import Waits, within

_FATAL = ("signer", "signature")
_PLACING = ("order", "batchModify")
_LATE_MS = 3_000
"""Beyond its expiry by our clock a request may still arrive in time by the exchange's."""


def _open() -> str:
    return ""


class Sender:
    """Sends actions, each at most once and never late.

    Parameters
    ----------
    transport : Transport
    waits : Waits
    signer : Signer
    nonces : NonceStore
    expiry_ms : int
        Longest time within which the exchange may accept an action.
    halted : callable
        Hears once why this signer can sign nothing more.
    """

    def __init__(
        self,
        transport: Transport,
        waits: Waits,
        signer: Signer,
        nonces: NonceStore,
        expiry_ms: int,
        halted: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._waits = waits
        self._signer = signer
        self._nonces = nonces
        self._expiry_ms = expiry_ms
        self._halted = halted
        self._flying: dict[int, tuple[str, int]] = {}
        self.dead = ""
        self.longest_signing_s = 0.0

    async def send(
        self,
        action: Json,
        bound: BoundAccount,
        priority: Priority,
        *,
        asked_ms: int = 0,
        closed: Callable[[], str] = _open,
    ) -> Reply:
        """Send an action when the budget lets it.

        Parameters
        ----------
        action : dict
        bound : BoundAccount
        priority : Priority
        asked_ms : int
            Latest instant at which it may be accepted; 0 where it may take as long as any.
            What waited longer is not sent.
        closed : callable
            Why it may not be sent, asked again after the wait.
        """
        if self.dead:
            return _refused("signer", self.dead)
        latest_ms = self._waits.now_ms() + self._expiry_ms
        expires_ms = min(asked_ms, latest_ms) if asked_ms else latest_ms
        try:
            left = max((expires_ms - self._waits.now_ms()) / 1000.0, 0.001)
            await within(self._waits, left, self._transport.budget.spend(1, priority))
        except TimeoutError:
            return _refused("expired", "the budget of requests left no room in time")
        try:
            async with self._transport.lanes[priority]:
                return await self._send(action, bound, expires_ms, closed)
        finally:
            self._transport.budget.landed(1)

    async def _send(
        self, action: Json, bound: BoundAccount, expires_ms: int, closed: Callable[[], str]
    ) -> Reply:
        """Send what has waited for its turn, if it may still be sent: it is decided again."""
        if self._waits.now_ms() > expires_ms:
            return _refused("expired", f"{self._waits.now_ms() - expires_ms} ms too late")
        if why := self.dead or closed():
            return _refused("signer" if self.dead else why.split(":")[0], why)
        try:
            nonce = self._nonces.next()
            body = self._sign(action, nonce, bound, expires_ms)
        except GenesisError as error:
            if isinstance(error, RefusedError):
                self._halt(str(error))
            return _refused("not_signed", str(error))
        bound.budget.spend()
        if action["type"] in _PLACING:
            self._flying[nonce] = (bound.name, expires_ms)
        reply = await self._transport.exchange(body)
        if reply.verdict is not Verdict.UNKNOWN:
            self._flying.pop(nonce, None)
        self._judge(reply, bound)
        return reply

    def _sign(self, action: Json, nonce: int, bound: BoundAccount, expires_ms: int) -> bytes:
        began = self._waits.monotonic()
        body = self._signer.body(action, nonce, expires_ms, bound.vault)
        self.longest_signing_s = max(self.longest_signing_s, self._waits.monotonic() - began)
        return body

    async def ground(self, bound: BoundAccount) -> int:
        """See to it that no order of an account is still on its way to the exchange.

        A request without a clear answer may arrive until it expires. Its nonce serves once: an
        empty action that uses it up lets the request be refused whenever it comes, and one that
        is told that the nonce was used knows that the request has been there.

        Returns
        -------
        int
            Requests of which that is not certain yet.
        """
        since = self._waits.now_ms() - _LATE_MS
        for nonce in [nonce for nonce, (_, ends_ms) in self._flying.items() if ends_ms < since]:
            del self._flying[nonce]
        own = [nonce for nonce, (name, _) in self._flying.items() if name == bound.name]
        await asyncio.gather(*(self._use_up(nonce, bound) for nonce in own))
        return sum(name == bound.name for name, _ in self._flying.values())

    async def _use_up(self, nonce: int, bound: BoundAccount) -> None:
        """Send an empty action with the nonce of a request that may be on its way."""
        expires_ms = self._waits.now_ms() + self._expiry_ms
        try:
            body = self._sign({"type": "noop"}, nonce, bound, expires_ms)
        except GenesisError:
            return
        await self._transport.budget.spend(1, Priority.CANCEL)
        try:
            bound.budget.spend()
            reply = await self._transport.exchange(body)
        finally:
            self._transport.budget.landed(1)
        if reply.verdict is Verdict.DONE or reply.reason == "nonce":
            self._flying.pop(nonce, None)

    def _judge(self, reply: Reply, bound: BoundAccount) -> None:
        if reply.reason in _FATAL and reply.verdict is Verdict.REFUSED:
            self._halt(self._why_signer(reply.text))
        elif reply.reason == "address_budget":
            bound.budget.exhausted()

    def _why_signer(self, text: str) -> str:
        if self._signer.address in text.lower():
            return f"the agent is not registered any more: {text}"
        return f"signatures are not understood, which is a fault of this program: {text}"

    def _halt(self, why: str) -> None:
        if not self.dead:
            self.dead = why
            self._halted(why)


def _refused(reason: str, text: str) -> Reply:
    return Reply(Verdict.REFUSED, reason=reason, text=text)
