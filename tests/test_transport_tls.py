"""TLS as a layer: verified, in words, and the same however the bytes are cut. The other end is OpenSSL's server in memory."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from far_end import Authority, TlsPeer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore_adapters._layers import LayerFault
from rtcore_adapters._tls import NO_TLS, Tls, tls_fault

HOST, WHERE = "voice.example", "voice.example:443"
NO_NAME = "use a host name that stands in the certificate"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def shaken(tls: Tls, peer: TlsPeer, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> bytes:
    """Carry bytes both ways until nobody has any; gives what came out of the layer."""
    plain = b""
    while data := tls.outgoing():
        for piece in cut(peer.talk(data)):
            plain += tls.receive(piece) if piece else b""
    return plain


def opened(authority: Authority) -> tuple[Tls, TlsPeer]:
    tls, peer = Tls(authority.client_context(), HOST, where=WHERE), TlsPeer(authority.server_context(f"DNS:{HOST}"))
    shaken(tls, peer)
    assert tls.established
    return tls, peer


def failed(tls: Tls, peer: TlsPeer) -> LayerFault:
    assert shaken(tls, peer) == b""
    assert tls.ended
    assert tls.fault is not None
    return tls.fault


# -- what is verified -------------------------------------------------------------------------------------------------------


def test_a_trusted_certificate_for_the_name_opens_the_way(authority: Authority) -> None:
    tls, peer = Tls(authority.client_context(), HOST, where=WHERE), TlsPeer(authority.server_context(f"DNS:{HOST}"))
    tls.send(b"GET / ")
    tls.send(b"HTTP/1.1")
    assert shaken(tls, peer) == b""
    assert tls.established
    assert peer.heard == b"GET / HTTP/1.1"
    assert tls.receive(peer.say(b"101")) == b"101"
    assert (tls.ended, tls.fault, peer.fault) == (False, None, None)


def test_an_address_is_verified_too(authority: Authority) -> None:
    tls, peer = Tls(authority.client_context(), "127.0.0.1", where=WHERE), TlsPeer(authority.server_context("IP:127.0.0.1"))
    shaken(tls, peer)
    assert tls.established


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    """The default context knows this machine's authorities alone (issue 4, transport: verified by default)."""
    peer = TlsPeer(authority.server_context(f"DNS:{HOST}"))
    fault = failed(Tls(ssl.create_default_context(), HOST, where=WHERE), peer)
    assert fault.error == (
        f"the TLS certificate of {WHERE} is not trusted: "
        "unable to get local issuer certificate"
    )  # fmt: skip
    assert fault.remedy == (
        "check the host name and this machine's certificates; for a private authority pass an ssl context that knows it"
    )
    assert peer.fault is not None
    assert "unknown ca" in str(peer.fault).lower().replace("_", " ")  # the alert was written before the end


