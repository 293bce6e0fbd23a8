"""What never reaches a recording, and what does only where it was asked for.

Three layers, each on plain JSON data, each leaving every length, count and id as it was, so that a session that is given the
result does the same:

- credentials: always. Values of the configuration's credentials wherever they occur, values under names like ``authorization``,
  and whatever looks like a key become stars; addresses keep what is public about them.
- audio, unless kept: silence of the same length, in base64 of the same length.
- text, unless kept: every character that is no white space and no ASCII punctuation becomes "x". What stays are the words of the
  protocol itself: a text stands wherever it is not known to be one of those, so that an unknown field is masked too.
"""

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec
from msgspec import Struct

from rtcore._formats import FormatType
from rtcore._wire import KNOWN_TYPES
from rtcore.config import Config
from rtcore.dialects import dialect_of

HIDDEN = "hidden"
"""Stands where a credential was, for a session that is to be replayed needs one to dial."""


class Keep(Struct, frozen=True):
    """What a recording holds beside the protocol's own words. Voices and words are personal data: neither, by default."""

    audio: bool = False
    """Sound of both directions; without, silence of the same length."""
    text: bool = False
    """Transcripts, typed text, instructions, arguments and outputs of functions; without, "xxx xx" of the same length."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not kept."""
        return tuple(name for name, kept in (("audio", self.audio), ("text", self.text)) if not kept)


# -- what is what ------------------------------------------------------------------------------------------------------------

_PROTOCOL_WORDS = frozenset(
    {
        # who and what
        "type", "object", "id", "event_id", "item_id", "response_id", "call_id", "previous_item_id", "conversation_id",
        "session_id", "approval_request_id", "role", "name", "server_label", "connector_id", "rtcore_request",
        # how it went
        "status", "code", "param", "reason", "phase",
        # options that the protocol or rtcore names
        "format", "input_audio_format", "output_audio_format", "voice", "model", "modalities", "output_modalities", "include",
        "eagerness", "language", "languages", "delay", "effort", "tool_choice", "max_output_tokens",
        "max_response_output_tokens", "conversation", "tracing", "truncation", "dialect", "api_version", "deployment",
        "interruption", "context", "version",
    }
)  # fmt: skip
_IDS = frozenset({"type", "event_id", "item_id", "response_id", "call_id"})
"""All that is known of an event that is not."""
_NOTHING = frozenset({"rtcore_request"})
_PROGRAMS_OWN = frozenset({"metadata", "variables", "parameters"})
"""Objects whose keys are the program's: none of them says what its value is."""
_WORD = re.compile(r"[\w.:/+\-\[\]]{0,128}", re.ASCII)
"""A word of the protocol or an id; anything else under such a name is masked all the same."""
_ERROR_TEXTS = frozenset({"message", "error"})
_QUOTED = re.compile(r"(?<!\w)(['\"`])(.*?)\1(?!\w)")
_SECRET_NAME = re.compile(r"(?:api[-_]?key|authorization|passw(?:or)?d|secret|token|credentials?|cookie|bearer)$", re.IGNORECASE)
_SECRET = re.compile(
    r"\b(?:sk|rk|pk|ek)[-_][\w*.\-]{6,}"
    r"|\b(?:org|proj)[-_]\w{6,}"
    r"|\beyJ[\w\-]{8,}\.[\w\-]+(?:\.[\w\-]*)?"
    r"|\bAKIA[0-9A-Z]{12,}"
    r"|(?<=bearer )[^\s\"',]+"
    r"|(?<=://)[^/\s@:\"']*:[^/\s@\"']+(?=@)"
    r"|(?<=[?&])(?=[^=&\s]*(?:key|token|secret|auth|sig|passw))[^&\s\"'#]+",
    re.IGNORECASE,
)
_MASKED = re.compile(r"[^\s!-/:-@\[-`{-~]")
_BASE64 = re.compile(r"(data:[^,\s]{0,100},)?([A-Za-z0-9+/]*={0,2})")
_LONG = 200
"""A text so long without a blank may be sound under a name that is not known."""
_SECRET_LENGTH = 8
"""Shorter ones are words ("none") and cannot be told from them in a text."""
_AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})
_SILENT: dict[FormatType, bytes] = {"audio/pcm": b"\x00", "audio/pcmu": b"\xff", "audio/pcma": b"\x55"}
"""The smallest amplitude of each encoding, as a byte whose base64 is one character again and again."""
_PUBLIC_HOSTS = (".openai.com", ".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|\[::1\]|::1")
_PUBLIC_PATH = frozenset({"", "openai", "v1", "realtime", "deployments"})
_PUBLIC_QUERY = frozenset({"api-version", "deployment", "model", "call_id"})


