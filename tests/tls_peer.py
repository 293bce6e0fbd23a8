"""The other end of TLS, in memory: certificates made for this run, and a server that never sees a socket."""

import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from shutil import which

import pytest

_WORDS = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
_CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


class Authority:
    """Signs certificates; ``path`` is its own. Its files live in ``folder``."""

    def __init__(self, folder: Path) -> None:
        if which("openssl") is None:
            pytest.skip("making certificates takes the openssl program")
        self.folder = folder
        self.path, self._key = folder / "authority.pem", folder / "authority.key"
        self._make("authority", "DNS:none", "authority", self.path, self._key)

    def issue(self, *names: str) -> Path:
        """Key and certificate in one file, for ``DNS:...`` and ``IP:...`` names."""
        path = self.folder / f"{''.join(c if c.isalnum() else '-' for c in '_'.join(names))}.pem"
        if not path.exists():
            key, made = path.with_suffix(".key"), path.with_suffix(".crt")
            self._make("leaf", ", ".join(names), "leaf", made, key, "-CA", str(self.path), "-CAkey", str(self._key))
            path.write_bytes(key.read_bytes() + made.read_bytes())
        return path

    def _make(self, name: str, names: str, kind: str, path: Path, key: Path, *more: str) -> None:
        config = path.with_suffix(".cnf")
        config.write_text(_CONFIG.format(name=f"rtcore test {name}", names=names), encoding="ascii")
        files = ["-config", str(config), "-extensions", kind, "-keyout", str(key), "-out", str(path)]
        subprocess.run([*_WORDS.split(), *files, *more], check=True, capture_output=True)

    def client_context(self) -> ssl.SSLContext:
        """Trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.path))

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Of a server with a certificate for ``names``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.issue(*names))
        return context


class TlsPeer:
    """A TLS server over memory: ``talk`` takes what the client wrote and gives what the server answers.

    ``heard`` is what it was told. ``fault`` is why it gave up, if it did; ``closed`` says that close_notify came.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=True)
        self.heard = b""
        self.shaken = False
        self.closed = False
        self.fault: ssl.SSLError | None = None

    def talk(self, data: bytes) -> bytes:
        if data:
            self._in.write(data)
        try:
            if not self.shaken:
                self._object.do_handshake()
                self.shaken = True
            while True:
                part = self._object.read(65_536)
                self.closed = not part
                if not part:
                    break
                self.heard += part
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            self.fault = error
        return self._out.read()

    def say(self, data: bytes) -> bytes:
        """The records with which it says something."""
        self._object.write(data)
        return self._out.read()

    def bye(self) -> bytes:
        """The record that ends its side in order (close_notify)."""
        with suppress(ssl.SSLError):  # the client's is still to come
            self._object.unwrap()
        return self._out.read()

    @property
    def certificate(self) -> object:
        """What the client has shown."""
        return self._object.getpeercert()

    @property
    def protocol(self) -> str | None:
        return self._object.selected_alpn_protocol()
