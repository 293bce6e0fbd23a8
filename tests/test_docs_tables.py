"""The tables of the documentation are the code: notices, effects, inputs, options, errors, capabilities, who cancels."""

import ast
import inspect
import json
import re
import runpy
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pytest

import rtcore
from rtcore import Clock, Config, Effect, Flush, Notice, Problem, Send, Session, _errors
from rtcore.dialects import DIALECTS, ErrorKind, classify, problem
from rtcore.sim import PENDING
from rtcore.sim._server_checks import Fault
from rtcore_adapters import audio

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
_ROW = re.compile(r"^\|(.*)\|$", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    level = heading.partition(" ")[0]
    after = page(name).partition(f"\n{heading}\n")[2]
    assert after, f"docs/{name}.md has no {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a text's tables, without headers and rules."""
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)] for row in _ROW.findall(text)]
    rules = [index for index, row in enumerate(cells) if set("".join(row)) <= set("-")]
    return [row for index, row in enumerate(cells) if index not in rules and index + 1 not in rules]


def documented(text: str) -> dict[str, str]:
    """Names in the first column and what stands in the second, without backquotes."""
    return {row[0].strip("`"): row[1].replace("`", "") for row in rows(text)}


# -- notices and effects ---------------------------------------------------------------------------------------------------------

_ALIASES = {"CloseReason", "Outcome", "Cause", "Told", "ToolOutcome", "TurnCause", "TurnOutcome"}


def _fields(struct: type[msgspec.Struct]) -> dict[str, str]:
    """A struct's fields and their types, as the page writes them."""
    return {field.name: _type(field.type) for field in msgspec.structs.fields(struct)}


def _type(kind: Any) -> str:
    for alias in _ALIASES:
        if kind == getattr(rtcore, alias):
            return alias
    if getattr(kind, "__origin__", None) is Literal:
        return " | ".join(json.dumps(word) for word in get_args(kind))
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    return re.sub(r"\b(?:\w+\.)+", "", str(kind))


NOTICES = sorted(Notice.__subclasses__(), key=lambda kind: kind.__name__)


def test_every_notice_is_listed_and_nothing_else() -> None:
    headings = re.findall(r"^### (\w+)$", page("notices"), re.MULTILINE)
    assert sorted(headings) == [kind.__name__ for kind in NOTICES]


@pytest.mark.parametrize("kind", NOTICES, ids=lambda kind: str(kind.__name__))
def test_a_notice_is_listed_with_its_fields(kind: type[Notice]) -> None:
    assert getattr(rtcore, kind.__name__) is kind, "a program can import it"
    assert documented(section("notices", f"### {kind.__name__}")) == _fields(kind)


def test_a_problem_is_listed_with_its_fields() -> None:
    assert documented(section("errors", "## Problem")) == _fields(Problem)


def test_the_closed_list_of_effects_is_complete() -> None:
    listed = {name: re.findall(r"\w+", fields) for name, fields in documented(section("contract", "## Effects")).items()}
    assert listed == {kind.__name__: [*kind.__struct_fields__] for kind in get_args(Effect)}


def test_the_capabilities_of_a_clock_are_listed_with_their_defaults() -> None:
    defaults = {field.name: json.dumps(field.default) for field in msgspec.structs.fields(Clock)}
    assert documented(section("clocks", "## Capabilities").partition("A pause on")[0]) == defaults


# -- inputs and views ------------------------------------------------------------------------------------------------------------


def test_the_clocks_of_the_package_are_listed_with_what_they_declare(tmp_path: Path) -> None:
    makes: dict[str, audio.Speaker] = {
        "VirtualSpeaker()": audio.VirtualSpeaker(),
        "WavSpeaker(path)": audio.WavSpeaker(tmp_path / "heard.wav"),
        "NullSpeaker()": audio.NullSpeaker(),
        "MarksSpeaker(media, mark, clear)": audio.MarksSpeaker(_nothing, _nothing, lambda: None),
        "MarksSpeaker(media, mark, None)": audio.MarksSpeaker(_nothing, _nothing, None),
        "RemoteSpeaker(send)": audio.RemoteSpeaker(_nothing),
    }
    listed = rows(section("clocks", "## The clocks of this package"))
    told = {name.strip("`"): numbers for name, _, *numbers, _ in listed}
    clocks = {name: speaker.capabilities for name, speaker in makes.items()}
    assert told == {
        name: ["yes" if it.pause else "no", *map(str, (it.report_ms, it.flush_latency_ms, it.answer_ms))]
        for name, it in clocks.items()
    }


