"""The data of a timeline: what lies in which lane, when; and the page around it, which no text can break out of.

``tests/browser`` looks at the page in a real Chromium (``make browser``).
"""

import gzip
import json
import re
import shlex
import time
from base64 import b64encode
from contextlib import suppress
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers import wire
from test_cli_replay import talk

from rtcore import Clock, Config, LocalProtocolError, Session
from rtcore.recording import Keep, RecordedSession, Recording, read, steps
from rtcore.sim.recorded import record_world
from rtcore.sim.results import WorldResult
from rtcore.sim.voices import synthetic_voices
from rtcore_adapters._recording import Record, recorder, write_recording
from rtcore_adapters.cli import main
from rtcore_adapters.timeline import _page, timeline_page, write_timeline
from rtcore_adapters.timeline._explained import explained
from rtcore_adapters.timeline._lanes import LANES, Line
from rtcore_adapters.timeline._reader import timeline_of

EVIL = "</script><script>alert(1)</script><!-- ' \" & \u2028 \u2029 \U0001f600 ]]>"


class Page(HTMLParser):
    """Every element and all text of a page; open elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.words = ""
        self.script: dict[str, str] = {}
        self.attributes: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "script":
            self._kind = dict(attrs).get("type") or "code"
        if tag not in ("meta", "input", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.script[self._kind] = self.script.get(self._kind, "") + data
        else:
            self.words += data


def shown(text: str) -> Any:
    """The data of a page."""
    return json.loads(Page(text).script["application/json"])


def lane(recording: Any, name: str) -> list[tuple[float, float | None, str, str]]:
    """Its events: begin, end, label, tone."""
    index = [*map(str, LANES)].index(name)
    return [(event[0], event[1], event[4], event[6]) for event in recording["events"] if event[2] == index]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "talk.jsonl"
    write_recording(path, talk(words="Hello, this is what I have to say to you today, if you will listen to me."))
    return path


# -- the data ------------------------------------------------------------------------------------------------------------------


def test_what_was_received_heard_cut_and_told_lies_in_its_lane(file: Path) -> None:
    """An answer of 2 s arrives at once and is cut after 500 ms of it (B01, B30)."""
    [recording] = shown(timeline_page(file))["recordings"]
    assert [label for _, _, label, _ in lane(recording, "received")] == ["2000 ms"]
    [(begin, end, label, tone)] = lane(recording, "audible")
    assert (label, tone) == ("partial 500 of 2000 ms", "partial")
    assert end is not None and 0.5 <= end - begin < 0.6
    assert [label for _, _, label, _ in lane(recording, "cuts")] == ["flush", "silent", "cut by server"]
    assert "item.truncate 500 ms" in [label for _, _, label, _ in lane(recording, "client")]
    assert [label for _, _, label, _ in lane(recording, "user")][:1] == ["speaks"]
    assert any(label.startswith("send_text 'Hello") for _, _, label, _ in lane(recording, "program"))
    [message] = recording["messages"]
    assert message[3:6] == ["partial", 500, 2000]


def test_words_stand_where_they_were_heard_and_are_together_the_heard_text(file: Path) -> None:  # B30, invariant 11
    [recording] = shown(timeline_page(file))["recordings"]
    index = [*map(str, LANES)].index("heard")
    pieces = [(event[0], event[5]) for event in recording["events"] if event[2] == index]
    [message] = recording["messages"]
    begin, end, text, full = message[1], message[2], message[6], message[7]
    assert "".join(words for _, words in pieces) == text
    assert full.startswith(text) and len(text) < len(full)
    assert all(begin <= at <= end for at, _ in pieces)


def test_the_audible_line_is_what_the_clock_reported(file: Path) -> None:  # C21
    it = timeline_of(steps(read(file.read_bytes().splitlines(keepends=True))))
    assert it.heard.points[-1][1] == 500
    [span] = it.sounding.found
    assert 0.47 <= span.end - span.begin <= 0.53
    assert it.received["m1"].points[-1][1] == 2000


def test_an_even_clock_is_one_line_however_often_it_reports() -> None:
    line = Line()
    for step in range(10_000):
        line.add(step / 50, step * 20.0)
    assert line.points == [(0.0, 0.0), (9_999 / 50, 199_980.0)]


def test_a_line_is_never_far_from_what_was_reported() -> None:
    """Even where the clock stutters, stands still and catches up."""
    line, told = Line(5.0), []
    at = ms = 0.0
    for step in range(3_000):
        at += 0.02 + (step * 7 % 13) / 1000
        ms += 0 if step % 400 > 350 else 15 + step * 11 % 17
        line.add(at, ms)
        told.append((at, ms))
    points = iter(line.points)
    left, right = next(points), next(points)
    for at, ms in told:
        while right[0] < at:
            left, right = right, next(points)
        share = (at - left[0]) / (right[0] - left[0])
        assert abs(left[1] + share * (right[1] - left[1]) - ms) <= 5.0 + 1e-6
    assert len(line.points) < len(told)


@cache
def world(seed: int) -> tuple[WorldResult, Recording]:
    """A world and its recording, made once."""
    result, lines = record_world(seed, synthetic_voices(1))
    return result, read(lines)


@pytest.mark.parametrize("seed", (1, 2))
def test_a_world_is_shown_whole(seed: int) -> None:
    """Every message has its verdict, all heard ms fit into the time, and no event lies outside of the recording."""
    result, found = world(seed)
    [recording] = shown(timeline_page(found))["recordings"]
    verdicts = [message[3] for message in recording["messages"]]
    assert sum(sum(kind.verdicts.values()) for kind in result.kinds) <= len(verdicts)
    assert "partial" in verdicts
    assert all(0 <= event[0] <= recording["length"] for event in recording["events"])
    assert all(event[1] is None or event[0] <= event[1] <= recording["length"] + 1e-3 for event in recording["events"])
    for kind in ("heard", *[points for _, points in recording["received"]]):
        points = recording["heard"] if kind == "heard" else kind
        assert points == sorted(points)
    times = [event[0] for event in recording["events"]]
    assert times == sorted(times)
    index = [*map(str, LANES)].index("heard")
    texts = {message[0]: message[6] for message in recording["messages"]}
    assert all(event[5] in texts[event[7]] for event in recording["events"] if event[2] == index)
    assert len({event[0] for event in recording["events"] if event[2] == index}) > 3


def test_every_kind_that_worlds_show_is_explained() -> None:
    """But what some servers say and nobody knows the meaning of."""
    page = shown(timeline_page(*(world(seed)[1] for seed in (1, 2))))
    unexplained = [kind for kind, why in zip(page["kinds"], page["explained"], strict=True) if not why]
    assert unexplained == []
    assert explained("UserSpeechStarted") == "A person began to speak."
    assert explained("ResponseEnded") == "The server finished generating (not: the user finished hearing)."
    assert explained("ServerError") == "The server reported an error; the session goes on unless fatal."  # without (F007)
    assert explained("no.such.event") == ""


def test_a_deleted_word_and_a_mask_are_no_words(tmp_path: Path) -> None:
    """A recording without words shows masks of the same length, and says so."""
    lines = talk(Keep(), words="A secret of mine.")
    text = timeline_page(read(lines))
    assert "secret" not in text
    assert "without audio and text" in text


# -- the page ------------------------------------------------------------------------------------------------------------------


def test_no_text_breaks_out_of_the_page(tmp_path: Path) -> None:
    """A recording is somebody else's data: it is shown, and never run."""
    lines = talk(words=EVIL)
    text = timeline_page(read(lines), title=EVIL, names=[EVIL])
    page = Page(text)
    assert page.tags.count("script") == 2 and text.count("<script") == 2 and text.count("</script") == 2
    assert "<!--" not in text
    assert EVIL in page.words  # in the title, and in the table for those who run no script
    data = shown(text)
    assert data["recordings"][0]["name"] == EVIL
    assert any(EVIL in event[5] for event in data["recordings"][0]["events"])
    raw = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert raw is not None and not set(raw[1]) & set("<>&\u2028\u2029")


