"""Sends the HTTP requests of ``rtcore.dialects.calls``: client secrets, and the control of calls.

``send`` blocks, and is for programs of threads; on asyncio and trio run it in a thread
(``await asyncio.to_thread(send, request)``, ``await trio.to_thread.run_sync(send, request)``)::

    from rtcore.dialects.calls import accept, read_answer
    problem = read_answer(*send(accept(connection, call_id)))
"""

import ssl as tls
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from rtcore.dialects.calls import Request
from rtcore_adapters._dial import dial_fault

_LONGEST = 1 << 20
"""Bytes of an answer that are read: those of this protocol have a few hundred."""


def send(request: Request, *, timeout: float = 10.0, ssl: tls.SSLContext | None = None) -> tuple[int, bytes]:
    """Send the request and give HTTP status and body of the answer; no redirect is followed, because it would take the key along.

    Raises ``ValueError`` for a request without its token (``Request.with_token``), which no server would grant, and ``OSError``
    where no answer comes in ``timeout`` seconds; its words hold the host and the port, and no credential.
    """
    if request.wants_token:
        raise ValueError("request: wants a token; put it in by request.with_token(token)")
    parts = urlsplit(request.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    line: HTTPConnection = (
        HTTPSConnection(host, port, timeout=timeout, context=ssl or tls.create_default_context())
        if secure
        else HTTPConnection(host, port, timeout=timeout)
    )
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        line.request(request.method, target, body=request.body, headers=dict(request.headers))
        answer = line.getresponse()
        return answer.status, answer.read(_LONGEST)
    except OSError as error:
        what, remedy = dial_fault(error, host, port)
        raise OSError(f"{what}; {remedy}") from None
    except HTTPException as error:
        raise OSError(f"{host}:{port} does not answer in HTTP: {type(error).__name__}") from None
    finally:
        line.close()
