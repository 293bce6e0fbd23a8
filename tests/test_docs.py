"""The documentation is run, as printed: README.md and docs/. Links lead somewhere, and no page is an orphan.

A ``pycon`` block is a doctest; a ``python`` block is a program, and what it prints is the ``output`` block behind it. Programs
that call ``asyncio.run`` do so in virtual time, with the strict server on a loopback port in ``RTCORE_URL``. ``trace`` blocks are
run by ``test_docs_traces``, ``python tls`` ones by ``test_transport_docs``, ``python otel`` ones by ``test_telemetry``, ``python
calling`` ones by ``test_tool_runs``, ``python button`` ones by ``test_voice_runs``, ``python bench`` ones by
``test_testing_docs``, ``python plug`` ones by ``interop/test_plug_docs.py``, tables compared by ``test_docs_tables``.
"""

import ast
import asyncio
import doctest
import re
import shlex
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import fake_portaudio
import pytest
from fake_portaudio import loudspeaker, microphone
from loopback import served, served_in_a_thread
from msgspec import structs
from virtual_loop import run

from rtcore import Config, MessageEnded, MessageStarted, Verdict
from rtcore.config import Connection
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters.asyncio import connect
from rtcore_adapters.audio import Speaker
from rtcore_adapters.cli import COMMANDS
from rtcore_adapters.cli import main as rtcore

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(?P<kind>[\w ]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_SERVE = re.compile(r"^\$ rtcore serve (?P<options>.*)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its page, its line, the word behind the fence, its text, and what is said to be its output."""

    page: Path
    line: int
    kind: str
    body: str
    output: str | None

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(kind: str) -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = list(_FENCE.finditer(text))
        for index, found in enumerate(fences):
            if found["kind"] == kind:
                # How the program is started may be said before what it prints.
                after = [(each["kind"], each["body"]) for each in fences[index + 1 :] if each["kind"] != "console"]
                output = after[0][1] if after and after[0][0] == "output" else None
                yield Block(page, text.count("\n", 0, found.start()) + 1, kind, found["body"], output)


def _named(found: list[Block]) -> list[Any]:
    return [pytest.param(block, id=block.name) for block in found]


SESSIONS = list(blocks("pycon"))
PROGRAMS = list(blocks("python"))
_ELSEWHERE = {"python tls", "python otel", "python calling", "python button", "python bench", "python plug"}
KINDS = {"python", *_ELSEWHERE, "pycon", "output", "trace", "console", "text", "", "diff", "python patched", "console patched"}


@pytest.fixture(autouse=True)
def sound_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pages say of sound devices is run on a sound system in virtual time."""
    speakers = loudspeaker("Speakers", 0, rate=48_000, channels=2)
    headset = loudspeaker("USB Headset", 1, channels=2, default=False)
    devices = [structs.replace(device, host="ALSA") for device in (speakers, headset, microphone("Webcam", 2))]
    fake_portaudio.install(monkeypatch, *devices)


# -- blocks that are run ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", _named(SESSIONS))
def test_an_interactive_block_answers_as_printed(block: Block) -> None:
    parsed = doctest.DocTestParser().get_doctest(block.body, {}, block.name, str(block.page), block.line)
    told: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(parsed, out=told.append)
    assert result.failed == 0, "".join(told)


@pytest.mark.parametrize("block", _named(PROGRAMS))
def test_a_program_prints_what_stands_behind_it(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _run(block, monkeypatch)
    printed = capsys.readouterr().out
    if "RTCORE_URL" in block.body:
        # Real sockets: the milliseconds may differ by a frame, the course of the conversation may not; nor, in virtual time, the
        # words.
        assert block.output is not None
        assert _course(printed) == _course(block.output) != []
        assert _on_the_real_clock(block) or _lines(printed) == _lines(block.output)
    else:
        assert printed == (block.output or "")


def _run(block: Block, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a program as ``__main__``; gives what it defined."""
    found = _SERVE.search(block.page.read_text(encoding="utf-8"))
    options = found["options"].split() if found else []
    monkeypatch.setattr(asyncio, "run", lambda main: run(_beside_a_server(main, options, monkeypatch)))
    names: dict[str, Any] = {"__name__": "__main__"}
    with ExitStack() as stack:
        if _on_the_real_clock(block):
            monkeypatch.setenv("RTCORE_URL", stack.enter_context(served_in_a_thread(**_server(options))))
        exec(compile(block.body, block.name, "exec"), names)
    return names


def _on_the_real_clock(block: Block) -> bool:
    """Whether it runs so, beside a server in a thread."""
    return any(word in block.body for word in ("import trio", "rtcore_adapters.threads", "selectors_adapter"))


def _server(options: list[str]) -> dict[str, Any]:
    """What ``rtcore serve`` makes of these options."""
    given = list(pairwise(options))
    script = tuple(spoken(*map(int, lengths.split(","))) for option, lengths in given if option == "--say")
    seed = next((int(word) for option, word in given if option == "--seed"), 0)
    return {"options": ServerOptions(script=script), "seed": seed, "voices": None}


async def _beside_a_server(main: Coroutine[Any, Any, None], options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(**_server(options)) as (url, _):
        monkeypatch.setenv("RTCORE_URL", url)
        await main


def _course(printed: str) -> list[str]:
    """Who spoke, and with which verdict."""
    return re.findall(r"^The user speaks|\((?:full|partial|skipped)\)", printed, re.MULTILINE)


def _lines(printed: str) -> list[str]:
    """What was printed, without its figures. Two conversations at once may come in any order."""
    return sorted(re.sub(r"\d+(\.\d+)?", "0", printed).splitlines())


def test_the_documented_speaker_counts_what_was_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The speaker of docs/clocks.md in a conversation: what the server is told is what became audible (B01, 3)."""
    [block] = [block for block in PROGRAMS if "class BlockSpeaker" in block.body]
    speaker_class = _run(block, monkeypatch)["BlockSpeaker"]
    written: list[bytes] = []
    run(_interrupted(speaker_class(written.append, held=4), written))


async def _interrupted(speaker: Speaker, written: list[bytes]) -> None:
    async with served(ServerOptions(script=(spoken(4000),)), seed=1, voices=None) as (url, servers):
        config = Config(connection=Connection(url=url))
        async with connect(config, speaker=speaker) as conversation:
            conversation.send_text("Hello.")
            async for notice in conversation:
                match notice:
                    case MessageStarted():
                        await asyncio.sleep(1.0)
                        conversation.interrupt()
                    case MessageEnded():
                        break
                    case _:
                        pass
            assert isinstance(notice, MessageEnded)
            await asyncio.sleep(0.5)  # until the server has been told
        [part] = servers[0].items[notice.item_id].parts
    assert (notice.verdict, notice.estimated) == (Verdict.PARTIAL, False)
    assert part.truncated_ms == notice.heard_ms
    # What was written was audible: the heard milliseconds stand in it whole, and silence follows within the next.
    signal, heard = b"".join(written), 48 * notice.heard_ms
    at = signal.find(part.source[part.start : part.start + heard])
    assert at >= 0
    assert not any(signal[at + heard + 48 :])


# -- links -----------------------------------------------------------------------------------------------------------------------


def _targets(page: Path) -> list[tuple[Path, str]]:
    """Where the page's links lead: file and anchor."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found = [link for link in _LINK.findall(text) if not link.startswith("https://")]
    return [
        ((page.parent / name).resolve() if name else page, anchor) for name, _, anchor in (link.partition("#") for link in found)
    ]


def _anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _targets(page):
        assert target.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in _anchors(target), f"{page.name}: {target.name} has no heading #{anchor}"


def test_no_page_is_an_orphan() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            waiting += [target for target, _ in _targets(page)]
    assert {page for page in PAGES if page not in seen} == set()
    index = {target for target, _ in _targets(ROOT / "docs" / "index.md")}
    assert {page for page in PAGES if page not in index and page.name != "index.md"} == set()


def test_every_block_is_of_a_known_kind() -> None:
    """A block with a misspelt kind would never be run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert {found["kind"] for found in _FENCE.finditer(text)} <= KINDS, page.name
        assert text.count("\n```") == 2 * len(_FENCE.findall(text)), f"{page.name} has a block that is not closed, or indented"


def test_no_code_hides_in_a_block_that_is_not_run() -> None:
    """What reads as a program is one, and is run: no statement of Python's stands in a block of text."""
    for page in PAGES:
        for found in _FENCE.finditer(page.read_text(encoding="utf-8")):
            if found["kind"] in ("", "text"):
                line = page.read_text(encoding="utf-8").count("\n", 0, found.start()) + 1
                assert not _is_code(found["body"]), f"{page.name}:{line} is a program: make it one that is run"


def _is_code(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Call | ast.Assign | ast.Import | ast.ImportFrom | ast.Match) for node in ast.walk(tree))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("match notice:\n    case Ended(): ...\n", True),
        ("replay(read())\n", True),
        ("import rtcore\n", True),
        ("worlds    43,764, with 1,000,023 interruptions\n", False),
        ("ready ── lost ──► reconnecting\n", False),
    ],
)
def test_code_is_known_by_its_looks(text: str, code: bool) -> None:
    assert _is_code(text) is code


