"""What each new session of a long call is told: what was said and heard until then, in its order, each once, and nothing else.

The truth is the conversation that the server before it held, with what was audible in the place of what was generated: the core's
own history is not asked. Invariant 11; of calls and their outputs, 10.
"""

from typing import NamedTuple

from rtcore.sim._line_book import Book
from rtcore.sim._line_hearing import LATE, Hearing
from rtcore.sim._line_pictures import Pictures, shown
from rtcore.sim._line_served import Served
from rtcore.sim._server_truth import ServerItem

_LATEST = 40
"""Of what was heard before, so much at least is told (``reconnect.max_items`` are 200, of every kind)."""


class Key(NamedTuple):
    """What an item says, by which it is known again in another session: who, and its words or the id of its call."""

    who: str
    what: str


def result_of(call_id: str) -> str:
    """What the program's tool answers to this call: words of its own, by which the result is known again wherever it is told."""
    return f"It is so: {call_id}."


class Told:
    """Owner of what a session is told at its beginning."""

    def __init__(self, book: Book, hearing: Hearing, pictures: Pictures, *, summary: bool) -> None:
        self._book = book
        self._pictures = pictures
        self._hearing = hearing
        self._summary = summary
        self._words: dict[str, str] = {}
        self._answered: dict[str, int] = {}
        self._typed: dict[str, bool] = {}
        self._said: list[tuple[str, Key]] = []
        self._named: set[str] = set()
        self.wordless = ""
        """The latest turn that a server said it has, as long as its words have not come: its sound alone can tell it."""

    # -- what is known on this side ----------------------------------------------------------------------------------------------

    def words(self, item_id: str, text: str) -> None:
        """The user's words reached the client."""
        self._words[item_id] = text
        if text.strip() and item_id == self.wordless:
            self.wordless = ""

    def committed(self, item_id: str) -> None:
        """A server has a turn."""
        self.wordless = "" if self._words.get(item_id, "").strip() else item_id

    def named(self, left_out: tuple[tuple[str, str], ...]) -> None:
        """The session says what it could not tell."""
        self._named.update(item_id for item_id, _ in left_out)

    def answered(self, call_id: str) -> None:
        """The session took the result of a call."""
        self._answered[call_id] = self._book.now

    def typed(self, text: str, *, done: bool) -> None:
        """The user typed this; ``done``: the session says that the server has it."""
        self._typed[text] = done

    # -- what a server was told --------------------------------------------------------------------------------------------------

    def leave(self, served: Served) -> None:
        """A session is over: did it begin with what was said until then?"""
        items = self._of(served)
        self._check_typed(served, items)
        self._check_calls(served, items)
        if served.before is not None:
            if self._summary:
                self._check_summary(served, items)
            else:
                self._check_items(served, served.before, items)
            self._check_sound(served, items)
            served.before = None
        if self._summary:
            self._said += [(item.id, key) for item in items if item.origin != "client" and (key := self._key(item)) is not None]

    def _key(self, item: ServerItem) -> Key | None:
        if item.type == "function_call":
            return Key("call", item.call_id or "") if item.call_id in self._answered else None
        if item.type == "function_call_output":
            return Key("output", item.call_id or "")
        if item.type != "message" or item.role not in ("user", "assistant"):
            return None
        if item.origin == "response":
            text = self._hearing.ended.get(item.id, ("", 0))[0]
        elif item.origin == "turn":
            text = self._words.get(item.id, "")
        else:
            text = shown(item) or "".join(str(part.get("text") or "") for part in item.content)
            if self._typed.get(text) is False:
                return None  # the session has not said that it is there
        return Key(item.role, text.strip()) if text.strip() else None

    def _check_typed(self, served: Served, items: list[ServerItem]) -> None:
        """What was typed is there once."""
        made = [item for item in items if item.origin == "client"]
        texts = [shown(item) or "".join(str(part.get("text") or "") for part in item.content) for item in made]
        for text in self._typed:
            if texts.count(text) > 1:
                self._book.fail(2, f"connection {served.number} was told {text[:60]!r} {texts.count(text)} times")

    def _check_calls(self, served: Served, items: list[ServerItem]) -> None:
        """A call that we created has its output, and no call has two."""
        outputs = [item.call_id for item in items if item.type == "function_call_output"]
        outputs_at = {item.call_id: at for at, item in enumerate(items) if item.type == "function_call_output"}
        late = served.before is None or not self._in_time(served)
        for item in items:
            if item.type != "function_call":
                continue
            count = outputs.count(item.call_id)
            if count and outputs_at[item.call_id] < items.index(item):
                self._book.fail(10, f"the output of call {item.call_id} stands before it on connection {served.number}")
            if count > 1:
                self._book.fail(10, f"call {item.call_id} has {count} outputs on connection {served.number}")
            elif not count and item.origin == "client" and not late:
                self._book.fail(10, f"call {item.call_id} was told to connection {served.number} without its output")

    def _check_items(self, served: Served, before: Served, items: list[ServerItem]) -> None:
        book, number = self._book, served.number
        replayed = [item for item in items if item.origin == "client" and item.type == "message" and item.role == "assistant"]
        heard = [text.strip() for text in self._hearing.heard]
        taken_out = list(self._hearing.taken_out.values())
        for item in replayed:
            text = "".join(str(part.get("text")) for part in item.content).strip()
            if text not in heard:
                book.fail(11, f"connection {number} was told {text!r}, which was not heard")
                return
        told = [key for item in items if (key := self._key(item)) is not None]
        for key in {key for key in told if key.who in ("assistant", "call")}:
            # What was taken out may still stand at a server whose line was lost before that reached it.
            most = heard.count(key.what) + taken_out.count(key.what) if key.who == "assistant" else 1
            if told.count(key) > most:
                book.fail(11, f"connection {number} was told {key.what!r} {told.count(key)} times")
                return
        known = [key for item in self._of(before) if (key := self._key(item)) is not None]
        # What the model says now may be word for word what it said before: the order is that of what was told.
        self._check_order(
            number, known, [key for item in items if item.origin == "client" and (key := self._key(item)) is not None]
        )
        self._check_first(number, items, known)
        if not self._in_time(served):
            return
        # What was taken out may have stood at the server before, to which that was on its way when its line was lost.
        known = [key for key in known[-_LATEST:] if key.who != "assistant" or key.what not in taken_out]
        put = [[key.what for key in keys if key.who == "user"] for keys in (known, told)]
        self._pictures.check(number, served.pictures, served.pictures_before, *put)
        for key in known:
            out = key.who == "assistant" and key.what in taken_out
            gone = key.what in served.pictures_before and key.what not in served.pictures
            # A call is told with its output: one that was answered when the line was dead could not be.
            late = key.who == "call" and self._answered[key.what] + LATE >= self._until(served)
            if key not in told and not (out or gone or late):
                book.fail(
                    10 if key.who in ("call", "output") else 11,
                    f"connection {number} was not told of the {key.who}: {key.what[:80]!r}",
                )
                return

    def _check_order(self, number: int, known: list[Key], told: list[Key]) -> None:
        """An output that was on its way may stand right behind its call now; everything else has its old place."""
        place = {key: at for at, key in enumerate(known) if key.who != "output" and known.count(key) == 1}
        latest = -1
        for key in told:
            if key in place and told.count(key) == 1:
                if place[key] < latest:
                    self._book.fail(
                        11, f"connection {number} was told in another order than was heard: the {key.who}'s {key.what!r}"
                    )
                    return
                latest = place[key]

    def _check_first(self, number: int, items: list[ServerItem], known: list[Key]) -> None:
        """What was said before stands before what this session's server heard and made itself."""
        before = {key for key in known if key.who in ("user", "assistant", "call")}
        new = ""
        for item in items:
            if item.origin != "client":
                new = item.id
            elif new and self._key(item) in before:
                self._book.fail(11, f"connection {number} was told {item.id}, which was said before, behind {new}")
                return

    def _check_summary(self, served: Served, items: list[ServerItem]) -> None:
        number = served.number
        notes = [item for item in items if item.origin == "client" and item.role == "system"]
        text = "\n".join(str(part.get("text")) for item in notes for part in item.content)
        heard = {text.strip() for text in self._hearing.heard}
        for line in text.split("\n"):
            who, _, said = line.partition(": ")
            if who == "Assistant" and said.removesuffix(" (interrupted)") not in heard:
                self._book.fail(11, f"connection {number} was told {said!r} in a summary, which was not heard")
                return
        if len(notes) > 1:
            self._book.fail(11, f"connection {number} was told {len(notes)} summaries")
        elif notes and items[0] is not notes[0]:
            self._book.fail(11, f"connection {number} was told its summary behind what was said later: {items[0].id}")
        if served.before is None or not self._in_time(served):
            return
        # Whatever became of the lines meanwhile: a result is in the summary, or told itself with its call (invariant 10).
        outputs = {item.call_id for item in items if item.type == "function_call_output"}
        answered = [call_id for call_id, at in self._answered.items() if at <= served.opened_at and call_id not in outputs]
        for call_id in answered[-_LATEST:] if len(text) < 15_000 else ():
            if result_of(call_id) not in text:
                self._book.fail(10, f"connection {number} was told nothing of the result of call {call_id}")
                return
        at = 0
        # What was taken out may still stand where the line was lost before that reached the server: nobody is told of it.
        known = [key for item_id, key in self._said if item_id not in self._hearing.taken_out]
        for key in known[-_LATEST:] if len(text) < 15_000 else ():
            if key.who in ("user", "assistant"):
                found = text.find(key.what, at)
                if found < 0:
                    self._book.fail(
                        11, f"connection {number} was not told in its summary, or too early, of the {key.who}: {key.what!r}"
                    )
                    return
                at = found

    def _check_sound(self, served: Served, items: list[ServerItem]) -> None:
        """The latest turn of the user's is told by its sound where its words have not come, or it is named as not told."""
        if not served.wordless or served.wordless in self._named or not self._in_time(served):
            return
        if not any(item.origin == "client" and any(part["type"] == "input_audio" for part in item.content) for item in items):
            self._book.fail(
                11, f"connection {served.number} was not told the sound of {served.wordless}, whose words had not come"
            )

    def _of(self, served: Served) -> list[ServerItem]:
        return [served.server.items[name] for name in served.server.conversation]

    def _in_time(self, served: Served) -> bool:
        """Whether it lived long enough to be told all, that which still sounded when it began included."""
        latest = served.opened_at
        for item_id in self._hearing.ids - served.server.items.keys():  # of whatever session: some live for a moment
            if item_id not in self._hearing.ended:
                return False
            latest = max(latest, self._hearing.ended[item_id][1])
        return bool(served.opened_at) and self._until(served) > latest + LATE

    def _until(self, served: Served) -> int:
        return self._book.now if served.dead_at is None else served.dead_at