def test_the_page_loads_nothing_and_runs_no_script_but_its_own(file: Path) -> None:
    text = timeline_page(file)
    page = Page(text)
    code = page.script["code"]
    policy = next(value for _, value in page.attributes if "default-src" in value)
    digest = b64encode(sha256(code.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "xlink:href", "style")]
    assert not re.search(r"url\(|@import|https?://|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(", text)
    assert "prefers-color-scheme: dark" in text


def test_without_a_script_there_is_a_table_of_bounded_length(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _page._ROWS == 1_000
    monkeypatch.setattr(_page, "_ROWS", 100)
    text = timeline_page(world(2)[1])
    table = text[text.index("<noscript>") : text.index("</noscript>")]
    events = len(shown(text)["recordings"][0]["events"])
    assert table.count("<tr>") == 101  # with that of the headings
    assert f"and {events - 100} more events" in table


@pytest.mark.parametrize("frame", [b"[" * 5000, b'{"type":' * 5000, b"\xff\xfe", b"[]", b'{"type": 7}', b'{"type":"\\ud800"}'])
def test_frames_that_nobody_can_read_are_shown_as_such(frame: bytes) -> None:  # C29
    lines: list[bytes] = []
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
    session = RecordedSession(config, sink=lines.append, keep=Keep(text=True))
    session.open(now=0.0)
    session.connected(1, now=0.1)
    session.receive(1, frame, now=0.2)
    session.finish()
    [recording] = shown(timeline_page(read(lines)))["recordings"]
    assert lane(recording, "server")[-1][0] == 0.2


def test_times_that_are_no_numbers_and_a_session_of_nothing_make_a_page() -> None:
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
    for times in ([], [float("nan")], [5.0, float("nan"), float("inf"), 4.0]):
        lines: list[bytes] = []
        session = RecordedSession(config, clock=Clock(), sink=lines.append)
        for now in times:
            with suppress(LocalProtocolError):
                session.tick(now=now)
        session.finish()
        [recording] = shown(timeline_page(read(lines)))["recordings"]
        assert recording["length"] == 0


# -- sources -------------------------------------------------------------------------------------------------------------------


def test_two_recordings_share_a_page(file: Path, tmp_path: Path) -> None:
    page = write_timeline(tmp_path / "both.html", file, read(talk()), names=["before", "after"], align="cut")
    data = shown(page.read_text(encoding="utf-8"))
    assert [each["name"] for each in data["recordings"]] == ["before", "after"]
    assert data["align"] == "cut"


def test_a_page_is_replaced_in_one_step_and_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    page.write_text("old")
    link.symlink_to(page)
    opened = page.open()
    write_timeline(page, file)
    assert opened.read() == "old"  # whoever reads the old one reads on in it
    opened.close()
    page.write_text("old")
    write_timeline(link, file)
    assert link.is_symlink() and page.read_text(encoding="utf-8") == timeline_page(file)
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "link.html", "talk.jsonl"}


