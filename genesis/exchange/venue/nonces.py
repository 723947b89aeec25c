"""Nonces: a set of the highest ones per signer, as the exchange keeps them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping

from genesis.domain.timeline import DAY_MS

KEPT = 100
BEHIND_MS = 2 * DAY_MS
AHEAD_MS = DAY_MS


class NonceBook:
    """What each signer has used.

    A nonce must be unused, above the smallest of those kept once there are ``kept`` of them, and
    near the time of the exchange. It is of the *signer*: two agents of one account may use the
    same one.

    Parameters
    ----------
    kept : int
        How many of the highest are remembered; older copies of the documentation say 20.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._used: dict[str, list[int]] = {}

    def refusal(self, signer: str, nonce: int, now_ms: int) -> str | None:
        """Text of the refusal, None where the nonce may be used."""
        used = self._used.get(signer, [])
        place = bisect_left(used, nonce)
        if place < len(used) and used[place] == nonce:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(used) >= self.kept and nonce < used[0]:
            return f"Invalid nonce: nonce too low {nonce} < {used[0]}"
        if nonce <= now_ms - BEHIND_MS:
            return f"Invalid nonce: nonce too low {nonce} < {now_ms - BEHIND_MS}"
        if nonce >= now_ms + AHEAD_MS:
            return f"Invalid nonce: nonce too high {nonce} > {now_ms + AHEAD_MS}"
        return None

    def use(self, signer: str, nonce: int) -> None:
        """Remember a nonce, and forget the smallest where there are too many."""
        used = self._used.setdefault(signer, [])
        insort(used, nonce)
        if len(used) > self.kept:
            del used[0]

    def forget(self, signer: str) -> None:
        """Drop what a signer used, as the exchange does when it prunes an agent."""
        self._used.pop(signer, None)

    def state(self) -> dict[str, list[int]]:
        """Every signer's nonces, for a snapshot or a hash."""
        return {signer: list(used) for signer, used in sorted(self._used.items())}

    def restore(self, state: Mapping[str, list[int]]) -> None:
        """Take over what `state` gave."""
        self._used = {signer: sorted(used) for signer, used in state.items()}
