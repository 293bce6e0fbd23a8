"""A server's plans, as a script, say the same bytes again; calm ends every fault; what happened is counted by name."""

import json
from typing import Any

import msgspec
import pytest
from sim_server_client import USUAL, Client, types, voices

from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Server, ServerOptions, spoken

TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}


def conversation(options: ServerOptions, seed: int, *, calm: bool = False) -> tuple[Server, list[bytes]]:
    """Twelve turns, some interrupted, one out-of-band response beside each third; every byte the server said."""
    server = Server(seed=seed, voices=voices(), options=options)
    if calm:
        server.calm()
    said = server.connect(now=0.0)
    now = 0.0

    def say(event: dict[str, Any]) -> None:
        said.extend(server.receive(json.dumps(event).encode(), now=now))

    say({"type": "session.update", "session": {"type": "realtime", "tools": [TOOL]}})
    for turn in range(12):
        said += server.user_speech("started", now=now)
        said += server.user_speech("stopped", now=now + 0.2)
        if turn % 3 == 0:
            say({"type": "response.create", "response": {"conversation": "none"}})
        until = now + (0.9 if turn % 4 == 1 else 60.0)
        while (due := server.deadline) is not None and due <= until:
            now = due
            said += server.tick(now=now)
        now = until
    return server, said


FAULTY: dict[str, Any] = {name: 200 for name in ServerOptions.__struct_fields__ if name.endswith("_per_mille")}


@pytest.mark.parametrize("faulty", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_its_plans_as_a_script_give_the_same_bytes(seed: int, faulty: bool) -> None:  # invariant 14
    options = ServerOptions(audio_ms=(300, 3000), **(FAULTY if faulty else {}))
    server, said = conversation(options, seed)
    assert len(server.plans) == sum(not response.out_of_band for response in server.responses.values())
    script = msgspec.json.decode(msgspec.json.encode(tuple(server.plans)), type=tuple[ResponsePlan, ...])
    again, repeated = conversation(msgspec.structs.replace(options, script=script), seed)
    assert repeated == said
    assert again.plans == server.plans and again.happened == server.happened


def test_options_with_every_kind_of_plan_can_be_stored() -> None:
    plan = ResponsePlan((MessagePlan((PartPlan(), PartPlan("text", text="yes"))), CallPlan("look_up")), ends="failed")
    options = ServerOptions(script=(plan,), rules=USUAL)
    assert msgspec.json.decode(msgspec.json.encode(options), type=ServerOptions) == options


def test_another_plan_in_the_script_shifts_no_other_response() -> None:
    options = ServerOptions(audio_ms=(300, 3000))
    server, _ = conversation(options, 3)
    other = (spoken(700), *server.plans[1:])
    again, _ = conversation(msgspec.structs.replace(options, script=other[:1]), 3)
    assert tuple(again.plans) == other


@pytest.mark.parametrize("scripted", [False, True])
def test_a_calm_server_speaks_completes_and_keeps_the_order(scripted: bool) -> None:  # invariant 15
    rates: dict[str, Any] = {
        name: 500
        for name in ServerOptions.__struct_fields__
        if name.endswith("_per_mille") and name not in ("failed_per_mille", "incomplete_per_mille")
    }
    options = ServerOptions(audio_ms=(300, 3000), failed_per_mille=400, incomplete_per_mille=400, **rates)
    server, _ = conversation(options, 8, calm=True)
    if scripted:
        wild, _ = conversation(options, 8)
        assert wild.happened["server: failed response"] and wild.happened["server: interleaved items"]
        server, _ = conversation(msgspec.structs.replace(options, script=tuple(wild.plans)), 8, calm=True)
    assert set(server.happened) <= {"server: cascade before speech_started"}
    assert {response.status for response in server.responses.values()} <= {"completed", "cancelled"}
    for plan in server.plans:
        assert all(isinstance(out, MessagePlan) and [part.kind for part in out.parts] == ["audio"] for out in plan.output)


FAULTS: tuple[tuple[str, ResponsePlan], ...] = (
    ("bursts", ResponsePlan(burst=3)),
    ("interleaved items", ResponsePlan((MessagePlan(), MessagePlan()), interleaving="announced")),
    ("interleaved items", ResponsePlan((MessagePlan(), CallPlan("look_up")), interleaving="late_close")),
    ("failed response", ResponsePlan(ends="failed")),
    ("incomplete response", ResponsePlan(ends="incomplete")),
    ("filtered response", ResponsePlan(ends="incomplete", detail="content_filter")),
    ("text-only answer", ResponsePlan((MessagePlan((PartPlan("text"),)),))),
    ("odd bytes", ResponsePlan(ragged=True, delta_ms=(90, 110))),
    ("two audio parts", ResponsePlan((MessagePlan((PartPlan(audio_ms=400), PartPlan(audio_ms=400))),))),
    ("several function calls", ResponsePlan((CallPlan("look_up"), CallPlan("look_up")))),
)


@pytest.mark.parametrize(("fault", "plan"), FAULTS)
def test_what_happened_is_counted_by_its_name(fault: str, plan: ResponsePlan) -> None:  # B27, F075
    client = Client(plan, rules=msgspec.structs.replace(USUAL, whole_samples=False))
    client.say("response.create")
    client.run()
    assert client.server.happened == {f"server: {fault}": client.server.happened[f"server: {fault}"]}


def test_a_plain_answer_shows_no_fault() -> None:
    client = Client(spoken(1500, 900))
    client.say("response.create")
    client.run()
    assert client.server.happened == {}


def test_late_deltas_and_the_cascade_s_place_are_counted() -> None:  # C10, facts 4.9
    late = Client(msgspec.structs.replace(spoken(4000), stragglers=3))
    late.say("response.create")
    late.until_audio(4800)
    late.speech("started")
    late.run()
    assert late.server.happened == {"server: late deltas": 1}
    early = Client(spoken(4000), rules=msgspec.structs.replace(USUAL, cascade="before_speech_started"))
    early.say("response.create")
    early.until_audio(4800)
    assert types(early.speech("started"))[-1] == "input_audio_buffer.speech_started"
    assert early.server.happened == {"server: cascade before speech_started": 1}


def test_the_dialect_the_session_s_end_and_anonymous_errors_are_counted() -> None:  # C28, C27, facts 6
    client = Client(dialect="azure-preview", session_s=60, rules=msgspec.structs.replace(USUAL, error_event_id="never"))
    client.say("conversation.item.delete", item_id="item_none", event_id="mine")
    client.run()
    assert client.server.happened == {
        "server: preview dialect": 1,
        "server: error without event_id": 1,
        "server: session end": 1,
    }
