"""How long words take to say, in syllables: the text's half of the estimate of what was heard.

No dictionary, no language: vowels make syllables, consonants lengthen them, the last word before a pause is drawn out, digits and
signs are read out. The weights were fitted to 32 sentences in nine languages, none of them in the packaged speech, that a
synthesiser said; what counts is only how they compare.
"""

import re
from bisect import bisect_right
from typing import NamedTuple
from unicodedata import normalize

_WORD = re.compile(r"\S+")
SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
"""Scripts that put no spaces between words: each character counts as a word."""
_STRONG = frozenset(".!?…。！？।؟")  # noqa: RUF001
_WEAK = frozenset(",;:—–，、；：،؛")  # noqa: RUF001
_WHOLE = 1.0
"""Syllables that have to have sounded after a word that may go on, before it counts."""
_LONGEST = 64
"""Characters after which a word that goes on counts as one."""

_VOWELS = frozenset("aeiouyаеиоуыэюяієїαειουωη")  # noqa: RUF001
_HISSING = frozenset("sfzxvcjßþðсзфхцшщжчσζφχξψ")  # noqa: RUF001
_SOUNDING = frozenset("lmnrwhyлмнрйλμνρ")  # noqa: RUF001
_SIGNS = {"%": 2.0, "$": 1.5, "€": 1.5, "£": 1.0, "&": 0.7, "+": 0.7, "=": 1.0, "@": 0.7, "#": 1.0, "°": 1.5, "/": 0.7}
_DIGITS = (0.0, 1.3, 2.2, 4.2, 5.6)
"""A number of so many digits, as syllables; longer ones are read digit by digit."""
_NUCLEUS, _GLIDE, _SILENT = 0.47, 0.11, -0.33
"""A vowel, one more that follows it, and an "e" at the end that is rather not said."""
_HISS, _SOUND, _STOP, _UNKNOWN = 0.28, 0.17, 0.25, 0.4
"""Consonants by their kind, and letters of a script that is not known."""
_IDEOGRAM, _HANGUL = 1.5, 1.0
_OF_ITSELF, _LEAST, _DRAWN_OUT = 0.13, 0.3, 0.4
"""Whatever a word holds, the least for one, and what punctuation adds."""


class Mark(NamedTuple):
    """Punctuation, behind which a pause is likely."""

    words: int
    """Words before it."""
    time: float
    """Syllables before it."""
    strong: bool
    """Whether a sentence ends there."""


def syllables(word: str) -> float:
    """How long a word takes, in syllables or so."""
    weight = 0.0
    digits = vowels = 0
    before = silent_e = False
    letters = 0
    for character in word.lower() + " ":
        if character.isdigit():
            digits += 1
            continue
        if digits:
            weight += _DIGITS[digits] if digits < len(_DIGITS) else 1.3 * digits
            digits = 0
        if not character.isalpha():
            weight += _SIGNS.get(character, 0.0)
            if before and silent_e and vowels > 1:
                weight += _SILENT
            before = False
            continue
        letters += 1
        plain = character if character < "\x80" else normalize("NFD", character)[0]
        vowel = plain in _VOWELS and not (plain == "y" and not before and letters == 1)
        silent_e = False
        if vowel:
            if before:
                weight += _GLIDE
            else:
                weight += _NUCLEUS
                vowels += 1
                silent_e = character == "e"
        elif plain in _HISSING:
            weight += _HISS
        elif plain in _SOUNDING:
            weight += _SOUND
        elif SPACELESS.match(character):
            weight += _IDEOGRAM
        elif "\uac00" <= character <= "\ud7a3":
            weight += _HANGUL
        elif plain < "\u0500":
            weight += _STOP
        else:
            weight += _UNKNOWN
        before = vowel
    return weight


class Script:
    """The words of one text that grows: where each ends, and how long it takes to say it so far."""

    __slots__ = ("_at", "_open", "_text", "edition", "ends", "final", "marks", "times")

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._open = False
        self.final = False
        self.edition = 1
        """Grows when the text turns out to be another one than what came in pieces."""
        self.ends: list[int] = []
        """Past-the-end characters of the words, punctuation included."""
        self.times: list[float] = [0.0]
        """Syllables before each word, and before the one to come."""
        self.marks: list[Mark] = []
        """Where a pause is likely."""

    def read(self, text: str, final: bool) -> bool:
        """Take in what has come since; ``final`` lets the last word count. Gives whether there was a new word."""
        if text == self._text and final == self.final:
            return False
        if self._open:
            self._take_back()
        if not text.startswith(self._text[: self._at]):
            # The complete text need not be the sum of its pieces (F115).
            self._at = 0
            self.edition += 1
            self.ends.clear()
            self.marks.clear()
            del self.times[1:]
        self._text, self.final = text, final
        words = len(self.ends)
        for match in _WORD.finditer(text, self._at):
            self._split(match.group(), match.start(), final or match.end() < len(text))
        return len(self.ends) > words or final

    def _split(self, chunk: str, start: int, closed: bool) -> None:
        """The words of what stands between two spaces."""
        begin = 0
        if SPACELESS.search(chunk):
            for match in SPACELESS.finditer(chunk):
                if match.start() > begin and match.group().isalnum() and any(map(str.isalnum, chunk[begin : match.start()])):
                    self._add(chunk[begin : match.start()], start + match.start())
                    begin = match.start()
        rest, end = chunk[begin:], start + len(chunk)
        if closed or len(rest) > _LONGEST:
            self._add(rest, end)
        elif syllables(rest) > 0:
            # More of it may come: it is read again with that.
            at = self._at
            self._add(rest, end)
            self._at, self._open = at, True

    def _take_back(self) -> None:
        """The last word, which was read before it was known to be whole."""
        self._open = False
        if self.marks and self.marks[-1].words == len(self.ends):
            self.marks.pop()
        self.ends.pop()
        self.times.pop()

    def _add(self, word: str, end: int) -> None:
        self._at = end
        weight = syllables(word)
        last = next((each for each in reversed(word) if each in _STRONG or each in _WEAK or each.isalnum()), " ")
        if weight <= 0.0:
            # A dash of its own, a quotation mark: it belongs to the word before it.
            if self.ends:
                self.ends[-1] = end
                self._mark(last)
            return
        self.ends.append(end)
        self.times.append(self.times[-1] + max(weight + _OF_ITSELF, _LEAST))
        self._mark(last)

    def _mark(self, last: str) -> None:
        if last in _STRONG or last in _WEAK:
            number = len(self.ends)
            if self.marks and self.marks[-1].words == number:
                return
            self.times[-1] += _DRAWN_OUT
            self.marks.append(Mark(number, self.times[-1], last in _STRONG))

    @property
    def total(self) -> float:
        """Syllables in all."""
        return self.times[-1]

    @property
    def whole(self) -> int:
        """Past-the-end character of the last word that is known to be whole."""
        words = len(self.ends) - self._open
        return self.ends[words - 1] if words else 0

    def said(self, time: float, enough: float) -> int:
        """Words of which, after so many syllables, that share was said."""
        times = self.times
        over = bisect_right(times, time) - 1
        if over + 1 < len(times) and time - times[over] >= enough * (times[over + 1] - times[over]):
            over += 1
        if self._open and over == len(self.ends) and time < times[over] + _WHOLE:
            # Nobody knows yet whether this is the whole word; once there was time for more of it, it was.
            over -= 1
        return over
