"""Who is on this side of a long call: a person who talks, talks over answers and types, and a program that says things and asks.

The person waits for an answer to each turn (invariant 15), says again what a server said that it failed at, and is patient only
while there is a line.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from rtcore._effects import Effect
from rtcore._notices import RequestEnded
from rtcore._session import Issued, Session
from rtcore.sim._line_asked import Asked
from rtcore.sim._line_book import SECOND, Book, LineOptions
from rtcore.sim._line_button import Button
from rtcore.sim._line_dialling import Dialling
from rtcore.sim._line_hearing import Hearing
from rtcore.sim._line_microphone import FRAME_MS, FRAME_NS, MicrophoneLog
from rtcore.sim._line_pictures import Pictures
from rtcore.sim._line_told import Told
from rtcore.sim._rng import Rng
from rtcore.sim.speaker import MILLISECOND
from rtcore.sim.voices import Voice

_SPEECH, _HEARD_AGAIN = 60 * SECOND, 3 * SECOND
"""How long speech may go on whose end is never told, and how long another server has to notice it."""
_PATIENCE_MS = 30_000
"""So long, with a line, a turn may stay without an answer: calls of slow tools, and a loss or two between them."""
_NOTICED = 500 * MILLISECOND
"""So long a word may have begun before anybody has said so."""


class Place(Protocol):
    """What the person and the program need of the call."""

    options: LineOptions
    book: Book
    session: Session

    def at(self, at: int, act: Callable[[], object]) -> None:
        """Do it then."""

    def call(self, effects: Sequence[Effect]) -> None:
        """The session gave these."""

    @property
    def sounds(self) -> bool:
        """Whether something is heard, or about to be."""

    @property
    def connected(self) -> bool:
        """Whether the session has a line, and it is alive."""

    def drop(self) -> None:
        """The line is lost."""


class Person:
    """The person and the program."""

    def __init__(
        self,
        place: Place,
        rng: Rng,
        voice: Voice,
        *,
        microphone: MicrophoneLog,
        hearing: Hearing,
        told: Told,
        asked: Asked,
        dialling: Dialling,
        pictures: Pictures,
        button: Button | None = None,
    ) -> None:
        self._place = place
        self._rng = rng
        self._acts, self._shows = rng.beside("program"), rng.beside("pictures")
        self._presses = rng.beside("button")
        self._pictures = pictures
        self._voice = voice.pcm
        self._button = button
        self._microphone, self._hearing, self._told, self._asked, self._dialling = microphone, hearing, told, asked, dialling
        self._mouth = 0
        self._typed: dict[int, str] = {}
        self._own_request: int | None = None
        self._count = 0
        self._waited_ms = 0
        self._noticed_until = 0
        self._refused_at = -1
        self._excused = self._promised = False
        self._began_byte = 0
        self.began_at = 0
        """When the person last began to speak."""
        self.speaking_until = 0
        self.turn_ended: int | None = None
        """The end of a turn that has no answer yet."""
        self.noticed = False
        """The server has said that it hears the present turn."""

    def begin(self) -> None:
        """The person is there."""
        self._place.at(SECOND, self._frame)
        self._place.at(2 * SECOND, self._think)

    @property
    def speaks(self) -> bool:
        """Whether the person speaks at this moment."""
        return self._place.book.now < self.speaking_until

    # -- the microphone ----------------------------------------------------------------------------------------------------------

    def _frame(self) -> None:
        """A frame of the microphone: the person's voice, or silence."""
        place = self._place
        place.at(place.book.now + FRAME_NS, self._frame)
        size = FRAME_MS * 48
        pcm = bytes(size)
        if self.speaks:
            self._mouth = 0 if self._mouth + size > len(self._voice) else self._mouth
            pcm, self._mouth = self._voice[self._mouth : self._mouth + size], self._mouth + size
        if self.turn_ended is not None and place.connected:
            self._waited_ms += FRAME_MS
        if place.session.state != "closed":
            place.call(place.session.append_audio(self._microphone.frame(pcm), now=place.book.seconds))

    # -- the lines ---------------------------------------------------------------------------------------------------------------

    def turn_under_way(self) -> int | None:
        """Where in the microphone's audio a turn began that a server has noticed, and of which no server has the end."""
        if self._button is not None:
            return self._button.under_way()
        return self._began_byte if self.noticed else None

    def heard(self, event: str) -> None:
        """A server says how the turn goes on: ``started``, or ``committed``."""
        self.noticed = self._button is not None or (event == "started" and self._began_byte > 0)
        self._noticed_until = self._place.book.now + _SPEECH

    def back(self, dead_since: int, carry_ms: int) -> None:
        """The session goes on. A turn of which a part was spoken into the dead line, too long ago to be sent again, need not be
        answered: nobody can have heard it whole. Nor need one that was noticed so long ago that nobody speaks any more, for all
        that the session knows, or that another server was to hear again and did not."""
        now = self._place.book.now
        if self._button is None and now > self._noticed_until:
            self.noticed = False
        unheard = (self.began_at > dead_since - _NOTICED or now > self._noticed_until) and not self.noticed
        if self.turn_ended is not None and unheard and self._microphone.ms(self._began_byte) > carry_ms:
            self._excused = True
        self._noticed_until = now + _HEARD_AGAIN
        if self._promised:
            # What the session before it failed at is asked of this one: only now is the answer under way.
            self._promised, self._refused_at, self._waited_ms = False, -1, 0

    # -- turns -------------------------------------------------------------------------------------------------------------------

    def answered(self) -> None:
        """Something of the model's began to sound: if it is behind the turn, it is its answer."""
        if self.turn_ended is not None and self._hearing.last_at > self.turn_ended:
            self._place.book.result.answered += 1
            self.turn_ended = None

    def refused(self) -> None:
        """A server says that it failed."""
        self._refused_at = self._place.book.now
        # Where nobody will ever answer again, no next session makes it good.
        self._promised = self._dialling.poisoned and not self._place.options.gone(self._place.book.now)

    def cut_off(self) -> None:
        """The line took an answer with it, before its end: it is waited for anew, unless the person speaks."""
        if self.turn_ended is None and not self.speaks:
            self._place.book.saw("lines: an answer was cut off")
            self._begins_turn()
            self.turn_ended = self._place.book.now

    def give_up(self) -> None:
        """Nobody will answer this turn, and the person was told so."""
        if self.turn_ended is not None:
            self._place.book.result.failed += 1
            self.turn_ended = None

    def waits_on(self) -> None:
        """Nobody was there to dial: that takes as long as it takes."""
        self._waited_ms = 0

    def request_ended(self, notice: RequestEnded) -> None:
        """A request of the person's, or the program's, is settled."""
        text = self._typed.pop(notice.request, None)
        if text is not None and notice.outcome == "done":
            self._told.typed(text, done=True)
            self._pictures.arrived(text)
        elif text is not None:
            self._pictures.failed(text)
        again = notice.outcome == "connection_lost" and self._place.options.pending == "again"
        if notice.request == self._own_request and notice.outcome != "done" and not again:
            self.give_up()

    def _begins_turn(self) -> None:
        result = self._place.book.result
        result.turns += 1
        self._waited_ms, self._own_request = 0, None
        self._excused = self._promised = False

    def _think(self) -> None:
        """Is it the person's turn?"""
        place, book = self._place, self._place.book
        now = book.now
        place.at(now + 200 * MILLISECOND, self._think)
        self._dialling.look()
        if now < self.speaking_until + 2 * SECOND or place.session.state == "closed":
            return
        calm = now > place.options.calm_at
        if self.turn_ended is not None:
            self._wait(now)
            return
        if not calm and place.options.show_per_mille and self._shows.chance(place.options.show_per_mille):
            self._show()
        if not calm and self._act():
            return
        if place.sounds and not self._rng.chance(place.options.barge_per_mille // 10):
            return
        if not place.sounds and not self._rng.chance(150):
            return
        self._begins_turn()
        self.began_at, self._began_byte = now, self._microphone.place
        self.noticed = False
        self.speaking_until = now + self._rng.between(600, 2_500) * MILLISECOND
        place.at(self.speaking_until, self._stop)
        if self._button is not None:
            self.noticed = True
            self._button.pressed()
            place.call(place.session.begin_turn(now=place.book.seconds))

    def _stop(self) -> None:
        place = self._place
        self.turn_ended = place.book.now
        if self._button is None or place.session.state == "closed":
            return
        issued = place.session.end_turn(now=place.book.seconds)
        self._button.released(issued.request)
        self._own_request = issued.request
        self._issue(issued, "turn")
        if place.options.aimed_per_mille and self._presses.chance(place.options.aimed_per_mille):
            place.at(place.book.now + self._presses.between(0, 400) * MILLISECOND, place.drop)

    def _wait(self, now: int) -> None:
        ended = self.turn_ended or 0
        refused = self._refused_at >= ended and now > self._refused_at + 2 * SECOND
        # The last failure before a poisoned session is renewed is made good by the next, if there is one.
        if refused and not (self._promised and not self._dialling.given_up):
            self.give_up()
        elif self._waited_ms > _PATIENCE_MS and not (self._promised and self._dialling.renews):
            result = self._place.book.result
            if self._excused:
                result.into_nothing += 1
                self._place.book.saw("lines: a turn spoken into nothing")
            else:
                self._place.book.fail(15, f"the turn that ended at {ended / SECOND:.3f} s was never answered")
            self.turn_ended = None

    # -- the program -------------------------------------------------------------------------------------------------------------

    def _act(self) -> bool:
        """Something else than speech, sometimes. Gives whether it is a turn."""
        place, options, rng = self._place, self._place.options, self._acts
        away = not place.connected
        turn = True
        if options.type_per_mille and rng.chance(options.type_per_mille * (20 if away else 1)):
            self._type(away=away)
        elif place.sounds:
            return False
        elif options.ask_per_mille and rng.chance(options.ask_per_mille):
            self._ask()
        elif options.say_per_mille and not self._asked.open("say") and rng.chance(options.say_per_mille):
            self._say()
            turn = False
        else:
            return False
        if options.aimed_per_mille and rng.chance(options.aimed_per_mille):
            place.at(place.book.now + rng.between(0, 400) * MILLISECOND, place.drop)
        return turn

    def _issue(self, issued: Issued, what: str) -> int:
        self._asked.issued(issued.request, what)
        self._place.call(issued.effects)
        return issued.request

    def _type(self, *, away: bool) -> None:
        place = self._place
        self._count += 1
        text = f"Typed line {self._count}."
        if away:
            place.book.saw("lines: typed while the line was away")
        self._begins_turn()
        self.turn_ended = place.book.now
        self._told.typed(text, done=False)
        issued = place.session.send_text(text, now=place.book.seconds)
        self._typed[issued.request] = text
        self._own_request = issued.request
        self._issue(issued, "type")

    def _show(self) -> None:
        place, rng = self._place, self._shows
        url = self._pictures.draw()
        self._told.typed(url, done=False)
        picture = {"type": "input_image", "image_url": url, "detail": "low"}
        item = {"type": "message", "role": "user", "content": [picture]}
        issued = place.session.create_item(item, now=place.book.seconds)
        self._typed[issued.request] = url
        self._issue(issued, "show")
        place.book.saw("lines: a picture was shown")
        if place.options.aimed_per_mille and rng.chance(place.options.aimed_per_mille):
            place.at(place.book.now + rng.between(0, 400) * MILLISECOND, place.drop)

    def _ask(self) -> None:
        place = self._place
        self._begins_turn()
        self.turn_ended = place.book.now
        issued = place.session.respond(now=place.book.seconds)
        self._own_request = issued.request
        self._issue(issued, "respond")

    def _say(self) -> None:
        place = self._place
        self._count += 1
        pcm = b"".join((self._acts.bits() & _QUIET).to_bytes(8, "little") for _ in range(self._acts.between(1_500, 12_000)))
        issued = place.session.say(pcm, f"Own words {self._count}.", now=place.book.seconds)
        view = place.session.segments[-1]
        self._hearing.own(view.response_id, view.item_id, pcm)
        self._issue(issued, "say")


_QUIET = 0x1FFF_1FFF_1FFF_1FFF
"""Four samples at a quarter of full scale at most."""
