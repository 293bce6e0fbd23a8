"""Real clients under ``rtcore audit``: every one is interrupted to the end of the test, heard sample by sample, and judged.

``make audit`` runs this: CLIENTS_PYTHON is an interpreter that has what ``requirements.txt`` pins. rtcore itself has to be clean;
of the others the verdict is printed, and what it holds against these very versions must be found again.
"""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rtcore.sim.judge import AuditVerdict

HERE = Path(__file__).parent
THEIRS = os.environ.get("CLIENTS_PYTHON", "")
INTERRUPTIONS = 8


@pytest.mark.parametrize(
    ("python", "client", "findings"),
    [
        (sys.executable, ["own_client.py"], set[str]()),
        # Without a tracker the SDK counts from each item's arrival, not from where its sound began; later items are not touched.
        (THEIRS, ["openai_agents_client.py"], {"told too much", "unheard words left"}),
        (THEIRS, ["openai_agents_client.py", "--tracker"], {"unheard words left"}),
        (THEIRS, ["livekit_client.py"], {"unheard words left"}),
    ],
    ids=["rtcore", "openai-agents", "openai-agents with a tracker", "livekit-agents"],
)
def test_a_client_is_judged(python: str, client: list[str], findings: set[str]) -> None:
    assert python, "CLIENTS_PYTHON is not set: make audit sets it"
    options = ["--listen", "0", "--http", "0", "--seed", "5", "--interruptions", str(INTERRUPTIONS), "--json"]
    command = [sys.executable, "-m", "rtcore_adapters.cli", "audit", *options, "--", python, str(HERE / client[0]), *client[1:]]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.stdout, done.stderr.decode()
    verdict = msgspec.json.decode(done.stdout, type=dict[str, list[AuditVerdict]])["sessions"][0]
    print(f"{' '.join(client)}: {len(verdict.interruptions)} interruptions, {verdict.counts or 'clean'}")
    assert verdict.signal == "samples"
    assert len(verdict.interruptions) >= INTERRUPTIONS
    assert not {"hung up", "unanswered"} & set(verdict.counts)
    assert findings <= set(verdict.counts)
    assert (done.returncode == 0) == verdict.clean
    if not findings:
        assert verdict.clean, verdict.findings
