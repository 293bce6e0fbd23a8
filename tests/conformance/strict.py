"""The strict server of ``rtcore.sim`` on a stage: what the client does wrong it refuses, and it holds the truth."""

from loopback import VOICES

from conformance.far import FarEnd
from conformance.server import ScriptedServer
from rtcore.sim.server import ResponsePlan, Rules, Server, ServerOptions


class StrictServer(ScriptedServer):
    """One session of the strict server, whose responses are these."""

    def __init__(self, *plans: ResponsePlan, dialect: str = "openai", seed: int = 7) -> None:
        super().__init__(acknowledges=False)
        options = ServerOptions(script=plans, rules=Rules(error_event_id="always"), dialect=dialect)  # type: ignore[arg-type]
        self.truth = Server(seed=seed, voices=VOICES, options=options)
        self.sent: list[bytes] = []
        """All that the client has sent, microphone audio aside."""

    @property
    def next_at(self) -> float | None:
        due = [super().next_at, self.truth.deadline if self.lines and self.line.accepted else None]
        return min((at for at in due if at is not None), default=None)

    def step(self, now: float) -> None:
        self.now = now
        if (due := self.truth.deadline) is not None and due <= now and self.line.accepted:
            self._say(self.truth.tick(now=now))
        else:
            super().step(now)

    def carry(self, now: float) -> bool:
        self.now = now
        moved = False
        for line in self.lines:
            moved |= line.carry()
            if line.request is not None and not line.accepted and not line.ended:
                line.accept()
                self._say(self.truth.connect(now=now))
            for payload in line.messages:
                if not payload.startswith(b'{"type":"input_audio_buffer.append"'):
                    self.sent.append(payload)
                self._say(self.truth.receive(payload, now=now))
            line.messages.clear()
        return moved

    def _say(self, payloads: list[bytes]) -> None:
        line: FarEnd = self.line
        for payload in payloads:
            line.send(payload)
        if self.truth.closing is not None and line.accepted:
            line.close(*self.truth.closing)
