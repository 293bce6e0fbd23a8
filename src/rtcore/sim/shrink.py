"""From a world that breaks an invariant to a small one that breaks the same: fewer turns, fewer faults, simpler answers.

A candidate is kept if the same invariant breaks in it. First turns and planned answers are left out (delta debugging: halves,
then smaller pieces); then every setting is given its simplest value, all that can be at once, else by halves; then the answers
and the turns that are left are made simpler in the same way. Nothing is drawn, so that the same world shrinks to the same one,
and the number of worlds that may be run is bounded.

    result, scenario = explicit(17, voices)
    small = shrink(17, scenario, voices)
    print(*small.told, sep="\\n")
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from rtcore._session import Session
from rtcore.sim.network import NetworkOptions
from rtcore.sim.results import Violation, WorldResult
from rtcore.sim.scenario import Scenario, Turn
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, ServerOptions
from rtcore.sim.speaker import SpeakerOptions
from rtcore.sim.voices import Voice
from rtcore.sim.world import SessionFactory, World

_S = TypeVar("_S", bound=Struct)
_T = TypeVar("_T")
BUDGET = 400
"""Worlds that are run at most, by default."""

_SPEAKER = SpeakerOptions(buffer_ms=0, stop_ms=(0, 0), answer_ms=(0, 0), instant_per_mille=1000)
_LINE = NetworkOptions(latency_ms=0, jitter_ms=0)
_SERVER = ServerOptions(
    rules=Rules(),
    message_weights=(1, 0, 0),
    audio_ms=(2000, 2000),
    text_per_mille=0,
    two_parts_per_mille=0,
    call_per_mille=0,
    think_ms=(200, 200),
    gap_ms=(0, 0),
    rate_percent=(300, 300),
    delta_ms=(100, 100),
    ragged_per_mille=0,
    burst_per_mille=0,
    stall_per_mille=0,
    interleave_per_mille=0,
    incomplete_per_mille=0,
    failed_per_mille=0,
    stragglers=(0, 0),
    transcription_delay_ms=(100, 100),
    transcription_failed_per_mille=0,
)
_SCENARIO = Scenario(tools=False, tool_ms=(20, 20))
_TURN = Turn(kind="inside message 1", share=500, sample=0, at_stop=False, delay=0, seed=0)
_PLAN = ResponsePlan(stragglers=0)
_PART = PartPlan(audio_ms=2000)
_LENGTHS = (1000, 2000, 3000)

_Path = tuple[str | int, ...]
Edit = tuple[_Path, Any]
"""A place in the scenario, and the value that it is to have."""


class Size(Struct, frozen=True):
    """How much there is to understand: interruptions, planned answers, and settings that are not the simplest."""

    turns: int
    answers: int
    settings: int

    def __str__(self) -> str:
        counts = [(self.turns, "interruption"), (self.answers, "planned answer"), (self.settings, "setting")]
        told = ", ".join(f"{count} {name}{'s' if count != 1 else ''}" for count, name in counts)
        return f"{told} that {'are' if self.settings != 1 else 'is'} not the simplest"


class Shrunk(Struct, frozen=True):
    """A small scenario that breaks the same invariant, what it breaks, and what it was before; ``runs`` worlds were needed."""

    seed: int
    scenario: Scenario
    violation: Violation
    before: Size
    after: Size
    runs: int
    exhausted: bool
    """The budget was used up: a larger one may find a smaller world."""

    @property
    def told(self) -> list[str]:
        """The scenario in lines: what is not the simplest, the turns, the answers, what breaks."""
        lines = [f"{'.'.join(map(str, path))} = {_at(self.scenario, path)!r}" for path, _ in _unusual(self.scenario)]
        lines += [f"interruption {number}: {_turn(turn)}" for number, turn in enumerate(self.scenario.turns or (), 1)]
        lines += [f"answer {number}: {_plan(plan)}" for number, plan in enumerate(self.scenario.server.script, 1)]
        return [*lines, f"{self.violation.at:.3f} s: invariant {self.violation.invariant}: {self.violation.text}"]


def explicit(
    seed: int, voices: Sequence[Voice] | None = None, *, scenario: Scenario | None = None, factory: SessionFactory = Session
) -> tuple[WorldResult, Scenario]:
    """Run a world and write down everything that it drew: the result, and the scenario that gives it again."""
    world = World(seed, voices, scenario=scenario, session_factory=factory)
    result = world.run()
    script = world.script()
    return result, structs.replace(script, server=structs.replace(script.server, rules=world.server.rules))


def shrink(
    seed: int,
    scenario: Scenario,
    voices: Sequence[Voice] | None = None,
    *,
    factory: SessionFactory = Session,
    invariant: int | None = None,
    budget: int = BUDGET,
    told: Callable[[int, Size], object] = lambda runs, size: None,
) -> Shrunk:
    """The smallest scenario found that breaks the same invariant: ``invariant``, or the first one that this world breaks.

    ``told`` is called with the number of worlds run and the size reached, whenever a smaller one was found. Raises ``ValueError``
    where the world does not break it.
    """
    result, scenario = explicit(seed, voices, scenario=scenario, factory=factory)
    wanted = next((each for each in result.violations if invariant in (None, each.invariant)), None)
    if wanted is None:
        raise ValueError(f"world {seed} breaks {'no invariant' if invariant is None else f'invariant {invariant} not'}")
    search = _Search(seed, voices, factory, wanted, budget, told)
    before = size_of(scenario)
    search.best, search.violation = scenario, wanted
    for _ in range(4):
        reached = search.best
        search.drop_turns()
        search.drop_plans()
        search.edit(list(_unusual(search.best)))
        search.drop_outputs()
        search.edit(list(_in_turns(search.best)) + list(_in_plans(search.best)))
        search.shorten()
        if search.best == reached or search.exhausted:
            break
    return Shrunk(seed, search.best, search.violation, before, size_of(search.best), search.runs, search.exhausted)


def size_of(scenario: Scenario) -> Size:
    """How much there is to understand in an explicit scenario."""
    turns = scenario.turns
    settings = len(list(_unusual(scenario)))
    return Size(scenario.interruptions if turns is None else len(turns), len(scenario.server.script), settings)


class _Search:
    """The best scenario so far, and the ways to a better one."""

    best: Scenario
    violation: Violation

    def __init__(
        self,
        seed: int,
        voices: Sequence[Voice] | None,
        factory: SessionFactory,
        wanted: Violation,
        budget: int,
        told: Callable[[int, Size], object],
    ) -> None:
        self.runs = 0
        self.exhausted = False
        self._seed, self._voices, self._factory = seed, voices, factory
        self._wanted = _kind(wanted)
        self._budget = budget
        self._told = told
        self._tried: set[bytes] = set()

    def breaks(self, candidate: Scenario) -> bool:
        """Whether the same invariant breaks in it; then it is the best."""
        key = msgspec.json.encode(candidate)
        if key in self._tried or self.exhausted:
            return False
        self._tried.add(key)
        if self.runs >= self._budget:
            self.exhausted = True
            return False
        self.runs += 1
        try:
            result = World(self._seed, self._voices, scenario=candidate, session_factory=self._factory).run()
        except (ValueError, TypeError):
            return False  # no world: settings that exclude each other
        found = next((each for each in result.violations if _kind(each) == self._wanted), None)
        if found is None:
            return False
        self.best, self.violation = candidate, found
        self._told(self.runs, size_of(candidate))
        return True

    # -- leaving out ---------------------------------------------------------------------------------------------------------

    def drop_turns(self) -> None:
        """Leave out interruptions, with the answers at the same places or without them."""

        def without(first: int, last: int) -> bool:
            turns, script = self.best.turns or (), self.best.server.script
            kept = turns[:first] + turns[last:]
            fewer = structs.replace(self.best, turns=kept, interruptions=len(kept))
            with_answers = structs.replace(fewer, server=structs.replace(fewer.server, script=script[:first] + script[last:]))
            return self.breaks(with_answers) or self.breaks(fewer)

        self._drop(lambda: len(self.best.turns or ()), without)

    def drop_plans(self) -> None:
        """Leave out planned answers; what is missing at the end is drawn from the server's settings."""

        def without(first: int, last: int) -> bool:
            server = self.best.server
            kept = server.script[:first] + server.script[last:]
            return self.breaks(structs.replace(self.best, server=structs.replace(server, script=kept)))

        self._drop(lambda: len(self.best.server.script), without)

    def drop_outputs(self) -> None:
        """Leave out messages and calls of the planned answers."""
        for index in range(len(self.best.server.script)):

            def without(first: int, last: int, index: int = index) -> bool:
                output = self.best.server.script[index].output
                path: _Path = ("server", "script", index, "output")
                return self.breaks(_with(self.best, [(path, output[:first] + output[last:])]))

            self._drop(lambda index=index: len(self.best.server.script[index].output), without)  # type: ignore[misc]

    @staticmethod
    def _drop(count: Callable[[], int], without: Callable[[int, int], bool]) -> None:
        """Delta debugging: pieces of half the length, then of half of that; from the end, because that shifts nothing."""
        piece = count()
        while piece:
            last = count()
            while last > 0:
                without(max(0, last - piece), last)
                last -= piece
            piece = min(piece // 2, count())

    # -- making simpler ------------------------------------------------------------------------------------------------------

    def edit(self, edits: Sequence[Edit]) -> None:
        """Carry out as many of the edits as the violation survives: all, or the halves of them one after the other."""
        if not edits or self.exhausted or self.breaks(_with(self.best, edits)) or len(edits) == 1:
            return
        middle = len(edits) // 2
        self.edit(edits[:middle])
        self.edit(edits[middle:])

    def shorten(self) -> None:
        """Shorter messages, where a second or two will do."""
        for path, part in list(_parts(self.best)):
            for length in _LENGTHS:
                if (
                    part.kind == "audio"
                    and length < part.audio_ms
                    and self.breaks(_with(self.best, [((*path, "audio_ms"), length)]))
                ):
                    break


def _kind(violation: Violation) -> tuple[int, str]:
    """What makes two violations the same: the invariant, and the exception where one was raised."""
    name, colon, _ = violation.text.partition(":")
    return violation.invariant, name if colon and name.isidentifier() and name[0].isupper() else ""


# -- what is not the simplest --------------------------------------------------------------------------------------------------


def _unusual(scenario: Scenario) -> Iterator[Edit]:
    """Every setting that is not the simplest, with the value that is."""
    yield from _differing(scenario, _SCENARIO, (), leave={"interruptions", "kinds", "turns", "stream", "speaker", "server"})
    yield from _differing(scenario.stream, _LINE, ("stream",))
    yield from _differing(scenario.speaker, _SPEAKER, ("speaker",))
    yield from _differing(scenario.server, _SERVER, ("server",), leave={"script", "rules", "log", "model", "epoch_s"})
    if scenario.server.rules is not None:
        yield from _differing(scenario.server.rules, Rules(), ("server", "rules"))


def _in_turns(scenario: Scenario) -> Iterator[Edit]:
    for index, turn in enumerate(scenario.turns or ()):
        yield from _differing(turn, _TURN, ("turns", index))


def _in_plans(scenario: Scenario) -> Iterator[Edit]:
    for index, plan in enumerate(scenario.server.script):
        path: _Path = ("server", "script", index)
        yield from _differing(plan, _PLAN, path, leave={"output"})
        for number, output in enumerate(plan.output):
            match output:
                case MessagePlan(parts):
                    if len(parts) > 1:
                        yield (*path, "output", number, "parts"), parts[:1]
                case CallPlan():
                    yield from _differing(output, CallPlan(output.name), (*path, "output", number))
    for path, part in _parts(scenario):
        yield from _differing(part, _PART, path, leave={"audio_ms"})


def _parts(scenario: Scenario) -> Iterator[tuple[_Path, PartPlan]]:
    for index, plan in enumerate(scenario.server.script):
        for number, output in enumerate(plan.output):
            if isinstance(output, MessagePlan):
                for part, planned in enumerate(output.parts):
                    yield ("server", "script", index, "output", number, "parts", part), planned


def _differing(value: _S, simple: _S, path: _Path, leave: set[str] | frozenset[str] = frozenset()) -> Iterator[Edit]:
    for name in value.__struct_fields__:
        if name not in leave and getattr(value, name) != getattr(simple, name):
            yield (*path, name), getattr(simple, name)


def _at(scenario: Scenario, path: _Path) -> object:
    value: Any = scenario
    for step in path:
        value = getattr(value, str(step))
    return value


def _with(scenario: Scenario, edits: Sequence[Edit]) -> Scenario:
    """The scenario with these values; places that are not there any more stay away."""
    for path, value in edits:
        scenario = _put(scenario, path, value)
    return scenario


def _put(value: _T, path: _Path, new: Any) -> _T:
    if not path:
        return new  # type: ignore[no-any-return]
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        assert isinstance(value, tuple)
        if step >= len(value):
            return value
        return (*value[:step], _put(value[step], rest, new), *value[step + 1 :])  # type: ignore[return-value]
    assert isinstance(value, Struct)
    return structs.replace(value, **{step: _put(getattr(value, step), rest, new)})


# -- in words ------------------------------------------------------------------------------------------------------------------


def _turn(turn: Turn) -> str:
    details = [f"{path[1]} {getattr(turn, str(path[1]))}" for path, _ in _own(turn, _TURN) if path[1] != "kind"]
    return ", ".join([str(turn.kind), *details])


def _plan(plan: ResponsePlan) -> str:
    said = []
    for output in plan.output:
        match output:
            case CallPlan():
                said.append(f"call of {output.name}")
            case MessagePlan(parts):
                said.append(
                    "message of " + " and ".join(f"{part.audio_ms} ms" if part.kind == "audio" else "text" for part in parts)
                )
    details = [f"{path[1]} {getattr(plan, str(path[1]))}" for path, _ in _own(plan, _PLAN) if path[1] != "output"]
    return ", ".join([*said, *details]) or "nothing"


def _own(value: _S, simple: _S) -> Iterator[Edit]:
    return _differing(value, simple, ("",))
