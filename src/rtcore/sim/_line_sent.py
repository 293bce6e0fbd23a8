"""What the session sends on each line of a long call: nothing that names what a lost session had, no answer asked for between
a call that is told and its output (invariants 3 and 10), and the microphone's sound, for its log.
"""

from msgspec import Struct
from msgspec.json import Decoder

from rtcore.sim._line_book import Book
from rtcore.sim._line_button import Button
from rtcore.sim._line_hearing import Hearing
from rtcore.sim._line_microphone import MicrophoneLog
from rtcore.sim._line_pictures import Pictures
from rtcore.sim._line_served import Served
from rtcore.sim._seen import read_client

_APPEND = b'{"type":"input_audio_buffer.append"'


class _Append(Struct):
    audio: bytes


_audio_of = Decoder(_Append).decode


class Sent:
    """Looks at every message before its line carries it."""

    def __init__(
        self, book: Book, microphone: MicrophoneLog, hearing: Hearing, pictures: Pictures, button: Button | None
    ) -> None:
        self._book, self._microphone, self._hearing = book, microphone, hearing
        self._pictures, self._button = pictures, button
        self.cancelled: set[str] = set()
        """Responses of which the session sent a cancel: before they were heard, perhaps, and then no interruption is told."""

    def check(self, served: Served, payload: bytes) -> None:
        """The session sends this to that server."""
        if payload.startswith(_APPEND):
            self._heard(served, payload)
            return
        seen = read_client(payload, self._book.now, 0)
        if self._button is not None:
            self._button.sent(served, seen)
        if seen.type == "input_audio_buffer.append":
            self._heard(served, payload)
        elif seen.type == "response.cancel" and seen.response_id is not None:
            self.cancelled.add(seen.response_id)
        elif seen.type != "session.update":
            item = seen.item or {}
            for part in item.get("content") or ():
                if part.get("image_url"):
                    self._pictures.leaves(str(part["image_url"]))
            if item.get("type") == "function_call":
                served.unanswered.add(str(item.get("call_id")))
            elif item.get("type") == "function_call_output":
                served.unanswered.discard(str(item.get("call_id")))
            elif seen.type == "response.create" and served.unanswered:
                call_id = served.unanswered.pop()
                self._book.fail(
                    10, f"connection {served.number} is asked for an answer, and call {call_id} was told without its output"
                )
            named = {seen.item_id, item.get("id")}
            own = served.server.items
            if foreign := [name for name in named if name in self._hearing.ids and name not in own]:
                self._book.fail(3, f"{seen.type} on connection {served.number} names {foreign[0]} of a lost session")

    def _heard(self, served: Served, payload: bytes) -> None:
        audio = _audio_of(payload).audio
        self._microphone.sent(served, audio)
        if self._button is not None:
            self._button.appended(served, audio)
