"""What a dialect's table claims to have been verified by is there: a section of the facts, a test that runs it."""

import ast
import json
from pathlib import Path

import pytest

from rtcore.dialects import DIALECTS, Dialect, Mark
from rtcore.sim._server_dialects import MANNERS

ROOT = Path(__file__).parent.parent
FACTS = json.loads((ROOT / "tests" / "facts" / "sections.json").read_text(encoding="utf-8"))
PLACES = {"simulated": "tests/", "peer": "interop/"}


def fault(mark: Mark, name: str) -> str:
    """Why this mark of the dialect of that name refers to nothing; "" where it does not."""
    if mark.kind == "facts":
        return "" if mark.reference in FACTS["sections"] else f"the facts have no section {mark.reference}"
    path, _, test = mark.reference.partition("::")
    function, _, case = test.removesuffix("]").partition("[")
    if not path.startswith(PLACES[mark.kind]) or not (ROOT / path).is_file():
        return f"{path} is no file with tests of this kind"
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = next((node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == function), None)
    if found is None:
        return f"{path} has no {function}"
    if case:
        decorated = " ".join(ast.unparse(each) for each in found.decorator_list)
        named = repr(case) in decorated or ("sorted(MANNERS)" in decorated and name in MANNERS)
        return "" if case == name and named else f"{function} does not run {name}"
    words = {node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return "" if name in words else f"{path} says nothing of {name}"


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
        (Mark("simulated", "tests/test_dialect_worlds.py::test_that_nobody_wrote[xai]"), "has no test_that_nobody_wrote"),
        (Mark("simulated", "tests/test_dialect_worlds.py::test_a_drawn_world_holds_in_every_dialect[qwen]"), "does not run xai"),
        (Mark("peer", "interop/test_servers.py::test_speech_to_speech[xai]"), "does not run xai"),
        (Mark("peer", "interop/test_servers.py::test_fakeai"), "says nothing of xai"),
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
