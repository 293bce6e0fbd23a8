"""The talk as a page of ``rtcore timeline``, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rtcore_adapters._recording import Record, read_recording
from rtcore_adapters.timeline import write_timeline


@contextmanager
def drawn(page: Path) -> Iterator[Record]:
    """Record into the block's own file, words included, and write the page when the block is left, unless nothing had begun.
    Raises ``OSError`` at once where the page cannot be written."""
    there = page.exists()
    with page.open("ab"):
        pass
    try:
        with TemporaryDirectory(prefix="rtcore-") as folder:
            recording = Path(folder) / "talk.jsonl"
            try:
                yield Record(recording, text=True)
            finally:
                if recording.exists() and recording.stat().st_size and (found := read_recording(recording, partial=True)).inputs:
                    write_timeline(page, found, title="A talk", names=["talk"])
    finally:
        if not there and page.exists() and not page.stat().st_size:
            page.unlink()
