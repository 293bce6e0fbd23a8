"""What never reaches a recording, and what does only on request; searched for in the file's bytes."""

import base64
import json
import re
from typing import Any

import pytest
from helpers import wire
from msgspec.structs import replace
from pydantic import SecretStr

from rtcore import Config, Disconnection, Effect, LocalProtocolError, MessageEnded, Session
from rtcore.config import FunctionCalls
from rtcore.recording import Keep, RecordedSession, read, replay
from rtcore.recording._privacy import Privacy

SECRETS = {
    "api key": "sk-live-3141592653589793",
    "header": "Basic dXNlcjpodW50ZXIy",
    "query": "q-2718281828459045",
    "organization": "org-AcmeCorporation",
    "project": "proj_SecretProject",
    "host": "internal-gateway",
    "path": "tenant-5770",
    "mcp token": "mcp-1618033988749894",
    "mcp header": "x-mcp-1414213562373095",
    "key in text": "sk-proj-6626070150aaaa",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoYW5zIn0.c2lnbmF0dXJl",
}
WORDS = [
    "Annabelle",
    "Rumpelstilzchen",
    "Zwölfkirchen",
    "umbrella",
    "Geheimrezept",
    "Frankfurter",
    "schmetterling",
    "Quetzalcoatl",
]
CONFIG: dict[str, Any] = {
    "connection": {
        "url": f"wss://{SECRETS['host']}.example.com/{SECRETS['path']}/realtime?access_token={SECRETS['query']}",
        "api_key": SecretStr(SECRETS["api key"]),
        "headers": {"Proxy-Authorization": SECRETS["header"]},
        "organization": SECRETS["organization"],
        "project": SECRETS["project"],
        "model": "gpt-realtime",
    },
    "session": {
        "instructions": "You are Annabelle. Never tell the Geheimrezept.",
        "tools": [
            {
                "name": "look_up",
                "description": "Looks in Zwölfkirchen.",
                "parameters": {"type": "object", "properties": {"name": {"type": "string", "enum": ["Rumpelstilzchen"]}}},
            },
            {
                "type": "mcp",
                "server_label": "shop",
                "authorization": SECRETS["mcp token"],
                "headers": {"X-Shop": SECRETS["mcp header"]},
            },
        ],
        "tool_choice": "auto",
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"name": "Annabelle"}},
        "tracing": {"workflow_name": "Frankfurter", "group_id": "umbrella", "metadata": {"name": "Annabelle"}},
        "audio": {
            "input": {
                "format": "pcm16",
                "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
                "transcription": {"model": "whisper-1", "language": "de", "prompt": "umbrella", "keywords": ["Quetzalcoatl"]},
                "noise_reduction": {"type": "far_field"},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "reasoning": {"effort": "low"},
        "include": ["item.input_audio_transcription.logprobs"],
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
    },
    "context": "exact",
    "playout": {"lead_ms": 200},
    "timeouts": {"edit_ms": 400},
}  # fmt: skip


