"""Every event that our server and our client emit in 50 simulated worlds, read by the models and parsers of others (issue 5).

One example of every shape (``shapes.py``), all faults included that are no violations on purpose. What is printed is the drift:
where the ``openai`` package's types say something else. Each is known, with its reason; one that is not fails, and so does one
that is no more (C28, F132, F133, F138).
"""

import asyncio
import copy
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from driving import AUDIT, HERE, theirs
from shapes import Example, examples

SEEDS = range(50)
_RECORDED = "recorded in live sessions, and not in the package's types (protocol facts, wire_facts_not_in_sdk)"
_OLDER = "the package's types of the beta are older than what preview deployments send"
_NULL = "null switches it off on the wire (protocol facts 2.1), although the parameter type does not allow it"
_RAW = "the program's own raw event, of a type that nobody knows"
_SESSION, _LISTENING = "session.RealtimeSessionCreateRequestParam", "session.RealtimeTranscriptionSessionCreateRequestParam"
KNOWN = {
    ("server", "openai", "session.id", "unknown field"): _RECORDED,
    ("server", "openai", "session.object", "unknown field"): _RECORDED,
    ("server", "openai", "session.expires_at", "unknown field"): _RECORDED,
    ("server", "openai", "item.phase", "unknown field"): _RECORDED,
    ("server", "openai", "response.output[].phase", "unknown field"): _RECORDED,
    ("server", "openai", "obfuscation", "unknown field"): _RECORDED,
    ("server", "openai", "content", "unknown field"): "recorded at Azure GA, which tells the part twice (protocol facts 13)",
    ("server", "azure-preview", "session.object", "unknown field"): _OLDER,
    ("server", "azure-preview", "session.expires_at", "unknown field"): _OLDER,
    ("server", "azure-preview", "session.client_secret", "unknown field"): _OLDER,
    ("server", "azure-preview", "obfuscation", "unknown field"): _OLDER,
    ("server", "azure-preview", "response.usage.input_token_details.image_tokens", "unknown field"): _OLDER,
    ("server", "azure-preview", "session.client_secret", "model_type: Input should be an object"): _OLDER,
    ("server", "openai", "item.status", "unknown field"): "items of remote tools; the package's types give them none",
    ("client", "azure-preview", "session.turn_detection", "dict_type: Input should be an object"): _NULL,
    ("client", "openai", f"{_SESSION}.audio.input.transcription", "dict_type: Input should be an object"): _NULL,
    ("client", "openai", f"{_LISTENING}.audio.input.transcription", "dict_type: Input should be an object"): _NULL,
    # Told beside the line before, because the package tries both kinds of session.
    ("client", "openai", f"{_LISTENING}.type", "literal_error: Input should be 'transcription'"): _NULL,
    ("client", "openai", "", "no such event"): _RAW,
    ("client", "azure-preview", "", "no such event"): _RAW,
}
PARSERS = {
    "openai-agents": ["CLIENTS_PYTHON", "openai_agents_client.py", "--parse"],
    "pipecat-ai": ["CLIENTS_PYTHON", "pipecat_client.py", "--parse"],
    "agents-realtime, JavaScript": ["", "agents_realtime.mjs", "--parse"],
}
_NO_REMOTE = "Input should be 'message', 'function_call' or 'function_call_output'"
REFUSED = {
    # It knows no remote tools: neither their items nor a response that has one.
    "pipecat-ai": {
        ("conversation.item.added", _NO_REMOTE),
        ("conversation.item.done", _NO_REMOTE),
        ("response.output_item.added", _NO_REMOTE),
        ("response.output_item.done", _NO_REMOTE),
        ("response.done", _NO_REMOTE),
    },
    "agents-realtime, JavaScript": {
        # The API's reference shows the null in its example; the package's schema wants a string or nothing.
        ("conversation.item.input_audio_transcription.failed", "error.param: Invalid input: expected string, received null"),
        # Its schema has no images, wants a description of each remote tool, and lacks two events of the protocol's list.
        ("conversation.item.added", "item.content.0.type: Invalid input"),
        ("conversation.item.done", "item.content.0.type: Invalid input"),
        ("conversation.item.done", "item.tools.0.description: Invalid input: expected string, received undefined"),
        ("input_audio_buffer.timeout_triggered", "type: Invalid discriminator value"),
        ("response.mcp_call.failed", "type: Invalid discriminator value"),
    },
}
"""What a parser refuses: the event, and words of its complaint."""


