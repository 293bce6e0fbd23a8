"""One's own program logic on top of the core, in front of the whole simulated world (docs/fuzzing.md)."""

import pytest

from rtcore import Notice, ToolCalled, UserTranscript
from rtcore.sim import Commands, World, scenario_of, synthetic_voices

VOICES = synthetic_voices(1)
SEEDS = [seed for seed in range(40) if scenario_of(seed).tools][:12]


class Caller:
    """A correct program: it answers each call once, a while later, and notes what was said."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.answered = 0
        self.words = 0

    def heard(self, notice: Notice, commands: Commands) -> None:
        self.notices.append(type(notice).__name__)
        match notice:
            case ToolCalled():
                self.answered += 1
                commands.later(300, lambda: commands.tool_result(notice.call_id, {"ok": True}))
            case UserTranscript():
                self.words += len(notice.text.split())
            case _:
                pass


class AnswersTwice(Caller):
    """The mistake of a retry that does not know that the first try went through (F064)."""

    def heard(self, notice: Notice, commands: Commands) -> None:
        super().heard(notice, commands)
        if isinstance(notice, ToolCalled):
            commands.later(900, lambda: commands.tool_result(notice.call_id, {"ok": True}))


class NeverAnswers:
    """A program that forgets its calls (F065)."""

    def heard(self, notice: Notice, commands: Commands) -> None:
        """Hears, and does nothing."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correct_program_survives_every_world(seed: int) -> None:
    programs: list[Caller] = []

    def make() -> Caller:
        programs.append(Caller())
        return programs[-1]

    world = World(seed, VOICES, program=make)
    result = world.run()
    assert result.violations == () and len(programs) == 1
    assert programs[0].answered > 0 or not world.server.happened.get("server: several function calls")
    assert programs[0].words > 0
    assert programs[0].notices.count("SessionClosed") == 1 and programs[0].notices[-1] == "SessionClosed"
    assert World(seed, VOICES, program=Caller).run().digest == result.digest


def test_a_program_that_answers_twice_is_named_with_its_seed() -> None:
    results = [World(seed, VOICES, program=AnswersTwice).run() for seed in SEEDS]
    found = [violation for result in results for violation in result.violations]
    assert found and all(violation.invariant == 15 and "LocalProtocolError" in violation.text for violation in found)
    assert {violation.seed for violation in found} <= set(SEEDS)


def test_a_program_that_never_answers_keeps_its_world_from_ending() -> None:
    found = [v for seed in SEEDS[:4] for v in World(seed, VOICES, program=NeverAnswers).run().violations]
    assert found and {violation.invariant for violation in found} <= {10, 13, 15}  # unanswered, unending, and never forgotten
