"""Which addresses are of this machine: where scripted time and local exchanges may be."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))
"""Names of this machine's own interface, as a URL has them."""


def on_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine's own interface."""
    return urlsplit(url).hostname in LOOPBACK
