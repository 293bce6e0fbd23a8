"""Conversations of the asyncio adapter as recordings: whole in every case, and never in the way."""

import errno
import gzip
from pathlib import Path
from typing import IO

import pytest
from loopback import KEY, clean_run, config, served

from rtcore import Interrupted, LocalProtocolError, MessageEnded, SessionClosed, SpeakingStarted
from rtcore.recording import RecordedSession, RecordingError, replay
from rtcore_adapters import _recording
from rtcore_adapters._recording import read_recording, recorder, write_recording
from rtcore_adapters.asyncio import ConnectionFailed, Record, connect
from rtcore_adapters.audio import SilentMicrophone, VirtualSpeaker


async def talk(url: str, record: Record | str | Path) -> None:
    """A turn that is interrupted."""
    async with connect(
        config(url), speaker=VirtualSpeaker(record=False), microphone=SilentMicrophone(), record=record
    ) as conversation:
        conversation.send_text("Tell me something about Annabelle.")
        async for notice in conversation:
            match notice:
                case SpeakingStarted():
                    conversation.interrupt()
                case Interrupted() | MessageEnded():
                    break
                case _:
                    pass


@pytest.mark.parametrize("name", ["call.jsonl", "call.jsonl.gz"])
def test_a_real_conversation_is_recorded_and_replays_bit_for_bit(tmp_path: Path, name: str) -> None:
    """C30: what happened on sockets and devices runs again without them; without voices, words and keys by default."""

    async def main() -> None:
        async with served(api_key=KEY) as (url, _):
            await talk(url, tmp_path / name)

    clean_run(main())
    recording = read_recording(tmp_path / name)
    assert recording.complete and recording.header.left_out == ("audio", "text")
    assert replay(recording).difference is None
    assert {"append_audio", "interrupt", "played", "receive", "send_text", "close"} <= {each.do for each in recording.inputs}
    assert [each for each in recording.inputs if each.unlike is not None] == []
    content = (tmp_path / name).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    assert KEY.encode() not in content and b"Annabelle" not in content


def test_voices_and_words_are_kept_on_request(tmp_path: Path) -> None:
    async def main() -> None:
        async with served() as (url, _):
            await talk(url, Record(tmp_path / "call.jsonl", audio=True, text=True))

    clean_run(main())
    assert b"Annabelle" in (tmp_path / "call.jsonl").read_bytes()
    assert KEY.encode() not in (tmp_path / "call.jsonl").read_bytes()
    assert replay(read_recording(tmp_path / "call.jsonl")).difference is None


def test_a_recording_is_whole_when_the_block_raises(tmp_path: Path) -> None:
    async def main() -> None:
        async with served() as (url, _), connect(config(url), record=tmp_path / "call.jsonl") as conversation:
            conversation.send_text("Hello.")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        clean_run(main())
    recording = read_recording(tmp_path / "call.jsonl")
    assert recording.complete and recording.inputs[-1].do in ("close", "disconnected")
    assert replay(recording).difference is None


def test_a_refused_connection_and_a_command_that_raised_are_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(api_key="another-key-entirely") as (url, _):
            with pytest.raises(ConnectionFailed):
                async with connect(config(url), record=tmp_path / "refused.jsonl"):
                    pass
        async with served() as (url, _), connect(config(url), record=tmp_path / "raised.jsonl") as conversation:
            with pytest.raises(LocalProtocolError):
                conversation.commit()

    clean_run(main())
    assert read_recording(tmp_path / "refused.jsonl").inputs[-1].do == "disconnected"
    assert "LocalProtocolError" in {each.raised for each in read_recording(tmp_path / "raised.jsonl").inputs}


def test_a_file_that_cannot_be_opened_is_told_before_anything_is_dialled(tmp_path: Path) -> None:
    async def main() -> None:
        async with served() as (url, servers):
            with pytest.raises(FileNotFoundError):
                async with connect(config(url), record=tmp_path / "no" / "such" / "folder.jsonl"):
                    pass
            assert servers == []

    clean_run(main())


class _Full:
    """A disk that is full after so many bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room = file, room

    def write(self, line: bytes) -> int:
        self._room -= len(line)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(line)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def test_a_full_disk_ends_the_recording_and_not_the_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F162 in spirit: a side matter never ends the main one; but it is told at the end."""
    monkeypatch.setattr(_recording, "_opened", lambda path: _Full(path.open("wb"), 5000))
    closed: list[object] = []

    async def main() -> None:
        async with served() as (url, _), connect(config(url), record=tmp_path / "call.jsonl") as conversation:
            conversation.send_text("Hello.")
            async for notice in conversation:
                if isinstance(notice, MessageEnded):
                    conversation.close()
                elif isinstance(notice, SessionClosed):
                    closed.append(notice)

    with pytest.raises(OSError, match="No space left"):
        clean_run(main())
    assert closed == [SessionClosed("closed")]
    with pytest.raises(RecordingError, match="partial read"):
        read_recording(tmp_path / "call.jsonl")
    assert replay(read_recording(tmp_path / "call.jsonl", partial=True)).difference is None


def test_a_disk_that_takes_nothing_costs_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 2: every buffer has a bound and a written rule at the bound."""
    monkeypatch.setattr(_recording, "_MOST_WAITING", 1000)
    with pytest.raises(OSError, match="does not take the recording"), recorder(tmp_path / "call.jsonl") as found:
        found._put(b"x" * 1001)
    assert found._lines.empty()


@pytest.mark.parametrize("cut", [0, 5, 200, -9, -1])
def test_a_compressed_file_that_was_cut_gives_what_is_there(tmp_path: Path, cut: int) -> None:
    """A killed process leaves half a stream."""
    lines: list[bytes] = []
    session = RecordedSession(config("ws://localhost"), sink=lines.append)
    session.open(now=0)
    for step in range(400):
        session.append_audio(bytes(480), now=step / 100)
    session.finish()
    path = tmp_path / "cut.gz"
    write_recording(path, lines)
    assert read_recording(path).complete
    path.write_bytes(path.read_bytes()[:cut])
    if cut in (-9, -1):
        assert read_recording(path).complete  # only the check sum is missing
        return
    with pytest.raises(RecordingError):
        read_recording(path)
