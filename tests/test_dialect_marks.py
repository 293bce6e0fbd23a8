"""What a dialect's table claims to have been verified by is there: a section of the facts, a test that runs it."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from rtcore.dialects import DIALECTS, Dialect, Mark

ROOT = Path(__file__).parent.parent
FACTS = json.loads((ROOT / "tests" / "facts" / "sections.json").read_text(encoding="utf-8"))
PLACES = {"simulated": "tests/", "peer": "interop/"}
FILES = sorted(
    {mark.reference.partition("::")[0] for table in DIALECTS.values() for mark in table.verified if "::" in mark.reference}
)


@cache
def collected() -> frozenset[str]:
    """Every test of the files that marks name, as pytest collects it, with its case."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *FILES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return frozenset(line for line in done.stdout.splitlines() if "::" in line)


def fault(mark: Mark, name: str) -> str:
    """Why this mark of the dialect of that name refers to nothing; "" where it does not."""
    if mark.kind == "facts":
        return "" if mark.reference in FACTS["sections"] else f"the facts have no section {mark.reference}"
    test, _, case = mark.reference.removesuffix("]").partition("[")
    path = test.partition("::")[0]
    if not path.startswith(PLACES[mark.kind]) or not (ROOT / path).is_file():
        return f"{path} is no file with tests of this kind"
    if case != name:
        return f"{mark.reference} does not run {name} by its name"
    return "" if mark.reference in collected() else f"pytest collects no {mark.reference}"


@pytest.mark.parametrize("table", DIALECTS.values(), ids=lambda table: table.name)
def test_a_table_claims_no_verification_that_is_not_there(table: Dialect) -> None:
    assert [(mark, why) for mark in table.verified if (why := fault(mark, table.name))] == []
    assert any(mark.kind == "facts" for mark in table.verified), "a table is written from facts"
    assert len(set(table.verified)) == len(table.verified)
    assert table.source.startswith("facts")


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (Mark("facts", "99"), "no section 99"),
        (Mark("simulated", "tests/test_nowhere.py::test_it[xai]"), "no file"),
        (Mark("simulated", "interop/test_servers.py::test_fakeai"), "no file with tests of this kind"),
        (Mark("simulated", "tests/test_dialect_worlds.py::test_that_nobody_wrote[xai]"), "collects no tests/test_dialect_worlds"),
        (Mark("simulated", "tests/test_dialect_worlds.py::test_a_drawn_world_holds_in_every_dialect[qwen]"), "does not run xai"),
        (Mark("simulated", "tests/test_dialect_worlds.py::test_a_drawn_world_holds_in_every_dialect"), "does not run xai"),
        # Run for others alone, without a case, with the dialect's name somewhere in the module, with a case that is another's.
        (Mark("peer", "interop/test_servers.py::test_speech_to_speech[xai]"), "collects no interop/test_servers"),
        (Mark("peer", "interop/test_servers.py::test_fakeai"), "does not run xai"),
        (Mark("peer", "interop/test_servers.py::test_fakeai[xai]"), "collects no interop/test_servers"),
        (Mark("peer", "interop/test_servers.py::test_aimock[openai-beta]"), "does not run xai"),
        (Mark("peer", "tests/test_dialect_worlds.py::test_a_drawn_world_holds_in_every_dialect[xai]"), "no file with tests"),
    ],
)
def test_a_claim_of_nothing_is_found(mark: Mark, why: str) -> None:
    assert why in fault(mark, "xai")


WITHOUT = "Baidu, Yandex, MiniMax, others", "Kyutai unmute (no PyPI)", "litellm proxy", "Cartesia"
TABLES = {
    "OpenAI GA": "openai",
    "OpenAI/Azure beta": "openai-beta",
    "Azure Voice Live": "azure-voice-live",
    "xAI Grok": "xai",
    "Alibaba Qwen-Omni": "qwen",
    "StepFun": "stepfun",
    "Zhipu GLM-Realtime": "glm",
    "Inworld": "inworld",
    "Together": "together",
    "vLLM": "vllm",
    "LocalAI (Go)": "localai",
    "speaches (Py, no PyPI)": "speaches",
    "HF speech-to-speech 1.1.0 (PyPI)": "speech-to-speech",
}


@pytest.mark.parametrize("server", FACTS["servers"])
def test_every_server_of_the_facts_has_a_table_or_a_reason(server: str) -> None:  # facts 14
    if server in TABLES:
        assert TABLES[server] in DIALECTS
        return
    assert server in WITHOUT
    page = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    reasons = page.partition("left out on purpose:")[2].partition("\n\n")[0]
    words = server.removesuffix(", others").partition(" (")[0].removesuffix(" proxy").split(", ")
    assert all(word in reasons for word in words)
