"""Every event that our server and our client can emit, read by the models and parsers of others (issue 5).

One example of every shape (``shapes.py``) from 50 simulated worlds, all faults included that are no violations on purpose, from
long calls whose line drops, and from scripted conversations with what those never come to say (``vocabulary.py``): the list of
events of the facts is whole in it, but for the events of ``NEVER``. What is printed is the drift: where the ``openai`` package's
types say something else. Each is known, with its reason (``known.py``); one that is not fails, and so does one that is no more
(C28, F132, F133, F138).
"""

import asyncio
import copy
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from driving import AUDIT, HERE, theirs
from known import KNOWN, LIVEKIT, LOGGED, NEVER, REFUSED
from shapes import Example, Heard, hear

from rtcore.config import Connection, DialectName, SessionOptions
from rtcore.dialects.calls import Request, accept, client_secret

SEEDS = range(50)
FACTS = msgspec.json.decode((HERE.parent / "tests" / "facts" / "events.json").read_bytes())
OTHER = {"openai": "beta", "azure-preview": "ga"}
"""The generation that a dialect is not of, as the facts name it (``since``)."""

PARSERS = {
    "openai-agents": ["CLIENTS_PYTHON", "openai_agents_client.py", "--parse"],
    "pipecat-ai": ["CLIENTS_PYTHON", "pipecat_client.py", "--parse"],
    "agents-realtime, JavaScript": ["", "agents_realtime.mjs", "--parse"],
}
"""Parsers that read each event for itself."""
_LIVEKIT = ["CLIENTS_PYTHON", "livekit_client.py", "--parse"]


@pytest.fixture(scope="module")
def heard() -> Heard:
    return hear(SEEDS)


@pytest.fixture(scope="module")
def seen(heard: Heard) -> list[Example]:
    return heard.examples


async def read_by(command: list[str], given: Iterable[bytes]) -> list[dict[str, Any]]:
    """What a peer says about the examples."""
    variable, *arguments = command
    process = await asyncio.create_subprocess_exec(
        *(theirs(variable) if variable else "node", *arguments),
        cwd=HERE / "peers",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
        env={**os.environ, "PYTHONPATH": str(AUDIT), "RTCORE_AUDIT": str(AUDIT)},
    )
    out, _ = await asyncio.wait_for(process.communicate(b"".join(each + b"\n" for each in given)), 600)
    assert process.returncode == 0
    return [msgspec.json.decode(line) for line in out.splitlines() if line.startswith(b"{")]


def read(command: list[str], given: Iterable[Example]) -> list[dict[str, Any]]:
    return asyncio.run(read_by(command, map(msgspec.json.encode, given)))


def models(given: Iterable[Example]) -> Counter[tuple[str, str, str, str]]:
    """The drift from the ``openai`` package's models: side, dialect, place, what; and how often."""
    found = read(["CLIENTS_PYTHON", "openai_models.py"], given)
    return Counter((each["side"], each["dialect"], each["where"], each["drift"]) for each in found)


def are_known(found: Iterable[dict[str, Any]], known: set[tuple[str, str]]) -> None:
    """Each complaint is known, and what is known is still complained of."""
    refused = {(each["type"], each["problem"]) for each in found}
    shown = {
        (kind, next((words for each, words in known if each == kind and words in problem), problem)) for kind, problem in refused
    }
    print(*sorted(shown), sep="\n")
    assert shown - known == set()
    assert {(kind, words) for kind, words in known if not any(kind == each and words in said for each, said in refused)} == set()


def test_every_event_of_the_facts_was_said(seen: list[Example]) -> None:
    """In each dialect that the ``openai`` package has types for; what is not among it is named, with the reason."""
    said = {(each.side, each.dialect, each.event["type"]) for each in seen}
    listed = {
        (side, dialect, kind)
        for side in ("server", "client")
        for dialect, other in OTHER.items()
        for kind, facts in FACTS[side].items()
        if facts["since"] != other
    }
    assert listed - said == set(NEVER)


@pytest.mark.parametrize(
    ("side", "event"),
    [("server", "conversation.item.added"), ("server", "conversation.item.retrieved"), ("client", "conversation.item.create")],
)
def test_every_type_of_item_was_said(side: str, event: str, seen: list[Example]) -> None:
    """Announced by the server, given back by it, and created by the client."""
    items = [each.event["item"] for each in seen if (each.side, each.dialect, each.event["type"]) == (side, "openai", event)]
    kinds = {f"message:{item['role']}" if item["type"] == "message" else item["type"] for item in items}
    assert kinds == set(FACTS["item_types"])


@pytest.mark.parametrize("dialect", OTHER)
def test_every_event_is_what_the_openai_package_says(dialect: str, seen: list[Example]) -> None:
    """Server events by its models, strictly; client events by its parameter types; in each dialect that it knows."""
    given = [each for each in seen if each.dialect == dialect]
    assert {each.side for each in given} == {"server", "client"}
    drift = models(given)
    print(f"{len(given)} shapes of {len({each.event['type'] for each in given})} events")
    for (side, _, where, what), count in sorted(drift.items()):
        print(f"{side:6} {where}: {what} ({count} x)")
    assert set(drift) == {known for known in KNOWN if known[1] == dialect}


