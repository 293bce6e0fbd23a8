"""A call over lines that come back, as a world of a campaign: the same result, the same story, found by the same seed.

Its options are drawn by ``_line_book.draw_lines``; a policy has no say in them.
"""

from collections.abc import Callable, Sequence

from rtcore._session import Session
from rtcore.sim._line_book import draw_lines
from rtcore.sim.auditor import PENDING
from rtcore.sim.lines import LongCall
from rtcore.sim.results import KindResult, WorldResult
from rtcore.sim.voices import Voice

KIND = "on lines that come back"
"""The kind of its interruptions in a campaign's table."""


class LineWorld:
    """One seed's call over lines that come back. ``run`` it once."""

    def __init__(
        self,
        seed: int,
        voices: Sequence[Voice] | None = None,
        *,
        session_factory: Callable[..., Session] = Session,
        story: bool = False,
    ) -> None:
        self.seed = seed
        self.options = draw_lines(seed)
        self._call = LongCall(seed, self.options, voices=voices, session_factory=session_factory, story=story)
        self.story = self._call.story

    @property
    def session(self) -> Session:
        """The session under test."""
        return self._call.session

    def run(self) -> WorldResult:
        """Let the call take place, and say what was found."""
        call, problem = self._call, ""
        try:
            call.run()
        except Exception as error:
            # Whatever raised, in the core or in the world: a campaign goes on, and the seed is named.
            problem = f"{type(error).__name__}: {error}"
        if problem:
            call.book.fail(15, problem)
        found = call.result
        cuts = sum(found.truncation_error_ms.values())
        kind = KindResult(
            KIND,
            interruptions=found.interruptions,
            verdicts=dict(sorted(found.verdicts.items())),
            truncation_error_ms=dict(sorted(found.truncation_error_ms.items())),
            server_errors=sum(found.server_errors.values()),
            answered=found.answered,
        )
        return WorldResult(
            seed=self.seed,
            settings=f"{KIND}: {self.options}",
            kinds=(kind,),
            violations=tuple(found.problems),
            cuts=cuts,
            cuts_checked=cuts,
            cuts_estimated=0,
            server_errors=dict(sorted(found.server_errors.items())),
            simulated_ms=call.book.now // 1_000_000,
            digest=call.digest,
            pending_invariants=PENDING,
            situations=dict(sorted(found.situations.items())),
        )
