"""Why a server could not be reached, in words."""

from __future__ import annotations

import os

import aiohttp

from genesis.domain.errors import InfrastructureError
from genesis.exchange.loopback import on_loopback


def in_words(error: BaseException) -> str:
    """What a failed connection means, without the names of classes where that is possible."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} is not known here (DNS)"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"{error.host}:{error.port} proves no identity that is trusted (TLS)"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        if isinstance(error.os_error, ConnectionRefusedError):
            return f"nothing listens at {error.host}:{error.port}"
        cause = os.strerror(number) if number and number > 0 else "no connection"
        return f"{error.host}:{error.port} cannot be reached: {cause.lower()}"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return "the connection was cut before an answer came"
    return f"{type(error).__name__}: {error}"


def silent(url: str, kind: str, why: str) -> InfrastructureError:
    """Error for a server that gives no usable answer."""
    if on_loopback(url):
        fix = f"is the exchange at {url} running? genesis venue serve starts the local one"
    else:
        fix = "look at the network and at the exchange's status page, then try the same again"
    return InfrastructureError(f"the exchange does not answer '{kind}'", why=why, fix=fix)
