"""A session that writes down what it is given.

It stands where any ``Session`` stands. Each input goes to the session that it wraps; then, without what is not to be kept, to a
second one, and what that gives is written down. So the file's outcomes are those of the file's inputs, whatever was left out, and
an input at which the two do not do the same is marked.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import isfinite, isnan
from typing import Any, Literal, TypeVar

import msgspec

from rtcore import saved
from rtcore._clock import Clock
from rtcore._core import Counters, State
from rtcore._effects import Deadline, Effect
from rtcore._errors import LocalProtocolError
from rtcore._formats import AudioFormat
from rtcore._items import HistoryItem, PartView, SegmentView
from rtcore._lifecycle import Disconnection
from rtcore._session import Issued, Session
from rtcore.config import Config
from rtcore.dialects import Capabilities
from rtcore.policies import Policies
from rtcore.recording._format import FORMAT, RTCORE, Header, Input, encode_end, encode_line, pack
from rtcore.recording._privacy import Keep, Privacy
from rtcore.recording._replay import Factory, Observed, Outcome
from rtcore.usage import UsageTotals

_R = TypeVar("_R", list[Effect], Issued)
_HEARD = re.compile(r"\d+ characters, (?=\d+ characters)")
"""The heard text's length, in what is told of a message's end."""


class RecordedSession(Session):
    """A ``Session`` that gives every input, as a line of a recording, to ``sink``.

    ``keep`` says what of voices and words the recording holds (by default nothing of either). ``factory`` makes the session that
    is recorded, ``world`` is put into the header; of ``policies``, the names of those that are the program's own are. ``sink`` is
    called with one line of bytes at a time, the header at once; what it raises passes through. ``finish`` writes the last line.
    Both sessions keep the audio that was not heard, so that recording doubles what a session holds, and what an input costs.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        sink: Callable[[bytes], object],
        keep: Keep | None = None,
        factory: Factory = Session,
        world: dict[str, Any] | None = None,
        policies: Policies | None = None,
    ) -> None:
        if policies is not None:
            factory = partial(factory, policies=policies)
        config = config if config is not None else Config()
        clock = clock if clock is not None else Clock()
        keep = keep if keep is not None else Keep()
        self._privacy = Privacy(config, keep)
        self._inner = Observed(factory(config, clock=clock, seed=seed), digests=False)
        own = () if policies is None else policies.own
        header = Header(FORMAT, RTCORE, self._privacy.config(config), clock, seed, keep.left_out, world, own)
        self._second = Observed(factory(header.configuration(), clock=clock, seed=seed))
        self._left_out = bool(keep.left_out)
        self._sink = sink
        self._count = 0
        sink(encode_line(header))

    def finish(self) -> None:
        """Write the recording's last line. Inputs after it are not recorded any more; a second call does nothing."""
        if self._count >= 0:
            self._end("")

    def _end(self, stopped: str) -> None:
        self._sink(encode_end(self._count, stopped))
        self._count = -1

    # -- transport -----------------------------------------------------------------------------------------------------------

    def open(self, *, now: float) -> list[Effect]:
        return self._did("open", dict, now, lambda: self._inner.session.open(now=now))

    def load(self, history: bytes | str | Iterable[HistoryItem], *, now: float) -> list[Effect]:
        if not isinstance(history, bytes | str):
            history = tuple(history)

        def given() -> dict[str, Any]:
            items = saved.load(history) if isinstance(history, bytes | str) else history
            text = self._privacy.text
            shown = [
                msgspec.structs.replace(
                    item,
                    text=text(item.text),
                    full_text=text(item.full_text),
                    arguments=None if item.arguments is None else text(item.arguments),
                    output=None if item.output is None else text(item.output),
                )
                for item in items
            ]
            return {"history": saved.save(shown).decode()}

        return self._did("load", given, now, lambda: self._inner.session.load(history, now=now))

    def connected(self, connection: int, *, now: float) -> list[Effect]:
        return self._did(
            "connected", lambda: {"connection": connection}, now, lambda: self._inner.session.connected(connection, now=now)
        )

    def disconnected(self, connection: int, cause: Disconnection, *, now: float) -> list[Effect]:
        def given() -> dict[str, Any]:
            shown = msgspec.structs.replace(
                cause, reason=self._privacy.technical(cause.reason), error=self._privacy.technical(cause.error)
            )
            return {"connection": connection, "cause": msgspec.to_builtins(shown)}

        return self._did("disconnected", given, now, lambda: self._inner.session.disconnected(connection, cause, now=now))

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        def given() -> dict[str, Any]:
            shown = self._privacy.message(bytes(payload), self.output_format.type)
            try:
                return {"connection": connection, "payload": pack(shown.decode())}
            except UnicodeDecodeError:
                return {"connection": connection, "base64": b64encode(shown).decode()}

        return self._did("receive", given, now, lambda: self._inner.session.receive(connection, payload, now=now))

    # -- the audio clock -----------------------------------------------------------------------------------------------------

    def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self._did(
            "played",
            lambda: {"generation": generation, "samples": samples},
            now,
            lambda: self._inner.session.played(generation, samples, now=now),
        )

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self._did(
            "flushed",
            lambda: {"generation": generation, "samples": samples},
            now,
            lambda: self._inner.session.flushed(generation, samples, now=now),
        )

    def underrun(self, generation: int, *, now: float) -> list[Effect]:
        return self._did(
            "underrun", lambda: {"generation": generation}, now, lambda: self._inner.session.underrun(generation, now=now)
        )

    def device(self, state: Literal["lost", "ready"], *, now: float) -> list[Effect]:
        return self._did("device", lambda: {"state": state}, now, lambda: self._inner.session.device(state, now=now))

    def speech(self, event: Literal["started", "stopped"], *, now: float) -> list[Effect]:
        return self._did("speech", lambda: {"event": event}, now, lambda: self._inner.session.speech(event, now=now))

    def tick(self, *, now: float) -> list[Effect]:
        return self._did("tick", dict, now, lambda: self._inner.session.tick(now=now))

    # -- commands ------------------------------------------------------------------------------------------------------------

    def append_audio(self, pcm: bytes, *, now: float) -> list[Effect]:
        def given() -> dict[str, Any]:
            return {"pcm": pack(b64encode(self._privacy.pcm(bytes(pcm), self.input_format.type)).decode())}

        return self._did("append_audio", given, now, lambda: self._inner.session.append_audio(pcm, now=now))

    def commit(self, *, now: float) -> Issued:
        return self._did("commit", dict, now, lambda: self._inner.session.commit(now=now))

    def clear(self, *, now: float) -> Issued:
        return self._did("clear", dict, now, lambda: self._inner.session.clear(now=now))

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True, now: float) -> Issued:
        return self._did(
            "send_text",
            lambda: {"text": self._privacy.text(text), "interrupt": interrupt, "respond": respond},
            now,
            lambda: self._inner.session.send_text(text, interrupt=interrupt, respond=respond, now=now),
        )

    def respond(
        self,
        options: Mapping[str, object] | None = None,
        *,
        audible: bool | None = None,
        hold_ms: int | None = None,
        interruptible: bool = True,
        now: float,
    ) -> Issued:
        # A default goes unsaid, so that a file without it is the same to older readers.
        said = {
            **({} if hold_ms is None else {"hold_ms": hold_ms}),
            **({} if interruptible else {"interruptible": False}),
        }
        return self._did(
            "respond",
            lambda: {"options": self._plain(options), "audible": audible, **said},
            now,
            lambda: self._inner.session.respond(options, audible=audible, hold_ms=hold_ms, interruptible=interruptible, now=now),
        )

    def interrupt(self, response: str | None = None, *, now: float) -> list[Effect]:
        return self._did(
            "interrupt",
            lambda: {"response": self._plain(response, "id")},
            now,
            lambda: self._inner.session.interrupt(response, now=now),
        )

    def release(self, response: str, *, now: float) -> list[Effect]:
        return self._did(
            "release",
            lambda: {"response": self._plain(response, "id")},
            now,
            lambda: self._inner.session.release(response, now=now),
        )

    def tool_result(self, call_id: str, output: object, *, respond: bool = True, now: float) -> Issued:
        def given() -> dict[str, Any]:
            text = output if isinstance(output, str) else msgspec.json.encode(output, enc_hook=_options).decode()
            return {"call_id": self._plain(call_id, "id"), "output": self._privacy.text(text), "respond": respond}

        return self._did(
            "tool_result", given, now, lambda: self._inner.session.tool_result(call_id, output, respond=respond, now=now)
        )

    def user_turn(self, text: str, *, respond: bool = True, now: float) -> Issued:
        return self._did(
            "user_turn",
            lambda: {"text": self._privacy.text(text), "respond": respond},
            now,
            lambda: self._inner.session.user_turn(text, respond=respond, now=now),
        )

    def begin_turn(self, *, now: float) -> list[Effect]:
        return self._did("begin_turn", dict, now, lambda: self._inner.session.begin_turn(now=now))

    def end_turn(self, *, respond: bool = True, now: float) -> Issued:
        return self._did(
            "end_turn", lambda: {"respond": respond}, now, lambda: self._inner.session.end_turn(respond=respond, now=now)
        )

    def say(
        self,
        pcm: bytes,
        text: str = "",
        *,
        format: AudioFormat | None = None,
        remember: bool = False,
        interruptible: bool = True,
        speaks: str | None = None,
        now: float,
    ) -> Issued:
        options = _saying(format, remember, interruptible, speaks)

        def given() -> dict[str, Any]:
            return {**self._said(pcm, text, format), **msgspec.to_builtins(options)}

        return self._did("say", given, now, lambda: self._inner.session.say(pcm, text, now=now, **options))

    def say_begin(
        self,
        *,
        format: AudioFormat | None = None,
        remember: bool = False,
        interruptible: bool = True,
        speaks: str | None = None,
        now: float,
    ) -> Issued:
        options = _saying(format, remember, interruptible, speaks)
        return self._did(
            "say_begin",
            lambda: msgspec.to_builtins(options),
            now,
            lambda: self._inner.session.say_begin(now=now, **options),
        )

    def say_append(self, request: int, pcm: bytes, text: str = "", *, now: float) -> list[Effect]:
        return self._did(
            "say_append",
            lambda: {"request": request, **self._said(pcm, text, None)},
            now,
            lambda: self._inner.session.say_append(request, pcm, text, now=now),
        )

    def say_end(self, request: int, *, now: float) -> list[Effect]:
        return self._did("say_end", lambda: {"request": request}, now, lambda: self._inner.session.say_end(request, now=now))

    def _said(self, pcm: bytes, text: str, format: AudioFormat | None) -> dict[str, Any]:
        sound = self._privacy.pcm(bytes(pcm), (format or self.output_format).type)
        return {"pcm": pack(b64encode(sound).decode()), "text": self._privacy.text(text)}

    def cancel_tool(self, call_id: str, output: object = None, *, respond: bool = True, now: float) -> Issued:
        def given() -> dict[str, Any]:
            text = output if isinstance(output, str | None) else msgspec.json.encode(output, enc_hook=_options).decode()
            shown = None if text is None else self._privacy.text(text)
            return {"call_id": self._plain(call_id, "id"), "output": shown, "respond": respond}

        return self._did(
            "cancel_tool", given, now, lambda: self._inner.session.cancel_tool(call_id, output, respond=respond, now=now)
        )

    def update(self, changes: Mapping[str, object], *, now: float) -> Issued:
        return self._did(
            "update", lambda: {"changes": self._plain(changes)}, now, lambda: self._inner.session.update(changes, now=now)
        )

    def create_item(self, item: Mapping[str, object], *, previous_item_id: str | None = None, now: float) -> Issued:
        return self._did(
            "create_item",
            lambda: {"item": self._plain(item), "previous_item_id": self._plain(previous_item_id, "id")},
            now,
            lambda: self._inner.session.create_item(item, previous_item_id=previous_item_id, now=now),
        )

    def delete_item(self, item_id: str, *, now: float) -> Issued:
        return self._did(
            "delete_item",
            lambda: {"item_id": self._plain(item_id, "id")},
            now,
            lambda: self._inner.session.delete_item(item_id, now=now),
        )

    def replace_item(self, item_id: str, item: Mapping[str, object], *, now: float) -> Issued:
        return self._did(
            "replace_item",
            lambda: {"item_id": self._plain(item_id, "id"), "item": self._plain(item)},
            now,
            lambda: self._inner.session.replace_item(item_id, item, now=now),
        )

    def move_item(self, item_id: str, previous_item_id: str | None = None, *, now: float) -> Issued:
        return self._did(
            "move_item",
            lambda: {"item_id": self._plain(item_id, "id"), "previous_item_id": self._plain(previous_item_id, "id")},
            now,
            lambda: self._inner.session.move_item(item_id, previous_item_id, now=now),
        )

    def sync_history(
        self,
        items: Iterable[HistoryItem | str | Mapping[str, object]],
        *,
        base: Iterable[HistoryItem | str] | None = None,
        now: float,
    ) -> Issued:
        # They may be iterators, which give what they give once.
        items, base = _once(items), _once(base)
        return self._did(
            "sync_history",
            lambda: {"items": self._listed(items), "base": self._listed(base)},
            now,
            lambda: self._inner.session.sync_history(items, base=base, now=now),
        )

    def _listed(self, items: object) -> Any:
        """A wanted history as plain data: of an item that stays, its id."""
        if not isinstance(items, list):
            return self._plain(items)
        named = [item.id if isinstance(item, HistoryItem) else item for item in items]
        return [self._plain(item, "id") if isinstance(item, str) else self._plain(item) for item in named]

    def retrieve_item(self, item_id: str, *, now: float) -> Issued:
        return self._did(
            "retrieve_item",
            lambda: {"item_id": self._plain(item_id, "id")},
            now,
            lambda: self._inner.session.retrieve_item(item_id, now=now),
        )

    def approve(
        self, approval_request_id: str, *, approve: bool = True, reason: str | None = None, respond: bool = True, now: float
    ) -> Issued:
        return self._did(
            "approve",
            lambda: {
                "approval_request_id": self._plain(approval_request_id, "id"),
                "approve": approve,
                "reason": None if reason is None else self._privacy.text(reason),
                "respond": respond,
            },
            now,
            lambda: self._inner.session.approve(approval_request_id, approve=approve, reason=reason, respond=respond, now=now),
        )

    def send_raw(self, event: Mapping[str, object], *, now: float) -> list[Effect]:
        return self._did(
            "send_raw", lambda: {"event": self._plain(event)}, now, lambda: self._inner.session.send_raw(event, now=now)
        )

    def pause(self, *, now: float) -> list[Effect]:
        return self._did("pause", dict, now, lambda: self._inner.session.pause(now=now))

    def resume(self, *, now: float) -> list[Effect]:
        return self._did("resume", dict, now, lambda: self._inner.session.resume(now=now))

    def mute(self, *, now: float) -> list[Effect]:
        return self._did("mute", dict, now, lambda: self._inner.session.mute(now=now))

    def unmute(self, *, now: float) -> list[Effect]:
        return self._did("unmute", dict, now, lambda: self._inner.session.unmute(now=now))

    def renew(self, *, now: float) -> list[Effect]:
        return self._did("renew", dict, now, lambda: self._inner.session.renew(now=now))

    def close(self, *, now: float) -> list[Effect]:
        return self._did("close", dict, now, lambda: self._inner.session.close(now=now))

    # -- views ---------------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Deadline | None:
        return self._inner.session.deadline

    @property
    def state(self) -> State:
        return self._inner.session.state

    @property
    def speaking(self) -> bool:
        return self._inner.session.speaking

    @property
    def muted(self) -> bool:
        return self._inner.session.muted

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return self._inner.session.history

    @property
    def usage(self) -> UsageTotals:
        return self._inner.session.usage

    @property
    def tool_names(self) -> frozenset[str] | None:
        return self._inner.session.tool_names

    @property
    def counters(self) -> Counters:
        return self._inner.session.counters

    @property
    def segments(self) -> tuple[SegmentView, ...]:
        return self._inner.session.segments

    def part_at(self, generation: int, sample: int) -> PartView | None:
        return self._inner.session.part_at(generation, sample)

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.session.capabilities

    @property
    def output_format(self) -> AudioFormat:
        return self._inner.session.output_format

    @property
    def input_format(self) -> AudioFormat:
        return self._inner.session.input_format

    # -- one input -----------------------------------------------------------------------------------------------------------

    def _did(self, do: str, given: Callable[[], dict[str, Any]], now: float, run: Callable[[], _R]) -> _R:
        """Run an input and write it down, even where it raised: that is the one that somebody will want to see again."""
        try:
            result = run()
        except Exception as error:
            self._write(do, given, now, self._inner.outcome([], type(error).__name__))
            raise
        self._write(do, given, now, self._inner.outcome(result))
        return result

    def _write(self, do: str, given: Callable[[], dict[str, Any]], now: float, outcome: Outcome) -> None:
        if self._count < 0:
            return
        try:
            arguments = given()
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            # What JSON cannot say is refused before anything changes: without it, nothing is missing.
            if outcome.raised != LocalProtocolError.__name__:
                self._end(f"the arguments of {do}() cannot be written down")
            return
        now = float(now)
        second = self._second.feed(do, arguments, now)
        unlike = None
        told, again = outcome.what, second.what
        if self._left_out:
            told, again = _without_heard_words(told), _without_heard_words(again)
        if (told, outcome.raised) != (again, second.raised):
            unlike = tuple(each.partition("(")[0] for each in outcome.what)
        line = Input(_at(now), do, arguments, second.out, second.what, second.raised, unlike)
        self._count += 1
        self._sink(encode_line(line))

    def _plain(self, value: object, name: str = "") -> Any:
        """What the program gave, as JSON data without what is not kept."""
        plain = msgspec.json.decode(msgspec.json.encode(value, enc_hook=_options))
        return self._privacy.value(plain, name, self.input_format.type)


