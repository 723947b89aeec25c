"""After a restart: the exchange's word on every account, so that nothing told meanwhile is missing.

What was in flight when a process died is asked for order by order, which the order manager sees to.
That is not enough: a fill, funding or an end of a resting order may have been told to a process
that died before it was stored. So each account is compared with the exchange once the log is
folded again, before anything new is decided.
"""

from __future__ import annotations

from collections.abc import Iterator

from genesis.domain.timeline import HOUR_MS
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.gateway import Gateway
from genesis.trading.payloads import AccountSnapshot
from genesis.trading.reconcile import HALT

OVERLAP_MS = HOUR_MS
"""How far before the latest fill an exchange is asked for more: fills are not told in order."""


def asked_since(desk: Desk, account: str) -> int:
    """Instant from which an exchange is to be asked for fills of an account.

    From the beginning where the last comparison left a difference: the fill that explains it may be
    older than any overlap, lost in an outage that later fills came after.
    """
    if desk.halts.get(f"account:{account}", "").startswith(HALT):
        return 0
    return max(desk.orders.last_fill_ms(account) - OVERLAP_MS, 0)


def ask_accounts(desk: Desk, gateway: Gateway, now_ms: int) -> Iterator[Event]:
    """Read every account of a run at the exchange, one event each; blocks.

    Parameters
    ----------
    desk : Desk
        Nothing may be under way: what was told before the answer must have been handled.
    gateway : Gateway
    now_ms : int
        Of the run's clock.

    Raises
    ------
    InfrastructureError
        If the exchange does not answer.
    """
    for account in sorted(desk.ledger.accounts):
        state = gateway.account_state(account, asked_since(desk, account))
        yield Event(AccountSnapshot(state), now_ms, account)
