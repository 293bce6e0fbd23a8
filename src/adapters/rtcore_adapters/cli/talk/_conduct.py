"""How a talk goes, whatever runs it: what comes in is shown and acted on, and one place says when it is over.

A driver (one per runtime) hands in notices, what was typed, and time, all on one thread; commands go to the conversation, which
offers the same ones in every runtime.
"""

from typing import Any

from msgspec import Struct

from rtcore import ItemAdded, LocalProtocolError, Notice
from rtcore_adapters._commands import Commands
from rtcore_adapters.audio import WavMicrophone
from rtcore_adapters.cli.talk._editor import Editor, End, Hold, Say, Silent, Wish
from rtcore_adapters.cli.talk._inputs import Logged
from rtcore_adapters.cli.talk._screen import Line, Screen
from rtcore_adapters.cli.talk._terminal import Terminal

FRAME_S = 0.1
"""How often the status is drawn, and how long a driver may sleep."""

QUIET_S = 2.0
"""So long nothing happens before a talk counts as said and done: longer than the silence that ends a turn."""

Input = Notice | Wish | Logged | str | None
"""What a driver hands in: a notice, what a key or a signal wants, a line of the log, characters that were typed, or nothing but
time. ``Silent`` says that nothing more will be typed."""


class Rules(Struct, frozen=True):
    """When a talk ends by itself. ``seconds``: at the latest. ``listens``: not while a microphone listens."""

    seconds: float | None = None
    listens: bool = False
    waits_for_keys: bool = False
    """Somebody sits at a keyboard; so the talk goes on, unless a file was to be said."""


class Talk:
    """One talk, from ``begin`` until ``over``."""

    def __init__(self, terminal: Terminal, rules: Rules, *, says: WavMicrophone | None = None) -> None:
        self.over = False
        """It is time to leave the conversation."""
        self.failed = False
        """The conversation ended, and not because somebody wanted it to."""
        self._terminal = terminal
        self._rules = rules
        self._says = says
        self._editor = Editor()
        self._typed = ""  # a line that has no end yet, where the keys do not come one by one
        self._silent = self._ending = False
        self._drawn, self._drawn_text = 0.0, ""
        self._began = self._spoke = 0.0
        self._screen = Screen(began=0.0)
        self._conversation: Commands[Any] | None = None

    def begin(self, conversation: Commands[Any], *, now: float) -> None:
        """The conversation is open."""
        self._conversation, self._began, self._spoke = conversation, now, now
        self._screen = Screen(began=now)

    def take(self, given: Input, *, now: float) -> None:
        """What came in, or only time."""
        conversation = self._conversation
        if conversation is None or self.over:
            return
        try:
            lines = self._took(conversation, given, now)
        except LocalProtocolError as error:  # the session closed in this instant, or a text that cannot be sent
            lines = [Line(now - self._began, "warning", str(error))]
        self.failed = self._screen.failed
        self.over = self._screen.over
        if not self.over and not self._ending and self._is_done(now):
            self._end(conversation)
        self._show(lines, now)

    def leave(self) -> None:
        """Take the status away."""
        self._terminal.close()

    def _took(self, conversation: Commands[Any], given: Input, now: float) -> list[Line]:
        match given:
            case Notice():
                lines = self._screen.notice(given, now=now)
                if isinstance(given, ItemAdded) and given.item_type == "function_call_output":
                    found = [item for item in conversation.history if item.id == given.item_id]
                    lines += [line for item in found for line in self._screen.answered(item, now=now)]
                return lines
            case str():
                return [line for wish in self._wishes(given) for line in self._took(conversation, wish, now)]
            case Say(text):
                lines = self._screen.typed(text, now=now)
                conversation.send_text(text)
                return lines
            case Hold():
                held = not self._screen.paused
                (conversation.pause if held else conversation.resume)()
                return self._screen.pause(held, now=now)
            case End():
                self._end(conversation)
            case Silent():
                rest, self._typed, self._silent = self._typed.strip(), "", True
                if rest:
                    return self._took(conversation, Say(rest), now)
            case Logged(text):
                return self._screen.logged(text, now=now)
            case None:
                pass
        return []

    def _end(self, conversation: Commands[Any]) -> None:
        """Close the session. What it still has to tell, a cut above all, comes before ``SessionClosed``, which ends the talk."""
        self._ending = True
        conversation.close()

    def _wishes(self, typed: str) -> list[Wish]:
        if self._terminal.live and self._rules.waits_for_keys:
            return self._editor.feed(typed)
        *lines, self._typed = (self._typed + typed).split("\n")
        return [Say(line.strip()) for line in lines if line.strip()]

    def _is_done(self, now: float) -> bool:
        """Nothing more can be said, and what was said has been answered and heard; or the time is up."""
        rules, screen = self._rules, self._screen
        if rules.seconds is not None and now - self._began >= rules.seconds:
            return True
        if self._says is not None and self._says.speaking:
            self._spoke = now
        if rules.listens or screen.paused:
            return False
        nobody_types = self._silent or (rules.waits_for_keys and self._says is not None and not self._editor.text)
        return nobody_types and now - max(screen.changed, self._spoke) >= QUIET_S and not screen.busy(now=now)

    def _show(self, lines: list[Line], now: float) -> None:
        terminal, screen = self._terminal, self._screen
        if self.over or not terminal.live:
            terminal.show(lines)
        elif lines or self._editor.text != self._drawn_text or now - self._drawn >= FRAME_S:
            self._drawn, self._drawn_text = now, self._editor.text
            terminal.show(lines, screen.status(now=now), self._editor.text)
