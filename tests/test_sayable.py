"""What a dialect cannot say is told with the option, its value, what is allowed and who can (S09, S10; facts 9, 14)."""

from typing import Any

import pytest
from helpers.scene import Scene, configured, kinds, ready
from pydantic import ValidationError
from test_conversations import Held, group

from rtcore import Config, LocalProtocolError, Session, SessionClosed
from rtcore._sayable import check_response, check_sayable
from rtcore.config import SessionOptions
from rtcore.dialects import DIALECTS, Dialect

RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


def pcm(side: str, rate: int) -> dict[str, Any]:
    return {"audio": {side: {"format": {"type": "audio/pcm", "rate": rate}}}}


def rates(table: Dialect, side: str) -> list[int]:
    """The rates of PCM that the public capabilities name."""
    known = table.capabilities.input_formats if side == "input" else table.capabilities.output_formats
    return [each.rate for each in known if each.type == "audio/pcm"]


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("name", [name for name, table in DIALECTS.items() if table.capabilities.answers])
def test_a_rate_is_taken_or_refused_with_the_rates_that_there_are(name: str, side: str) -> None:  # F016, S10; facts 9, 14
    table = DIALECTS[name]
    for rate in RATES:
        options = SessionOptions.model_validate(pcm(side, rate)).wire()
        if rate in rates(table, side):
            check_sayable(table, options)
            continue
        with pytest.raises(LocalProtocolError) as caught:
            check_sayable(table, options)
        text = str(caught.value)
        assert text.startswith(f"session.audio.{side}.format.rate = {rate}: the {name} dialect cannot say it; its PCM has ")
        said, _, able = text.partition("samples per second")
        assert all(str(each) in said for each in rates(table, side))
        # Who is named has it, and nobody who has it is left out.
        others = {other for other, each in DIALECTS.items() if each.capabilities.answers and rate in rates(each, side)}
        assert set(able.removeprefix("; ").removesuffix(" can").split(", ")) - {""} == others


def test_a_rate_that_the_dialect_lacks_is_refused_before_anything_is_sent() -> None:  # S09: at the start, and at run time
    with pytest.raises(ValidationError, match=r"session\.audio\.input\.format\.rate = 16000: the openai dialect.*24000"):
        configured(session=pcm("input", 16_000))
    scene = ready()
    before = len(scene.log)
    with pytest.raises(LocalProtocolError, match=r"session\.audio\.input\.format\.rate = 16000.*azure-voice-live.*can"):
        scene.update(pcm("input", 16_000))
    assert len(scene.log) == before


def test_a_server_that_is_recognised_and_lacks_the_rate_is_told_as_clearly() -> None:  # S02, F132
    config = {"connection": {"url": "wss://gateway.example/v1", "api_key": "k"}, "session": pcm("input", 16_000)}
    scene = Scene(Config.model_validate(config))
    scene.open()
    scene.connected()
    effects = scene.server([{"type": "session.created", "session": {"id": "s", "type": "realtime", "audio": {}}}])
    [closed] = [each for each in effects if isinstance(each, SessionClosed)]
    assert closed.problem is not None and "session.audio.input.format.rate = 16000" in closed.problem.message


def test_a_response_that_the_dialect_cannot_say_names_the_value_and_who_can() -> None:  # S10; facts 2.8, 13
    xai = Session(Config.model_validate({"connection": {"dialect": "xai", "api_key": "k"}}))
    with pytest.raises(LocalProtocolError, match=r"^response\.reasoning\.effort = 'low': the xai .*high or none; openai, .*can$"):
        xai.respond({"reasoning": {"effort": "low"}}, now=0.0)
    scene = ready()
    with pytest.raises(LocalProtocolError, match=r"^response\.temperature = 0\.7: the openai .*has none.*; openai-beta, .*can$"):
        scene.respond({"temperature": 0.7})
    with pytest.raises(LocalProtocolError, match=r"^response\.audio\.output\.format\.rate = 16000: .*24000.*; xai, inworld can$"):
        scene.respond(pcm("output", 16_000))


def test_what_may_hold_a_credential_is_not_shown_as_a_value() -> None:
    tool = {"type": "mcp", "server_label": "s", "authorization": "very-secret"}
    for check in (check_sayable, check_response):
        with pytest.raises(LocalProtocolError, match=r"^(session|response)\.tools") as caught:
            check(DIALECTS["openai-beta"], {"tools": [tool]})
        assert "very-secret" not in str(caught.value)


def test_a_kind_that_the_dialect_lacks_names_who_has_it() -> None:  # S10; facts 8, 14
    with pytest.raises(
        LocalProtocolError, match=r"^session\.audio\.input\.turn_detection\.type = 'semantic_vad': .*; openai, .*can"
    ):
        check_sayable(DIALECTS["xai"], {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})


class Breaks(Held):
    """A conversation whose update fails in a way that nobody foresaw."""

    def _ask(self, *args: Any, **options: Any) -> int:
        raise ValueError("not foreseen")


def test_one_that_cannot_change_keeps_no_other_from_changing() -> None:  # S09: whatever its error is
    ga, broken = Held(ready()), Breaks(ready())
    xai = Held(Scene(Config.model_validate({"connection": {"dialect": "xai", "api_key": "k"}})))
    xai.scene.open()
    made = group(ga, broken, xai).update(pcm("input", 16_000))
    assert isinstance(made[0].refused, LocalProtocolError) and isinstance(made[1].refused, ValueError)
    assert (made[2].refused, made[2].request is not None, ga.updates()) == (None, True, [])
    assert kinds(xai.scene.log) == []