def test_a_conversation_that_goes_on_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    """At any moment: the file of a recording that is being written holds all but the last second, compressed or not."""
    lines = talk()
    path = tmp_path / "call.jsonl.gz"
    whole = b"".join(lines)
    path.write_bytes(gzip.compress(whole)[:-40])
    [recording] = shown(timeline_page(path))["recordings"]
    assert any("breaks off" in fact for fact in recording["facts"])
    path.write_bytes(whole[: len(whole) // 2])
    [half] = shown(timeline_page(path))["recordings"]
    assert 0 < len(half["events"]) < len(shown(timeline_page(read(lines)))["recordings"][0]["events"])


def test_a_recorder_writes_what_it_has_while_the_conversation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though something is written all the time: the last second is a matter of the clock, not of a pause."""
    monkeypatch.setattr("rtcore_adapters._recording._FLUSH_S", 0.0)
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://localhost"}})
    path = tmp_path / "live.jsonl"
    with recorder(Record(path, text=True)) as found:
        session: Session = found.session(config, clock=Clock(), seed=1)
        session.open(now=0.0)
        session.connected(1, now=0.1)
        for event in wire.session_updated():
            session.receive(1, wire.encode(event), now=0.2)
        for _ in range(2_000):
            if path.read_bytes().count(b"\n") == 4:
                break
            time.sleep(0.001)
        [recording] = shown(timeline_page(path))["recordings"]
        assert "session.updated" in [label for _, _, label, _ in lane(recording, "server")]
    assert not any("breaks off" in fact for fact in shown(timeline_page(path))["recordings"][0]["facts"])


def test_what_a_changed_core_does_otherwise_is_said(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if b'"do":"flushed"' in line)
    lines[at] = re.sub(rb'"out":"\w+"', b'"out":"000000000000"', lines[at])
    [recording] = shown(timeline_page(read(lines)))["recordings"]
    assert any(
        f"1 inputs give another outcome than the recorded one, first on line {at + 1}" in fact for fact in recording["facts"]
    )


@pytest.mark.parametrize("sources", [[], [1, 2, 3]])
def test_one_or_two_recordings_no_more(sources: list[int]) -> None:
    with pytest.raises(ValueError, match=f"one recording, or two beside each other, not {len(sources)}"):
        timeline_page(*(read(talk()) for _ in sources))
    with pytest.raises(ValueError, match="2 names for 1 recordings"):
        timeline_page(read(talk()), names=["a", "b"])


# -- the command ---------------------------------------------------------------------------------------------------------------


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["timeline", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_command_draws_files_and_worlds(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    status, out, err = answered(capsys, file, "7:interruption=ignore", "--html", page, "--align", "sound")
    assert (status, out, err) == (0, f"Timeline of talk.jsonl and world 7 under interruption=ignore in {page}\n", "")
    data = shown(page.read_text(encoding="utf-8"))
    assert [each["name"] for each in data["recordings"]] == ["talk.jsonl", "world 7 under interruption=ignore"]
    assert data["align"] == "sound"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nowhere.jsonl", "nowhere.jsonl: no such file; a world is named by its seed"),
        ("7:no.such=1", "7:no.such=1: unknown key"),
        (str(1 << 64), "is too large"),
    ],
)
def test_a_source_that_is_none_is_one_line(word: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = answered(capsys, word, "--html", tmp_path / "page.html")
    assert (status, out) == (1, "")
    assert says in err and err.startswith("rtcore timeline: ") and err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_a_file_that_is_no_recording_or_cannot_be_written_is_one_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "a.wav"
    wrong.write_bytes(b"RIFF....WAVE\n")
    assert "line 1: is no header of an rtcore recording" in answered(capsys, wrong, "--html", tmp_path / "page.html")[2]
    nowhere = tmp_path / "nowhere" / "page.html"
    assert answered(capsys, file, "--html", nowhere) == (
        1,
        "",
        f"rtcore timeline: cannot write {nowhere}: no such file or directory\n",
    )


# -- docs/timeline.md ----------------------------------------------------------------------------------------------------------


def test_the_documented_commands_print_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = Path(__file__).parent.parent / "docs"
    monkeypatch.chdir(tmp_path)
    write_recording("call.jsonl.gz", talk())
    blocks = re.findall(r"```console\n\$ rtcore (.*)\n(.*\n)```", (docs / "timeline.md").read_text(encoding="utf-8"))
    assert len(blocks) == 3
    for command, printed in blocks:
        assert main(shlex.split(command)) == 0
        assert capsys.readouterr().out == printed
    assert {path.name for path in tmp_path.glob("*.html")} == {"timeline.html", "world.html", "both.html"}
    assert (docs / "timeline.png").stat().st_size < 100_000


def test_the_documented_lanes_are_the_lanes() -> None:
    text = (Path(__file__).parent.parent / "docs" / "timeline.md").read_text(encoding="utf-8")
    table = text.partition("| lane |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([\w ]+) \|", table, re.MULTILINE) == [name for name, _ in LANES.values()]
