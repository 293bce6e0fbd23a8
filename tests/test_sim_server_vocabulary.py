"""The strict server's other half of the vocabulary, with the core as its client: what it sends is understood, what the core sends
is taken (issue 5; facts 4.14, 10.2, 12.1).
"""

from typing import Any, TypeVar

import pytest
from helpers.wire import SERVER_VAD
from sim_server_client import Client, types, voices

from rtcore import (
    ApprovalRequested,
    Config,
    DtmfReceived,
    IdleTimeout,
    ItemRetrieved,
    McpCalled,
    McpCallEnded,
    McpListing,
    Notice,
    ProtocolWarning,
    RawEvent,
    RequestEnded,
    Send,
    ServerError,
    Session,
    UnknownEvent,
    UnknownFields,
    UserTranscript,
    UserTranscriptSegment,
)
from rtcore._effects import Effect
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, Server, ServerOptions

N = TypeVar("N", bound=Notice)
SHOP = {"type": "mcp", "server_label": "shop", "server_url": "https://shop.example/mcp", "allowed_tools": ["price", "buy"]}
SPEAK = MessagePlan((PartPlan(audio_ms=300),))


class Pair:
    """A session and a server, without a network."""

    def __init__(self, *script: ResponsePlan, session: dict[str, Any] | None = None, dialect: Any = "openai") -> None:
        options = ServerOptions(
            script=script, rules=Rules(), dialect=dialect, stragglers=(0, 0), transcription_failed_per_mille=0
        )
        self.server = Server(seed=3, voices=voices(), options=options)
        connection: dict[str, Any] = {"dialect": dialect, "url": "ws://localhost", "api_key": "k" * 20}
        if dialect == "azure-preview":
            connection["api_version"] = "2025-04-01-preview"
        self.session = Session(Config.model_validate({"connection": connection, "session": session or {}, "tap": "unknown"}))
        self.now = 0.0
        self.log: list[Effect] = []
        self.did(self.session.open(now=0.0))
        greeting = self.server.connect(now=0.0)
        self.did(self.session.connected(1, now=0.0))
        self.hear(greeting)

    def did(self, effects: list[Effect]) -> None:
        self.log += effects
        for effect in effects:
            if isinstance(effect, Send):
                self.hear(self.server.receive(effect.payload, now=self.now))

    def hear(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            self.did(self.session.receive(1, payload, now=self.now))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.server.deadline) is not None and due <= until:
            self.now = due
            self.hear(self.server.tick(now=due))
        self.now = until

    def told(self, kind: type[N]) -> list[N]:
        return [effect for effect in self.log if isinstance(effect, kind)]

    def understood(self) -> None:
        """Nothing was refused, unreadable or unknown on either side."""
        assert self.server.refusals == []
        assert [self.told(kind) for kind in (ServerError, ProtocolWarning, UnknownEvent, UnknownFields)] == [[], [], [], []]


def test_a_remote_server_is_listed_when_it_is_configured() -> None:
    pair = Pair(session={"tools": [SHOP]})
    pair.run(1.0)
    pair.understood()
    assert [(each.server_label, each.state, len(each.tools)) for each in pair.told(McpListing)] == [
        ("shop", "in_progress", 0),
        ("shop", "completed", 2),
    ]
    [item] = pair.session.history
    assert [tool["name"] for tool in item.tools or ()] == ["price", "buy"]


def test_one_that_cannot_be_asked_is_told() -> None:
    pair = Pair(session={"tools": [{"type": "mcp", "server_label": "lost"}]})
    pair.understood()
    assert [each.state for each in pair.told(McpListing)] == ["in_progress", "failed"]


@pytest.mark.parametrize(("error", "output"), [("", "3 euros"), ("sold out", None)])
def test_a_remote_call_runs_at_the_server(error: str, output: str | None) -> None:
    call = CallPlan("price", '{"of":"tea"}', server="shop", result="3 euros", error=error)
    pair = Pair(ResponsePlan((call, SPEAK)), session={"tools": [SHOP]})
    pair.did(pair.session.respond(now=pair.now).effects)
    pair.run(5.0)
    pair.understood()
    [called], [ended] = pair.told(McpCalled), pair.told(McpCallEnded)
    assert (called.name, called.arguments, called.server_label) == ("price", '{"of":"tea"}', "shop")
    assert (ended.output, ended.problem.message if ended.problem else "") == (output, error)


