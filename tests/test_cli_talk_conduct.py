"""``rtcore talk`` without a conversation: when it ends, what it asks for, and with whom it is."""

import io
import logging
import os

import pytest

from rtcore import (
    HeardText,
    HistoryItem,
    ItemAdded,
    LocalProtocolError,
    MessageStarted,
    Problem,
    ResponseEnded,
    ResponseStarted,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    TextDelta,
)
from rtcore_adapters.cli.talk._conduct import QUIET_S, Input, Rules, Talk
from rtcore_adapters.cli.talk._editor import Silent
from rtcore_adapters.cli.talk._inputs import Logged, listening
from rtcore_adapters.cli.talk._server import NoServer, Wanted, choose
from rtcore_adapters.cli.talk._terminal import Terminal

KEY = "sk-test-0123456789abcdef"
PROBLEM = Problem("too_fast", "Slow down.", True, "Wait.")


# -- the conduct --------------------------------------------------------------------------------------------------------------


class Conversation:
    """The commands that a talk gives, written down."""

    def __init__(self, *history: HistoryItem, error: str = "") -> None:
        self.history = history
        self.given: list[str] = []
        self._error = error

    def send_text(self, text: str) -> None:
        if self._error:
            raise LocalProtocolError(self._error)
        self.given.append(text)

    def pause(self) -> None:
        self.given.append("PAUSE")

    def resume(self) -> None:
        self.given.append("RESUME")

    def close(self) -> None:
        self.given.append("CLOSE")


def conducted(rules: Rules, conversation: Conversation, *script: tuple[float, Input], live: bool = False) -> tuple[Talk, str]:
    stream = io.StringIO()
    talk = Talk(Terminal(stream, live=live, width=lambda: 70), rules)
    talk.begin(conversation, now=0.0)  # type: ignore[arg-type]  # what it asks for is there
    for at, given in script:
        talk.take(given, now=at)
    return talk, stream.getvalue()


def test_lines_of_a_pipe_are_sent_whole_and_the_last_one_without_its_end() -> None:
    conversation = Conversation()
    talk, printed = conducted(Rules(), conversation, (0.0, "one\ntw"), (0.1, "o\n\n  \nthree"), (0.2, Silent()))
    assert conversation.given == ["one", "two", "three"]
    assert not talk.over and printed.count("you") == 3


def test_keys_of_a_terminal_are_a_line_under_way_and_space_holds() -> None:  # B17
    conversation = Conversation()
    _, printed = conducted(Rules(waits_for_keys=True), conversation, (0.0, " "), (0.1, " "), (0.2, "Hi"), (0.3, "\r"), live=True)
    assert conversation.given == ["PAUSE", "RESUME", "Hi"]
    assert "> Hi▏" in printed


def test_a_talk_is_over_when_all_was_said_answered_and_heard() -> None:
    script: list[tuple[float, Input]] = [
        (0.0, "Hello\n"),
        (0.0, Silent()),
        (0.5, ResponseStarted("r1")),
        (1.0, SpeakingStarted("r1", 1.0)),
        (1.5, ResponseEnded("r1", "completed")),
        (1.5 + 2 * QUIET_S, None),
        (8.0, SpeakingStopped(8.0)),
        (8.0 + QUIET_S - 0.1, None),
    ]
    conversation = Conversation()
    talk, _ = conducted(Rules(), conversation, *script)
    assert "CLOSE" not in conversation.given
    talk.take(None, now=8.0 + QUIET_S)
    talk.take(None, now=8.0 + 2 * QUIET_S)
    assert conversation.given == ["Hello", "CLOSE"]
    talk.take(SessionClosed("closed"), now=20.0)
    assert (talk.over, talk.failed) == (True, False)


@pytest.mark.parametrize("rules", [Rules(listens=True), Rules(waits_for_keys=True)], ids=["microphone", "keyboard"])
def test_a_talk_goes_on_while_somebody_may_still_say_something(rules: Rules) -> None:
    given: Input = Silent() if rules.listens else None
    conversation = Conversation()
    conducted(rules, conversation, (0.0, given), (1000.0, None))
    assert conversation.given == []


def test_an_answer_that_never_comes_is_not_waited_for_for_ever() -> None:
    conversation = Conversation()
    talk, _ = conducted(Rules(), conversation, (0.0, "Hello\n"), (0.0, Silent()), (19.0, None))
    assert conversation.given == ["Hello"]
    talk.take(None, now=21.0)
    assert conversation.given == ["Hello", "CLOSE"]


def test_a_talk_has_its_time() -> None:
    conversation = Conversation()
    talk, _ = conducted(Rules(seconds=3.0, listens=True), conversation, (2.9, None))
    assert conversation.given == []
    talk.take(None, now=3.0)
    assert conversation.given == ["CLOSE"]


def test_a_session_that_ends_ends_the_talk_and_says_whether_it_failed() -> None:  # F101
    assert conducted(Rules(), Conversation(), (1.0, SessionClosed("closed")))[0].failed is False
    talk, printed = conducted(Rules(), Conversation(), (1.0, SessionClosed("expired", PROBLEM)))
    assert (talk.over, talk.failed) == (True, True) and "reached the server's limit" in printed


def test_a_command_that_comes_too_late_is_told() -> None:
    talk, printed = conducted(Rules(), Conversation(error="send_text(): the session is closed"), (1.0, "Hello\n"))
    assert "warning  send_text(): the session is closed" in printed and not talk.over


