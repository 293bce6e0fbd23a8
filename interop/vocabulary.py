"""Scripted conversations with what simulated worlds seldom or never come to say: the rest of the vocabulary (issue 5).

Our session and our strict server, with nothing between them. Every option of a session and of a response is sent, every type of
item is created, fetched and deleted, and the server tells what only some sessions have: segments of speakers, keys of a
telephone, remote tools, the end of a long silence. It refuses nothing of it. Who wants to read what is said listens at the
server (``shapes.py``).
"""

from typing import Any

from helpers.strict import Strict

from rtcore import Issued
from rtcore.config import Config
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, ServerOptions, spoken

DIALECTS = ("openai", "azure-preview")
_CONNECTION = {
    "openai": {"dialect": "openai", "api_key": "k"},
    "azure-preview": {"dialect": "azure-preview", "url": "https://res.openai.azure.com", "api_key": "k"},
}
_VAD = {"type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 200, "silence_duration_ms": 400}
_SEMANTIC = {"type": "semantic_vad", "eagerness": "low", "create_response": False, "interrupt_response": False}
_FUNCTION = {
    "type": "function",
    "name": "weather",
    "description": "The weather at a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}
_SHOP = {"type": "mcp", "server_label": "shop", "server_url": "https://shop.example/mcp", "allowed_tools": ["price", "buy"]}
_MAIL = {
    "type": "mcp",
    "server_label": "mail",
    "connector_id": "connector_gmail",
    "server_description": "The user's mail.",
    "authorization": "nobody",
    "headers": {"x-from": "rtcore"},
    "allowed_tools": {"tool_names": ["search"], "read_only": True},
    "require_approval": {"always": {"tool_names": ["send"]}, "never": {"read_only": True}},
}
_LOST = {"type": "mcp", "server_label": "lost"}
_WRITTEN = ResponsePlan((MessagePlan((PartPlan(kind="text", text="Only words."),)),))
_LOGPROBS = "item.input_audio_transcription.logprobs"


class Talk(Strict):
    """A conversation in one dialect, in which the server refuses nothing."""

    def __init__(self, dialect: Any, *script: ResponsePlan, session: dict[str, Any] | None = None, **options: Any) -> None:
        rules = options.pop("rules", Rules())
        config = Config.model_validate({"connection": _CONNECTION[dialect], "session": session or {}})
        options.setdefault("transcription_failed_per_mille", 0)
        super().__init__(config, ServerOptions(dialect=dialect, rules=rules, script=script, **options))
        self.dialect = dialect
        self.wait(1)

    @property
    def ga(self) -> bool:
        """Whether it is the newer generation."""
        return bool(self.dialect == "openai")

    def do(self, issued: Issued, seconds: float = 1) -> None:
        """Carry a command out, and wait."""
        self.took(issued)
        self.wait(seconds)

    def over(self) -> None:
        """It has ended."""
        self.took(self.session.close(now=self.now))
        assert self.server.refusals == [], self.server.refusals


def tell_everything() -> None:
    """Hold all of these conversations."""
    for dialect in DIALECTS:
        for conversation in (_items, _settings, _responses, _turns, _listening, _odd_ways):
            conversation(dialect)
    _remote_tools()
    _telephone()
    _long_silence()


def _items(dialect: str) -> None:
    """Each type of item is created by the client; each is fetched, one is moved, and all are deleted."""
    talk = Talk(dialect, spoken(900), session={"tools": [_FUNCTION]})
    talk.spoken_to()
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_audio", "audio": "AAAA" * 2400}]
    if talk.ga:
        parts.append({"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"})
    phase = {"phase": "final_answer"} if talk.ga else {}
    said = [{"type": "output_text" if talk.ga else "text", "text": "A square."}]
    remote = {"server_label": "shop", "name": "price", "arguments": "{}"}
    for item in (
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "It is late."}]},
        {"type": "message", "role": "user", "content": parts},
        {"type": "message", "role": "assistant", "content": said, **phase},
        {"type": "function_call", "call_id": "call_mine", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_mine", "output": "18 degrees"},
        *(
            (
                {"type": "mcp_list_tools", "server_label": "shop", "tools": [{"name": "price", "input_schema": {}}]},
                {"type": "mcp_call", **remote, "output": "3 euros"},
                {"type": "mcp_approval_request", "id": "asked_1", **remote},
                {"type": "mcp_approval_response", "approval_request_id": "asked_1", "approve": True, "reason": "why not"},
            )
            if talk.ga
            else ()
        ),
    ):
        talk.do(talk.session.create_item(item, previous_item_id="root" if item.get("role") == "system" else None, now=talk.now))
    held = [item.id for item in talk.session.history]
    for item_id in held:
        talk.do(talk.session.retrieve_item(item_id, now=talk.now))
    talk.do(talk.session.move_item(held[1], held[2], now=talk.now), 5)
    for shown in talk.session.history:
        talk.do(talk.session.delete_item(shown.id, now=talk.now))
    talk.over()


