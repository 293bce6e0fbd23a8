"""Cancels, the user's turns and what they do to a running response (protocol facts 4.9, 5.5, 8)."""

from typing import Any

import pytest
from sim_server_client import Client, Event, types, voices

from rtcore.sim._server_g711 import codes
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, Stall, spoken
from rtcore_adapters.voices import load_voices

CASCADE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
COMMITTED = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]


def speaking(*script: ResponsePlan, samples: int = 12_000, **options: Any) -> Client:
    """A client whose first response has sent ``samples`` samples."""
    client = Client(*(script or (spoken(3000),)), **options)
    client.say("response.create")
    client.until_audio(samples)
    return client


# -- cancel ------------------------------------------------------------------------------------------------------------------


def test_a_cancel_closes_everything() -> None:  # B07, protocol facts 5.5
    client = speaking()
    said = client.say("response.cancel", response_id=client.server.active_response)
    assert types(said) == CASCADE
    done = said[-2]["response"]
    assert (done["status"], done["status_details"]) == ("cancelled", {"type": "cancelled", "reason": "client_cancelled"})
    assert [item["status"] for item in done["output"]] == ["incomplete"]
    assert client.server.active_response is None
    # Cancelling does not truncate.
    item = client.server.items[client.server.conversation[0]]
    assert item.parts[0].held_samples == item.parts[0].sent_samples >= 12_000


def test_a_cancel_without_id_names_the_running_one() -> None:
    assert types(speaking().say("response.cancel")) == CASCADE


@pytest.mark.parametrize("stragglers", [1, 4])
def test_some_deltas_still_leave_after_a_cancel(stragglers: int) -> None:  # B10, C10, protocol facts 4.10
    client = speaking(ResponsePlan(stragglers=stragglers))
    before = client.server.items[client.server.conversation[0]].parts[0].sent_samples
    assert client.say("response.cancel") == []
    said = client.until(client.now + 0.2)
    assert [event["type"] for event in said].count("response.output_audio.delta") == stragglers
    assert types(said)[-len(CASCADE) :] == CASCADE
    part = client.server.items[client.server.conversation[0]].parts[0]
    assert part.sent_samples == before + stragglers * 2400


def test_a_stall_does_not_hold_up_a_cancel() -> None:
    client = speaking(ResponsePlan(stalls=(Stall(0, 500, 60.0),), stragglers=1), samples=12_000)
    client.say("response.cancel")
    assert types(client.until(client.now + 0.2))[-2:] == ["response.done", "rate_limits.updated"]


def test_a_cancelled_call_never_completes_its_arguments() -> None:  # C26
    client = Client(ResponsePlan((CallPlan("f", '{"a":1}', 3),)))
    client.say("response.create")
    client.until_event("response.function_call_arguments.delta")
    said = client.say("response.cancel")
    assert "response.function_call_arguments.done" not in types(said)
    assert said[-2]["response"]["output"][0]["status"] == "incomplete"


def test_nothing_is_announced_after_a_cut_between_two_parts() -> None:
    parts = (PartPlan("text", text="one two three four"), PartPlan(audio_ms=300))
    plan = ResponsePlan((MessagePlan(parts), CallPlan("f")), interleaving="late_close", stragglers=2)
    client = Client(plan)
    client.say("response.create")
    client.until_event("response.output_text.delta")
    client.say("response.cancel")
    assert types(client.until(client.now + 1))[-2:] == ["response.done", "rate_limits.updated"]
    assert len(client.server.conversation) == 1


def test_what_was_never_announced_never_appears() -> None:
    client = speaking(spoken(2000, 2000))
    done = client.say("response.cancel")[-2]["response"]
    assert len(done["output"]) == 1 and len(client.server.conversation) == 1


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(), ["response.created", "response.done", "rate_limits.updated"]),
        (Rules(created_if_cancelled=False), ["response.done", "rate_limits.updated"]),
    ],
)
def test_a_cancel_before_response_created(rules: Rules, expected: list[str]) -> None:  # C18, B15, protocol facts 4.10
    client = Client(spoken(1000), rules=rules)
    client.say("response.create", response={"metadata": {"n": "1"}})
    said = client.say("response.cancel", response_id=client.server.active_response)
    assert types(said) == expected
    assert said[-2]["response"]["metadata"] == {"n": "1"}


