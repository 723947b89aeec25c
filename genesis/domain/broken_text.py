"""Where a YAML or JSON text breaks, in words: file, line, what is wrong there."""

from __future__ import annotations

import json

_WORDS = {
    "mapping values are not allowed here": "a second colon, or a key that is indented too far",
    "while parsing a flow sequence": "a list that is opened with [ and not closed",
    "while parsing a flow mapping": "a block that is opened with { and not closed",
    "while parsing a flow node": "a list or block that is opened and not closed",
    "could not find expected ':'": "a key without its colon",
    "found character '\\t' that cannot start any token": "a tab; only spaces indent",
    "found unexpected end of stream": "the file ends within a text in quotes",
}


def broken_text(
    name: str, text: str, error: Exception, *, json_only: bool = False
) -> tuple[str, str]:
    """Say what is wrong with a text that a parser refused.

    Parameters
    ----------
    name : str
        File; one that ends in ``.json`` is told of as JSON, which a YAML parser reads too.
    text : str
        What is in it.
    error : Exception
        Of the parser; its marks are used where it has some.
    json_only : bool
        Whether the file is to hold JSON, whatever its name.

    Returns
    -------
    what, why : str
        ``runs.yaml:3 is not valid YAML``, and the cause.
    """
    if json_only or name.endswith(".json"):
        try:
            json.loads(text)
        except ValueError as wrong:
            line, column = getattr(wrong, "lineno", 1), getattr(wrong, "colno", 1)
            cause = getattr(wrong, "msg", str(wrong))
            return f"{name}:{line} is not valid JSON", f"{cause} (column {column})"
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}" if mark is not None else name
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    cause = str(problem or str(error).splitlines()[0])
    words = _WORDS.get(cause) or _WORDS.get(str(context))
    return f"{where} is not valid YAML", f"{words} ({cause})" if words else cause


def mend(what: str) -> str:
    """What to do about a file that `broken_text` told of."""
    return f"mend that line of the file and try again ({what})"
