"""An answer in text where sound was asked for: without a word to the program, the user would wait in silence (F140).

Models copy what they see, so that an answer may come as text after messages of text were put into the conversation. That is told.
By ``Config.text_answers``, and always where none has sounded since a replay (``_continuity``), it is also taken out of the
conversation, where it would be copied again, and asked for once more.
"""

from rtcore._core import Core
from rtcore._items import Item, Response
from rtcore._notices import AnsweredInText


class SilentAnswers:
    """Owner of: what becomes of an answer that nobody can hear?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._retried = False
        """One was asked for again, and none has sounded since."""
        self.shown_as_text = False
        """The session was shown words of the model as text, and no answer has sounded since."""

    def session_begins(self) -> None:
        """Another session goes on with the conversation: what it is shown, it may copy, whatever the one before it did."""
        self._retried = self.shown_as_text = False

    def response_done(self, response: Response) -> None:
        """A response is done: is it text alone?"""
        core = self._core
        if not response.completed:
            return
        texts = self._texts(response)
        retry = self._may_retry(response, texts)
        for item in texts:
            core.news.append(AnsweredInText(response.id, item.id, item.full_text, retry))
            if retry:
                core.interruption.take_out(item)
        if retry:
            self._retried = True
            if not core.creation.ask_again(response):
                core.creation.ask_answer()

    def line_lost(self, response: Response) -> None:
        """The line of an answer is lost of which every item had come: if it is text alone, the program may have it spoken."""
        for item in self._texts(response):
            self._core.news.append(AnsweredInText(response.id, item.id, item.full_text, False))

    def _texts(self, response: Response) -> list[Item]:
        """The messages of an answer that was to be sound, and has none."""
        if response.dead or response.out_of_band or response.text or not self._core.acknowledged.speaks:
            return []
        messages = [item for item in response.items.values() if item.type == "message"]
        if any(item.audio_parts for item in messages):
            self._retried = self.shown_as_text = False
            return []
        return [item for item in messages if item.full_text]

    def _may_retry(self, response: Response, texts: list[Item]) -> bool:
        """Once in a session, until an answer has sounded: a model that only writes is not asked, and paid for, without end. With
        calls beside it the answer to their outputs follows anyway."""
        alone = len(texts) == len(response.items)
        # Who was just shown the conversation as text is the likeliest to go on in text.
        wanted = self._core.config.text_answers == "retry" or self.shown_as_text
        wanted = wanted and self._core.capabilities.delete
        return bool(texts) and alone and wanted and not self._retried
