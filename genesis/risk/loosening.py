"""Which limits a change would loosen, and what a person must type to do so while live."""

from __future__ import annotations

from dataclasses import fields

from genesis.risk.limits import HardLimits


def loosened(old: HardLimits, new: HardLimits) -> tuple[str, ...]:
    """Names of the hard limits that a change makes looser: every one of them by growing."""
    names = (spec.name for spec in fields(HardLimits))
    return tuple(name for name in names if getattr(new, name) > getattr(old, name))


def loosening_phrase(old: HardLimits, new: HardLimits) -> str:
    """What a person must type, word by word, before looser limits count while live.

    Returns
    -------
    str
        ``LOOSEN max_gross=5 max_order=2``; empty where nothing gets looser.
    """
    words = [f"{name}={getattr(new, name):g}" for name in sorted(loosened(old, new))]
    return " ".join(("LOOSEN", *words)) if words else ""


def confirms(typed: str, old: HardLimits, new: HardLimits) -> bool:
    """Whether what was typed allows the change; a change that loosens nothing needs nothing."""
    return typed.split() == loosening_phrase(old, new).split() or not loosened(old, new)