class Privacy:
    """Takes out of inputs what is not to be kept. Learns credentials from the configuration and from what passes."""

    def __init__(self, config: Config, keep: Keep) -> None:
        self.keep = keep
        self._known: list[str] = []
        for secret in _credentials(config):
            self._learn(secret)

    # -- the configuration ---------------------------------------------------------------------------------------------------

    def config(self, config: Config) -> dict[str, Any]:
        """The configuration as data: what was set, without credentials, host names and, unless kept, texts."""
        data: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True, exclude={"connection", "session"})
        calls = data.get("function_calls", {})
        if calls.get("filler") is not None:
            calls["filler"] = self.text(calls["filler"])
        connection = config.connection.model_dump(mode="json", exclude_unset=True)
        # As it goes over the wire: only there are the tags of its parts written out.
        session = msgspec.json.decode(msgspec.json.encode(config.session.wire()))
        shown = {name: _shown(name, value) for name, value in connection.items()}
        told = dialect_of(config.connection)
        if told is not None and config.connection.url is not None:
            shown.setdefault("dialect", told.name)  # what is left of the address may not tell it any more
        return {"connection": shown, "session": self.value(session), **data}

    # -- inputs --------------------------------------------------------------------------------------------------------------

    def message(self, payload: bytes, sound: FormatType) -> bytes:
        """A server message. Where nothing is to be taken out it stays the same to the byte, whatever it is."""
        try:
            event = msgspec.json.decode(payload)
            kind = event.get("type") if isinstance(event, dict) else None
            words = _PROTOCOL_WORDS if kind in KNOWN_TYPES else _IDS
            found = self._walk(event, "delta" if kind in _AUDIO_DELTAS else "", sound, words)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._unreadable(payload)
        return payload if found is event else msgspec.json.encode(found)

    def pcm(self, pcm: bytes, sound: FormatType) -> bytes:
        """Audio of the microphone."""
        return pcm if self.keep.audio else _SILENT[sound] * len(pcm)

    def value(self, value: Any, name: str = "", sound: FormatType = "audio/pcm") -> Any:
        """Plain data that a program gave; ``name`` is what it is called, where that says what it is."""
        try:
            return self._walk(value, name, sound, _PROTOCOL_WORDS)
        except RecursionError:
            return None  # refused by the session as well: nothing nested so deeply can be sent

    def text(self, text: str) -> str:
        """What is text and nothing else."""
        return self._mask(self.scrub(text))

    def technical(self, text: str) -> str:
        """What a server or a line says about an error: what it quotes is masked."""
        return self._error_text(self.scrub(text))

    def scrub(self, text: str) -> str:
        """The text with stars for credentials, as many as there were characters."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, "*" * len(secret))
        return _SECRET.sub(lambda found: "*" * len(found[0]), text)

    # -- one value -----------------------------------------------------------------------------------------------------------

    def _walk(self, value: Any, name: str, sound: FormatType, words: frozenset[str]) -> Any:
        """The value without what is not kept; the very same object where nothing was taken out."""
        if isinstance(value, str):
            found = self._string(value, name, sound, words)
            return value if found == value else found
        if isinstance(value, Mapping):
            return self._object(value, name, sound, words)
        if isinstance(value, list | tuple):
            if name == "logprobs" and not self.keep.text and value:
                return []  # tokens, and their bytes as numbers
            walked = [self._walk(inner, name, sound, words) for inner in value]
            return value if all(map(_same, walked, value)) else walked
        return value

    def _object(self, value: Mapping[str, Any], audio_name: str, sound: FormatType, words: frozenset[str]) -> Any:
        changed: dict[str, Any] = {}
        for key, inner in value.items():
            if inner is None or isinstance(inner, bool | int | float):
                continue
            if _SECRET_NAME.search(key) or key == "headers":
                found = self._hide(inner)
            elif key == audio_name:
                found = self._audio(inner, sound) if isinstance(inner, str) else inner
            else:
                found = self._walk(inner, key, sound, _NOTHING if key in _PROGRAMS_OWN else words)
            if found is not inner:
                changed[key] = found
        return {**value, **changed} if changed else value

    def _string(self, text: str, name: str, sound: FormatType, words: frozenset[str]) -> str:
        if name == "audio":
            return self._audio(text, sound)
        if not self.keep.audio and len(text) >= _LONG and (found := _BASE64.fullmatch(text)):
            return (found[1] or "") + _silent(found[2], sound)
        text = self.scrub(text)
        if self.keep.text or (name in words and _WORD.fullmatch(text.replace("*", ""))):
            return text
        return self._error_text(text) if name in _ERROR_TEXTS else self._mask(text)

    def _audio(self, text: str, sound: FormatType) -> str:
        return text if self.keep.audio else _silent(text, sound)

    def _mask(self, text: str) -> str:
        return text if self.keep.text else _MASKED.sub("x", text)

    def _error_text(self, text: str) -> str:
        if self.keep.text:
            return text
        return _QUOTED.sub(
            lambda found: found[0] if _WORD.fullmatch(found[2]) else f"{found[1]}{self._mask(found[2])}{found[1]}", text
        )

    def _hide(self, value: Any) -> Any:
        """Stars for every text in a value that is a credential, which is known from now on."""
        if isinstance(value, str):
            self._learn(value)
            return "*" * len(value)
        if isinstance(value, Mapping):
            return {key: self._hide(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._hide(inner) for inner in value]
        return value

    def _learn(self, secret: str) -> None:
        for form in (secret, msgspec.json.encode(secret)[1:-1].decode()):
            if len(form) >= _SECRET_LENGTH and form not in self._known and form.strip("*"):
                self._known.append(form)

    def _unreadable(self, payload: bytes) -> bytes:
        """A message that is no JSON may hold anything."""
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return payload if self.keep.audio and self.keep.text else b"\xff" * len(payload)
        text = self.scrub(text)
        return (text if self.keep.audio and self.keep.text else _MASKED.sub("x", text)).encode()


def _same(one: object, other: object) -> bool:
    return one is other


def _silent(text: str, sound: FormatType) -> str:
    """Base64 of as much silence; what is no base64 stays none."""
    try:
        size = len(a2b_base64(text, strict_mode=True))
    except (Base64Error, ValueError):
        return "*" * len(text)
    return b64encode(_SILENT[sound] * size).decode()


def _credentials(config: Config) -> list[str]:
    """Every credential of the configuration, in each form in which it may be repeated."""
    connection = config.connection
    found = [key for key in (connection.credential("api_key"), connection.credential("bearer_token")) if key is not None]
    found += connection.headers.values()
    found += [value for value in (connection.organization, connection.project) if value is not None]
    for pair in (connection.url or "").partition("?")[2].partition("#")[0].split("&"):
        name, _, value = pair.partition("=")
        if name not in _PUBLIC_QUERY:
            found += [value, unquote(value), unquote_plus(value)]
    return [part for text in found for part in (text, text.rpartition(" ")[2])]


_PUBLIC = ("dialect", "model", "api_version", "deployment", "authentication", "provided_token")


def _shown(name: str, value: Any) -> Any:
    """What is shown of an option of the connection."""
    if value is None or name in _PUBLIC:
        return value
    if name == "headers":
        return dict.fromkeys(value, HIDDEN)
    return _shown_url(value) if name == "url" else HIDDEN


def _shown_url(url: str) -> str:
    """What is public of an address: its scheme, a known provider's domain, known steps of the path, names of the query."""
    rest, _, query = url.strip().partition("#")[0].partition("?")
    scheme, separator, rest = rest.rpartition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    if not _LOOPBACK.fullmatch(host.rpartition(":")[0] if re.search(r":\d+$", host) else host):
        known = next((domain for domain in _PUBLIC_HOSTS if host.lower().partition(":")[0].endswith(domain)), None)
        host = f"{HIDDEN}{known}" if known is not None and host != "api.openai.com" else host if known else f"{HIDDEN}.invalid"
    steps = "/".join(step if step in _PUBLIC_PATH else HIDDEN for step in path.split("/"))
    pairs = []
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        pairs.append(f"{name}{equals}{value if name in _PUBLIC_QUERY - {'call_id'} or not value else HIDDEN}")
    return f"{scheme}{separator}{host}{slash}{steps}{'?' if pairs else ''}{'&'.join(pairs)}"
