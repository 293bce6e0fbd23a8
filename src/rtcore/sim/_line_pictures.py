"""The pictures that the program shows in a long call: the newest are shown to each new session again, of an older one it is told
that there was one (invariant 11, docs/continuity.md).
"""

from base64 import b64encode
from collections.abc import Sequence

from rtcore.sim._line_book import Book
from rtcore.sim._rng import Rng
from rtcore.sim._server_truth import ServerItem

GONE = "[An image was shown here. It is not shown again.]"
"""What is told in the place of one that is too old."""
_PNG = "data:image/png;base64,"


class Pictures:
    """Owner of: which pictures are shown again?"""

    def __init__(self, book: Book, rng: Rng, bound: int) -> None:
        """``bound``: the newest are shown again up to so many bytes (``reconnect.image_bytes``)."""
        self._book = book
        self._rng = rng
        self._bound = bound
        self._count = 0
        self._coming: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._sent: set[str] = set()
        self._there: set[str] = set()

    def draw(self) -> str:
        """One that nobody has seen."""
        self._count += 1
        noise = b"".join(self._rng.bits().to_bytes(8, "little") for _ in range(self._rng.between(10, 400)))
        return _PNG + b64encode(self._count.to_bytes(4, "big") + noise).decode()

    def leaves(self, url: str) -> None:
        """An item with it goes to a server: for the first time, or again because nobody said that it had arrived. What is on its
        way takes no place from anything."""
        if url in self._sent and url not in self._coming:
            return  # shown again
        self._sent.add(url)
        self._coming.pop(url, None)
        self._coming[url] = len(url)

    def failed(self, url: str) -> None:
        """The program was told that it is not in the conversation."""
        self._coming.pop(url, None)

    def arrived(self, url: str) -> None:
        """The program was told that it is: older ones make room for it."""
        if url not in self._coming:
            return
        self._there.add(url)
        self._kept[url] = self._coming.pop(url)
        while sum(self._kept.values()) > self._bound:
            del self._kept[next(iter(self._kept))]

    @property
    def there(self) -> frozenset[str]:
        """Those that have arrived: any other may be asked for again."""
        return frozenset(self._there)

    @property
    def kept(self) -> frozenset[str]:
        """Those that a session that begins now is shown."""
        return frozenset(self._kept)

    def check(self, number: int, kept: frozenset[str], before: frozenset[str], known: Sequence[str], told: Sequence[str]) -> None:
        """A session is over that began with ``kept``, ``before`` all that had arrived by then. ``known``: what the program or the
        person had put into the one before it, ``told``: what it was told itself."""
        again = [url for url in told if url in before]
        for url in again:
            if url not in kept:
                self._book.fail(
                    11, f"connection {number} was shown a picture again that is older than reconnect.image_bytes allows"
                )
                return
        self._book.saw("lines: a picture was shown again", len(again))
        older = [url for url in known if url.startswith(_PNG) and url not in kept and url not in told]
        self._book.saw("lines: that there was a picture was told", bool(older))
        were = len(older) + known.count(GONE)
        if told.count(GONE) < were:
            self._book.fail(11, f"connection {number} was told of {told.count(GONE)} older pictures, and there were {were}")


def shown(item: ServerItem) -> str:
    """The picture of an item, or nothing."""
    return next((str(part["image_url"]) for part in item.content if part.get("image_url")), "")
