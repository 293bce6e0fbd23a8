"""What one response tells: the events of its items and parts, and the record of them. When, is decided by its generation.

Order and shapes are protocol facts 4.3 to 4.8; what they leave open is in ``Rules``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from rtcore._formats import AudioFormat
from rtcore.sim._rng import Rng
from rtcore.sim._server_plan import CallPlan, MessagePlan, PartPlan, ResponsePlan
from rtcore.sim._server_speech import Take
from rtcore.sim._server_state import State
from rtcore.sim._server_strand import Strand
from rtcore.sim._server_truth import ServerItem, ServerPart, ServerResponse
from rtcore.sim._server_wire import Json, audio_format


class Output:
    """One output of the plan on its way: its item and how far it is told."""

    __slots__ = ("args_sent", "closed", "index", "item", "plan", "strands")

    def __init__(self, index: int, plan: MessagePlan | CallPlan) -> None:
        self.index = index
        self.plan = plan
        self.item: ServerItem | None = None
        self.strands: list[Strand] = []
        """Of its declared parts, in order."""
        self.args_sent = 0
        self.closed = False


class Telling:
    """Puts one response's events on the wire. ``deltas`` counts the deltas of audio, text and arguments that are through."""

    def __init__(self, state: State, response: ServerResponse, plan: ResponsePlan, wanted: Json, rng: Rng) -> None:
        self.outputs = [Output(index, out) for index, out in enumerate(plan.output)]
        self.deltas = 0
        self.cut = False
        """What is open is closed because the response was cut."""
        self._plan = plan
        self._state = state
        self._response = response
        self._wanted = wanted
        self._rng = rng
        output = state.session["audio"]["output"] | wanted.get("audio", {}).get("output", {})
        self._audio: Json = {"format": output["format"], "voice": output["voice"]}
        self._format: AudioFormat = audio_format(output["format"])
        self._modalities: list[str] = wanted.get("output_modalities") or state.session["output_modalities"]
        self._generated_samples = 0
        self._generated_chars = 0
        self._calls = 0
        self._seen: set[str] = set()

    def _saw(self, fault: str) -> None:
        """This response showed a fault; counted once."""
        if fault not in self._seen:
            self._seen.add(fault)
            self._state.saw(fault)

    # -- opening --------------------------------------------------------------------------------------------------------------

    def created(self) -> None:
        """response.created."""
        state = self._state
        if not self._plan.created and not self._response.out_of_band:
            return
        self._response.created_at = state.now
        state.emit("response.created", response=self._shape([], None, None))
        if state.rules.rate_limits == "at_start":
            self._rate_limits()

    def _shape(self, output: Sequence[Json], details: Json | None, usage: Json | None) -> Json:
        state, response = self._state, self._response
        limit = self._wanted.get("max_output_tokens", state.session["max_output_tokens"])
        shape: Json = {
            "object": "realtime.response",
            "id": response.id,
            "status": response.status,
            "status_details": details,
            "output": output,
            "conversation_id": None if response.out_of_band else state.conversation_id,
            "output_modalities": self._modalities,
            "max_output_tokens": limit,
            "audio": {"output": self._audio},
            "usage": usage,
            "metadata": response.metadata,
        }
        if not state.wire.manner.metadata:
            del shape["metadata"]
        return state.wire.response(shape, session=state.session)

    def open(self, out: Output) -> None:
        """Announce an output's item, once."""
        if out.item is not None:
            return
        state = self._state
        if self._response.created_at is None:
            self._saw("missing response.created")
        if any(other.item is not None and not other.closed for other in self.outputs):
            self._saw("interleaved items")
        call = out.plan if isinstance(out.plan, CallPlan) else None
        item = ServerItem(
            id=state.new_id("item"),
            type="message" if call is None else call.item_type,
            role="assistant" if call is None else None,
            origin="response",
            order=0,
            announced_at=state.now,
            response_id=self._response.id,
            output_index=out.index,
            out_of_band=self._response.out_of_band,
        )
        if isinstance(out.plan, CallPlan):
            item.call_id, item.name, item.server_label = state.new_id("call"), out.plan.name, out.plan.server
            item.arguments = out.plan.arguments if out.plan.approval else ""
            if not item.out_of_band and not item.server_label:
                state.calls[item.call_id] = item.id
        else:
            item.phase = out.plan.phase
        out.item = item
        self._response.item_ids.append(item.id)
        late = 0 if isinstance(out.plan, CallPlan) or item.out_of_band else out.plan.announced_ms
        if late == 0:
            state.add(item)
            state.emit("response.output_item.added", **self._output(out), item=state.shape(item))
            state.announce(item)
            return
        state.hold_back(item, for_ever=late is None)
        state.emit("response.output_item.added", **self._output(out), item=state.shape(item))
        if late is None:
            self._saw("late announcement")
        else:
            state.later(late / 1000, lambda: state.announce_late(item))

    @property
    def behind(self) -> bool:
        """Whether an item of it has not been announced."""
        return any(out.item is not None and out.item.id in self._state.unannounced for out in self.outputs)

    def announce_within(self, seconds: float) -> None:
        """Announce what is not announced by then."""
        state = self._state
        for out in self.outputs:
            if out.item is not None and out.item.id in state.unannounced:
                state.later(seconds, partial(state.announce_late, out.item))

    def open_part(self, out: Output, index: int) -> ServerPart:
        """Declare a content part, once."""
        assert isinstance(out.plan, MessagePlan) and out.item is not None
        if index < len(out.strands):
            return out.item.parts[index]
        part, take = self._plan_part(out.plan.parts[index], index)
        out.item.parts.append(part)
        ids = {**self._output(out), "item_id": out.item.id, "content_index": index}
        out.strands.append(Strand(self._state, part, take, ids))
        shown: Json = {"type": "text", "text": ""} if part.kind == "text" else {"type": "audio", "transcript": ""}
        self._emit_part(out, "response.content_part.added", part, shown)
        return part

    def _plan_part(self, plan: PartPlan, index: int) -> tuple[ServerPart, Take | None]:
        state = self._state
        kind = "text" if self._modalities == ["text"] else plan.kind
        if kind == "text":
            text = plan.text or state.bank.phrase(self._rng)
            return ServerPart("text", index, self._format, text, 0, (), b"", 0, state.now), None
        samples = plan.audio_ms * self._format.rate // 1000 + plan.extra_samples
        take = state.bank.take(self._format, samples, self._rng, state.used_starts, plan.voice)
        announced = take.end - take.start
        lost = plan.lost_ms * self._format.bytes_per_ms if plan.sound == "whole" else announced
        text, words = (take.text, take.words) if plan.transcript else ("", ())
        sent = max(0, announced - lost)
        part = ServerPart("audio", index, self._format, text, sent, words, take.track.data, take.start, state.now)
        part.announced_bytes = announced
        part.short_samples = self._format.samples(state.rules.held_short_ms)
        return part, take

    def _emit_part(self, out: Output, kind: str, part: ServerPart, shown: Json) -> None:
        if self._silent(out):
            return
        more = {"content": shown} if self._state.rules.part_content and not self._state.wire.preview else {}
        if kind == "response.content_part.done" and self._state.wire.manner.bare:
            self._state.emit(kind, **out.strands[part.index].ids)
            return
        self._state.emit(kind, **out.strands[part.index].ids, part=shown, **more)

    def _output(self, out: Output) -> Json:
        return {"response_id": self._response.id, "output_index": out.index}

    def _silent(self, out: Output) -> bool:
        return out.item is not None and out.item.deleted and self._state.rules.delete_midway == "silent"

    def audio_delta(self, out: Output, strand: Strand, position: int, size: int) -> None:
        """``size`` bytes of audio from ``position`` of the part."""
        state, item, part = self._state, out.item, strand.part
        assert item is not None
        width = strand.width
        self._generated_samples += size // width
        self.deltas += 1
        # Nothing of a deleted item is sent any more, for ever: what was sent stays a prefix of the part.
        if item.deleted_at is not None and self._silent(out):
            return
        if state.call is not None:
            state.call.generated(self._response, item, part, size)
        if state.options.call is None or state.options.call.deltas:
            strand.audio(position, size)
        if part.first_audio_at is None:
            part.first_audio_at = state.now
            state.spoke = state.spoke or not self._response.out_of_band
            if any(other.first_audio_at is not None for other in item.parts if other is not part):
                self._saw("two audio parts")
        elif part.last_audio_at == state.now:
            self._saw("bursts")
        if size % width:
            self._saw("odd bytes")
        if self._response.stop_requested_at is not None:
            self._saw("late deltas")
        part.last_audio_at = state.now
        part.sent_bytes += size
        if not part.truncations or state.rules.truncate_midway == "keeps_later":
            part.kept_bytes += size

    def empty_delta(self, out: Output, part: ServerPart) -> None:
        """An audio delta without a byte."""
        if not self._silent(out):
            self._state.emit("response.output_audio.delta", **out.strands[part.index].ids, delta="")

    def text_delta(self, out: Output, part: ServerPart, end: int) -> None:
        """The part's text or transcript up to the character ``end``; nothing where it is told already."""
        delta = part.planned_text[part.sent_chars : end]
        if not delta:
            return
        if part.kind == "text":
            self.deltas += 1
        if self._silent(out):
            return
        part.sent_chars = end
        self._generated_chars += len(delta)
        out.strands[part.index].text(delta, self._padding())
        self._late()

    def _late(self) -> None:
        """A delta was sent: after the cut?"""
        if self._response.stop_requested_at is not None:
            self._saw("late deltas")

    def args_delta(self, out: Output) -> None:
        """The next fragment of a call's arguments, if there is one."""
        assert isinstance(out.plan, CallPlan) and out.item is not None
        if out.args_sent >= out.plan.fragments or out.plan.approval:
            out.args_sent = out.plan.fragments
            return
        out.args_sent += 1
        end = len(out.plan.arguments) * out.args_sent // out.plan.fragments
        delta = out.plan.arguments[len(out.item.arguments) : end]
        out.item.arguments += delta
        self._generated_chars += len(delta)
        self.deltas += 1
        if delta and not self._silent(out):
            named = {} if out.plan.server else {"call_id": out.item.call_id}
            self._state.emit(
                f"response.{'mcp' if out.plan.server else 'function'}_call_arguments.delta",
                **({"response_id": self._response.id} if self._state.wire.manner.bare else self._output(out)),
                item_id=out.item.id,
                **named,
                delta=delta,
                **self._padding(),
            )
            self._late()

    def _padding(self) -> Json:
        return {"obfuscation": "x" * self._rng.between(4, 14)} if self._state.rules.obfuscation else {}

    # -- closing --------------------------------------------------------------------------------------------------------------

    def close_part(self, out: Output, part: ServerPart, *, tail: bool = True) -> None:
        """Close a part, once; ``tail`` says whether its audio and text are closed first."""
        if part.done_at is not None:
            return
        part.done_at = self._state.now
        if self._silent(out):
            return
        self._count_part(part)
        first = tail and self._plan.closing == "part first"
        if first:
            self._saw("reordered output_item.done")
            self._part_done(out, part)
        if tail:
            self._tail(out, part)
        if not first:
            self._part_done(out, part)

    def _part_done(self, out: Output, part: ServerPart) -> None:
        told = "text" if part.kind == "text" else "transcript"
        self._emit_part(out, "response.content_part.done", part, {"type": part.kind, told: self._closing_text(part)})

    def _closing_text(self, part: ServerPart) -> str:
        """What the events that close a part say of its text."""
        return "" if self.cut and part.kind == "audio" and self._state.rules.cut_transcript == "empty" else part.sent_text

    def _tail(self, out: Output, part: ServerPart) -> None:
        emit = self._state.emit
        where = out.strands[part.index].ids
        if part.kind == "text":
            emit("response.output_text.done", **where, text=part.sent_text)
            return
        if self._state.rules.audio_done_first:
            emit("response.output_audio.done", **where)
        emit("response.output_audio_transcript.done", **where, transcript=self._closing_text(part))
        if not self._state.rules.audio_done_first:
            emit("response.output_audio.done", **where)

    def _count_part(self, part: ServerPart) -> None:
        if part.sent_bytes == part.planned_bytes < part.announced_bytes:
            self._generated_samples += part.announced_samples - part.planned_samples
            self._state.saw("fewer samples than announced" if part.sent_bytes else "empty audio")

    def close(self, out: Output, status: str, *, tail: bool = True) -> None:
        """Close an output's item and whatever of it is open."""
        state, item = self._state, out.item
        assert item is not None
        out.closed = True
        for part in item.parts:
            self.close_part(out, part, tail=tail)
        # A call that was cut never completes its arguments (C26).
        if isinstance(out.plan, CallPlan) and out.plan.server:
            self._close_remote(out, out.plan, item, status)
        elif isinstance(out.plan, CallPlan) and status == "completed" and not self._silent(out):
            named = {} if state.wire.preview else {"name": item.name}
            state.emit(
                "response.function_call_arguments.done",
                **self._output(out),
                item_id=item.id,
                call_id=item.call_id,
                **named,
                arguments=item.arguments,
            )
            self._calls += 1
            if self._calls == 2:
                self._saw("several function calls")
        item.status = status
        waited = self._plan.closing in ("held", "reversed")
        if waited and any(other.item is not None and not other.closed for other in self.outputs):
            self._saw("reordered output_item.done")
        if self._plan.closing == "output first":
            self._item_done(out)
            if state.finish(item, status):
                self._saw("reordered output_item.done")
        else:
            state.finish(item, status)
            self._item_done(out)

    def _close_remote(self, out: Output, plan: CallPlan, item: ServerItem, status: str) -> None:
        """A remote tool was called: the server runs it. What came of it stands in the item (4.14)."""
        if plan.approval or status != "completed" or self._silent(out):
            return
        self._saw("remote tools")
        emit, where = self._state.emit, {"item_id": item.id, "output_index": out.index}
        said = {**where, "response_id": self._response.id}
        emit("response.mcp_call_arguments.done", **said, arguments=item.arguments)
        emit("response.mcp_call.in_progress", **where)
        if plan.error:
            item.output = {"output": None, "error": {"type": "tool_execution_error", "message": plan.error}}
            emit("response.mcp_call.failed", **where)
        else:
            item.output = {"output": plan.result, "error": None}
            emit("response.mcp_call.completed", **where)

    def _item_done(self, out: Output) -> None:
        if out.item is not None and not self._silent(out):
            self._state.emit("response.output_item.done", **self._output(out), item=self._state.shape(out.item))

    def done(self, status: str, detail: str | None, *, told: bool = True) -> None:
        """response.done: nothing of this response follows but the rate limits. Not ``told``: it never comes (F022)."""
        state, response = self._state, self._response
        response.status, response.reason, response.done_at = status, detail, state.now
        if state.call is not None:
            # Behind the response.done, which is put on the wire in this very instant.
            state.later(0, partial(state.call.ended, response))
        if not told:
            state.untold.add(response.id)
            self._saw("missing response.done")
            return
        details: Json | None = None
        if status == "failed":
            message = "The server had an error while processing your request."
            error = {"type": "server_error", "code": detail or "server_error", "message": message}
            details = {"type": "failed", "error": error}
        elif status != "completed":
            details = {"type": status, "reason": detail or "max_output_tokens"}
        listed = [out.item for out in self.outputs if out.item is not None and not self._silent(out)]
        if status == "cancelled" and state.rules.cancelled_output == "empty":
            listed = []
        usage = self._usage(status)
        if state.wire.manner.bare:
            # Usage on top, and the reason as a bare string (facts 14).
            told_details: Any = details["reason"] if details is not None and "reason" in details else details
            shape = self._shape([state.shape(item) for item in listed], None, None)
            state.emit("response.done", response={**shape, "status_details": told_details}, usage=usage)
        else:
            state.emit("response.done", response=self._shape([state.shape(item) for item in listed], details, usage))
        self._count_end(status, detail)
        if state.rules.rate_limits == "after_done":
            self._rate_limits()

    def _count_end(self, status: str, detail: str | None) -> None:
        if self._response.created_at is None:
            self._saw("missing response.created")
        match status:
            case "failed":
                self._saw("failed response")
            case "incomplete":
                self._saw("filtered response" if detail == "content_filter" else "incomplete response")
            case "completed":
                kinds = {part.kind for out in self.outputs if out.item is not None for part in out.item.parts}
                if kinds == {"text"} and self._modalities != ["text"]:
                    self._saw("text-only answer")
            case _:
                pass

    def _usage(self, status: str) -> Json | None:
        if status == "failed":
            return None
        audio = self._generated_samples * 20 // self._format.rate
        text = self._generated_chars // 4
        self._state.text_out += text + audio
        known = 120 + self._state.text_out
        details: dict[str, Any] = {"text_tokens": known, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": known // 2}
        return {
            "total_tokens": known + audio + text,
            "input_tokens": known,
            "output_tokens": audio + text,
            "input_token_details": details,
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }

    def _rate_limits(self) -> None:
        remaining = max(0, 40_000 - self._state.text_out)
        limits = [{"name": "tokens", "limit": 40_000, "remaining": remaining, "reset_seconds": 0.5}]
        self._state.emit("rate_limits.updated", rate_limits=limits)