WRITES = {
    "type": "transcription",
    "audio": {
        "input": {"transcription": {"model": "gpt-4o-transcribe", "language": "en"}, "turn_detection": {"type": "server_vad"}}
    },
}
TALKS = {
    "instructions": "Be brief.",
    "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "marin"}},
}


def asked(dialect: DialectName, make: Callable[[Connection, SessionOptions], Request], session: dict[str, Any]) -> Example:
    """The body of a request, by the last part of its path."""
    url = "https://res.openai.azure.com" if dialect == "azure" else None
    request = make(Connection(dialect=dialect, url=url, api_key="sk-not-a-key"), SessionOptions.model_validate(session))
    said = {"type": request.url.rpartition("/")[2], "body": msgspec.json.decode(request.body)}
    return Example("request", dialect if dialect == "openai-beta" else "openai", said)


def test_every_request_with_a_session_is_what_the_openai_package_says() -> None:
    """Client secrets of conversations and of sessions that only transcribe, and a call that is taken (facts 1.1, 12.1)."""
    dialects: tuple[DialectName, ...] = ("openai", "azure", "openai-beta")
    given = [asked(dialect, client_secret, session) for dialect in dialects for session in (WRITES, TALKS)]
    given.append(asked("openai", lambda connection, session: accept(connection, "rtc_1", session), TALKS))
    assert [each.event["type"] for each in given] == [
        *["client_secrets"] * 4,
        "transcription_sessions",
        "sessions",
        "accept",
    ]
    assert models(given) == Counter()
    wrong = copy.deepcopy(given[0])
    wrong.event["body"]["session"]["model"] = "gpt-realtime"
    assert models([wrong])


@pytest.mark.parametrize("name", PARSERS)
def test_every_server_event_passes_the_parser(name: str, seen: list[Example]) -> None:
    """But for those that are known."""
    are_known(read(PARSERS[name], (each for each in seen if each.side == "server" and each.dialect == "openai")), REFUSED[name])


def test_every_server_event_is_handled_by_livekit(heard: Heard) -> None:
    """It validates nothing, so that each connection's events go through a session of its own, whole and in order."""
    are_known(asyncio.run(read_by(_LIVEKIT, heard.streams)), LIVEKIT | LOGGED)


def test_a_wrong_event_is_found(seen: list[Example]) -> None:
    """The check itself can fail: each of three mistakes is told, by the models and by every parser."""
    right = next(each for each in seen if each.dialect == "openai" and each.event["type"] == "response.output_audio.delta")
    item = next(each for each in seen if each.dialect == "openai" and each.event["type"] == "conversation.item.truncate")
    for change in ({"item_id": None}, {"output_index": "0"}, {"delta": 7}):
        assert models([Example("server", "openai", {**right.event, **change})])
    assert models([Example("server", "openai", {**right.event, "speed": 1})]) == {
        ("server", "openai", "speed", "unknown field"): 1
    }
    assert models([Example("client", "openai", {**item.event, "audio_end_ms": "0"})])
    without = copy.copy(item.event)
    del without["content_index"]
    assert models([Example("client", "openai", without)])
    broken = [Example("server", "openai", {**right.event, "item_id": 7})]
    for command in (*PARSERS.values(), _LIVEKIT):
        assert read(command, broken), command


def test_no_requirement_is_open() -> None:
    """Every peer has one version (make interop installs no other)."""
    for file in Path(HERE).glob("requirements-*.txt"):
        for line in file.read_text().splitlines():
            assert not line or line.startswith(("#", "-r ")) or "==" in line, (file.name, line)
    package = msgspec.json.decode((HERE / "package.json").read_bytes())
    assert all(version.rpartition("@")[2][0].isdigit() for version in package["dependencies"].values())


def test_the_page_names_the_versions() -> None:
    wanted = msgspec.json.decode((HERE / "package.json").read_bytes())["dependencies"]
    pins = {name: version.rpartition("@")[2] for name, version in wanted.items()}
    for file in [*HERE.glob("requirements-*.txt"), AUDIT / "requirements.txt"]:
        pins |= dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", file.read_text(), re.MULTILINE))
    pins["openai"] = re.findall(r"^openai\S*==(\S+)$", (HERE / "requirements-clients.txt").read_text(), re.MULTILINE)[0]
    page = (HERE.parent / "docs" / "interop.md").read_text()
    rows = re.findall(r"^\| `([\w@/-]+)`[^|]* \| ([\d.]+) \|", page, re.MULTILINE)
    assert len(rows) == 9
    assert {name: pins[name] for name, _ in rows} == dict(rows)
