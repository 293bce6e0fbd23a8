"""Calls in the simulated world: the server sounds the audio and says so; a client that does as elsewhere is caught (F030)."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from sim_server_client import Client, Event

from rtcore import Effect, Issued, MessageEnded, Send, Session, Verdict
from rtcore.sim import Scenario, World, WorldResult, scenario_of, synthetic_voices
from rtcore.sim._rng import Rng
from rtcore.sim._server_call import sounded_samples, sounds_at
from rtcore.sim.scenario import draw_faults, draw_with
from rtcore.sim.server import CallManner, spoken

VOICES = synthetic_voices(1)
FAULT = "server: sounds by itself"
BUFFER = "output_audio_buffer"


def kinds(events: list[Event], *prefixes: str) -> list[str]:
    return [event["type"] for event in events if event["type"].startswith(prefixes)]


def talking(*audio_ms: int, rate_percent: int = 300, at: float = 1.5) -> Client:
    """A call in which the server has spoken until ``at``."""
    client = Client(spoken(*audio_ms, rate_percent=rate_percent), call=CallManner())
    client.say("response.create")
    client.until(at)
    return client


# -- the server ----------------------------------------------------------------------------------------------------------------


def test_the_server_of_a_call_says_when_its_sound_begins_and_ends() -> None:  # DESIGN 5, facts 4.15
    client = Client(spoken(2000, 1000), call=CallManner())
    client.say("response.create")
    order = kinds(client.run(), BUFFER, "response.created", "response.content_part.added", "response.done")
    assert order[:3] == ["response.created", "response.content_part.added", f"{BUFFER}.started"]
    assert order[-2:] == ["response.done", f"{BUFFER}.stopped"]
    assert order.count(f"{BUFFER}.started") == 1
    assert not kinds(client.heard, "response.output_audio.delta")
    assert kinds(client.heard, "response.output_audio_transcript.delta")


def test_it_sounds_in_real_time_whatever_the_generation_does() -> None:
    client = Client(spoken(2000, 1000, rate_percent=1000), call=CallManner())
    client.say("response.create")
    client.until_event(f"{BUFFER}.started")
    begun = client.now
    client.until_event("response.done")
    assert client.now < begun + 1.0
    client.until_event(f"{BUFFER}.stopped")
    assert client.now == pytest.approx(begun + 3.0)


def test_audio_comes_over_the_side_channel_only_where_that_is_its_manner() -> None:
    client = Client(spoken(500), call=CallManner(deltas=True))
    client.say("response.create")
    client.run()
    assert kinds(client.heard, "response.output_audio.delta") and kinds(client.heard, f"{BUFFER}.stopped")


def test_a_clear_silences_it_and_it_cuts_its_own_items() -> None:  # facts 4.15
    client = talking(3000, 2000)
    response_id = client.server.active_response or next(iter(client.server.responses))
    said = client.say(f"{BUFFER}.clear")
    assert kinds(said, BUFFER, "conversation.item.truncated") == [f"{BUFFER}.cleared", "conversation.item.truncated"]
    assert said[0]["response_id"] == response_id
    [item_id] = {event["item_id"] for event in said if event["type"] == "conversation.item.truncated"}
    part = client.server.items[item_id].parts[0]
    assert said[1]["audio_end_ms"] == part.truncated_ms == part.format.ms(sounded_samples(part, client.now))
    assert 0 < part.truncated_ms < 1500


def test_an_item_of_which_nothing_was_heard_is_cut_to_zero_or_left() -> None:
    for manner, ms in ((CallManner(unheard="zero"), [0]), (CallManner(unheard="silent"), [])):
        client = Client(spoken(1000, 3000, rate_percent=1000), call=manner)
        client.say("response.create")
        client.until_event("response.done")
        said = client.say(f"{BUFFER}.clear")
        told = [event["audio_end_ms"] for event in said if event["type"] == "conversation.item.truncated"]
        assert told[0] > 0 and told[1:] == ms


@pytest.mark.parametrize("manner", ["silent", "answered"])
def test_a_clear_where_nothing_sounds_changes_nothing(manner: Any) -> None:
    client = Client(spoken(300), call=CallManner(idle_clear=manner))
    client.say("response.create")
    client.run()
    said = client.say(f"{BUFFER}.clear")
    assert kinds(said, "") == ([f"{BUFFER}.cleared"] if manner == "answered" else [])
    assert not client.server.refusals


def test_a_person_who_speaks_clears_it_where_turn_detection_interrupts() -> None:  # facts 4.15, 8.2
    said = talking(3000).speech("started")
    assert kinds(said, "input_audio_buffer", BUFFER) == ["input_audio_buffer.speech_started", f"{BUFFER}.cleared"]
    client = Client(spoken(3000), call=CallManner())
    client.say("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": NO_INTERRUPTS}}})
    client.say("response.create")
    client.until(1.5)
    assert kinds(client.speech("started"), BUFFER) == []


NO_INTERRUPTS = {"type": "server_vad", "interrupt_response": False}


def test_a_session_that_is_no_call_knows_no_clear() -> None:  # facts 6.4
    client = Client(spoken(3000))
    client.say("response.create")
    client.until(1.0)
    [error] = client.say(f"{BUFFER}.clear")
    assert error["error"]["code"] == "invalid_value" and not kinds(client.run(), BUFFER)


def test_where_a_sample_sounds_is_known_before_it_does() -> None:
    client = talking(3000, rate_percent=1000)
    [part] = [part for item in client.server.items.values() for part in item.parts]
    heard = sounded_samples(part, client.now)
    assert sounds_at(part, heard) == pytest.approx(client.now, abs=1e-4)
    assert sounds_at(part, part.planned_samples + 1) is None


# -- worlds --------------------------------------------------------------------------------------------------------------------


def call_of(seed: int) -> Scenario:
    """A call in a world with the faults that this seed draws beside."""
    return draw_with(Rng(seed), draw_faults(Rng(seed).fork("beside")) | {FAULT})


def test_calls_hold_what_they_have_to() -> None:  # DESIGN 5, F030
    met: dict[str, int] = {}
    cuts = checked = 0
    for seed in range(40):
        result = World(seed, VOICES, scenario=call_of(seed)).run()
        assert result.violations == () and result.turns_unanswered == 0, seed
        cuts, checked = cuts + result.cuts, checked + result.cuts_checked
        for name, count in result.situations.items():
            met[name] = met.get(name, 0) + count
    assert cuts > 300 and checked >= cuts * 95 // 100
    assert {name for name in met if name.startswith("call: ")} >= {
        "call: heard to its end",
        "call: cut by us",
        "call: cut before it sounded",
        "call: cut, and the server said where",
        "call: cut, and the server did not say where",
        "call: stopped as we cut it",
        "call: what was cut began to sound",
    }


def test_a_modest_share_of_the_default_worlds_are_calls() -> None:
    calls = [seed for seed in range(400) if FAULT in scenario_of(seed).faults]
    assert 8 <= len(calls) <= 60
    left = scenario_of(calls[0]).without(FAULT)
    assert left.server.call is None and FAULT not in left.faults


# -- clients that do as elsewhere ----------------------------------------------------------------------------------------------


class Changed(Session):
    """A session whose effects pass through ``change`` on their way out."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return effects

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return self.change(super().receive(connection, payload, now=now))

    def interrupt(self, response: str | None = None, *, now: float) -> list[Effect]:
        return self.change(super().interrupt(response, now=now))

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True, now: float) -> Issued:
        issued = super().send_text(text, interrupt=interrupt, respond=respond, now=now)
        return Issued(issued.request, self.change(issued.effects))


