"""The same world in every dialect: where the capabilities are the same, the same core states and the same sound; where they are
fewer, the ladder of DESIGN section 5 (C28, S02).
"""

from typing import Any

import pytest
from msgspec import structs

from rtcore import MessageEnded, Notice, ProtocolWarning, UnknownEvent
from rtcore.dialects import DIALECTS
from rtcore.sim._in_dialect import in_dialect
from rtcore.sim._server_dialects import MANNERS, takes
from rtcore.sim.network import NetworkOptions
from rtcore.sim.policy import parse_policy
from rtcore.sim.program import Commands
from rtcore.sim.scenario import Scenario, scenario_of
from rtcore.sim.server import Rules, ServerOptions
from rtcore.sim.world import World
from rtcore_adapters.voices import load_voices

# No jitter, which is drawn for each message, and no transcripts, which are drawn by the ids of items: with more or fewer messages
# both would be others.
_SILENT: dict[str, Any] = {"session": {"audio": {"input": {"transcription": None}}}}
QUIET = Scenario(interruptions=6, tools=False, stream=NetworkOptions(jitter_ms=0), core=_SILENT)
SEEDS = range(6)
LIKE_GA = ("openai-beta", "azure", "azure-preview", "azure-voice-live", "xai", "stepfun", "localai", "speaches")
FEWER = {"inworld": {"note"}, "qwen": {"record"}, "glm": {"rewrite", "delete", "note"}}


class Told:
    """A program that only listens."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def heard(self, notice: Notice, commands: Commands) -> None:
        self.notices.append(notice)


class Lived:
    """One world that has been lived through, in its dialect."""

    def __init__(self, name: str, seed: int, scenario: Scenario = QUIET) -> None:
        told = Told()
        options = structs.replace(scenario.server, dialect=name, rules=Rules())
        self.world = World(seed, load_voices(), scenario=structs.replace(scenario, server=options), program=lambda: told)
        self.result = self.world.run()
        self.notices = told.notices
        self.ends = [notice for notice in told.notices if isinstance(notice, MessageEnded)]

    def state(self) -> list[Any]:
        """What a program sees of it and what sounded, with ids by the order in which they came."""
        names: dict[str, str] = {}

        def named(item_id: str | None) -> str | None:
            return None if item_id is None else names.setdefault(item_id, f"item {len(names)}")

        history = [
            (named(item.id), item.type, item.role, item.text, item.full_text, item.verdict, item.heard_ms)
            for item in self.world.session.history
        ]
        ends = [(named(end.item_id), end.verdict, end.heard_ms, end.text, end.told, end.estimated) for end in self.ends]
        counters = self.world.session.counters
        return [history, ends, self.result.interruptions, counters.late_deltas, counters.estimated_cuts, self.world.speaker.spans]


def test_the_capabilities_of_both_writings_agree() -> None:
    assert MANNERS.keys() == DIALECTS.keys()
    for name, table in DIALECTS.items():
        able, manner = table.capabilities, MANNERS[name]
        assert manner.beta == (table.shape == "flat"), name
        assert able.truncate == ("conversation.item.truncate" not in manner.refused), name
        assert able.delete == ("conversation.item.delete" not in manner.refused), name
        assert able.create == ("conversation.item.create" not in manner.refused), name
        assert able.truncate_acknowledged == (able.truncate and manner.truncate_answered), name
        assert able.metadata == manner.metadata, name
        assert set(able.turn_detection) == set(manner.detections), name
        assert all(takes(manner, "input", form) for form in able.input_formats), name
        assert all(takes(manner, "output", form) for form in able.output_formats), name


@pytest.mark.parametrize("name", LIKE_GA)
def test_the_same_world_is_the_same_in_every_dialect_of_the_same_capabilities(name: str) -> None:  # C28, S02
    assert DIALECTS[name].capabilities.heard == "truncate"
    for seed in SEEDS:
        ga, other = Lived("openai", seed), Lived(name, seed)
        assert other.result.violations == ga.result.violations == ()
        assert other.state() == ga.state(), seed
        assert not [notice for notice in other.notices if isinstance(notice, ProtocolWarning | UnknownEvent)]


@pytest.mark.parametrize("name", [*FEWER, "speech-to-speech"])
def test_a_world_of_fewer_capabilities_goes_on_by_the_ladder(name: str) -> None:  # DESIGN 5
    ways: set[str] = set()
    for seed in SEEDS:
        lived = Lived(name, seed)
        assert lived.result.violations == ()
        assert lived.result.turns_unanswered == 0
        assert not [notice for notice in lived.notices if isinstance(notice, ProtocolWarning | UnknownEvent)]
        ways |= {end.told for end in lived.ends}
    assert ways - {"nothing"} <= FEWER.get(name, {"truncate", "delete"})
    assert len(ways) >= 2


RATES = [("inworld", "audio/pcm", rate) for rate in (8_000, 16_000, 22_050, 44_100, 48_000)]
CODED = [(name, form, 24_000) for name in ("openai", "azure-preview", "xai") for form in ("audio/pcmu", "audio/pcma")]


@pytest.mark.parametrize(("name", "form", "rate"), [*RATES, ("xai", "audio/pcm", 16_000), ("xai", "audio/pcm", 44_100), *CODED])
def test_positions_are_exact_in_every_format_a_dialect_speaks(name: str, form: Any, rate: int) -> None:  # C22
    scenario = structs.replace(QUIET, output=form, rate=rate, server=ServerOptions(ragged_per_mille=500))
    for seed in (0, 1):
        lived = Lived(name, seed, scenario)
        assert lived.result.violations == ()
        assert lived.world.session.output_format == scenario.audio


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_drawn_world_holds_in_every_dialect(name: str) -> None:  # C28; DESIGN 5: the ladder, with every fault that goes with it
    """``rtcore fuzz --policy server.dialect=NAME`` in small; docs/fuzzing.md has the command for more."""
    policy = parse_policy(f"server.dialect={name}")
    ways: set[str] = set()
    for seed in (33, 70):
        world = World(seed, load_voices(), scenario=policy.applied(scenario_of(seed)))
        result = world.run()
        assert world.scenario.server.dialect == name
        assert result.violations == () and result.turns_unanswered == 0, seed
        ways |= {item.ended.told for item in world.auditor.ledger.items.values() if item.ended is not None}
    # A call stays one where the dialect knows calls; elsewhere the ladder of its capabilities decides.
    assert (
        {DIALECTS[name].capabilities.heard} <= ways <= {DIALECTS[name].capabilities.heard, "note", "nothing", "delete", "server"}
    )


def test_a_world_is_made_to_fit_its_dialect() -> None:
    scenario = structs.replace(QUIET, output="audio/pcmu", detection="semantic_vad", server_interrupts=False, microphone=True)
    fitted = in_dialect(scenario, "qwen")
    assert (fitted.output, fitted.detection, fitted.server_interrupts, fitted.tools) == ("audio/pcm", "server_vad", True, False)
    assert fitted.microphone is False and fitted.config().connection.dialect == "qwen"
    assert in_dialect(scenario, "openai") == scenario
