"""What ``rtcore talk`` shows, without a conversation: the screen, the terminal it is drawn on, and the keys that are pressed."""

import io
from collections.abc import Callable, Sequence

import pytest

from rtcore import (
    ContextStale,
    HeardText,
    HistoryItem,
    Interrupted,
    LoopLagged,
    MessageEnded,
    MessageStarted,
    MicrophoneDropped,
    Notice,
    Problem,
    ProtocolWarning,
    RequestEnded,
    ResponseEnded,
    ResponseStarted,
    ServerError,
    SessionClosed,
    SpeakingStarted,
    SpeakingStopped,
    ToolCalled,
    Underrun,
    UnknownEvent,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
    UserTranscriptFailed,
    UserTurnCommitted,
    Verdict,
)
from rtcore_adapters.cli.talk._editor import Editor, End, Hold, Say
from rtcore_adapters.cli.talk._screen import Line, Screen, Status
from rtcore_adapters.cli.talk._terminal import Terminal, begun, cells, ended, is_live, plain


def ended_message(verdict: Verdict, text: str, full: str, *, heard: int, received: int, estimated: bool = False) -> MessageEnded:
    return MessageEnded("r1", "m1", verdict, heard, received, text, full, 1.0, 2.0, estimated)


def shown(screen: Screen, *script: tuple[float, Notice]) -> list[str]:
    return [plain(line) for at, notice in script for line in screen.notice(notice, now=at)]


# -- the screen: notices and time in, lines and a status out ------------------------------------------------------------------


def test_a_barge_in_is_told_with_what_was_heard_and_how_long_silence_took() -> None:  # C02, S01, B30
    screen = Screen(began=100.0)
    assert shown(
        screen,
        (100.2, UserSpeechStarted("u1")),
        (102.0, UserSpeechStopped("u1")),
        (102.0, UserTurnCommitted("u1")),
        (102.1, ResponseStarted("r1")),
        (102.3, UserTranscript("u1", 0, "Tell me a story")),
        (102.72, SpeakingStarted("r1", 102.7)),
        (102.72, MessageStarted("r1", "m1", 102.7)),
        (104.0, UserSpeechStarted("u2")),
        (104.0, ended_message(Verdict.PARTIAL, "Once upon", "Once upon a time", heard=1300, received=4000)),
        (104.0, ended_message(Verdict.SKIPPED, "", "The end", heard=0, received=900)),
        (104.0, Interrupted("server", ("m1",), ("m2",))),
        (104.0, SpeakingStopped(104.04)),
    ) == [
        "    0.2  you      speak",
        "    2.0  you      fall silent after 1.8 s",
        "    2.3  you      “Tell me a story”",
        "    2.7  model    speaks 700 ms after your turn",
        "    4.0  you      speak",
        "    4.0  model    “Once upon” cut after 1.3 s of 4.0 s; not heard: “a time”",
        "    4.0  model    not heard at all: “The end”",
        "    4.0  model    silent 40 ms after you spoke",
    ]


def test_typed_text_is_a_turn_that_interrupts() -> None:  # F037
    screen = Screen(began=0.0)
    assert [plain(line) for line in screen.typed("Hello", now=1.0)] == ["    1.0  you      “Hello”"]
    assert shown(screen, (1.5, SpeakingStarted("r1", 1.25))) == ["    1.5  model    speaks 250 ms after your text"]
    screen.typed("Stop", now=2.0)
    assert shown(screen, (2.0, SpeakingStopped(2.03))) == ["    2.0  model    silent 30 ms after your text"]


def test_what_sounds_to_its_end_says_how_long_and_an_answer_nobody_waited_for_has_no_latency() -> None:
    screen = Screen(began=0.0)
    assert shown(
        screen,
        (1.0, SpeakingStarted("r1", 1.0)),
        (2.0, ended_message(Verdict.FULL, "All of it", "All of it", heard=1000, received=1000)),
        (2.0, ended_message(Verdict.FULL, "", "", heard=300, received=300)),
        (2.0, ended_message(Verdict.TEXT, "In writing", "In writing", heard=0, received=0)),
        (2.0, SpeakingStopped(2.0)),
    ) == [
        "    1.0  model    speaks",
        "    2.0  model    “All of it” (1.0 s)",
        "    2.0  model    (no words, 0.3 s)",
        "    2.0  model    writes “In writing”",
    ]


