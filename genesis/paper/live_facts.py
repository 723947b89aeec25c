"""What the settings of a run on a test network say of its market; nothing secret."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from genesis.domain.errors import StorageError
from genesis.paper.settings import PaperSettings


class LiveFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exchange, markets, accounts and times of a live paper run.

    Attributes
    ----------
    venue, network, url : str
    symbols : tuple of str
    interval : str
    accounts : mapping of str to str
        Address of each account, by the name that the ledger has for it.
    anchor_ms : int
        Open time of the first bar that warms the kernels up.
    trade_from_ms : int
        When the run began; bars that closed before are not decided on.
    """

    venue: str
    network: str
    url: str
    symbols: tuple[str, ...]
    interval: str
    accounts: Mapping[str, str]
    anchor_ms: int
    trade_from_ms: int

    @staticmethod
    def of(settings: PaperSettings) -> LiveFacts:
        """Facts of stored settings.

        Raises
        ------
        StorageError
            If they are not those of a live run.
        """
        try:
            return msgspec.convert(settings.market, LiveFacts)
        except msgspec.ValidationError as error:
            raise StorageError(
                "the settings of the run are damaged", why=str(error), fix="begin another run"
            ) from None