@pytest.mark.parametrize(("rule", "status"), [("cancelled", "cancelled"), ("completed", "completed")])
def test_who_wins_a_late_cancel_is_a_rule(rule: Any, status: str) -> None:  # C14
    client = speaking(spoken(500), rules=Rules(late_cancel=rule), samples=12_000)
    # The last delta's 33 ms have passed and its item's closing events are under way.
    client.until(client.now + 0.034)
    assert types(client.say("response.cancel", response_id=client.server.active_response)) in (CASCADE, [])
    client.until(client.now + 1)
    assert next(event for event in client.heard if event["type"] == "response.done")["response"]["status"] == status
    assert client.errors == []


def test_a_cancel_by_id_reaches_an_out_of_band_response_alone() -> None:  # B12, C17, F055, protocol facts 5.2
    client = speaking(spoken(4000), samples=1, think_ms=(0, 10))
    client.say("response.create", response={"conversation": "none"})
    aside = client.until_event("response.created")["response"]["id"]
    assert client.say("response.cancel", response_id=aside)[-2]["response"]["id"] == aside
    statuses = {entry.out_of_band: entry.status for entry in client.server.responses.values()}
    assert statuses == {True: "cancelled", False: "in_progress"}


def test_the_cascade_and_the_output_of_a_cancelled_response_are_rules() -> None:  # protocol facts, 4.9 and 7.3
    client = speaking(rules=Rules(cascade_audio_done=False, cancelled_output="empty"))
    said = client.say("response.cancel")
    assert types(said) == CASCADE[2:]
    assert said[-2]["response"]["output"] == []


# -- turns: the truth table (protocol facts, 8.2) ----------------------------------------------------------------------------


def turned(client: Client, create: bool | None, interrupt: bool | None) -> None:
    detection: Event = {"type": "server_vad", "create_response": create, "interrupt_response": interrupt}
    client.session(audio={"input": {"turn_detection": {key: value for key, value in detection.items() if value is not None}}})


def test_create_and_interrupt() -> None:  # C01, B07, C13
    for create, interrupt in ((True, True), (None, None)):
        client = Client(spoken(3000), spoken(500))
        turned(client, create, interrupt)
        client.say("response.create")
        client.until_audio(12_000)
        said = client.speech("started")
        assert types(said) == ["input_audio_buffer.speech_started", *CASCADE]
        assert said[-2]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        stopped = client.speech("stopped")
        assert types(stopped) == ["input_audio_buffer.speech_stopped", *COMMITTED]
        assert {event.get("item_id", said[0]["item_id"]) for event in stopped} == {said[0]["item_id"]}
        assert client.until_event("response.done")["response"]["status"] == "completed"
        assert [entry.cause for entry in client.server.responses.values()] == ["client", "turn"]


def test_create_without_interrupt_fails_while_one_runs() -> None:  # F054, protocol facts 8.2
    client = speaking()
    turned(client, True, False)
    assert types(client.speech("started")) == ["input_audio_buffer.speech_started"]
    said = client.speech("stopped")
    assert types(said) == ["input_audio_buffer.speech_stopped", *COMMITTED, "error"]
    assert said[-1]["error"]["code"] == "conversation_already_has_active_response"
    assert client.server.refusals[-1].event is None  # nobody asked
    client.until_event("response.done")
    client.speech("started")
    assert types(client.speech("stopped"))[-1] == "conversation.item.done"
    assert client.until_event("response.created")


def test_interrupt_without_create() -> None:
    client = speaking()
    turned(client, False, True)
    assert types(client.speech("started")) == ["input_audio_buffer.speech_started", *CASCADE]
    assert types(client.speech("stopped")) == ["input_audio_buffer.speech_stopped", *COMMITTED]
    assert client.until(client.now + 60) == []


def test_neither() -> None:
    client = speaking()
    turned(client, False, False)
    assert types(client.speech("started")) == ["input_audio_buffer.speech_started"]
    assert types(client.speech("stopped")) == ["input_audio_buffer.speech_stopped", *COMMITTED]
    assert client.until_event("response.done")["response"]["status"] == "completed"