def test_a_server_that_cannot_be_told_is_a_warning() -> None:
    cut = MessageEnded("r1", "m1", Verdict.PARTIAL, 500, 900, "Once", "Once upon", 0.0, 0.5, told="record")
    assert [line.who for line in Screen(began=0.0).notice(cut, now=1.0)] == ["model", "warning"]


def test_an_estimate_is_called_one_and_a_cut_without_words_has_none() -> None:  # B29
    [line] = Screen(began=0.0).notice(ended_message(Verdict.PARTIAL, "", "", heard=500, received=900, estimated=True), now=1.0)
    assert (line.text, line.unheard) == ("cut after about 0.5 s of 0.9 s; not heard:", "(no words)")


def test_tools_are_shown_with_what_they_were_asked_and_what_they_answered() -> None:
    screen = Screen(began=0.0)
    [asked] = screen.notice(ToolCalled("c1", "look_up", '{"query":"trains"}', "r1", "f1"), now=1.0)
    assert plain(asked) == '    1.0  tool     look_up called with {"query":"trains"}'
    item = HistoryItem("o1", "function_call_output", None, None, "", "", output="x" * 400)
    [answered] = screen.answered(item, now=2.0)
    assert answered.text == f"answered {'x' * 299}…"


PROBLEM = Problem("too_fast", "Slow down.", True, "Wait.")


@pytest.mark.parametrize(
    ("notice", "words"),
    [
        (ServerError(PROBLEM), "the server says: Slow down. [too_fast]. Wait."),
        (RequestEnded(1, "timed_out", PROBLEM), "what was asked got no answer: Slow down. [too_fast]. Wait."),
        (RequestEnded(1, "failed"), "what was asked failed: no reason was given"),
        (ResponseEnded("r1", "failed", problem=PROBLEM), "the answer failed: Slow down. [too_fast]. Wait."),
        (ResponseEnded("r1", "incomplete", "max_output_tokens"), "the answer is incomplete: max_output_tokens"),
        (SessionClosed("lost", PROBLEM), "the connection was lost: Slow down. [too_fast]. Wait."),
        (UserTranscriptFailed("u1", 0, PROBLEM), "your words could not be written down: Slow down. [too_fast]. Wait."),
        (ProtocolWarning("half a sample", "response.audio.delta"), "half a sample (response.audio.delta)"),
        (UnknownEvent("ping\x1b[2J", b"{}"), "the server sent an event that is not known: ping [2J"),
        (ContextStale("r1"), "this answer was begun before the server knew what had not been heard"),
        (Underrun(1), "the sound ran dry: it comes slower than it is heard"),
        (MicrophoneDropped(2300, "the line is slow"), "2.3 s of the microphone were dropped: the line is slow"),
        (LoopLagged(120), "this program was held up for 120 ms"),
        (Interrupted("device", (), ()), "the sound device went away, and cut what was sounding"),
    ],
)
def test_what_went_wrong_is_a_warning(notice: Notice, words: str) -> None:
    assert Screen(began=0.0).notice(notice, now=0.0) == [Line(0.0, "warning", words)]


@pytest.mark.parametrize(
    "notice",
    [SessionClosed("closed"), RequestEnded(1, "done"), ResponseEnded("r1", "cancelled"), Interrupted("server", ("m",), ())],
)
def test_what_is_as_it_should_be_is_no_warning(notice: Notice) -> None:
    assert Screen(began=0.0).notice(notice, now=0.0) == []