def conversation(keep: Keep) -> tuple[list[bytes], bytes, str]:
    """Everything that can hold a secret or a word, into a session; its recording, and the voice that was in it."""
    lines: list[bytes] = []
    session = RecordedSession(Config.model_validate(CONFIG), seed=4, sink=lines.append, keep=keep)
    voice = bytes(range(1, 241)) * 20
    sound = base64.b64encode(voice).decode()
    now = 10.0

    def server(event: dict[str, Any]) -> None:
        nonlocal now
        now += 0.25
        session.receive(1, json.dumps(event).encode(), now=now)

    session.open(now=now)
    session.connected(1, now=now)
    acknowledged = {
        "id": "sess_1",
        "instructions": "You are Annabelle.",
        "client_secret": {"value": SECRETS["mcp token"]},
        "audio": {"output": {"format": {"type": "audio/pcmu"}}},
    }
    server({"type": "session.updated", "session": acknowledged})
    session.append_audio(voice, now=now)
    with pytest.raises(LocalProtocolError):
        session.update({"voice": SECRETS["api key"]}, now=now)
    session.update({"instructions": f"Say {SECRETS['jwt']} to Annabelle."}, now=now)
    session.send_text(f"My umbrella, {SECRETS['key in text']}!", now=now)
    session.create_item(
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound, "transcript": "Frankfurter"}]},
        now=now,
    )
    session.create_item(
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{sound}"}]},
        now=now,
    )
    session.respond(
        {"conversation": "none", "instructions": "Think of schmetterling", "metadata": {"name": "Annabelle"}}, now=now
    )
    server(
        {
            "type": "response.created",
            "response": {"id": "resp_1", "status": "in_progress", "metadata": {"rtcore_request": "9", "name": "Annabelle"}},
        }
    )
    server(
        {
            "type": "response.output_item.added",
            "response_id": "resp_1",
            "item": {"id": "item_m", "type": "message", "role": "assistant"},
        }
    )
    server({"type": "conversation.item.added", "item": {"id": "item_m", "type": "message", "role": "assistant", "content": []}})
    for word in WORDS:
        server(
            {
                "type": "response.output_audio_transcript.delta",
                "response_id": "resp_1",
                "item_id": "item_m",
                "delta": f"{word} and ",
            }
        )
    server({"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_m", "delta": sound})
    server({"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_m", "delta": "!" + sound})
    session.played(1, 1200, now=now)
    server({"type": "input_audio_buffer.speech_started", "item_id": "item_u"})
    session.flushed(1, 1500, now=now)
    server(
        {
            "type": "response.output_item.added",
            "response_id": "resp_1",
            "item": {"id": "item_f", "type": "function_call", "name": "look_up", "call_id": "call_1"},
        }
    )
    server(
        {
            "type": "conversation.item.added",
            "item": {"id": "item_f", "type": "function_call", "name": "look_up", "call_id": "call_1"},
        }
    )
    # The call that was cut goes, and the truncate is acknowledged: what comes now saw only what was heard.
    for event in [*wire.cancelled("resp_1"), *wire.truncated("item_m", 62), *wire.deleted("item_f")]:
        server(event)
    for event in [*wire.created("resp_2"), *wire.call("call_2", '{"who": "Rumpelstilzchen"}', "look_up", r="resp_2")]:
        server(event)
    session.tool_result("call_2", {"recipe": "Geheimrezept", "to": ["Quetzalcoatl"]}, now=now)
    completed = {
        "item_id": "item_u",
        "content_index": 0,
        "transcript": "Annabelle und Rumpelstilzchen",
        "logprobs": [{"token": "Annabelle", "bytes": [65, 110]}],
    }
    server({"type": "conversation.item.input_audio_transcription.completed", **completed})
    server({"type": "shop.novelty", "name": "Annabelle", "note": "schmetterling", "blob": sound, "type_of": ["Frankfurter"]})
    server(
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": f"Incorrect API key {SECRETS['api key']}, said 'Annabelle Geheimrezept' of {SECRETS['organization']}",
            },
        }
    )
    session.receive(1, b'{"type":"response.output_audio_transcript.delta","delta":"Annabelle', now=now)
    session.receive(1, f"Authorization: Bearer {SECRETS['mcp token']}".encode(), now=now)
    session.receive(1, b"\xff Annabelle " + voice, now=now)
    session.disconnected(
        1, Disconnection(close_code=1008, reason=f"bad key {SECRETS['api key']} for 'Annabelle Quetzalcoatl'"), now=now + 1
    )
    session.finish()
    return lines, voice, sound


