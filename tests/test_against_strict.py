"""What the core does by policy and at run time, against the strict server: it refuses nothing of it (F140, S09)."""

import pytest
from helpers.strict import Strict

from rtcore import AnsweredInText, MessageEnded, OptionDiffers, RequestEnded, ServerError, Verdict
from rtcore.config import Config
from rtcore.sim._server_dialects import DialectName
from rtcore.sim.server import MessagePlan, PartPlan, ResponsePlan, Rules, ServerOptions, spoken

WRITTEN = ResponsePlan((MessagePlan((PartPlan(kind="text", text="Only words."),)),))
SPOKEN = spoken(900)
GA = {"dialect": "openai", "api_key": "k"}
PREVIEW = {"dialect": "azure-preview", "url": "https://res.openai.azure.com", "api_key": "k"}
BOTH = pytest.mark.parametrize("connection", [GA, PREVIEW], ids=["GA", "preview"])


def line(connection: dict[str, str], *script: ResponsePlan, **options: object) -> Strict:
    config = Config.model_validate({"connection": connection, **options})
    dialect: DialectName = "openai" if connection is GA else "azure-preview"
    return Strict(config, ServerOptions(dialect=dialect, rules=Rules(), script=script))


def heard(talk: Strict) -> list[tuple[str, str]]:
    """How each message ended."""
    return [(each.verdict.value, each.text) for each in talk.log if isinstance(each, MessageEnded)]


@BOTH
def test_an_answer_in_text_becomes_one_that_is_heard(connection: dict[str, str]) -> None:  # F140
    talk = line(connection, WRITTEN, SPOKEN, text_answers="retry")
    talk.spoken_to()
    assert [(each.text, each.retried) for each in talk.log if isinstance(each, AnsweredInText)] == [("Only words.", True)]
    assert [event["type"] for event in talk.sent] == ["session.update", "conversation.item.delete", "response.create"]
    assert [verdict for verdict, _ in heard(talk)] == ["text", "full"]
    assert talk.server.refusals == []
    # The conversation is left with what was heard: nothing in it that a model would copy.
    assert [item.verdict for item in talk.session.history if item.role == "assistant"] == [Verdict.FULL]


@BOTH
def test_a_model_that_only_writes_is_asked_once_more_and_not_again(connection: dict[str, str]) -> None:  # F140
    talk = line(connection, WRITTEN, WRITTEN, WRITTEN, text_answers="retry")
    talk.spoken_to()
    assert [each.retried for each in talk.log if isinstance(each, AnsweredInText)] == [True, False]
    assert [event["type"] for event in talk.sent].count("response.create") == 1
    talk.spoken_to()
    assert [each.retried for each in talk.log if isinstance(each, AnsweredInText)] == [True, False, False]
    assert talk.server.refusals == []


@BOTH
def test_options_change_at_run_time_as_the_server_takes_them(connection: dict[str, str]) -> None:  # S09, S10, F122
    talk = line(connection, SPOKEN, SPOKEN)
    changes: tuple[dict[str, object], ...] = (
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}, "output": {"voice": "cedar"}}},
        {"audio": {"input": {"transcription": {"model": "whisper-1"}, "noise_reduction": {"type": "near_field"}}}},
        {"audio": {"input": {"noise_reduction": {"type": "far_field"}}}, "instructions": "Be brief."},
        {"audio": {"input": {"noise_reduction": None, "transcription": None}}},
    )
    for each in changes:
        talk.took(talk.session.update(each, now=talk.now))
    talk.spoken_to()
    talk.took(talk.session.update({"audio": {"input": {"turn_detection": None}}, "instructions": "Be brief."}, now=talk.now))
    assert [each.outcome for each in talk.log if isinstance(each, RequestEnded)] == ["done"] * 5
    assert not [each for each in talk.log if isinstance(each, OptionDiffers | ServerError)]
    assert talk.server.refusals == []
    assert [verdict for verdict, _ in heard(talk)] == ["full"]
    assert "instructions" not in talk.sent[-1]["session"]