def _settings(dialect: str) -> None:
    """Each option of a session, one after the other, and what each can be switched off by."""
    Talk(dialect, session={"tracing": "auto"}).over()
    talk = Talk(dialect)
    input_: tuple[dict[str, Any], ...] = (
        {"turn_detection": _VAD},
        {"turn_detection": _SEMANTIC},
        {"turn_detection": None},
        {"transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Names of cities."}},
        {"transcription": None},
        {"noise_reduction": {"type": "near_field"}},
        {"noise_reduction": None},
        {"format": {"type": "audio/pcmu"}},
        {"format": {"type": "audio/pcma"}},
        {"format": {"type": "audio/pcm", "rate": 24000}},
    )
    changes: list[dict[str, Any]] = [{"audio": {"input": each}} for each in input_]
    changes += [{"audio": {"output": each}} for each in ({"voice": "cedar"}, {"speed": 1.2}, {"format": {"type": "audio/pcmu"}})]
    changes += [
        {"instructions": "Answer briefly.", "max_output_tokens": 400},
        {"max_output_tokens": "inf"},
        {"output_modalities": ["text"]},
        {"output_modalities": ["audio"]},
        {"tools": [_FUNCTION], "tool_choice": "required"},
        {"tool_choice": {"type": "function", "name": "weather"}},
        {"tracing": {"workflow_name": "w", "group_id": "g", "metadata": {"a": "b"}}},
    ]
    if talk.ga:
        live = {"model": "gpt-live-transcribe", "languages": ["en", "it"], "keywords": ["Rome"], "delay": "low"}
        changes += [
            {"audio": {"input": {"transcription": live, "noise_reduction": {"type": "far_field", "strength": 0.5}}}},
            {"audio": {"output": {"voice": {"id": "voice_mine"}}}},
            {"tools": [_FUNCTION, _SHOP, _MAIL, {**_SHOP, "server_label": "all", "require_approval": "never"}]},
            {"tool_choice": {"type": "mcp", "server_label": "shop", "name": "price"}},
            {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Rome"}}},
            {"prompt": None},
            {"truncation": "disabled"},
            {"truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}}},
            {"reasoning": {"effort": "low"}, "parallel_tool_calls": True, "include": [_LOGPROBS]},
        ]
    else:
        changes += [{"temperature": 0.7}]
    for each in changes:
        talk.do(talk.session.update(each, now=talk.now))
    talk.over()


def _responses(dialect: str) -> None:
    """Each option of a response, beside the conversation and in it; cancelled, incomplete, failed; calls; text."""
    incomplete = ResponsePlan((MessagePlan(),), ends="incomplete", detail="max_output_tokens")
    failed = ResponsePlan((MessagePlan(),), ends="failed", detail="server_error")
    two = ResponsePlan((MessagePlan(phase="commentary"), CallPlan("weather", "{}"), MessagePlan(phase="final_answer")))
    talk = Talk(
        dialect, spoken(900), incomplete, failed, _WRITTEN, two, spoken(900), spoken(9000), session={"tools": [_FUNCTION]}
    )
    asked: dict[str, Any] = {
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Classify."}]}],
        "metadata": {"topic": "label"},
        "output_modalities": ["text"],
        "instructions": "One word.",
        "tools": [_FUNCTION],
        "tool_choice": "none",
        "max_output_tokens": 10,
    }
    if talk.ga:
        asked |= {"reasoning": {"effort": "minimal"}, "parallel_tool_calls": False, "prompt": {"id": "pmpt_1"}}
    else:
        asked |= {"temperature": 0.7}
    talk.do(talk.session.respond({"conversation": "none", **asked}, now=talk.now), 20)
    output = {"format": {"type": "audio/pcmu"}, "voice": "alloy"}
    talk.do(talk.session.respond({"conversation": "auto", "audio": {"output": output}}, now=talk.now), 20)
    for _ in range(3):
        talk.do(talk.session.respond(now=talk.now), 20)
    talk.do(talk.session.respond(now=talk.now), 20)
    [call] = [item for item in talk.session.history if item.type == "function_call"]
    assert call.call_id is not None
    talk.do(talk.session.tool_result(call.call_id, "18 degrees", now=talk.now), 20)
    talk.do(talk.session.respond(now=talk.now), 1.5)
    talk.took(talk.session.interrupt(now=talk.now))
    talk.wait(10)
    talk.over()


def _turns(dialect: str) -> None:
    """The user's own sound: by hand, written down, written down in segments, with how sure it is, and not understood."""
    manual: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}
    talk = Talk(dialect, spoken(900), session=manual)
    for then in (talk.session.clear, talk.session.commit):
        talk.took(talk.session.append_audio(bytes(48_000), now=talk.now))
        talk.do(then(now=talk.now))
    talk.over()
    for model in ("whisper-1", "gpt-4o-transcribe-diarize"):
        for failed in (0, 1000):
            heard = {"audio": {"input": {"turn_detection": _VAD, "transcription": {"model": model}}}}
            include = {"include": [_LOGPROBS]} if dialect == "openai" else {}
            talk = Talk(dialect, session={**heard, **include}, transcription_failed_per_mille=failed)
            talk.server.say_next("What is the weather in Rome?")
            talk.spoken_to()
            talk.over()


def _listening(dialect: str) -> None:
    """A session that only writes down."""
    transcription = {"model": "gpt-4o-transcribe"}
    audio = {"input": {"transcription": transcription, "turn_detection": _VAD, "noise_reduction": {"type": "near_field"}}}
    for address in ("any", "transcription"):  # asked for by its update, and opened by its address
        wanted = {"type": "transcription", "include": [_LOGPROBS], "audio": audio}
        talk = Talk(dialect, session=wanted, address=address)
        talk.spoken_to()
        talk.do(talk.session.update({"audio": {"input": {"turn_detection": None}}}, now=talk.now))
        talk.over()


def _odd_ways(dialect: str) -> None:
    """A barge-in at a server that gives the odd answer wherever the facts leave one open."""
    rules = Rules(
        cascade="before_speech_started",
        error_event_id="never",
        codes="old",
        item_done=False,
        rate_limits="at_start",
        cancelled_output="empty",
        obfuscation=True,
        part_content=True,
        detection_echo="null",
    )
    talk = Talk(dialect, spoken(9000), spoken(900), rules=rules, session={"audio": {"input": {"turn_detection": _VAD}}})
    talk.do(talk.session.respond(now=talk.now), 2)
    talk.spoken_to()
    talk.over()


def _remote_tools() -> None:
    """Remote servers are listed, called, fail, and ask for leave, which is given and refused."""
    ask = CallPlan("buy", '{"n":1}', server="shop", approval=True)
    bought = CallPlan("buy", '{"n":1}', server="shop", result="3 euros")
    sold = CallPlan("buy", '{"n":1}', server="shop", error="sold out")
    talk = Talk(
        "openai",
        ResponsePlan((bought,)),
        ResponsePlan((sold,)),
        *(ResponsePlan((ask,)), spoken(900)) * 2,
        session={"tools": [_SHOP, _LOST]},
    )
    for _ in range(4):
        talk.do(talk.session.respond(now=talk.now), 20)
        asked = [item for item in talk.session.history if item.type == "mcp_approval_request"]
        answers = [item for item in talk.session.history if item.type == "mcp_approval_response"]
        if len(asked) > len(answers):
            talk.do(talk.session.approve(asked[-1].id, approve=not answers, reason="as you like", now=talk.now), 20)
    for item in talk.session.history:
        talk.do(talk.session.retrieve_item(item.id, now=talk.now))
    talk.over()


def _telephone() -> None:
    """Keys are pressed."""
    talk = Talk("openai")
    for key in "0#":
        talk.said(talk.server.press(key, now=talk.now))
    talk.over()


def _long_silence() -> None:
    """The user says nothing for so long that the server goes on by itself."""
    talk = Talk("openai", spoken(900), session={"audio": {"input": {"turn_detection": {**_VAD, "idle_timeout_ms": 5000}}}})
    talk.do(talk.session.respond(now=talk.now), 9)
    talk.over()
