"""Audio formats end to end, against the strict server: positions exact in each, in both directions, half samples carried, and a
change of format in mid-session (issue 5, point 4; C22, F009, F123, F127).
"""

import json
from typing import Any

import pytest
from helpers.strict import Strict
from msgspec import structs

from rtcore import Flush, MessageEnded, Play, ProtocolWarning, Send, ServerError, UserSpeechStarted, Verdict
from rtcore.config import Config
from rtcore.dialects import DIALECTS, audio_format
from rtcore.sim._server_dialects import DialectName
from rtcore.sim.server import ResponsePlan, Rules, ServerItem, ServerOptions, spoken

ULAW = {"type": "audio/pcmu"}
URLS = {"inworld": "ws://localhost/api/v1/realtime/session?key=k"}
PLANS = (*(spoken(2000, rate_percent=900) for _ in range(8)),)


class Line(Strict):
    """The same two ends, and a clock that has sounded so many samples of each generation and no more."""

    def __init__(self, name: DialectName, *, ragged: bool = False) -> None:
        self.heard = 0
        self.answered: list[int] = []
        plans: tuple[ResponsePlan, ...] = PLANS
        rules = Rules()
        if ragged:
            # Deltas that end anywhere, also within a sample.
            plans = tuple(structs.replace(plan, ragged=True, delta_ms=(7, 90)) for plan in PLANS)
            rules = Rules(whole_samples=False)
        connection = {"dialect": name, "url": URLS.get(name, "ws://localhost/openai"), "api_key": "none"}
        detection = {"type": "server_vad"}
        session = {"audio": {"input": {"turn_detection": detection}}}
        super().__init__(
            Config.model_validate({"connection": connection, "session": session}),
            ServerOptions(dialect=name, rules=rules, script=plans),
        )

    def took(self, effects: Any) -> None:
        flushes = [effect.generation for effect in getattr(effects, "effects", effects) if isinstance(effect, Flush)]
        if not flushes:
            super().took(effects)
            return
        # The flush is answered with what was heard, not with all.
        for effect in getattr(effects, "effects", effects):
            self.log.append(effect)
            if isinstance(effect, Send):
                self.sent.append(json.loads(bytes(effect.payload)))
                self._messages += self.server.receive(bytes(effect.payload), now=self.now)
        for generation in flushes:
            self.answered.append(self.heard)
            self._handed.pop(generation, None)
            self.took(self.session.flushed(generation, self.heard, now=self.now))

    def flow(self, seconds: float) -> None:
        """Time passes, and the clock says nothing."""
        until = self.now + seconds
        while (due := self.server.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.said(self.server.tick(now=self.now))
        self.now = until
        self.took(self.session.tick(now=self.now))

    def turn(self, heard: int) -> ServerItem:
        """A person speaks, is answered, and talks over the answer when so many samples of it were heard."""
        self.said(self.server.user_speech("started", now=self.now))
        self.said(self.server.user_speech("stopped", now=self.now))
        self.flow(1.0)
        self.heard = heard
        self.said(self.server.user_speech("started", now=self.now))
        self.said(self.server.user_speech("stopped", now=self.now))
        self.flow(0.05)
        *_, item = (item for item in self.server.items.values() if item.role == "assistant" and item.parts and item.audio)
        return item

    def formats(self, shape: dict[str, Any]) -> None:
        """Another format, both ways, in mid-session."""
        self.took(self.session.update({"audio": {"input": {"format": shape}, "output": {"format": shape}}}, now=self.now))


def exact(line: Line, item: ServerItem, heard: int) -> None:
    """The server, the verdict and the samples agree to the sample, and the server holds what was heard, to its millisecond."""
    [part] = item.parts
    [end] = (notice for notice in line.log if isinstance(notice, MessageEnded) and notice.item_id == item.id)
    heard_ms = heard * 1000 // part.format.rate
    assert (end.verdict, end.heard_ms, part.truncated_ms) == (Verdict.PARTIAL, heard_ms, heard_ms)
    assert part.held_samples == heard_ms * part.format.rate // 1000 <= heard
    assert end.received_ms == part.format.ms(part.sent_samples)


BOTH = [
    (name, {"type": form.type, "rate": form.rate} if form.type == "audio/pcm" else {"type": form.type})
    for name in ("openai", "azure-preview", "azure-voice-live", "xai", "inworld")
    for form in DIALECTS[name].capabilities.output_formats
    if form in DIALECTS[name].capabilities.input_formats
]


@pytest.mark.parametrize(("name", "shape"), BOTH)
def test_a_cut_is_exact_to_the_sample_after_a_change_to_any_format(name: DialectName, shape: dict[str, Any]) -> None:  # C22, F009
    """The first answer is cut in the format of the beginning, the second in another, the third in the first one again."""
    line = Line(name)
    begun = line.session.output_format
    known = audio_format(shape)
    for form, given in ((begun, None), (known, shape), (begun, {"type": begun.type, "rate": begun.rate})):
        if given is not None:
            line.formats(given)
        assert (line.session.output_format, line.session.input_format) == (form, form)
        heard = form.rate // 3 + 7  # off the millisecond
        item = line.turn(heard)
        assert item.parts[0].format == form
        handed = [effect for effect in line.log if isinstance(effect, Play)]
        assert handed[-1].format == form
        if DIALECTS[name].capabilities.truncate:
            exact(line, item, heard)
        else:
            [end] = (notice for notice in line.log if isinstance(notice, MessageEnded) and notice.item_id == item.id)
            assert end.heard_ms == heard * 1000 // form.rate
    assert len(line.answered) == 3 and not line.server.refusals
    assert not [notice for notice in line.log if isinstance(notice, ServerError | ProtocolWarning)]


@pytest.mark.parametrize("name", ["openai", "azure-preview", "xai"])
def test_an_answer_under_way_keeps_its_format_and_the_next_has_the_new_one(name: DialectName) -> None:  # C22, F152
    line = Line(name)
    line.said(line.server.user_speech("started", now=line.now))
    line.said(line.server.user_speech("stopped", now=line.now))
    line.flow(0.4)
    begun = sum(len(effect.pcm) for effect in line.log if isinstance(effect, Play))
    line.formats(ULAW)
    line.flow(0.6)
    [first] = (item for item in line.server.items.values() if item.role == "assistant")
    assert 0 < begun < len(first.audio) and first.parts[0].format.type == "audio/pcm"
    line.heard = 12_345
    line.said(line.server.user_speech("started", now=line.now))
    line.said(line.server.user_speech("stopped", now=line.now))
    line.flow(1.0)
    exact(line, first, 12_345)
    later = line.turn(4_321)
    assert later.parts[0].format.type == "audio/pcmu"
    exact(line, later, 4_321)
    plays = [effect for effect in line.log if isinstance(effect, Play)]
    assert [effect.format.type for effect in plays] == sorted((effect.format.type for effect in plays), key="audio/pcmu".__eq__)
    assert not line.server.refusals


@pytest.mark.parametrize("name", ["openai", "azure-preview", "xai"])
def test_half_samples_are_carried_through_a_whole_answer(name: DialectName) -> None:  # C22, B27
    line = Line(name, ragged=True)
    line.said(line.server.user_speech("started", now=line.now))
    line.said(line.server.user_speech("stopped", now=line.now))
    line.flow(3.0)
    [item] = (item for item in line.server.items.values() if item.role == "assistant")
    played = [bytes(effect.pcm) for effect in line.log if isinstance(effect, Play)]
    assert b"".join(played) == item.audio and not any(len(pcm) % 2 for pcm in played)


@pytest.mark.parametrize(("name", "shape"), BOTH)
def test_what_is_said_into_the_microphone_is_heard_where_it_was_said(
    name: DialectName, shape: dict[str, Any]
) -> None:  # C22, F123
    """Half a second of silence, then a voice, in a format that was changed to: the server finds it where it begins."""
    line = Line(name)
    line.formats(shape)
    form = audio_format(shape)
    quiet = {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}.get(form.type, b"\x00\x00")
    frame = form.samples(20)
    for _ in range(25):
        line.took(line.session.append_audio(quiet * frame, now=line.now))
        line.flow(0.02)
    loud = {"audio/pcmu": b"\x80\x00", "audio/pcma": b"\xaa\x2a"}.get(form.type, b"\xff\x7f\x01\x80")
    for _ in range(10):
        line.took(line.session.append_audio((loud * frame)[: frame * form.sample_width], now=line.now))
        line.flow(0.02)
    starts = [notice.audio_start_ms for notice in line.log if isinstance(notice, UserSpeechStarted)]
    assert starts == [500 - 300]  # prefix padding of 300 ms
    sent = sum(len(event["audio"]) * 3 // 4 for event in line.sent if event["type"] == "input_audio_buffer.append")
    assert sent >= form.sample_width * frame * 34 - 4