def test_manual_turns_have_no_detection() -> None:
    client = speaking()
    client.session(audio={"input": {"turn_detection": None}})
    assert client.speech("started") == client.speech("stopped") == []


def test_switching_detection_off_ends_what_was_being_said() -> None:
    client = Client()
    client.speech("started")
    client.session(audio={"input": {"turn_detection": None}})
    client.session(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    assert client.speech("stopped") == []
    assert types(client.speech("started")) == ["input_audio_buffer.speech_started"]


def test_the_cascade_can_come_before_the_news() -> None:  # protocol facts, 4.9
    client = speaking(ResponsePlan(stragglers=3), rules=Rules(cascade="before_speech_started"))
    assert types(client.speech("started")) == [*CASCADE, "input_audio_buffer.speech_started"]


def test_stragglers_of_an_interrupted_response_delay_the_next_one() -> None:  # C10
    client = speaking(ResponsePlan(stragglers=4), spoken(500))
    first = client.server.active_response
    client.speech("started")
    assert types(client.speech("stopped"))[-1] == "conversation.item.done"  # and no error
    done = client.until_event("response.done")["response"]
    assert (done["id"], done["status"]) == (first, "cancelled")
    assert client.until_event("response.created")["response"]["id"] != first


def test_a_new_turn_takes_the_place_of_an_answer_that_is_still_owed() -> None:
    client = speaking(ResponsePlan(stragglers=4), spoken(500))
    client.speech("started")
    client.speech("stopped")
    client.speech("started")
    client.until(client.now + 5)
    assert len(client.server.responses) == 1
    client.speech("stopped")
    assert client.until_event("response.created")


def test_an_interruption_does_not_reach_out_of_band() -> None:  # protocol facts, 5.2
    client = Client()
    client.say("response.create", response={"conversation": "none"})
    client.until_event("response.created")
    assert types(client.speech("started")) == ["input_audio_buffer.speech_started"]


def test_repeated_news_changes_nothing() -> None:
    client = Client()
    assert client.speech("stopped") == []
    client.speech("started")
    assert client.speech("started") == []


# -- turns: from audio -------------------------------------------------------------------------------------------------------


def clip(ms: int) -> bytes:
    """The first ``ms`` of a synthetic voice: words of 160 to 400 ms with at most 120 ms of silence between."""
    return voices()[0].pcm[: ms * 48]


def silence(ms: int) -> bytes:
    return bytes(ms * 48)


@pytest.mark.parametrize("size", [960, 1920, 1000, 9600, 480_000])
def test_a_turn_is_found_in_the_audio(size: int) -> None:  # protocol facts, 8.1
    client = Client(spoken(500))
    said = client.audio(silence(1000) + clip(1000) + silence(1000), size)
    assert types(said) == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", *COMMITTED]
    assert said[0]["audio_start_ms"] == 1000 - 300
    assert said[1]["audio_end_ms"] in range(2000 - 120, 2000 + 500 + 40)
    assert client.until_event("response.created")


def test_a_person_is_heard_speaking() -> None:
    voice = next(voice for voice in load_voices() if voice.name == "weather")
    client = Client()
    client.session(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 800}}})
    said = client.audio(silence(300) + voice.pcm + silence(1500))
    assert types(said)[:2] == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    assert types(said).count("input_audio_buffer.speech_started") == 1
    assert said[0]["audio_start_ms"] < 300
    assert said[1]["audio_end_ms"] in range(300 + 6400, 300 + 6661 + 900)


def test_there_is_no_clock_but_the_audio() -> None:  # F126
    client = Client()
    assert types(client.audio(silence(200) + clip(600))) == ["input_audio_buffer.speech_started"]
    assert client.until(60.0) == []
    assert types(client.audio(silence(600)))[0] == "input_audio_buffer.speech_stopped"


@pytest.mark.parametrize(("wait_ms", "ended"), [(900, False), (1300, True)])
def test_the_silence_duration_is_the_sessions(wait_ms: int, ended: bool) -> None:
    client = Client()
    client.session(
        audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 1200, "prefix_padding_ms": 0}}}
    )
    said = client.audio(silence(500) + clip(600))
    assert said[0]["audio_start_ms"] == 500
    assert bool(client.audio(silence(wait_ms))) is ended


