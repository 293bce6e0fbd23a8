"""Words of a peer, fit to be passed on: one line, bounded, without our credentials even where the peer repeats them."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

import msgspec

_PREFIX = 4  # characters of a credential's beginning that give it away at the end of a cut text
_QUOTED = 300  # characters of a peer's words that are passed on


def redacted(text: str, secrets: Sequence[str]) -> str:
    """Without the secrets (longest first), and without the beginning of one at the end, where the peer or a buffer cut it.

    A secret of fewer than four characters goes only where it stands alone: it would tear ordinary words apart.
    """
    for secret in secrets:
        if len(secret) >= _PREFIX:
            text = text.replace(secret, "***")
        else:
            text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])", "***", text)
    end = text.rstrip(" .\u2026'\"")
    for secret in secrets:
        for size in range(min(len(secret) - 1, len(end)), _PREFIX - 1, -1):
            if end.endswith(secret[:size]):
                return end[:-size] + "***"
    return text


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """One line of at most 300 characters, without the secrets."""
    text = "".join(c if c.isprintable() else " " for c in redacted(text, secrets)).strip()
    return text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "..."


def quoted(data: bytes, secrets: Sequence[str] = ()) -> str:
    """Bytes that are no text for sure, as they may be printed between quotation marks."""
    # Redacted before they are escaped, because a credential need not look the same afterwards.
    return clean(repr(redacted(data.decode("latin-1"), secrets).encode("latin-1"))[2:-1], secrets)


def longest_first(words: Iterable[str]) -> tuple[str, ...]:
    """The order in which secrets have to be taken out, so that none leaves a part of another."""
    return tuple(sorted({word for word in words if word}, key=lambda word: (-len(word), word)))


def spellings(value: str) -> set[str]:
    """The ways in which a part of a URL may come back: as it stands, decoded, and encoded anew by another's rules."""
    spoken = {value, unquote(value), unquote_plus(value)}
    coded = {encode(word, safe=safe) for word in spoken for encode in (quote, quote_plus) for safe in ("", "/")}
    lower = {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), word) for word in coded}
    return spoken | coded | lower


def place(url: str) -> str:
    """Scheme, host, port and path of a URL: what may be printed of it. Users, passwords and queries may hold keys."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
        host = parts.hostname or ""
    except ValueError:
        return "(a URL that cannot be read)"
    return f"{parts.scheme}://{bracketed(host)}{port}{parts.path}" if host else parts.path


def bracketed(host: str) -> str:
    """The host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def said(body: bytes) -> str:
    """The words of an HTTP answer's body: the message of a JSON error, or the text itself. Not bounded and not redacted."""
    try:
        found = msgspec.json.decode(body)
        error = found["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace")
        return "a web page" if text.lstrip()[:1] == "<" else " ".join(text.split())