@pytest.mark.parametrize("approve", [True, False])
def test_an_approval_is_asked_for_and_given_and_the_model_goes_on(approve: bool) -> None:
    ask = CallPlan("buy", '{"n":1}', server="shop", approval=True)
    pair = Pair(ResponsePlan((SPEAK, ask)), ResponsePlan((CallPlan("buy", "{}", server="shop"),)), session={"tools": [SHOP]})
    pair.did(pair.session.respond(now=pair.now).effects)
    pair.run(5.0)
    [asked] = pair.told(ApprovalRequested)
    answered = pair.session.approve(asked.approval_request_id, approve=approve, reason="as you like", now=pair.now)
    pair.did(answered.effects)
    pair.run(5.0)
    pair.understood()
    assert [each.outcome for each in pair.told(RequestEnded) if each.request == answered.request] == ["done"]
    assert len(pair.server.responses) == 2, "one response follows the answer"
    assert [item.approve for item in pair.session.history if item.type == "mcp_approval_response"] == [approve]


def test_an_approval_of_nothing_is_refused_by_the_server() -> None:
    client = Client()
    item = {"id": "x1", "type": "mcp_approval_response", "approval_request_id": "none", "approve": True}
    [error] = client.say("conversation.item.create", item=item)
    assert error["error"]["param"] == "item.approval_request_id"


def test_an_item_is_retrieved_from_the_server() -> None:
    pair = Pair(ResponsePlan((SPEAK,)))
    pair.did(pair.session.respond(now=pair.now).effects)
    pair.run(5.0)
    [message] = pair.session.history
    pair.did(pair.session.retrieve_item(message.id, now=pair.now).effects)
    [got] = pair.told(ItemRetrieved)
    assert got.item["id"] == message.id
    pair.understood()


def test_an_image_is_an_item_that_is_taken() -> None:
    """Facts 5.8: input_image with a data URL."""
    pair = Pair()
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}
    text = {"type": "input_text", "text": "What is this?"}
    pair.did(pair.session.create_item({"type": "message", "role": "user", "content": [image, text]}, now=0.0).effects)
    pair.understood()
    assert [(item.role, item.text) for item in pair.session.history] == [("user", "What is this?")]


def test_every_option_of_a_session_is_taken() -> None:
    """Prompts, tracing, truncation, retention, reasoning, parallel calls, logprobs: facts 2.8 to 2.11."""
    session = {
        "tracing": {"workflow_name": "w", "group_id": "g", "metadata": {"a": "b"}},
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Rome"}},
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}},
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": True,
        "include": ["item.input_audio_transcription.logprobs"],
        "tool_choice": {"type": "mcp", "server_label": "shop"},
        "tools": [SHOP],
        "max_output_tokens": 400,
    }
    Pair(session=session).understood()


def test_every_option_of_a_response_is_taken() -> None:
    """Facts 5.1, 5.2: out of band, with an input and metadata of its own."""
    pair = Pair()
    options = {
        "conversation": "none",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Classify."}]}],
        "metadata": {"topic": "label"},
        "output_modalities": ["text"],
        "instructions": "One word.",
        "reasoning": {"effort": "minimal"},
        "parallel_tool_calls": False,
        "prompt": {"id": "pmpt_1"},
        "tools": [],
        "tool_choice": "none",
        "max_output_tokens": 10,
    }
    pair.did(pair.session.respond(options, now=pair.now).effects)
    pair.run(5.0)
    pair.understood()
    [response] = pair.server.responses.values()
    assert (response.out_of_band, pair.session.history) == (True, ())


# -- the user's silence, keys, speakers ------------------------------------------------------------------------------------------


def test_a_silence_is_committed_and_answered() -> None:
    """Facts 4.12: time-out, the server's note, the committed silence, the response; its timer starts where the sound ended."""
    pair = Pair(ResponsePlan((SPEAK,)), session={"audio": {"input": {"turn_detection": {**SERVER_VAD, "idle_timeout_ms": 5000}}}})
    pair.did(pair.session.respond(now=pair.now).effects)
    pair.run(5.0)
    assert pair.told(IdleTimeout) == []
    pair.run(3.0)
    pair.understood()
    [timeout] = pair.told(IdleTimeout)
    roles = [item.role for item in pair.session.history]
    assert roles[:3] == ["assistant", "system", "user"]
    assert pair.session.history[2].id == timeout.item_id
    assert [response.cause for response in pair.server.responses.values()] == ["client", "turn"]


