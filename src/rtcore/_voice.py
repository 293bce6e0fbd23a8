"""A voice of the program's own in the same playout: clips, words that bridge a wait, text spoken by a synthesiser of one's own.

What is said is a message like any other: it sounds in its turn, an interruption cuts it, and it gets one verdict. For the rest of
the core it is a response beside the conversation that no server knows, so there is nothing to cancel, to truncate or to delete.
By choice the server is told afterwards what was heard of it, as a message of the assistant's.
"""

from msgspec import Struct

from rtcore._core import Core
from rtcore._errors import LocalProtocolError
from rtcore._formats import AudioFormat
from rtcore._items import Item, Response, Segment
from rtcore._notices import Verdict
from rtcore._recent import keep_latest

_REMEMBERED = 16


class _Saying(Struct):
    response: Response
    item: Item
    segment: Segment
    remember: bool


class Voice:
    """Owner of: what does the program say itself?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._saying: dict[int, _Saying] = {}
        """By request, until its verdict."""
        self._requests: dict[str, int] = {}
        """By item."""
        self._cut: dict[int, None] = {}
        """Those that were cut before the program had ended them: it may not know yet."""

    # -- what the program says ---------------------------------------------------------------------------------------------------

    def check_room(self, samples: int, format: AudioFormat) -> None:
        """Raise ``LocalProtocolError`` for more than may wait to be heard: what a program has, it can give later (F150)."""
        bound_s = self._core.config.playout.max_buffered_s
        if self._core.playout.queued + samples > bound_s * format.rate:
            raise LocalProtocolError(f"pcm: with it more than {bound_s} s would wait to be heard; say it in pieces, or later")

    def check_open(self, request: object) -> AudioFormat | None:
        """Raise ``LocalProtocolError`` for what is no saying, or was ended. Gives the format of one that goes on."""
        saying = self._saying.get(request) if isinstance(request, int) else None
        if saying is not None and (not saying.item.done or saying.response.dead):
            return saying.segment.format
        if saying is None and request in self._cut:
            return None  # what is added comes too late, and that is nobody's mistake
        raise LocalProtocolError(f"request: {request!r} is nothing that say_begin() began and that is open")

    def begin(self, request: int, format: AudioFormat, *, remember: bool, interruptible: bool, speaks: str | None) -> None:
        """A place in the queue, behind what waits there already. ``speaks``: the message of the model's that it says."""
        core = self._core
        key = core.requests.item_id()
        response = Response(f"say_{key}", request=None, out_of_band=True, audible=True)
        response.own = True
        response.interruptible = interruptible
        response.asked_at = core.now
        spoken = core.history.get(speaks) if speaks is not None else None
        response.speaks = spoken.response if spoken is not None else None
        response.quiet_since = core.now
        item = Item(key, "message", "assistant", response)
        part = item.part(0)
        part.kind = "audio"
        segment = part.segment = Segment(response.id, key, 0, format)
        response.items[key] = core.responses.items[key] = item
        core.responses.live[response.id] = response
        core.responses.segments[key, 0] = segment
        core.playout.open(response.id)
        core.playout.add(segment)
        self._saying[request] = _Saying(response, item, segment, remember)
        self._requests[key] = request
        core.timers.set_earlier("end of a response", core.now + core.config.timeouts.create_ms / 1000)

    def append(self, request: int, pcm: bytes, text: str) -> None:
        """More of it; of what was cut meanwhile, nothing."""
        core = self._core
        saying = self._saying.get(request)
        if saying is None or saying.item.done:
            core.counters.late_deltas += 1
            return
        part = saying.item.part(0)
        if text:
            part.add_text(text)
            core.running_text.words_came(saying.item, 0, part)
        core.playout.append(saying.segment, pcm, core.now, core.sound)
        if saying.segment.waiting:
            core.speech.after_playout()
        elif not core.speech.watching:
            core.speech.watch_clock()

    def end(self, request: int) -> None:
        """All of it was given."""
        core = self._core
        saying = self._saying.get(request)
        if saying is None or saying.item.done:
            return
        self._close(saying)
        saying.response.completed = True
        core.playout.response_done(saying.response.id, core.now, core.sound)
        core.speech.check_ended(saying.item)
        core.speech.after_playout()
        core.responses.retire(saying.response)

    def _close(self, saying: _Saying) -> None:
        part = saying.item.part(0)
        part.finish_text("")
        part.complete = saying.segment.complete = True
        saying.item.done = saying.response.done = True

    # -- what becomes of it ------------------------------------------------------------------------------------------------------

    def cut(self, response: Response) -> None:
        """It was interrupted; whoever gives it may not have ended it."""
        for saying in self._saying.values():
            if saying.response is response and not saying.item.done:
                self._close(saying)
                self._cut[self._requests[saying.item.id]] = None
                keep_latest(self._cut, _REMEMBERED)

    def abandoned(self, response: Response) -> None:
        """Nothing was added for so long that its end was forgotten: it ends with what there is."""
        for request, saying in list(self._saying.items()):
            if saying.response is response:
                self._core.lifecycle.warn("say_end() is missing; what was said is taken as complete", "", saying.item.id)
                self.end(request)

    def ended(self, item: Item, verdict: Verdict) -> None:
        """Its verdict: the request settles with it, and the server is told, where that was asked for, what was heard."""
        core = self._core
        request = self._requests.pop(item.id, None)
        if request is None:
            return
        saying = self._saying.pop(request)
        whole = verdict in (Verdict.FULL, Verdict.TEXT)
        if whole or core.state != "closed":
            core.requests.end(request, "done" if whole else "cancelled", item_id=item.id)
        heard = item.full_text if item.heard_text is None else item.heard_text
        # Heard while the line is away, it is told to the next session, behind what that is told anyway.
        if saying.remember and heard and core.state != "closed" and core.capabilities.create_assistant:
            item_id = core.requests.item_id()
            content = [{"type": "output_text", "text": heard}]
            told = {"id": item_id, "type": "message", "role": "assistant", "content": content}
            core.creation.ask_item(told, item_id, request=0, previous_item_id=None, gated=False)
            core.creation.pump()