def test_an_error_of_a_request_is_told_once() -> None:
    screen = Screen(began=0.0)
    assert len(screen.notice(ServerError(PROBLEM, request=4), now=0.0)) == 1
    assert screen.notice(RequestEnded(4, "failed", PROBLEM), now=0.0) == []


def test_words_of_a_stranger_command_no_terminal() -> None:
    said = ended_message(Verdict.FULL, "a\x1b]0;owned\x07\n\x9b2Jb", "", heard=1, received=1)
    [line] = Screen(began=0.0).notice(said, now=0.0)
    assert line.text.isprintable()


def test_the_status_is_who_speaks_and_what_was_heard() -> None:  # S01, B30
    screen = Screen(began=0.0)
    assert screen.status(now=0.0) == Status("talk", "listening")
    screen.notice(UserSpeechStarted("u1"), now=1.0)
    screen.notice(UserTranscriptDelta("u1", 0, "I would"), now=2.0)
    assert screen.status(now=2.5) == Status("you", "speak, 1.5 s: I would", tail=True)
    screen.notice(UserSpeechStopped("u1"), now=3.0)
    screen.notice(UserTurnCommitted("u1"), now=3.0)
    assert screen.status(now=3.4) == Status("model", "answers soon; waited 0.4 s")
    screen.notice(SpeakingStarted("r1", 3.5), now=3.5)
    assert screen.status(now=3.6) == Status("model", "speaks", tail=True)
    screen.notice(MessageStarted("r1", "m1", 3.5), now=3.5)
    screen.notice(HeardText("r1", "m1", 0, "Once\n"), now=3.6)
    screen.notice(HeardText("r1", "m1", 0, "upon"), now=3.6)
    assert screen.status(now=3.6) == Status("model", "Once upon", tail=True)
    screen.pause(True, now=3.7)
    assert screen.status(now=3.8) == Status("model", "(held) Once upon", tail=True)
    screen.notice(SpeakingStopped(4.0), now=4.0)
    assert screen.status(now=4.1).text == "the sound is held; space lets it go on"


def test_the_same_notices_give_the_same_lines_whenever_they_are_shown_again() -> None:  # C30
    script: Sequence[tuple[float, Notice]] = [(1.0, SpeakingStarted("r1", 1.0)), (2.0, SpeakingStopped(2.0))]
    assert shown(Screen(began=0.0), *script) == shown(Screen(began=0.0), *script)


# -- the terminal -------------------------------------------------------------------------------------------------------------


def test_a_terminal_that_is_none_gets_plain_lines_and_no_status() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.show([Line(1.0, "model", "cut; not heard:", "“rest”")], Status("model", "speaks"))
    terminal.show([], Status("talk", "listening"))
    terminal.close()
    assert stream.getvalue() == "    1.0  model    cut; not heard: “rest”\n"


def test_the_status_is_written_once_in_one_piece_and_only_where_it_changed() -> None:
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    terminal = Terminal(Stream(), live=True, width=lambda: 60)
    terminal.show([], Status("talk", "listening"))
    terminal.show([], Status("talk", "listening"))
    terminal.show([Line(1.0, "you", "speak")], Status("you", "speak, 0.0 s"))
    terminal.close()
    terminal.close()
    assert len(written) == 3
    assert written[0].startswith("\x1b[?25l\r\x1b[J") and written[0].endswith("listening\r")
    assert written[1].startswith("\r\x1b[J") and "speak\x1b" not in written[1] and written[1].endswith("speak, 0.0 s\r")
    assert written[2] == "\r\x1b[J\x1b[?25h"


def test_a_status_never_reaches_the_last_column_whatever_the_width() -> None:
    for width in range(1, 50):
        stream = io.StringIO()
        terminal = Terminal(stream, live=True, width=lambda width=width: width)  # type: ignore[misc]
        terminal.show([], Status("model", "今天天气很好 and so on and on and on and on", tail=True), "typed words that are long")
        drawn = stream.getvalue()
        for code in ("\x1b[?25l", "\x1b[?25h", "\x1b[J", "\x1b[32m", "\x1b[0m", "\r"):
            drawn = drawn.replace(code, "")
        assert cells(drawn) < max(width, 1)
        assert "\x1b" not in drawn