def _without_heard_words(what: tuple[str, ...]) -> tuple[str, ...]:
    """What was given, but for which words were heard: nobody can tell from a sound, or from words, that were left out."""
    return tuple(
        _HEARD.sub("", each, count=1) if each.startswith("MessageEnded(") else each
        for each in what
        if not each.startswith("HeardText(")
    )


def _at(now: float) -> float | Literal["nan", "inf", "-inf"]:
    if isfinite(now):
        return now
    return "nan" if isnan(now) else "inf" if now > 0 else "-inf"


def _options(value: object) -> object:
    """Options as a program may give them: the objects of ``rtcore.config``, and mappings of any kind."""
    if isinstance(value, Mapping):
        return dict(value)
    wire = getattr(value, "wire", None)
    if callable(wire):
        return wire()
    raise TypeError(f"{type(value).__name__} cannot be written down")


def _once(given: Any) -> Any:
    """What is no list yet as one; a str, or what cannot be gone through, as it is, for the session to refuse."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping) else given


def _saying(format: AudioFormat | None, remember: object, interruptible: object, speaks: object) -> dict[str, Any]:
    """Options of what the program says; which message of the model's it speaks only where it does."""
    options = {"format": format, "remember": remember, "interruptible": interruptible}
    return options if speaks is None else {**options, "speaks": speaks}
