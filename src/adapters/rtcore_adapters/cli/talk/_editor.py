"""A line that is typed key by key, while the terminal shows something else: characters in, what the person wants out."""

from typing import Literal

from msgspec import Struct


class Say(Struct, frozen=True):
    """Send this text."""

    text: str


class Hold(Struct, frozen=True):
    """Hold the sound, or let it go on."""


class End(Struct, frozen=True):
    """End the talk."""


class Silent(Struct, frozen=True):
    """Nothing more will be typed: standard input has ended."""


Wish = Say | Hold | End | Silent
"""What a person at the keyboard can want."""


class Editor:
    """The line under way, in ``text``. Understands Enter, Backspace, Ctrl-U, Ctrl-W, Ctrl-D, and space on an empty line."""

    def __init__(self) -> None:
        self.text = ""
        self._escape: Literal["", "escape", "sequence"] = ""

    def feed(self, typed: str) -> list[Wish]:
        """What these characters ask for."""
        wishes = [self._key(key) for key in typed]
        return [wish for wish in wishes if wish is not None]

    def _key(self, key: str) -> Wish | None:
        if self._swallowed(key):
            return None
        match key:
            case "\r" | "\n":
                text, self.text = self.text.strip(), ""
                return Say(text) if text else None
            case "\x7f" | "\b":
                self.text = self.text[:-1]
            case "\x15":
                self.text = ""
            case "\x17":
                head, gap, _ = self.text.rstrip().rpartition(" ")
                self.text = head + gap
            case "\x04" if not self.text:
                return End()
            case " " if not self.text:
                return Hold()
            case _ if key.isprintable():
                self.text += key
            case _:
                pass
        return None

    def _swallowed(self, key: str) -> bool:
        """Arrows and function keys come as an escape and more (ECMA-48); none of them means anything here."""
        match self._escape:
            case "":
                self._escape = "escape" if key == "\x1b" else ""
                return key == "\x1b"
            case "escape":
                self._escape = "sequence" if key in "[O" else "escape" if key == "\x1b" else ""
                return True
            case "sequence":
                self._escape = "" if "@" <= key <= "~" else "sequence"
                return True
