"""Answers in text where sound was asked for: is each told, and asked for again as the session's option says (F140)?

Nobody hears such an answer. With ``config.text_answers`` it is taken out of the conversation, where the model would copy it, and
asked for once more: once, until an answer has sounded, and only where nothing else came with it.
"""

from collections.abc import Callable

from rtcore._notices import AnsweredInText
from rtcore.sim._ledger import ItemRecord, Ledger, ResponseRecord
from rtcore.sim._seen import ServerSeen


class WrittenAudit:
    """Owner of: what became of an answer that nobody can hear?"""

    def __init__(self, ledger: Ledger, *, retries: bool, owed: Callable[[], None]) -> None:
        """``retries``: it is to be asked for again (``config.text_answers``). ``owed`` is told that an answer is due."""
        self.retries = retries
        self._ledger = ledger
        self._owed = owed
        self._again = False
        """One was asked for again, and none has sounded since."""
        self.due: dict[str, bool] = {}
        """Messages that the program has to be told of in this step, and whether they are taken out."""
        self._ended: set[str] = set()

    def arrived(self, message: ServerSeen) -> None:
        """``response.done`` reaches the client."""
        response_id = message.response.id if message.response is not None else message.response_id
        record = self._ledger.responses.get(response_id or "")
        if record is None or record.id in self._ended:
            return
        self._ended.add(record.id)
        if record.status != "completed" or record.dead or record.out_of_band:
            return
        messages = [item for item in record.items.values() if item.type == "message"]
        if any(item.audio_parts for item in messages):
            self._again = False
            return
        written = [item for item in messages if item.shown_text]
        again = self._asked_again(record, written)
        self.due = {item.id: again for item in written}

    def _asked_again(self, record: ResponseRecord, written: list[ItemRecord]) -> bool:
        return bool(written) and self.retries and not self._again and len(written) == len(record.items)

    def told(self, notice: AnsweredInText) -> bool:
        """The program is told of one; gives whether it is taken out of the conversation."""
        ledger = self._ledger
        again = self.due.pop(notice.item_id, None)
        if again is None:
            ledger.fail(6, f"{notice.item_id} was told to be an answer in text, and is none, or was told before")
        elif again is not notice.retried:
            ledger.fail(1, f"{notice.item_id}: an answer in text was {'' if notice.retried else 'not '}asked for again")
        ledger.saw("F140: an answer in text, told to the program")
        if notice.retried and not self._again:
            ledger.saw("F140: an answer in text, asked for again")
            self._again = True
            self._owed()
        return notice.retried

    def did(self) -> None:
        """The session has dealt with the message."""
        for item_id in self.due:
            self._ledger.fail(6, f"{item_id} is an answer in text, which nobody hears, and nobody was told")
        self.due.clear()