@pytest.mark.parametrize(
    ("host", "names", "what"),
    [
        ("voice.example", "DNS:other.example", "Hostname mismatch, certificate is not valid for 'voice.example'."),
        ("127.0.0.1", "IP:127.0.0.2", "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
def test_a_certificate_of_somebody_else_is_refused(authority: Authority, host: str, names: str, what: str) -> None:
    fault = failed(Tls(authority.client_context(), host, where=f"{host}:443"), TlsPeer(authority.server_context(names)))
    assert fault.error == f"the TLS certificate of {host}:443 is not trusted: {what}"
    assert fault.remedy.startswith(NO_NAME)


@pytest.mark.parametrize(("code", "remedy"), [(10, "has to be renewed"), (9, "check this machine's date")])
def test_a_certificate_out_of_its_time_has_words(code: int, remedy: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "certificate has expired"
    fault = tls_fault(error, WHERE)
    assert fault.error == f"the TLS certificate of {WHERE} is not trusted: certificate has expired"
    assert remedy in fault.remedy


def test_the_server_is_named_and_no_protocol_is_offered_unless_the_context_does(authority: Authority) -> None:
    asked: list[str | None] = []

    def named(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        asked.append(name)

    for offered in ([], ["http/1.1"]):
        server, client = authority.server_context(f"DNS:{HOST}"), authority.client_context()
        server.set_alpn_protocols(["http/1.1"])
        server.sni_callback = named
        if offered:
            client.set_alpn_protocols(offered)
        tls, peer = Tls(client, HOST, where=WHERE), TlsPeer(server)
        shaken(tls, peer)
        assert peer.protocol == (offered[0] if offered else None)
    assert asked == [HOST, HOST]


def test_a_client_certificate_is_shown_and_its_lack_is_told(authority: Authority) -> None:
    """In TLS 1.3 the server says so after the client's handshake is over; in TLS 1.2 within it."""
    server = authority.server_context(f"DNS:{HOST}")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.path)
    client = authority.client_context()
    client.load_cert_chain(authority.issue("DNS:me.example"))
    tls, peer = Tls(client, HOST, where=WHERE), TlsPeer(server)
    shaken(tls, peer)
    assert tls.receive(peer.say(b"hello")) == b"hello"
    shown = peer.certificate
    assert isinstance(shown, dict)
    assert shown["subjectAltName"] == (("DNS", "me.example"),)

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        server.maximum_version = version
        fault = failed(Tls(authority.client_context(), HOST, where=WHERE), TlsPeer(server))
        assert "alert" in fault.error
        assert "the server wants a client certificate" in fault.remedy


def test_two_sides_without_a_common_version_say_so(authority: Authority) -> None:
    server, client = authority.server_context(f"DNS:{HOST}"), authority.client_context()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    fault = failed(Tls(client, HOST, where=WHERE), TlsPeer(server))
    assert fault.error == f"{WHERE} failed the TLS handshake: tlsv1 alert protocol version"
    assert "share no TLS version" in fault.remedy


# -- peers that are none ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail.example ESMTP\r\n", b"\x00" * 64, b"\xff"])
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_peer_that_speaks_no_tls(authority: Authority, answer: bytes, bytewise: bool) -> None:  # invariant 14
    tls = Tls(authority.client_context(), HOST, where=WHERE)
    tls.outgoing()
    for piece in [answer[at : at + 1] for at in range(len(answer))] if bytewise else [answer]:
        assert tls.receive(piece) == b""
    assert tls.fault == LayerFault(f"{WHERE} failed the TLS handshake: it does not speak TLS", NO_TLS)
    assert NO_TLS == "if the server speaks no TLS on this port, use ws:// instead of wss://"


@pytest.mark.parametrize("bytewise", [False, True])
def test_a_peer_that_begins_like_tls_and_is_none(authority: Authority, bytewise: bool) -> None:  # invariant 14
    tls, noise = Tls(authority.client_context(), HOST, where=WHERE), b"\x16" + b"\xff" * 64
    for piece in [noise[at : at + 1] for at in range(len(noise))] if bytewise else [noise]:
        assert tls.receive(piece) == b""
    assert tls.fault is not None
    assert tls.fault.error.startswith(f"{WHERE} failed the TLS handshake: ")  # in OpenSSL's words
    assert tls.fault.remedy == NO_TLS


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03"])
def test_a_peer_that_hangs_up_in_the_handshake(authority: Authority, said: bytes) -> None:
    tls = Tls(authority.client_context(), HOST, where=WHERE)
    if said:
        tls.receive(said)
    assert tls.receive(b"") == b""
    assert tls.fault == LayerFault(f"{WHERE} broke off the TLS handshake", NO_TLS)
    assert tls.receive(b"") == tls.receive(b"more") == b""
    tls.send(b"x")
    tls.end()


def test_a_peer_that_says_nothing_is_named(authority: Authority) -> None:
    tls = Tls(authority.client_context(), HOST, where=WHERE, no_tls="use http://")
    assert tls.unanswered(10.0) == LayerFault(f"{WHERE} did not finish the TLS handshake in 10 s", "use http://")


# -- ends -------------------------------------------------------------------------------------------------------------------


def test_an_orderly_end_is_said_and_heard(authority: Authority) -> None:
    tls, peer = opened(authority)
    assert tls.receive(peer.say(b"last words") + peer.bye()) == b"last words"
    assert (tls.ended, tls.fault) == (True, None)
    tls.send(b"mine")  # one side may still speak when the other has ended (RFC 8446, 6.1)
    tls.end()
    tls.end()
    tls.send(b"too late")
    peer.talk(tls.outgoing())
    assert (peer.heard, peer.closed, peer.fault) == (b"mine", True, None)


def test_our_end_comes_first(authority: Authority) -> None:
    tls, peer = opened(authority)
    tls.send(b"bye")
    tls.end()
    peer.talk(tls.outgoing())
    assert (peer.heard, peer.closed) == (b"bye", True)
    assert tls.receive(peer.bye()) == b""
    assert (tls.ended, tls.fault) == (True, None)


def test_an_end_before_the_handshake_says_nothing(authority: Authority) -> None:
    tls = Tls(authority.client_context(), HOST, where=WHERE)
    tls.outgoing()
    tls.end()
    assert tls.outgoing() == b""


@pytest.mark.parametrize("half", [False, True])
def test_a_stream_without_close_notify_is_an_end_of_stream(authority: Authority, half: bool) -> None:
    """Also within a record: the websocket's close frame says whether something is missing (F093, F101)."""
    tls, peer = opened(authority)
    words, record = peer.say(b"words"), peer.say(b"x" * 1000)
    assert tls.receive(words + (record[:500] if half else b"")) == b"words"
    assert tls.receive(b"") == b""
    assert (tls.ended, tls.fault) == (True, None)


def test_a_damaged_record_is_a_fault_and_what_came_before_it_counts(authority: Authority) -> None:
    tls, peer = opened(authority)
    good, bad = peer.say(b"good"), bytearray(peer.say(b"bad"))
    bad[-1] ^= 1
    assert tls.receive(good + bytes(bad)) == b"good"
    assert tls.fault == LayerFault(
        f"TLS with {WHERE} failed: decryption failed or bad record mac", "the line was damaged on its way: connect again"
    )
    assert tls.receive(peer.say(b"after")) == b""
    assert peer.talk(tls.outgoing()) == b""
    assert "bad record mac" in str(peer.fault).lower().replace("_", " ")  # our alert


# -- amounts and cuts -------------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    sizes=st.lists(st.sampled_from([1, 5, 100, 16_383, 16_384, 16_385, 70_000]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 40_000), max_size=10),
    damaged=st.booleans(),
)
def test_any_split_gives_the_same_plain_bytes(
    authority: Authority, sizes: list[int], cuts: list[int], damaged: bool
) -> None:  # invariant 14
    tls, peer = opened(authority)
    said = [bytes([at + 1]) * size for at, size in enumerate(sizes)]
    wire = b"".join(peer.say(part) for part in said)
    plain = b"".join(said)
    if damaged:
        last = bytearray(peer.say(b"never"))
        last[-1] ^= 1
        wire += bytes(last)
    wire += peer.bye()
    heard, at = b"", 0
    for size in [*cuts, len(wire)]:
        if piece := wire[at : at + size]:
            heard += tls.receive(piece)
        at += size
    assert heard == plain
    assert tls.ended
    assert (tls.fault is not None) is damaged


def test_the_handshake_may_come_byte_by_byte(authority: Authority) -> None:
    tls, peer = Tls(authority.client_context(), HOST, where=WHERE), TlsPeer(authority.server_context(f"DNS:{HOST}"))
    tls.send(b"GET")
    assert shaken(tls, peer, lambda data: [data[at : at + 1] for at in range(len(data))]) == b""
    assert tls.established
    assert peer.heard == b"GET"


def test_megabytes_pass_in_both_directions(authority: Authority) -> None:
    tls, peer = opened(authority)
    big = bytes(range(256)) * 16_384  # 4 MiB, in one call each
    assert tls.receive(peer.say(big)) == big
    tls.send(big)
    peer.talk(tls.outgoing())
    assert peer.heard == big


def test_one_record_is_not_copied_again(authority: Authority) -> None:
    """An audio delta in one record: OpenSSL's own copy is the only one (issue 4: client CPU per delta)."""
    tls, peer = opened(authority)
    asked = []
    for size in (12_800, 40_000):
        tls._object = reads = _CountedReads(tls._object)  # type: ignore[assignment]
        assert len(tls.receive(peer.say(bytes(size)))) == size
        asked.append(reads.count)
    assert asked == [1, 3]


class _CountedReads:
    """Counts how often OpenSSL is asked: for nothing that cannot be there, because its answer would be an exception."""

    def __init__(self, real: ssl.SSLObject) -> None:
        self._real = real
        self.count = 0

    def read(self, size: int) -> bytes:
        self.count += 1
        return self._real.read(size)

    def pending(self) -> int:
        return self._real.pending()


class _Writes:
    """OpenSSL whose ``write`` raises what it is told to, as in the middle of another handshake."""

    def __init__(self, real: ssl.SSLObject, *errors: ssl.SSLError) -> None:
        self._real = real
        self._errors = list(errors)
        self.read, self.pending = real.read, real.pending

    def write(self, data: bytes) -> int:
        if self._errors:
            raise self._errors.pop(0)
        return self._real.write(data)


def test_what_cannot_be_written_in_a_new_handshake_waits_for_its_end(authority: Authority) -> None:
    tls, peer = opened(authority)
    tls._object = _Writes(tls._object, ssl.SSLWantReadError())  # type: ignore[assignment]
    tls.send(b"one ")
    assert tls.outgoing() == b""
    assert tls.receive(peer.say(b"x")) == b"x"
    tls.send(b"two")
    peer.talk(tls.outgoing())
    assert (peer.heard, tls.fault) == (b"one two", None)


def test_a_write_that_fails_is_a_fault(authority: Authority) -> None:
    tls, _ = opened(authority)
    tls._object = _Writes(tls._object, ssl.SSLError(1, "bad length"))  # type: ignore[assignment]
    tls.send(b"x")
    assert tls.fault is not None
    assert tls.fault.error == f"TLS with {WHERE} failed: bad length"
    assert tls.ended


# -- what is the program's mistake --------------------------------------------------------------------------------------------


def test_a_context_for_servers_is_named_as_the_mistake(authority: Authority) -> None:
    with pytest.raises(ValueError, match=r"ssl: no handshake can begin with this context: .*PROTOCOL_TLS_SERVER"):
        Tls(authority.server_context(f"DNS:{HOST}"), HOST, where=WHERE)
    context = authority.client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ValueError, match="ssl: no handshake can begin with this context: no "):
        Tls(context, HOST, where=WHERE)


@pytest.mark.parametrize("host", [".voice.example", "x" * 64 + ".example"])
def test_a_host_that_cannot_be_named_is_the_urls_mistake(authority: Authority, host: str) -> None:
    with pytest.raises(ValueError, match="cannot be named in TLS: check the URL's host"):
        Tls(authority.client_context(), host, where=WHERE)


def test_its_repr_says_with_whom_and_how_far(authority: Authority, tmp_path: Path) -> None:
    assert repr(Tls(authority.client_context(), HOST, where=WHERE)) == f"Tls({WHERE!r}, established=False)"
