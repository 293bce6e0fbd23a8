"""The names of other libraries in docs/coming-from: each is one of the installed package's, in the version that is named."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "coming-from"
CLIENTS = os.environ.get("CLIENTS_PYTHON", str(ROOT / ".venv-clients" / "bin" / "python"))
MODULES = {
    "openai": [
        "openai",
        "openai.resources.realtime.realtime",
        "openai.resources.realtime.client_secrets",
        "openai.resources.realtime.calls",
        "openai.types.realtime",
    ],
    "openai-agents": [
        "agents",
        "agents.realtime",
        "agents.realtime.config",
        "agents.realtime.events",
        "agents.realtime.model",
        "agents.realtime.session",
    ],
    "livekit": [
        "livekit.agents",
        "livekit.agents.voice.agent_session",
        "livekit.agents.voice.events",
        "livekit.agents.voice.io",
        "livekit.agents.voice.turn",
        "livekit.plugins.openai.realtime",
    ],
    "pipecat": [
        "pipecat.frames.frames",
        "pipecat.pipeline.pipeline",
        "pipecat.pipeline.worker",
        "pipecat.processors.aggregators.llm_context",
        "pipecat.processors.aggregators.llm_response_universal",
        "pipecat.services.azure.realtime.llm",
        "pipecat.services.llm_service",
        "pipecat.services.openai.realtime.events",
        "pipecat.services.openai.realtime.llm",
        "pipecat.workers.runner",
    ],
}
PINNED = {"openai": "openai", "openai-agents": "openai-agents", "livekit": "livekit-agents", "pipecat": "pipecat-ai"}
_PYTHON = {"async", "for", "in", "await", "False", "True", "None"}
_OURS_TO_NAME = {"event", "connection", "session", "params", "service", "audio", "base64", "pcm", "room", "agent", "text", "llm"}
"""Variables of an example."""


def left(page: str) -> set[str]:
    """The identifiers and events in the first column of a page's tables."""
    rows = re.findall(r"^\| ([^|]*) \|.*\n(?!\|---)", (PAGES / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)
    code = [code for row in rows for code in re.findall(r"`([^`]+)`", row)]
    return {word for each in code for word in re.findall(r"[A-Za-z_][\w.]*[\w]", each.replace("...", ""))}


@pytest.mark.parametrize("page", MODULES)
def test_each_name_is_the_librarys(page: str) -> None:
    asked = [CLIENTS, "-W", "ignore", str(ROOT / "interop" / "peers" / "names.py"), *MODULES[page]]
    told = subprocess.run(asked, check=True, capture_output=True, text=True)
    known = set(told.stdout.splitlines()) | _PYTHON | _OURS_TO_NAME
    names = {name for word in left(page) for name in ([word] if word in known else word.split("."))}
    assert len(names) > 20
    assert names - known == set()


@pytest.mark.parametrize("page", MODULES)
def test_the_page_names_the_version_that_is_installed(page: str) -> None:
    pinned = (ROOT / "interop" / "requirements-clients.txt").read_text(encoding="utf-8")
    pinned += (ROOT / "examples" / "audit" / "requirements.txt").read_text(encoding="utf-8")
    version = re.search(rf"^{PINNED[page]}==([\d.]+)$", pinned, re.MULTILINE)
    assert version is not None
    assert f"({version[1]})" in (PAGES / f"{page}.md").read_text(encoding="utf-8")
