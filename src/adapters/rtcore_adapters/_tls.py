"""TLS as a layer: OpenSSL between two memory buffers.

The context decides what is trusted, which client certificate is shown and whether protocols are offered (ALPN); this file feeds
it and says in words what went wrong. A stream that ends without close_notify ends all the same: the websocket above knows by its
close frame whether something is missing.
"""

import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from rtcore_adapters._layers import Data, LayerFault

NO_TLS = "if the server speaks no TLS on this port, use ws:// instead of wss://"
"""What to do where TLS was spoken to a server that may speak none."""

_RECORD = 16 * 1024  # what one read can give: the largest record (RFC 8446, 5.1). More room would be cleared for nothing
_FIRST, _LAST = 20, 24  # how a record begins (RFC 8446, 5.1): its type
_CERTIFICATE = "for a private authority pass an ssl context that knows it"
_CLIENT = "the server wants a client certificate that it trusts: load one into the ssl context (load_cert_chain)"
_VERSIONS = "the two sides share no TLS version or cipher: check the ssl context's settings, and the server's"

# X509_V_ERR_*, as OpenSSL numbers them for good
_UNTRUSTED: Mapping[int, str] = {
    9: "check this machine's date",
    10: "the server's certificate has to be renewed; check this machine's date as well",
    62: "use a host name that stands in the certificate: another server may answer at this one",
    64: "use a host name that stands in the certificate instead of the address",
}

# Parts of OpenSSL's reasons, in lower case with spaces; the first that fits counts
_REMEDIES: tuple[tuple[str, str], ...] = (
    ("alert certificate required", _CLIENT),
    ("alert bad certificate", _CLIENT),
    ("alert unknown ca", _CLIENT),
    ("alert certificate unknown", _CLIENT),
    ("alert certificate expired", _CLIENT),
    ("alert protocol version", _VERSIONS),
    ("alert handshake failure", f"{_VERSIONS}; or {_CLIENT}"),
    ("unsupported protocol", _VERSIONS),
    ("unrecognized name", "the server knows no such host name: check the URL"),
)


def tls_fault(error: ssl.SSLError, where: str, no_tls: str = NO_TLS) -> LayerFault:
    """A failed handshake with ``where`` in words; ``no_tls`` is the remedy if it may be no TLS at all that is spoken there."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _UNTRUSTED.get(error.verify_code, f"check the host name and this machine's certificates; {_CERTIFICATE}")
        return LayerFault(f"the TLS certificate of {where} is not trusted: {error.verify_message}", remedy)
    reason = tls_reason(error)
    remedy = next((remedy for part, remedy in _REMEDIES if part in reason), no_tls)
    return LayerFault(f"{where} failed the TLS handshake: {reason}", remedy)


def tls_reason(error: ssl.SSLError) -> str:
    """OpenSSL's own word for an error."""
    reason: str | None = getattr(error, "reason", None)  # only OpenSSL's own errors have one
    return reason.replace("_", " ").lower() if reason else str(error)


class Tls:
    """The client's side of TLS; a ``Layer``.

    ``host`` is what the certificate is checked against and what is named to the server (SNI); ``where`` is how the peer is called
    in errors. Raises ``ValueError`` if the context cannot be used for it.
    """

    def __init__(self, context: ssl.SSLContext, host: str, *, where: str, no_tls: str = NO_TLS) -> None:
        self._where = where
        self._no_tls = no_tls
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._kept: deque[bytes] = deque()
        self._heard = False
        self._silent = False
        self.established = False
        self.ended = False
        self.fault: LayerFault | None = None
        try:
            self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise ValueError(f"ssl: no handshake can begin with this context: {tls_reason(error)}") from None
        except ValueError:  # of no name or address, or a label that is too long
            raise ValueError(f"the host {host!r} cannot be named in TLS: check the URL's host") from None

    def __repr__(self) -> str:
        return f"Tls({self._where!r}, established={self.established})"

    def receive(self, data: Data) -> bytes:
        """Take records; gives what was in those that are whole."""
        if self.ended:
            return b""
        if data:
            if not self._heard:
                self._heard = True
                if not _FIRST <= data[0] <= _LAST:
                    # OpenSSL's word for it is another in each version, and its alert would be lost on such a peer.
                    self._fail(LayerFault(f"{self._where} failed the TLS handshake: it does not speak TLS", self._no_tls))
                    return b""
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        if not self.established and not self._shaken():
            return b""
        plain = self._read()
        if self._kept:
            self._write()
        if not data:
            self.ended = True
        return plain

    def send(self, data: bytes) -> None:
        """Take bytes to encrypt."""
        if self._silent or self.fault:
            return
        self._kept.append(data)
        if self.established:
            self._write()

    def outgoing(self) -> bytes:
        """Records to write, alerts included."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def end(self) -> None:
        """Send close_notify. The peer's is not waited for: what it might still say is of no interest to a closed link."""
        if self._silent or not self.established or self.fault:
            return
        self._silent = True
        with suppress(ssl.SSLError):  # its close_notify is still to come, or never will
            self._object.unwrap()

    def unanswered(self, after_s: float) -> LayerFault:
        """No handshake in so many seconds."""
        return LayerFault(f"{self._where} did not finish the TLS handshake in {after_s:g} s", self._no_tls)

    def _shaken(self) -> bool:
        """Go on with the handshake; whether it is over, and well."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLEOFError:
            self._fail(LayerFault(f"{self._where} broke off the TLS handshake", self._no_tls))
            return False
        except ssl.SSLError as error:
            self._fail(tls_fault(error, self._where, self._no_tls))
            return False
        self.established = True
        self._write()
        return True

    def _read(self) -> bytes:
        parts: list[bytes] = []
        try:
            while True:
                part = self._object.read(_RECORD)
                if not part:  # close_notify
                    self.ended = True
                    break
                parts.append(part)
                # Asking once more would raise, which costs as much as a record: OpenSSL leaves nothing whole elsewhere.
                if not self._incoming.pending and not self._object.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self.ended = True
        except ssl.SSLError as error:
            self._broken(error)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _write(self) -> None:
        try:
            while self._kept:
                self._object.write(self._kept[0])  # whole, or it raises: OpenSSL writes a part only where it is told to
                self._kept.popleft()
        except ssl.SSLWantReadError:
            pass  # TLS 1.2 lets a server begin another handshake: the rest goes when it is over
        except ssl.SSLError as error:
            self._broken(error)

    def _broken(self, error: ssl.SSLError) -> None:
        reason = tls_reason(error)
        remedy = next((remedy for part, remedy in _REMEDIES if part in reason), "the line was damaged on its way: connect again")
        self._fail(LayerFault(f"TLS with {self._where} failed: {reason}", remedy))

    def _fail(self, fault: LayerFault) -> None:
        self.fault = fault
        self.ended = True
        self._kept.clear()
