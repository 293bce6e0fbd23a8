"""The program's tools in a long call: a call is answered a while later, whatever became of its line meanwhile (invariant 10)."""

from rtcore._errors import LocalProtocolError
from rtcore.sim._line_asked import Asked
from rtcore.sim._line_person import Place
from rtcore.sim._line_told import Told, result_of
from rtcore.sim._rng import Rng
from rtcore.sim.speaker import MILLISECOND


class Tools:
    """Owner of the calls."""

    def __init__(self, place: Place, rng: Rng, *, told: Told, asked: Asked) -> None:
        self._place, self._rng = place, rng
        self._told, self._asked = told, asked
        self._calls: dict[str, bool] = {}  # by id: whether it has ended

    @property
    def running(self) -> bool:
        """Whether a tool is at work."""
        return not all(self._calls.values())

    def called(self, call_id: str) -> None:
        """The session told a call: its tool begins."""
        place = self._place
        place.book.result.calls += 1
        self._calls[call_id] = False
        low, high = place.options.tool_ms
        place.at(place.book.now + self._rng.between(low, high) * MILLISECOND, lambda: self._answer(call_id))

    def ended(self, call_id: str) -> None:
        """The session says that nobody waits for it any more."""
        self._calls[call_id] = True

    def _answer(self, call_id: str) -> None:
        place = self._place
        try:
            issued = place.session.tool_result(call_id, result_of(call_id), now=place.book.seconds)
        except LocalProtocolError:
            if not self._calls.get(call_id, True) and place.session.state != "closed":
                place.book.fail(10, f"the result of call {call_id} was refused, although nothing had ended it")
            return  # its call is gone: cut before it was told, or its answer was due to a session that is over
        self._told.answered(call_id)
        self._asked.issued(issued.request, "tool")
        place.call(issued.effects)