@pytest.fixture(scope="module")
def seen() -> list[Example]:
    found = examples(SEEDS)
    assert len({(each.side, each.dialect, each.event["type"]) for each in found}) > 70
    return found


async def read_by(command: list[str], given: list[Example]) -> list[dict[str, Any]]:
    """What a peer says about the examples."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=HERE / "peers",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
        env={**os.environ, "PYTHONPATH": str(AUDIT)},
    )
    out, _ = await asyncio.wait_for(process.communicate(b"".join(msgspec.json.encode(each) + b"\n" for each in given)), 120)
    assert process.returncode == 0
    return [msgspec.json.decode(line) for line in out.splitlines() if line.startswith(b"{")]


def models(given: list[Example]) -> Counter[tuple[str, str, str, str]]:
    """The drift from the ``openai`` package's models: side, dialect, place, what; and how often."""
    found = asyncio.run(read_by([theirs("CLIENTS_PYTHON"), "openai_models.py"], given))
    return Counter((each["side"], each["dialect"], each["where"], each["drift"]) for each in found)


def test_every_event_is_what_the_openai_package_says(seen: list[Example]) -> None:
    """Server events by its models, strictly; client events by its parameter types; in both dialects that it knows."""
    drift = models(seen)
    print(f"{len(seen)} shapes of {len({each.event['type'] for each in seen})} events")
    for (side, dialect, where, what), count in sorted(drift.items()):
        print(f"{side:6} {dialect:13} {where}: {what} ({count} x)")
    assert set(drift) == set(KNOWN)


@pytest.mark.parametrize("name", PARSERS)
def test_every_server_event_passes_the_parser(name: str, seen: list[Example]) -> None:
    variable, *command = PARSERS[name]
    given = [each for each in seen if each.side == "server" and each.dialect == "openai"]
    found = asyncio.run(read_by([theirs(variable) if variable else "node", *command], given))
    known = REFUSED.get(name, set())
    refused = {(each["type"], each["problem"]) for each in found}
    print(*sorted(refused), sep="\n")
    assert [each for each in refused if not any(each[0] == kind and words in each[1] for kind, words in known)] == []
    assert [each for each in known if not any(each[0] == kind and each[1] in words for kind, words in refused)] == []


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
    for variable, *command in PARSERS.values():
        assert asyncio.run(read_by([theirs(variable) if variable else "node", *command], broken)), command


def test_no_requirement_is_open() -> None:
    """Every peer has one version (make interop installs no other)."""
    for file in Path(HERE).glob("requirements-*.txt"):
        for line in file.read_text().splitlines():
            assert not line or line.startswith(("#", "-r ")) or "==" in line, (file.name, line)
    package = msgspec.json.decode((HERE / "package.json").read_bytes())
    assert all(version[0].isdigit() for version in package["dependencies"].values())


def test_the_page_names_the_versions() -> None:
    pins = dict(msgspec.json.decode((HERE / "package.json").read_bytes())["dependencies"])
    for file in [*HERE.glob("requirements-*.txt"), AUDIT / "requirements.txt"]:
        pins |= dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", file.read_text(), re.MULTILINE))
    pins["openai"] = re.findall(r"^openai\S*==(\S+)$", (HERE / "requirements-clients.txt").read_text(), re.MULTILINE)[0]
    page = (HERE.parent / "docs" / "interop.md").read_text()
    rows = re.findall(r"^\| `([\w@/-]+)`[^|]* \| ([\d.]+) \|", page, re.MULTILINE)
    assert len(rows) == 8
    assert {name: pins[name] for name, _ in rows} == dict(rows)
