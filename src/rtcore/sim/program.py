"""Fuzz one's own program logic on top of the core: give a world a program, and it answers the calls and hears the news.

    class Caller:
        def heard(self, notice: Notice, commands: Commands) -> None:
            if isinstance(notice, ToolCalled):
                commands.later(300, lambda: commands.tool_result(notice.call_id, {"ok": True}))

    for seed in range(100):
        assert World(seed, voices, program=Caller).run().violations == ()

The user interrupts it, the server and the line fail it, and every invariant holds for what it does. What it raises is a violation
with the seed (invariant 15); a call that it never answers keeps the world from ending, which is one too.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from rtcore._items import HistoryItem
from rtcore._notices import Notice
from rtcore.sim.speaker import MILLISECOND

if TYPE_CHECKING:
    from rtcore.sim.world import World


class Commands:
    """What a program may do with its session. As in ``Session``, without ``now``; the world's auditor looks on."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def now(self) -> float:
        """Seconds of virtual time."""
        return self._world.seconds

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """The conversation in the server's order, with heard and full text."""
        return self._world.session.history

    @property
    def speaking(self) -> bool:
        """Whether a turn of the model's is being heard."""
        return self._world.session.speaking

    def later(self, ms: int, step: Callable[[], object]) -> None:
        """Do it in so many milliseconds, unless the session is over by then."""
        self._world.at(self._world.now + ms * MILLISECOND, step)

    def respond(
        self, options: Mapping[str, object] | None = None, *, audible: bool | None = None, hold_ms: int | None = None
    ) -> int:
        """``Session.respond``; gives the request's number."""
        world = self._world
        issued = world.session.respond(options, audible=audible, hold_ms=hold_ms, now=world.seconds)
        if audible:
            world.auditor.wants_to_hear(issued.request)
        return world.issued(issued, "respond")

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True) -> int:
        """``Session.send_text``; gives the request's number."""
        return self._world.send_text(text, interrupt=interrupt, respond=respond)

    def interrupt(self, response: str | None = None) -> None:
        """``Session.interrupt``."""
        self._world.interrupt(response)

    def release(self, response: str) -> None:
        """``Session.release``."""
        self._world.release(response)

    def tool_result(self, call_id: str, output: object, *, respond: bool = True) -> int:
        """``Session.tool_result``; gives the request's number. Raises where the session does: unknown or answered calls."""
        world = self._world
        issued = world.session.tool_result(call_id, output, respond=respond, now=world.seconds)
        world.program.answered(call_id)
        if not respond:
            world.auditor.asking.wants_no_answer(call_id)
        return world.issued(issued, "tool_result")

    def update(self, changes: Mapping[str, object]) -> int:
        """``Session.update``; gives the request's number."""
        world = self._world
        return world.issued(world.session.update(changes, now=world.seconds), "update")

    def create_item(self, item: Mapping[str, object], *, previous_item_id: str | None = None) -> int:
        """``Session.create_item``; gives the request's number."""
        world = self._world
        return world.issued(world.session.create_item(item, previous_item_id=previous_item_id, now=world.seconds), "create_item")

    def retrieve_item(self, item_id: str) -> int:
        """``Session.retrieve_item``; gives the request's number."""
        world = self._world
        return world.issued(world.session.retrieve_item(item_id, now=world.seconds), "retrieve_item")

    def approve(self, approval_request_id: str, *, approve: bool = True, reason: str | None = None, respond: bool = True) -> int:
        """``Session.approve``; gives the request's number."""
        world = self._world
        issued = world.session.approve(approval_request_id, approve=approve, reason=reason, respond=respond, now=world.seconds)
        return world.issued(issued, "approve")

    def delete_item(self, item_id: str) -> int:
        """``Session.delete_item``; gives the request's number."""
        world = self._world
        issued = world.session.delete_item(item_id, now=world.seconds)
        world.auditor.deletes(item_id)
        return world.issued(issued, "delete_item")

    def pause(self) -> None:
        """``Session.pause``."""
        self._world.program.pause()

    def resume(self) -> None:
        """``Session.resume``."""
        self._world.program.resume()


class Program(Protocol):
    """One's own program. It hears every notice in order, each after the input that caused it is done with."""

    def heard(self, notice: Notice, commands: Commands, /) -> None:
        """The session tells something."""
