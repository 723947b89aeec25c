"""The page at ``/``: what the exchange is, how to connect, and what happens on it."""

from __future__ import annotations

import base64
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple


class Page(NamedTuple):
    """A document and the policy that lets it run its own script and nothing else."""

    html: bytes
    policy: str


def page() -> Page:
    """Read the page and derive its content security policy from the script inside it."""
    text = files("genesis.exchange.venue").joinpath("templates/venue.html").read_text("utf-8")
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(text.encode(), policy)