def test_a_high_threshold_hears_only_loud_speech() -> None:
    quiet = bytes(value // 8 if at % 2 else value for at, value in enumerate(clip(600)))
    client = Client()
    client.session(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 1.0}}})
    assert client.audio(quiet) == []
    client.session(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.0}}})
    assert types(client.audio(quiet)) == ["input_audio_buffer.speech_started"]


def test_a_click_is_no_speech() -> None:
    client = Client()
    assert client.audio(silence(200) + clip(40) + silence(900)) == []


@pytest.mark.parametrize("law", ["audio/pcmu", "audio/pcma"])
def test_a_turn_is_found_on_the_telephone(law: Any) -> None:
    client = Client()
    client.session(audio={"input": {"format": {"type": law}}})
    table = codes(law)
    speech = silence(400) + clip(600) + silence(700)
    samples = [int.from_bytes(speech[at : at + 2], "little") for at in range(0, len(speech), 6)]
    said = client.audio(bytes(table[sample] for sample in samples), 320)
    assert types(said)[:2] == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    assert said[0]["audio_start_ms"] == 100


def test_semantic_detection_finds_turns_too() -> None:  # protocol facts, 8.5
    client = Client()
    client.session(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
    assert types(client.audio(clip(800) + silence(2000)))[:2] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
    ]


def test_speech_that_the_world_started_ends_only_when_the_world_says() -> None:
    client = Client()
    client.speech("started")
    assert client.audio(silence(3000)) == []
    assert types(client.speech("stopped"))[0] == "input_audio_buffer.speech_stopped"


def test_a_manual_turn() -> None:  # protocol facts, 4.2 and 5.9
    client = Client()
    client.session(audio={"input": {"turn_detection": None}})
    assert client.audio(clip(1000)) == []
    assert types(client.say("input_audio_buffer.commit")) == COMMITTED
    assert client.until(client.now + 60) == []


def test_a_commit_in_mid_speech_ends_the_turn_early() -> None:  # protocol facts, 5.9
    client = Client()
    started = client.audio(clip(600))
    committed = client.say("input_audio_buffer.commit")
    assert types(committed) == COMMITTED
    assert committed[0]["item_id"] == started[0]["item_id"]
    assert client.audio(silence(2000)) == []


def test_a_clear_forgets_the_turn() -> None:  # protocol facts, 8.4
    client = Client()
    announced = client.audio(clip(600))[0]["item_id"]
    assert types(client.say("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert client.audio(silence(2000)) == []
    assert announced not in client.server.items


# -- the user's words --------------------------------------------------------------------------------------------------------

STEM = "conversation.item.input_audio_transcription"


def transcribed(**options: Any) -> list[Event]:
    client = Client(spoken(400), **options)
    client.session(audio={"input": {"transcription": {"model": "whisper-1"}}})
    client.speech("started")
    client.speech("stopped")
    said = client.until(30.0)
    done = next(at for at, event in enumerate(said) if event["type"] == "response.done")
    assert said[done + 2]["type"].startswith(STEM)
    return [event for event in said if event["type"].startswith(STEM)]


def test_the_users_words_come_late() -> None:  # C25, F103, protocol facts 4.2
    said = transcribed(transcription_delay_ms=(3000, 3000), transcription_failed_per_mille=0)
    assert types(said) == [f"{STEM}.delta", f"{STEM}.completed"]
    assert "".join(event["delta"] for event in said[:-1]) == said[-1]["transcript"]


def test_a_transcription_can_fail() -> None:
    said = transcribed(transcription_delay_ms=(3000, 3000), transcription_failed_per_mille=1000)
    assert types(said) == [f"{STEM}.failed"]


def test_no_transcription_unless_it_was_asked_for() -> None:
    client = Client(spoken(400))
    client.speech("started")
    client.speech("stopped")
    assert not any(event["type"].startswith(STEM) for event in client.until(30.0))


def test_a_plan_may_start_with_the_message() -> None:
    plan = ResponsePlan((MessagePlan(),), think_s=0.0, gap_s=0.0)
    client = Client(plan)
    assert types(client.say("response.create"))[0] == "response.created"