def test_who_speaks_is_not_idle() -> None:
    pair = Pair(ResponsePlan((SPEAK,)), session={"audio": {"input": {"turn_detection": {**SERVER_VAD, "idle_timeout_ms": 5000}}}})
    pair.did(pair.session.respond(now=pair.now).effects)
    pair.run(3.0)
    pair.hear(pair.server.user_speech("started", now=pair.now))
    pair.run(30.0)
    assert pair.told(IdleTimeout) == []


def test_a_key_of_a_telephone_passes() -> None:
    pair = Pair()
    pair.hear(pair.server.press("#", now=1.0))
    assert [each.key for each in pair.told(DtmfReceived)] == ["#"]
    pair.understood()


def test_a_model_that_tells_speakers_apart_gives_segments() -> None:
    """Facts 11.6."""
    pair = Pair(session={"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe-diarize"}}}})
    for edge in ("started", "stopped"):
        pair.hear(pair.server.user_speech(edge, now=pair.now))
    pair.run(20.0)
    pair.understood()
    [whole], segments = pair.told(UserTranscript), pair.told(UserTranscriptSegment)
    assert [segment.text for segment in segments] == ([whole.text] if whole.text else [])
    assert len(segments) == 1


# -- sessions that only transcribe (S10) -----------------------------------------------------------------------------------------

LISTENING = {
    "type": "transcription",
    "include": ["item.input_audio_transcription.logprobs"],
    "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": SERVER_VAD}},
}


def test_a_transcription_session_writes_down_and_never_answers() -> None:
    pair = Pair(session=LISTENING)
    for edge in ("started", "stopped") * 3:
        pair.hear(pair.server.user_speech(edge, now=pair.now))
        pair.run(3.0)
    pair.run(20.0)
    pair.understood()
    transcripts = pair.told(UserTranscript)
    assert len(transcripts) == 3
    assert all((each.confidence is not None) == bool(each.text) for each in transcripts)
    assert pair.server.responses == {}
    assert pair.session.usage.session.transcription_s == 3.0


def test_the_preview_has_such_sessions_by_an_event_of_their_own() -> None:
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    pair = Pair(session=session, dialect="azure-preview")
    for edge in ("started", "stopped"):
        pair.hear(pair.server.user_speech(edge, now=pair.now))
    pair.run(20.0)
    pair.understood()
    assert len(pair.told(UserTranscript)) == 1
    assert pair.server.responses == {}


def test_the_server_refuses_a_model_s_options_and_responses_there() -> None:
    client = Client()
    [refused] = client.say("session.update", session={"type": "transcription", "instructions": "Speak."})
    assert (refused["error"]["code"], refused["error"]["param"]) == ("unknown_parameter", "session.instructions")
    [updated] = client.say("session.update", session={"type": "transcription"})
    assert (updated["type"], updated["session"]["type"]) == ("session.updated", "transcription")
    assert "output" not in updated["session"]["audio"]
    assert types(client.say("response.create")) == ["error"]
    assert types(client.say("session.update", session={"type": "realtime"})) == ["error"]


def test_such_a_session_can_be_changed_after_a_turn() -> None:
    pair = Pair(session=LISTENING)
    for edge in ("started", "stopped"):
        pair.hear(pair.server.user_speech(edge, now=pair.now))
    pair.run(20.0)
    pair.did(pair.session.update({"audio": {"input": {"turn_detection": None}}}, now=pair.now).effects)
    pair.understood()
    assert pair.server.session["audio"]["input"]["turn_detection"] is None


def test_a_conversation_becomes_none() -> None:
    client = Client()
    client.say(
        "conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A"}]}
    )
    [refused] = client.say("session.update", session={"type": "transcription"})
    assert refused["error"]["param"] == "session.type"


def test_a_raw_event_that_the_server_does_not_know_is_refused_and_nothing_else_happens() -> None:
    pair = Pair()
    pair.did(pair.session.send_raw({"type": "weather.update"}, now=pair.now))
    assert [each.problem.code for each in pair.told(ServerError)] == ["invalid_value"]
    assert pair.told(RawEvent) == []
    pair.did(pair.session.respond(now=pair.now).effects)
    pair.run(20.0)
    assert [each.status for each in pair.server.responses.values()] == ["completed"]
