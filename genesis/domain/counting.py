"""Numbers of things, in words: one run, two runs."""

from __future__ import annotations


def several(count: int, one: str, more: str = "") -> str:
    """Return ``1 run`` or ``1,234 runs``.

    Parameters
    ----------
    count : int
    one : str
        The word for one of them.
    more : str
        The word for several, where it is not the first one with an s.
    """
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