def _nothing(what: object) -> None:
    pass


def test_every_input_is_listed_with_its_arguments() -> None:
    inputs = " ".join(row[0] for row in rows(section("contract", "## Inputs")))
    found = {name: re.findall(r"\w+", arguments) for name, arguments in re.findall(r"`(\w+)\(([^)`]*)\)`", inputs)}
    methods = {name: method for name, method in inspect.getmembers(Session, inspect.isfunction) if not name.startswith("_")}
    wanted = {name: [*inspect.signature(method).parameters] for name, method in methods.items() if _is_input(method)}
    assert found == {name: [each for each in names if each not in ("self", "now")] for name, names in wanted.items()}


def _is_input(method: Any) -> bool:
    """Each input takes ``now``; what takes none changes nothing."""
    return "now" in inspect.signature(method).parameters


def test_every_view_is_named() -> None:
    views = {name for name, _ in inspect.getmembers(Session, lambda member: isinstance(member, property))}
    asked = {name: method for name, method in inspect.getmembers(Session, inspect.isfunction) if not name.startswith("_")}
    views |= {name for name, method in asked.items() if not _is_input(method)}
    assert views <= set(re.findall(r"`(\w+)`", section("contract", "## Views")))


# -- options ---------------------------------------------------------------------------------------------------------------------


def test_the_page_of_troubles_has_every_error_and_every_warning() -> None:
    """docs/troubleshooting.py writes it: every code, every kernel of a text, every reason of a warning that the core gives."""
    written = runpy.run_path(str(DOCS / "troubleshooting.py"))
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    assert page.partition(written["MARK"])[2] == "\n" + written["tables"]()
    texts = [text.lower() for text, _ in written["TEXTS"]]
    assert [kernel for kernel, _ in _errors._KERNELS if not any(_errors._fits(kernel, text) for text in texts)] == []
    assert [code for code in _errors._KNOWN if f"`{code}`" not in page] == []
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src" / "rtcore").glob("*.py")))
    given = set(re.findall(r'(?:\.warn|\.clock_fault)\((?:[\w.]+(?:\([^()]*\))?, )?\s*"([^"]{20,})"', sources))
    given |= set(re.findall(r'reason = "([^"]{40,})"', sources))
    assert len(given) >= 7
    assert given <= {reason for reason, _ in written["WARNINGS"]}
    assert [reason for reason, _ in written["WARNINGS"] if f'"{reason}"' not in sources] == []
    own = set(re.findall(r'Problem\(\s*"(\w+)"', sources)) - set(_errors._KNOWN)
    listed = [code for code, *_ in written["OWN"]]
    assert own - {"incomplete"} == set(listed)
    assert len(listed) == len(set(listed))


def test_the_options_are_those_of_the_schema() -> None:
    """docs/options.py writes them; whoever changes an option runs it."""
    written = runpy.run_path(str(DOCS / "options.py"))
    assert page("configuration").partition(written["MARK"])[2] == "\n" + written["tables"]()


def test_the_dialects_are_those_of_their_tables() -> None:
    """docs/dialect_tables.py writes them; whoever changes a dialect runs it."""
    written = runpy.run_path(str(DOCS / "dialect_tables.py"))
    assert page("dialects").partition(written["MARK"])[2] == "\n" + written["tables"]()


# -- errors ----------------------------------------------------------------------------------------------------------------------


