"""What an adapter raises, the same in every runtime."""

from rtcore import CloseReason, Problem, RequestEnded


class ConnectionFailed(ConnectionError):
    """The session never became ready. ``problem`` says why and what to do; ``reason`` is that of ``SessionClosed``."""

    def __init__(self, reason: CloseReason, problem: Problem | None) -> None:
        self.reason = reason
        self.problem = problem
        super().__init__(_words(f"the session ended before it was ready ({reason})", problem))


class RequestFailed(Exception):
    """A request settled as failed, timed out, or lost with the connection. ``ended`` is how; its ``problem`` says what to do."""

    def __init__(self, ended: RequestEnded) -> None:
        self.ended = ended
        self.problem = ended.problem
        super().__init__(_words(f"request {ended.request} {ended.outcome.replace('_', ' ')}", ended.problem))


def _words(what: str, problem: Problem | None) -> str:
    if problem is None:
        return what
    return f"{what}: {problem.message} [{problem.code}]. {problem.remedy}"


def outcome(result: RequestEnded | Exception) -> RequestEnded:
    """What a request gives whoever waits for it: its end, or, raised, the failure."""
    if isinstance(result, Exception):
        raise result
    if result.outcome in ("failed", "timed_out", "connection_lost"):
        raise RequestFailed(result)
    return result
