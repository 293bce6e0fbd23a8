"""What a conversation offers in every runtime: the core's commands, and views of its state.

A command that the server answers gives back a request of the runtime's own kind; the others give back nothing. Each raises
``rtcore.LocalProtocolError`` for the caller's mistake, before anything has happened.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from rtcore import AudioFormat, Counters, Effect, HistoryItem, Issued, Session
from rtcore.dialects import Capabilities
from rtcore.usage import UsageTotals

R = TypeVar("R")
T = TypeVar("T")


class Voice(Generic[R]):
    """Something that is being said, piece by piece: ``append``, then ``end``, or ``with``. Given by ``conversation.voice``."""

    def __init__(self, request: R, session: Session, do: Callable[..., None]) -> None:
        self.request = request
        """Settles when all of it was heard (done), or when it was cut (cancelled)."""
        self._session, self._do = session, do
        self._number: int = request.number  # type: ignore[attr-defined]  # every runtime's request has its number

    def append(self, pcm: bytes, text: str = "") -> None:
        """More sound, whole samples, and the words of it. After an interruption it is nothing."""
        self._do(self._session.say_append, self._number, pcm, text)

    def end(self) -> None:
        """That was all."""
        self._do(self._session.say_end, self._number)

    def __enter__(self) -> "Voice[R]":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # A session that is over has ended it: that is no second error.
        if self._session.state != "closed":
            self.end()


class Commands(ABC, Generic[R]):
    """The commands; a runtime says how they reach the session (``_ask``, ``_do``) and what a request ``R`` is."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @abstractmethod
    def _ask(self, command: Callable[..., Issued], *args: Any, **options: Any) -> R:
        """Give a command that the server answers to the session."""

    @abstractmethod
    def _do(self, command: Callable[..., list[Effect]], *args: Any, **options: Any) -> None:
        """Give any other command to the session."""

    def _look(self, view: Callable[[], T]) -> T:
        """Look at the session. A runtime of several threads does it on the session's own."""
        return view()

    # -- views --------------------------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The core, to look at. Its inputs belong to the adapter."""
        return self._session

    @property
    def state(self) -> Literal["new", "connecting", "configuring", "ready", "reconnecting", "closed"]:
        """How far the session has come."""
        return self._look(lambda: self._session.state)

    @property
    def speaking(self) -> bool:
        """Whether the model is being heard."""
        return self._look(lambda: self._session.speaking)

    @property
    def muted(self) -> bool:
        """Whether the user is not heard, by ``mute()``."""
        return self._look(lambda: self._session.muted)

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """The conversation's items in order, each with the text that was heard."""
        return self._look(lambda: self._session.history)

    @property
    def usage(self) -> UsageTotals:
        """Tokens and seconds used so far, by the session and by its latest turn."""
        return self._look(lambda: self._session.usage)

    @property
    def counters(self) -> Counters:
        """What was survived, in numbers."""
        return self._look(lambda: self._session.counters)

    @property
    def capabilities(self) -> Capabilities:
        """What the dialect's server can do."""
        return self._look(lambda: self._session.capabilities)

    # -- what the user and the program say ----------------------------------------------------------------------------------

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True) -> R:
        """Say something in writing: ``interrupt`` what is being heard, and ask for a response unless ``respond=False``."""
        return self._ask(self._session.send_text, text, interrupt=interrupt, respond=respond)

    def append_audio(self, pcm: bytes) -> None:
        """Whole samples of the user's voice, in the session's input format, beside or instead of a microphone.

        Give it as it is spoken: what the socket does not take at once waits in a queue of about 15 s of PCM16 at 24 kHz (30 s of
        G.711), and beyond that the oldest is dropped and told as ``MicrophoneDropped``. So a long clip in one call keeps little
        more than its end; send it in pieces, at the speed of speech, or play it by a ``WavMicrophone``.
        """
        self._do(self._session.append_audio, pcm)

    def commit(self) -> R:
        """The user's turn is over: make its audio an item. Only where no turn detection does that."""
        return self._ask(self._session.commit)

    def clear(self) -> R:
        """Forget the user's audio that is not committed."""
        return self._ask(self._session.clear)

    def mute(self) -> None:
        """The user is not heard from now on; the server hears silence, so that its turn detection goes on."""
        self._do(self._session.mute)

    def unmute(self) -> None:
        """The user is heard again."""
        self._do(self._session.unmute)

    def speech(self, event: Literal["started", "stopped"]) -> None:
        """What a local detector noticed."""
        self._do(self._session.speech, event)

    def user_turn(self, text: str, *, respond: bool = True) -> R:
        """What a recogniser of your own heard the user say: a turn of the user, in words. See ``Session.user_turn``."""
        return self._ask(self._session.user_turn, text, respond=respond)

    def begin_turn(self) -> None:
        """Push-to-talk: the button is down. Silences the model."""
        self._do(self._session.begin_turn)

    def end_turn(self, *, respond: bool = True) -> R:
        """Push-to-talk: the button is up. What was said is a turn, and is answered; too little fails."""
        return self._ask(self._session.end_turn, respond=respond)

    # -- a voice of your own ------------------------------------------------------------------------------------------------

    def say(
        self,
        pcm: bytes,
        text: str = "",
        *,
        format: AudioFormat | None = None,
        remember: bool = False,
        interruptible: bool = True,
        speaks: str | None = None,
    ) -> R:
        """Sound of your own, in its turn in the same playout. The request settles when it was heard, or cut.

        ``text`` is what it says; ``remember`` tells the server what was heard of it; ``speaks`` is the id of the model's message
        in text that it speaks. See ``Session.say``.
        """
        options = {"format": format, "remember": remember, "interruptible": interruptible, "speaks": speaks}
        return self._ask(self._session.say, pcm, text, **options)

    def voice(
        self,
        *,
        format: AudioFormat | None = None,
        remember: bool = False,
        interruptible: bool = True,
        speaks: str | None = None,
    ) -> "Voice[R]":
        """The same in pieces, as a synthesiser makes them."""
        options = {"format": format, "remember": remember, "interruptible": interruptible, "speaks": speaks}
        request = self._ask(self._session.say_begin, **options)
        return Voice(request, self._session, self._do)

    # -- what the model does ------------------------------------------------------------------------------------------------

    def respond(
        self,
        options: Mapping[str, object] | None = None,
        *,
        audible: bool | None = None,
        hold_ms: int | None = None,
        interruptible: bool = True,
    ) -> R:
        """Ask for a response. ``options`` are those of ``response.create``, by their GA names.

        ``hold_ms`` holds its first audio back for so long, or until ``release``, so that a guardrail can ``interrupt`` it first.
        ``interruptible=False``: no voice interrupts it.
        """
        return self._ask(self._session.respond, options, audible=audible, hold_ms=hold_ms, interruptible=interruptible)

    def interrupt(self, response: str | None = None) -> None:
        """Silence, and no more of this response (default: of all that is heard or generated)."""
        self._do(self._session.interrupt, response)

    def release(self, response: str) -> None:
        """Let a response be heard whose first audio is held back."""
        self._do(self._session.release, response)

    def pause(self) -> None:
        """Hold the sound without losing a sample."""
        self._do(self._session.pause)

    def resume(self) -> None:
        """Go on."""
        self._do(self._session.resume)

    def tool_result(self, call_id: str, output: object, *, respond: bool = True) -> R:
        """Answer a function call, once. A ``str`` goes out unchanged, anything else as JSON."""
        return self._ask(self._session.tool_result, call_id, output, respond=respond)

    def cancel_tool(self, call_id: str, output: object = None, *, respond: bool = True) -> R:
        """Give up a function call: the model is told ``output``, or that it was cancelled; a tool that works on it is stopped."""
        return self._ask(self._session.cancel_tool, call_id, output, respond=respond)

    def approve(self, approval_request_id: str, *, approve: bool = True, reason: str | None = None, respond: bool = True) -> R:
        """Let the model call the remote tool that ``ApprovalRequested`` named, or not; once."""
        return self._ask(self._session.approve, approval_request_id, approve=approve, reason=reason, respond=respond)

    # -- the conversation ---------------------------------------------------------------------------------------------------

    def update(self, changes: Mapping[str, object]) -> R:
        """Change session options, by their GA names; only what changes is sent, and what the server acknowledges counts."""
        return self._ask(self._session.update, changes)

    def create_item(self, item: Mapping[str, object], *, previous_item_id: str | None = None) -> R:
        """Put an item (GA shape) at the end of the conversation, or behind another."""
        return self._ask(self._session.create_item, item, previous_item_id=previous_item_id)

    def delete_item(self, item_id: str) -> R:
        """Remove an item."""
        return self._ask(self._session.delete_item, item_id)

    def replace_item(self, item_id: str, item: Mapping[str, object]) -> R:
        """Put another item (GA shape) in the place of one. ``HistoryEdited`` tells its new id; the old one goes on meaning it."""
        return self._ask(self._session.replace_item, item_id, item)

    def move_item(self, item_id: str, previous_item_id: str | None = None) -> R:
        """Put an item behind another, at the start ("root") or at the end, as the text that was said or heard of it."""
        return self._ask(self._session.move_item, item_id, previous_item_id)

    def sync_history(
        self,
        items: Iterable[HistoryItem | str | Mapping[str, object]],
        *,
        base: Iterable[HistoryItem | str] | None = None,
    ) -> R:
        """Make the conversation this one, by as few events as can be: ids, items of ``history``, and items as they are to be.

        What is newer than ``base``, the history as the program knew it, and what is being said, heard or answered stays.
        """
        return self._ask(self._session.sync_history, items, base=base)

    def retrieve_item(self, item_id: str) -> R:
        """Ask for the server's own copy of an item; ``ItemRetrieved`` brings it."""
        return self._ask(self._session.retrieve_item, item_id)

    def send_raw(self, event: Mapping[str, object]) -> None:
        """Send a client event that no command sends, as it is."""
        self._do(self._session.send_raw, event)

    def renew(self) -> None:
        """Change the session for a new one that is told what was heard, at the next quiet moment."""
        self._do(self._session.renew)

    def close(self) -> None:
        """End the session in order. The notices end with ``SessionClosed``."""
        self._do(self._session.close)
