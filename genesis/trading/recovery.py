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

OVERLAP_MS = HOUR_MS
"""How far before the latest fill an exchange is asked for more: fills are not told in order."""


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
        since = max(desk.orders.last_fill_ms(account) - OVERLAP_MS, 0)
        state = gateway.account_state(account, since)
        yield Event(AccountSnapshot(state), now_ms, account)