def test_every_command_that_is_printed_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of rtcore's parse, targets of make exist, and programs of the repository are there. None is run."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in COMMANDS:
        monkeypatch.setattr(import_module(f"rtcore_adapters.cli.{name}"), "run", lambda options: 0)
    ours = 0
    for page, command in _commands():
        match command:
            case ["rtcore", *words]:
                ours += 1
                assert rtcore(words) == 0, (page, command)
            case ["make", *words]:
                assert {word for word in words if "=" not in word} <= targets, (page, command)
            case [python, path, *_] if python.endswith("python") and "/" in path:
                assert (ROOT / path).is_file(), (page, command)
            case [python, "-m", "pytest", "-q", *paths] if python.endswith("python"):
                assert [path for path in paths if path.startswith("tests/") and not (ROOT / path).exists()] == [], (page, command)
            case _:
                pass
    assert ours > 40


def _commands() -> Iterator[tuple[str, list[str]]]:
    """What is printed behind a prompt, without variables, pipes and comments."""
    for page in [*PAGES, *sorted((ROOT / "examples").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for found in _FENCE.finditer(text):
            if found["kind"].startswith("console"):
                for line in re.findall(r"^\$ (.*)$", found["body"], re.MULTILINE):
                    words = shlex.split(re.sub(r"\s[|<>&].*$", "", line), comments=True)
                    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in ("timeout", "-s", "INT", "3")):
                        words.pop(0)
                    yield page.name, words


def test_the_pump_is_short() -> None:
    """The whole pump of docs/contract.md stays below 100 lines."""
    [block] = [block for block in PROGRAMS if "class Pump" in block.body]
    assert block.body.count("\n") < 100


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.name)
def test_a_picture_stands_alone(path: Path) -> None:
    """GitHub shows it as an image: no script, nothing from elsewhere, and its own colours for light and dark."""
    picture = path.read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "<script" not in picture
    assert not re.search(r"(?:href|src)=|url\((?!#)", picture)
    assert "prefers-color-scheme: dark" in picture