def test_of_a_long_text_that_is_heard_the_end_is_shown() -> None:
    assert ended("one two three", 8) == "…o three"
    assert begun("one two three", 8) == "one two…"
    assert ended("今天天气", 5) == "…天气"
    assert begun("e\u0301" * 3, 3) == "e\u0301" * 3
    assert (ended("long", 0), begun("long", 0)) == ("", "")


def test_a_stream_that_cannot_write_a_word_gets_a_question_mark() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Terminal(stream).show([Line(0.0, "model", "今")])
    assert raw.getvalue() == b"    0.0  model    ?\n"


@pytest.mark.parametrize(
    ("environment", "live"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_plain_output_is_what_one_asks_for(environment: dict[str, str], live: bool) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert is_live(Tty(), environment) is live
    assert not is_live(io.StringIO(), environment)


# -- keys ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "wishes", "left"),
    [
        ("Hello\r", [Say("Hello")], ""),
        ("Helo\x7flo\n", [Say("Hello")], ""),
        ("a b", [], "a b"),
        (" ", [Hold()], ""),
        ("\r  \r", [Hold(), Hold()], ""),
        ("one two\x17", [], "one "),
        ("one two\x15", [], ""),
        ("\x04", [End()], ""),
        ("a\x04", [], "a"),
        ("\x1b[A\x1b[1;5C\x1bOPx\x1b\x1b[Dy", [], "xy"),
        ("\x07\x00ä今", [], "ä今"),
        ("one\rtwo\r", [Say("one"), Say("two")], ""),
    ],
)
def test_keys_make_a_line(typed: str, wishes: list[object], left: str) -> None:
    whole, single = Editor(), Editor()
    assert whole.feed(typed) == wishes and whole.text == left
    assert [wish for key in typed for wish in single.feed(key)] == wishes and single.text == left


class Emulator:
    """A terminal that breaks lines anew when its width changes, as most do; the cursor stays with its character."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.lines = [""]  # as they were written; each takes as many rows as it needs
        self._at = (0, 0)

    @property
    def rows(self) -> list[str]:
        return [row for line in self.lines for row in self._broken(line)]

    def _broken(self, line: str) -> list[str]:
        return [line[at : at + self.width] for at in range(0, max(1, len(line)), self.width)]

    def write(self, text: str) -> None:
        for code in ("\x1b[?25l", "\x1b[?25h", "\x1b[0m", "\x1b[2m", "\x1b[2;9m", "\x1b[32m", "\x1b[36m"):
            text = text.replace(code, "")
        while text:
            line, column = self._at
            if text.startswith("\x1b[J"):
                text = text[3:]
                self.lines[line:] = [self.lines[line][:column]]
                continue
            key, text = text[0], text[1:]
            assert key != "\x1b", text
            if key == "\r":
                self._at = (line, column - column % self.width)
            elif key == "\n":
                self.lines.append("")
                self._at = (line + 1, 0)
            else:
                old = self.lines[line]
                self.lines[line] = old[:column] + key + old[column + 1 :]
                self._at = (line, column + 1)


def test_a_terminal_that_is_resized_keeps_every_line_and_nothing_of_an_old_status() -> None:
    emulator = Emulator(60)
    terminal = Terminal(StreamTo(emulator.write), live=True, width=lambda: emulator.width)
    lines = [f"said {number}" for number in range(6)]
    for number, width in enumerate((60, 25, 12, 24, 80, 40)):
        emulator.width = width
        terminal.show([Line(0.0, "you", lines[number])], Status("model", "words " * 30, tail=True), "typed")
    terminal.close()
    assert [" ".join(line.split()) for line in emulator.lines[:-1]] == [f"0.0 you {line}" for line in lines]


class StreamTo(io.StringIO):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def write(self, text: str) -> int:
        self._write(text)
        return len(text)