def _codes() -> set[str]:
    """The codes that the core knows: the keys of its table, read from the source, because the table is private."""
    tree = ast.parse((ROOT / "src" / "rtcore" / "_errors.py").read_text(encoding="utf-8"))
    [table] = [node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_KNOWN"]
    assert isinstance(table, ast.Dict)
    return {key.value for key in table.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


FATAL, OTHERS, LINE = "## Fatal ones", "## The others", "## The line"


def test_the_errors_are_those_of_the_core() -> None:
    """docs/errors.py writes them; whoever changes an error, or a dialect's, runs it."""
    written = runpy.run_path(str(DOCS / "errors.py"))
    assert page("errors").partition(written["MARK"])[2] == "\n" + written["tables"]()


def test_every_known_error_is_listed_once() -> None:
    listed = [row[0].strip("`") for heading in (FATAL, OTHERS, LINE) for row in rows(section("errors", heading))]
    assert sorted(listed) == sorted(_codes())
    own = sum(len(table.errors) for table in DIALECTS.values())
    assert len(rows(section("errors", "## Of one dialect alone"))) == own > 10


@pytest.mark.parametrize("heading", [FATAL, OTHERS, LINE])
def test_an_error_is_listed_with_its_remedy(heading: str) -> None:
    for code, kind, retry, remedy in rows(section("errors", heading)):
        known = problem(code.strip("`"), "")
        assert (retry, remedy) == ("yes" if known.retryable else "no", known.remedy), code
        assert (kind == "`connection`") == (heading == LINE), code
        if heading != LINE:
            assert (classify(code.strip("`"), "") is ErrorKind.FATAL) == (heading == FATAL), code


def test_the_types_that_are_listed_are_those_that_the_strict_server_sends() -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in rows(section("errors", OTHERS))}
    sim = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src" / "rtcore" / "sim").glob("_server_*.py")))
    sent = {code: kind for code, kind in re.findall(r'Fault\("(\w+)", .*?, message, "(\w+)"', sim) if code in listed}
    assert sent == {"rate_limit_exceeded": "rate_limit_error", "server_error": "server_error"}
    assert {code: listed[code] for code in sent} == sent
    assert Fault("invalid_value", None, "").type == listed["invalid_value"]


# -- the world -------------------------------------------------------------------------------------------------------------------


def test_what_is_pending_is_said() -> None:
    said = re.search(r"\(`rtcore\.sim\.PENDING`\): ([^.]*)\.", page("world"))
    assert said is not None
    assert [int(number) for number in re.findall(r"\d+", said[1])] == list(PENDING)
    assert [row[0] for row in rows(section("world", "## What is checked"))] == [str(number) for number in range(1, 16)]


# -- who cancels -----------------------------------------------------------------------------------------------------------------

_SERVER_VAD = {"type": "server_vad"}
DETECTIONS: list[tuple[object, bool]] = [
    (_SERVER_VAD, True),
    ({**_SERVER_VAD, "interrupt_response": True}, True),
    ({**_SERVER_VAD, "interrupt_response": None}, True),
    ({**_SERVER_VAD, "interrupt_response": False}, False),
    (None, False),
]
"""Acknowledged turn detections, and whether such a server interrupts by itself (C13)."""


@pytest.mark.parametrize("cause", ["server", "local", "program", "text", "device", "overflow"])
@pytest.mark.parametrize(("detection", "interrupts"), DETECTIONS)
def test_who_cancels_is_as_the_table_says(cause: str, detection: object, interrupts: bool) -> None:
    """B07, C12, C13: the table of docs/verdicts.md, cell by cell."""
    [row] = [row for row in rows(section("verdicts", "## Who cancels")) if f"`{cause}`" in row[0]]
    ours = row[1 if interrupts else 2].startswith("we do")
    config = Config.model_validate({"connection": {"dialect": "openai", "url": "ws://[::1]"}, "playout": {"max_buffered_s": 1}})
    session = Session(config)
    session.open(now=0.0)
    session.connected(1, now=0.0)

    def server(kind: str, **fields: object) -> list[Effect]:
        return session.receive(1, json.dumps({"type": kind, **fields}).encode(), now=0.0)

    key = {"response_id": "r1", "item_id": "m1", "content_index": 0}
    server("session.updated", session={"id": "s1", "audio": {"input": {"turn_detection": detection}}})
    server("response.created", response={"id": "r1", "conversation_id": "c1"})
    server("response.output_audio.delta", **key, delta="AAAA" * 16_000)
    effects: list[Effect]
    match cause:
        case "server":
            effects = server("input_audio_buffer.speech_started", item_id="u1")
        case "local":
            effects = session.speech("started", now=0.0)
        case "program":
            effects = session.interrupt(now=0.0)
        case "text":
            effects = session.send_text("Stop.", now=0.0).effects
        case "device":
            effects = session.device("lost", now=0.0)
        case _:
            effects = server("response.output_audio.delta", **key, delta="AAAA" * 16_000)
    assert any(isinstance(effect, Flush) for effect in effects)
    sent = [json.loads(effect.payload) for effect in effects if isinstance(effect, Send)]
    cancels = [event["response_id"] for event in sent if event["type"] == "response.cancel"]
    assert cancels == (["r1"] if ours else [])
