"""Worlds that broke an invariant, as files that ``rtcore replay`` runs again and makes smaller."""

from pathlib import Path

from rtcore.sim.campaign import comes_back
from rtcore.sim.policy import parse_policy
from rtcore.sim.recorded import record_lines, record_world
from rtcore.sim.results import CampaignResult
from rtcore.sim.scenario import scenario_of
from rtcore_adapters._recording import write_recording
from rtcore_adapters.cli._campaign import Campaign
from rtcore_adapters.cli._store import StoreError
from rtcore_adapters.voices import load_voices

_MOST = 10
"""Files of one campaign: more failures than that have few causes."""


def record_failures(directory: Path, campaign: Campaign, result: CampaignResult) -> list[str]:
    """Run the first worlds that broke an invariant once more and record them; the commands that replay them.

    Raises ``StoreError`` where a file cannot be written.
    """
    commands = []
    rules = parse_policy(campaign.policy)
    for seed in list(dict.fromkeys(violation.seed for violation in result.violations))[:_MOST]:
        if comes_back(seed):
            _, lines = record_lines(seed, load_voices(), sabotage=campaign.sabotage)
        else:
            scenario = rules.applied(scenario_of(seed)) if rules.changes else None
            _, lines = record_world(seed, load_voices(), scenario=scenario, sabotage=campaign.sabotage)
        path = directory / f"world-{seed}.jsonl.gz"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_recording(path, lines)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None
        commands.append(f"rtcore replay {path}")
    return commands
