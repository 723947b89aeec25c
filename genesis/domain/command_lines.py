"""Command lines in a text: which workspace each of them means."""

from __future__ import annotations

import re
import shlex

_LINE = re.compile(
    r"\bgenesis (?=(?:demo|doctor|data|evolve|validate|report|backtest|ui|runs|strategies|seeds"
    r"|events|paper|replay|story|trades|reconcile|audit|risk|alerts|decide|review|kill|rearm|promote"
    r"|approve|demote|retire|deployments|live|venue|keys)\b)"
)


def naming(home: str, text: str) -> str:
    """Text in which each `genesis` command names a workspace; empty for none.

    A command that names one already is left as it is.
    """
    return _LINE.sub(lambda _: f"genesis --home {shlex.quote(home)} ", text) if home else text
