"""A session and the strict server with nothing between them, and a clock that has sounded whatever it was given."""

import json
from collections import deque
from typing import Any

from rtcore import Effect, Flush, Issued, Play, Send, Session
from rtcore.config import Config
from rtcore.sim.server import Server, ServerOptions
from rtcore_adapters.voices import load_voices


class Strict:
    """Both ends, connected; ``wait`` lets time pass. Every effect is in ``log``, every client event in ``sent``."""

    def __init__(self, config: Config, options: ServerOptions, *, seed: int = 5) -> None:
        self.server = Server(seed=seed, voices=load_voices(), options=options)
        self.session = Session(config, seed=seed)
        self.now = 0.0
        self.log: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self._handed: dict[int, int] = {}
        self._messages: deque[bytes] = deque()
        self.took(self.session.open(now=self.now))
        self.said(self.server.connect(now=self.now))
        self.took(self.session.connected(1, now=self.now))

    def took(self, effects: list[Effect] | Issued) -> None:
        """Carry out all effects, then what the server answers."""
        if isinstance(effects, Issued):
            effects = effects.effects
        flushed = []
        for effect in effects:
            self.log.append(effect)
            match effect:
                case Send(payload=payload):
                    self.sent.append(json.loads(bytes(payload)))
                    self._messages += self.server.receive(bytes(payload), now=self.now)
                case Play(pcm=pcm, format=form, generation=generation):
                    self._handed[generation] = self._handed.get(generation, 0) + len(pcm) // form.sample_width
                case Flush(generation):
                    flushed.append(generation)
                case _:
                    pass
        for generation in flushed:
            self.took(self.session.flushed(generation, self._handed.pop(generation, 0), now=self.now))
        while self._messages:
            self.took(self.session.receive(1, self._messages.popleft(), now=self.now))

    def said(self, messages: list[bytes]) -> None:
        """The server's messages reach the session."""
        self._messages += messages
        self.took([])

    def wait(self, seconds: float) -> None:
        """Let time pass: the earliest of both ends is next, and the clock reports."""
        until = self.now + seconds
        while True:
            dues = [self.server.deadline, self.session.deadline.at if self.session.deadline is not None else None]
            due = min((each for each in dues if each is not None and each <= until), default=None)
            if due is None:
                break
            self.now = max(self.now, due)
            self.said(self.server.tick(now=self.now))
            for generation, samples in list(self._handed.items()):
                self.took(self.session.played(generation, samples, now=self.now))
            self.took(self.session.tick(now=self.now))
        self.now = until
        self.took(self.session.tick(now=self.now))

    def spoken_to(self) -> None:
        """A person says something, and the answer has time to be heard."""
        self.said(self.server.user_speech("started", now=self.now))
        self.wait(0.5)
        self.said(self.server.user_speech("stopped", now=self.now))
        self.wait(30)
