"""Tests whose data arrive one after the other: early stopping and levels along a sequence."""

from __future__ import annotations

from collections.abc import Sequence

from genesis.domain.errors import InputError


def sequential_p(exceed: Sequence[bool], draws: int, stop_after: int) -> tuple[float, bool]:
    """Monte Carlo p-value that stops early when the observation is clearly not extreme.

    With h = ``stop_after``: p = h / l once the h-th exceedance comes at draw l, else
    ``(g + 1) / (draws + 1)`` after all draws with g < h of them (Besag & Clifford 1991, Sequential
    Monte Carlo p-values). Under the null ``P(p <= a) <= a`` for every a.

    Parameters
    ----------
    exceed : sequence of bool
        For each draw so far, in order: is it at least as extreme as the observation? What comes
        after the stop is ignored.
    draws, stop_after : int
        Most draws, and exceedances to stop at; at least 1.

    Returns
    -------
    p : float
        Where the test goes on, ``(g + 1) / (l + 1)`` of the draws so far: not yet a p-value.
    decided : bool
        Whether the test is over.
    """
    if draws < 1 or stop_after < 1:
        raise InputError("a sequential test needs a draw and an exceedance to stop at")
    reached = 0
    for place, extreme in enumerate(exceed[:draws], start=1):
        reached += bool(extreme)
        if reached == stop_after:
            return stop_after / place, True
    taken = min(len(exceed), draws)
    return (reached + 1) / (taken + 1), taken == draws


def fallback_levels(outcomes: Sequence[bool], alpha: float, share: float) -> list[float]:
    """Levels of the hypotheses tested so far and of the next, by the fallback procedure.

    Hypothesis j (from 0) owns ``alpha share (1 - share)^j``, which adds up to alpha over an endless
    sequence, and is handed the whole level of the hypothesis before it if that was rejected. The
    family-wise error rate is at most alpha, whatever the dependence (Wiens 2003; Wiens & Dmitrienko
    2005).

    Parameters
    ----------
    outcomes : sequence of bool
        For each hypothesis tested so far, in order: was its null rejected?
    alpha : float
        Family-wise error rate, between 0 and 1.
    share : float
        Part of what is left of alpha that each hypothesis owns, between 0 and 1.

    Returns
    -------
    list of float, one longer than ``outcomes``
    """
    if not 0.0 < alpha < 1.0 or not 0.0 < share < 1.0:
        raise InputError(f"alpha and share lie between 0 and 1, got {alpha!r} and {share!r}")
    levels = [alpha * share]
    for j, rejected in enumerate(outcomes, start=1):
        own = alpha * share * (1.0 - share) ** j
        levels.append(own + levels[-1] if rejected else own)
    return levels


def fallback_level(outcomes: Sequence[bool], alpha: float, share: float) -> float:
    """Level of the next hypothesis; see `fallback_levels`."""
    return fallback_levels(outcomes, alpha, share)[-1]
