"""An alert, as whoever saw the matter says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OPERATIONS: Final = "operations"
"""Source of what no trading run raised."""


@dataclass(frozen=True, slots=True)
class RaisedAlert:
    """Something that a person should know, as whoever saw it says it.

    Attributes
    ----------
    level : str
        ``info``, ``warning``, ``high``, ``critical`` or ``emergency``; see `levels.level_of`.
    component : str
        What it is about: ``orders``, ``reconcile``, ``deployment``.
    title : str
        One line. Level, component and title say which alerts are the same.
    text : str
        The rest.
    source : str
        Id of a trading run, or ``operations``.
    happened_ms : int
        In the time of the source; 0 for "now".
    source_seq : int
        Number of its event in the run's log, 0 for none.
    """

    level: str
    component: str
    title: str
    text: str
    source: str = OPERATIONS
    happened_ms: int = 0
    source_seq: int = 0