def test_the_status_shows_the_words_as_they_are_heard() -> None:  # B30
    script: list[tuple[float, Input]] = [
        (1.0, SpeakingStarted("r1", 1.0)),
        (1.0, MessageStarted("r1", "m1", 1.0)),
        (1.1, TextDelta("r1", "m1", 0, "Once upon a time")),
        (1.2, HeardText("r1", "m1", 0, "Once upon")),
        (1.4, None),
    ]
    _, printed = conducted(Rules(), Conversation(), *script, live=True)
    assert "Once upon" in printed and "a time" not in printed


def test_the_output_of_a_tool_is_looked_up() -> None:
    output = HistoryItem("o1", "function_call_output", None, None, "", "", output="ten past four")
    _, printed = conducted(Rules(), Conversation(output), (1.0, ItemAdded("o1", "function_call_output", None, None)))
    assert "tool     answered ten past four" in printed


def test_what_the_library_logs_is_a_line_and_no_dirt_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    posted: list[object] = []
    logger = logging.getLogger("rtcore.tools")
    with listening(posted.append, keys=False):
        logger.error("the tool %s failed", "look_up", exc_info=ValueError("secret"))
    logger.info("this is nobody's")
    assert posted == [Silent(), Logged("the tool look_up failed")]
    _, printed = conducted(Rules(), Conversation(), (1.0, Logged("the tool look_up failed")))
    assert printed == "    1.0  warning  the tool look_up failed\n" and capsys.readouterr().err == ""


def test_what_a_library_writes_to_standard_error_is_a_line_too(capfd: pytest.CaptureFixture[str]) -> None:
    posted: list[object] = []
    with listening(posted.append, keys=False, errors=True):
        os.write(2, b"ALSA lib pcm.c: underrun occ\xc3")
        os.write(2, b"\xbcrred\n\nhalf a line")
    os.write(2, b"after")
    assert posted == [Silent(), Logged("ALSA lib pcm.c: underrun occürred"), Logged("half a line")]
    assert capfd.readouterr().err == "after"


# -- the server ---------------------------------------------------------------------------------------------------------------

AZURE = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://name.openai.azure.com"}


@pytest.mark.parametrize(
    ("wanted", "environment", "words"),
    [
        (Wanted(), {}, "the simulated server, in this process (no key is set)"),
        (Wanted(), {"OPENAI_API_KEY": ""}, "the simulated server, in this process (no key is set)"),
        (Wanted(simulated=True), {"OPENAI_API_KEY": KEY}, "the simulated server, in this process (asked for)"),
        (
            Wanted(dialect="azure-preview"),
            {"OPENAI_API_KEY": KEY},
            "the simulated server, in this process (no key is set for this dialect)",
        ),
        (
            Wanted(),
            {"OPENAI_API_KEY": KEY, **AZURE},
            "OpenAI at wss://api.openai.com/v1/realtime, with the key of OPENAI_API_KEY, which may cost money",
        ),
        (
            Wanted(),
            AZURE,
            "Azure at wss://name.openai.azure.com/openai/v1/realtime, with the key of AZURE_OPENAI_API_KEY, which may cost money",
        ),
        (
            Wanted(dialect="azure-preview"),
            {"OPENAI_API_KEY": KEY, **AZURE},
            "Azure at wss://name.openai.azure.com/openai/realtime, with the key of AZURE_OPENAI_API_KEY, which may cost money",
        ),
        (
            Wanted(url="ws://localhost:1"),
            {"OPENAI_API_KEY": KEY},
            "the server at ws://localhost:1/v1/realtime, with the key of OPENAI_API_KEY",
        ),
        (Wanted(url="127.0.0.1:1"), {}, "the server at ws://127.0.0.1:1/v1/realtime, without a key"),
    ],
)
def test_who_the_server_is_depends_on_what_is_set_and_is_said(wanted: Wanted, environment: dict[str, str], words: str) -> None:
    choice = choose(wanted, environment)
    assert choice.words == words
    assert (choice.connection is None) == words.startswith("the simulated")
    assert KEY not in repr(choice)


def test_the_key_goes_to_the_server_it_is_for() -> None:
    other = {"OPENAI_API_KEY": "sk-openai-0123456789", **AZURE}
    for wanted, key in ((Wanted(), "sk-openai-0123456789"), (Wanted(url="https://name.openai.azure.com"), KEY)):
        connection = choose(wanted, other).connection
        assert connection is not None and connection.credential("api_key") == key


@pytest.mark.parametrize(
    ("wanted", "environment", "words"),
    [
        (Wanted(simulated=True, url="ws://localhost"), {}, "--simulated and --url are two servers: give one of them"),
        (Wanted(), {"AZURE_OPENAI_API_KEY": KEY}, "AZURE_OPENAI_ENDPOINT is not: set it"),
        (Wanted(dialect="xai"), {"OPENAI_API_KEY": KEY}, "for xai, give the server's --url"),
        (Wanted(url="wss://example.com"), {}, "wss://example.com wants a key: set OPENAI_API_KEY"),
        (Wanted(url="ws://example.com"), {"OPENAI_API_KEY": KEY}, "would travel unencrypted to example.com: use wss://"),
        (Wanted(url="ftp://example.com"), {"OPENAI_API_KEY": KEY}, "scheme 'ftp' cannot be dialled"),
        (Wanted(), {"OPENAI_API_KEY": f"{KEY} "}, "holds white space"),
    ],
)
def test_a_server_that_cannot_be_is_refused_without_the_key(wanted: Wanted, environment: dict[str, str], words: str) -> None:
    with pytest.raises(NoServer) as caught:
        choose(wanted, environment)
    assert words in str(caught.value) and KEY not in str(caught.value)
