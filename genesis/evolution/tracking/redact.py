"""Credentials never reach a log, a parameter, an artefact or a report."""

from __future__ import annotations

import re

HIDDEN = "***"

# user:password@ or token@ after a scheme; the first @ that ends an authority, no spaces.
_USERINFO = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
_SECRET_QUERY = re.compile(
    r"(?i)([?&;][^=&\s'\"<>]*(?:token|password|passwd|pwd|secret|signature|credential|key)"
    r"[^=&\s'\"<>]*=)[^&\s'\"<>#]+"
)
_SECRET_ENTRY = re.compile(
    r"(?im)^(\s*[\"']?[\w.-]*(?:token|password|passwd|secret|api_key|private_key)[\w.-]*[\"']?"
    r"\s*[:=]\s*)(?!null\b)([^\s#,}\]].*?)(,?)\s*$"
)


def redact_uri(uri: str) -> str:
    """Hide user, password and secret query values of a URI.

    ``https://ann:pw@host/x?token=1`` becomes ``https://***@host/x?token=***``.
    """
    return _SECRET_QUERY.sub(rf"\g<1>{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", uri))


def redact_text(text: str) -> str:
    """Hide credentials of every URI in a text, and the values of secret-looking entries.

    An entry is a line such as ``api_key: abc`` or ``"password": "abc",``.
    """
    return _SECRET_ENTRY.sub(rf"\g<1>{HIDDEN}\g<3>", redact_uri(text))