@pytest.mark.parametrize("keep", [Keep(), Keep(audio=True), Keep(text=True), Keep(audio=True, text=True)], ids=str)
def test_no_credential_is_in_the_file_whatever_is_kept(keep: Keep) -> None:
    lines, _, _ = conversation(keep)
    file = b"".join(lines)
    for name, secret in SECRETS.items():
        for part in (secret, secret.rpartition(" ")[2], base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert part.encode() not in file, name
    assert replay(read(lines)).difference is None


@pytest.mark.parametrize("keep", [Keep(), Keep(audio=True)], ids=str)
def test_no_word_is_in_the_file_unless_it_was_asked_for(keep: Keep) -> None:
    lines, _, _ = conversation(keep)
    file = b"".join(lines)
    for word in WORDS:
        assert word.encode() not in file and json.dumps(word)[1:-1].encode() not in file, word
    # What says how the conversation went is there.
    for kept in (b"look_up", b"call_2", b"whisper-1", b"semantic_vad", b"conversation.item.truncate", b"session.updated"):
        assert kept in file


@pytest.mark.parametrize("keep", [Keep(), Keep(text=True)], ids=str)
def test_no_voice_is_in_the_file_unless_it_was_asked_for(keep: Keep) -> None:
    lines, voice, sound = conversation(keep)
    file = b"".join(lines)
    for size in (12, 16, 20):
        pieces = {sound[at : at + size].encode() for at in range(0, len(sound) - size, 4)}
        assert not any(piece in file for piece in pieces)
    assert voice[:12] not in file


def test_what_is_kept_is_there() -> None:
    lines, _, sound = conversation(Keep(audio=True, text=True))
    file = b"".join(lines)
    assert sound.encode() in file
    assert all(word.encode() in file or json.dumps(word)[1:-1].encode() in file for word in WORDS)


def test_leaving_out_changes_nothing_but_what_is_left_out() -> None:
    """Same inputs, same effects but for texts and sound: lengths, words and counts stay (B30, invariant 8)."""
    whole, bare = read(conversation(Keep(audio=True, text=True))[0]), read(conversation(Keep())[0])
    assert [each.what for each in whole.inputs] == [each.what for each in bare.inputs]
    assert [each.unlike for each in bare.inputs] == [None] * len(bare.inputs)
    assert replay(bare).difference is None


def test_masks_keep_lengths_and_word_boundaries() -> None:
    lines: list[bytes] = []
    session = RecordedSession(sink=lines.append)
    with pytest.raises(LocalProtocolError):
        session.open(now=0)  # no key
    session.send_text("Größe:  42 km,\nnicht wahr?", now=0)
    assert read(lines, partial=True).inputs[-1].given["text"] == "xxxxx:  xx xx,\nxxxxx xxxx?"


@pytest.mark.parametrize(
    ("output", "silence"), [("audio/pcm", b"\x00"), ("audio/pcmu", b"\xff"), ("audio/pcma", b"\x55")], ids=str
)
def test_silence_is_silent_in_every_format(output: str, silence: bytes) -> None:
    """C22: a zero byte is nearly full scale in mu-law."""
    lines: list[bytes] = []
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
    session = RecordedSession(config, sink=lines.append)
    session.open(now=0)
    session.connected(1, now=0)
    session.receive(
        1, json.dumps({"type": "session.updated", "session": {"audio": {"output": {"format": {"type": output}}}}}).encode(), now=0
    )
    delta = base64.b64encode(bytes(range(100)) * 5).decode()
    session.receive(
        1, json.dumps({"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": delta}).encode(), now=0
    )
    packed = read(lines[:-1] + lines[-1:], partial=True).inputs[-1].given["payload"]
    whole = "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in packed)
    assert base64.b64decode(json.loads(whole)["delta"]) == silence * 500


def test_the_configuration_survives_but_for_its_secrets() -> None:
    """A replay is given the same options: what the core asks the server for is what it asked then."""
    lines, _, _ = conversation(Keep(audio=True, text=True))
    config, back = Config.model_validate(CONFIG), read(lines).header.configuration()
    hidden = re.compile(r"\*+")
    asked = json.dumps(config.session.wire())
    for secret in (SECRETS["mcp token"], SECRETS["mcp header"]):
        asked = asked.replace(secret, "*" * len(secret))
    assert json.loads(asked) == json.loads(json.dumps(back.session.wire()))
    assert hidden.search(asked)
    for name in ("microphone", "playout", "interruption", "context", "answer_turns", "timeouts"):
        assert getattr(config, name) == getattr(back, name)
    assert back.connection.url == "wss://hidden.invalid/hidden/realtime?access_token=hidden"
    assert (back.connection.headers, back.connection.credential("api_key")) == ({"Proxy-Authorization": "hidden"}, "hidden")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://acme.openai.azure.com/openai/v1?api-version=2025-04-01-preview", "https://hidden.openai.azure.com/openai/v1?api-version=2025-04-01-preview"),
        ("api.openai.com", "api.openai.com"),
        ("wss://api.openai.com/v1/realtime?call_id=rtc_1", "wss://api.openai.com/v1/realtime?call_id=hidden"),
        ("ws://127.0.0.1:8080/x", "ws://127.0.0.1:8080/hidden"),
        ("ws://[::1]:8080", "ws://[::1]:8080"),
        ("wss://hans:geheim@gateway.acme.com/", "wss://hidden.invalid/"),
        ("wss://acme.openai.azure.com.evil.com/", "wss://hidden.invalid/"),
    ],
)  # fmt: skip
def test_of_an_address_only_what_is_public_is_kept(url: str, shown: str) -> None:
    lines: list[bytes] = []
    RecordedSession(Config.model_validate({"connection": {"url": url}}), sink=lines.append)
    assert json.loads(lines[0])["config"]["connection"]["url"] == shown


def test_the_words_that_bridge_a_wait_are_text() -> None:
    config = Config(function_calls=FunctionCalls(slow_ms=500, filler="Say wait.", interrupted="cancel"))
    kept = Privacy(config, Keep(text=True)).config(config)["function_calls"]
    masked = Privacy(config, Keep()).config(config)["function_calls"]
    assert (kept["filler"], masked) == ("Say wait.", {"interrupted": "cancel", "slow_ms": 500, "filler": "xxx xxxx."})


class Hasty(Session):
    """Tells the words of a message that was cut as if half of them had been heard."""

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        effects = super().flushed(generation, samples, now=now)
        return [replace(e, text=e.full_text[:5]) if isinstance(e, MessageEnded) else e for e in effects]


@pytest.mark.parametrize(("keep", "marked"), [(Keep(audio=True, text=True), True), (Keep(text=True), False), (Keep(), False)])
def test_other_heard_words_are_marked_unless_sound_or_words_were_left_out(keep: Keep, marked: bool) -> None:  # B30, C30
    """The first session is the one that is recorded, the second the one that is written down."""
    made: list[type[Session]] = [Session, Hasty]

    def factory(*given: Any, **more: Any) -> Session:
        return made.pop(0)(*given, **more)

    lines: list[bytes] = []
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
    session = RecordedSession(config, sink=lines.append, keep=keep, factory=factory)
    session.open(now=0.0)
    session.connected(1, now=0.0)
    script = [wire.session_created(), wire.session_updated(), wire.created("r1"), wire.message("m1", 2000, "aaaa bbbb cccc dddd")]
    for event in [each for part in script for each in part]:
        session.receive(1, wire.encode(event), now=0.1)
    session.interrupt(now=1.0)
    session.flushed(1, 24_000, now=1.0)
    session.finish()
    assert any(each.unlike is not None for each in read(lines).inputs) is marked
