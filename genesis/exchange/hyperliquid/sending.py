"""From a decided action to one request: budget, expiry, nonce, signature, and its fate."""

from __future__ import annotations

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
            body = self._sign(action, bound, expires_ms)
        except GenesisError as error:
            if isinstance(error, RefusedError):
                self._halt(str(error))
            return _refused("not_signed", str(error))
        bound.budget.spend()
        reply = await self._transport.exchange(body)
        self._judge(reply, bound)
        return reply

    def _sign(self, action: Json, bound: BoundAccount, expires_ms: int) -> bytes:
        began = self._waits.monotonic()
        body = self._signer.body(action, self._nonces.next(), expires_ms, bound.vault)
        self.longest_signing_s = max(self.longest_signing_s, self._waits.monotonic() - began)
        return body

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