class NeverClears(Changed):
    """7: cancels, and lets what was generated sound on."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not (isinstance(effect, Send) and b"_audio_buffer.clear" in effect.payload)]


class ClearsAlways(Changed):
    """9: clears what the server clears by itself."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        speech = any(type(effect).__name__ == "UserSpeechStarted" for effect in effects)
        clear = Send(1, b'{"type":"output_audio_buffer.clear"}', "urgent")
        at = next((at for at, effect in enumerate(effects) if not isinstance(effect, Send)), 0)
        return [*effects[:at], clear, *effects[at:]] if speech else effects


class HeardItAll(Changed):
    """6: what was cut is told as heard to its end."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [
            structs.replace(effect, verdict=Verdict.FULL) if isinstance(effect, MessageEnded) and effect.heard_ms else effect
            for effect in effects
        ]


@pytest.mark.parametrize(("session", "invariant"), [(NeverClears, 7), (ClearsAlways, 9), (HeardItAll, 6)])
def test_a_client_that_does_as_elsewhere_is_caught(session: Callable[..., Session], invariant: int) -> None:
    found: set[int] = set()
    for seed in range(12):
        result: WorldResult = World(seed, VOICES, scenario=call_of(seed), session_factory=session).run()
        found |= {violation.invariant for violation in result.violations}
    assert invariant in found
