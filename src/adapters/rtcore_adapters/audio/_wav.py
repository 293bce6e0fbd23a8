"""WAV files in and out, with errors that name the file, what it is, and what is needed."""

import os
import shlex
import struct
import wave

from rtcore import AudioFormat
from rtcore_adapters.audio._g711 import encode
from rtcore_adapters.audio._resampler import Resampler

Path = str | os.PathLike[str]

_UNKNOWN_LENGTH = 0x7FFF_0000  # bytes; a program that writes a WAV into a pipe states a length near 2 or 4 GiB, not the true one


class AudioFileError(ValueError):
    """An audio file that cannot be used. The text names the file, what is wrong with it, and what is needed."""


def load_wav(path: Path, format: AudioFormat) -> bytes:
    """The audio of a WAV file in ``format``: whole samples.

    The file has to be PCM of 16 bits, mono. Another rate than the format's is resampled where ``soxr`` is installed, and refused
    where it is not; for G.711 it is encoded here. Raises ``AudioFileError``.
    """
    name = os.fspath(path)
    needed = f"needed: a WAV file with PCM of 16 bits, 1 channel, {format.rate} Hz"
    try:
        with wave.open(name, "rb") as file:
            rate, channels, width, stated = file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()
            pcm = file.readframes(stated) if (channels, width) == (1, 2) else b""
    except OSError as error:
        raise AudioFileError(f"{name}: {(error.strerror or str(error)).lower()}; {needed}") from None
    except EOFError:
        empty = os.path.getsize(name) == 0
        raise AudioFileError(f"{name}: the file is {'empty' if empty else 'cut off inside its header'}; {needed}") from None
    except (wave.Error, ValueError, RuntimeError, ArithmeticError, struct.error) as error:
        # The library has errors of its own for few kinds of damage; the others come as what tripped over them.
        what = "no file has such a name" if "\0" in name else f"not a usable WAV file ({str(error) or 'it is damaged'})"
        raise AudioFileError(f"{_shown(name)}: {what}; {needed}") from None
    resampler = _resampler(rate, format.rate) if (channels, width) == (1, 2) else None
    if resampler is None:
        found = f"{8 * width} bits, {channels} channel{'s' if channels > 1 else ''}, {rate} Hz"
        convert = f"ffmpeg -i {shlex.quote(str(name))} -ar {format.rate} -ac 1 -c:a pcm_s16le new.wav"
        raise AudioFileError(f"{name}: it has {found}; {needed}; to convert it: {convert}")
    if not pcm:
        raise AudioFileError(f"{name}: the file holds no audio; {needed}")
    if len(pcm) % 2 or (len(pcm) < 2 * stated < _UNKNOWN_LENGTH):
        states = f"its header states {stated} samples, it holds {len(pcm) / 2:g}"
        raise AudioFileError(f"{name}: the file is cut off: {states}; {needed}")
    return encode(resampler.push(pcm) + resampler.drain(), format)


def _resampler(rate: int, wanted: int) -> Resampler | None:
    """None: there is none for these rates."""
    try:
        return Resampler(rate, wanted)
    except (ModuleNotFoundError, ValueError):
        return None


def _shown(name: str) -> str:
    """A file's name as it may be printed."""
    return name if name.isprintable() else repr(name)


class WavFile:
    """A WAV file that grows: PCM of 16 bits, mono. Raises ``AudioFileError`` where it cannot be made."""

    def __init__(self, path: Path, rate: int) -> None:
        name = os.fspath(path)
        try:
            self._file = open(name, "wb")  # noqa: SIM115  # it lives until close
        except (OSError, ValueError) as error:  # ValueError: a NUL or something unencodable in the name
            what = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "no file can have such a name"
            raise AudioFileError(f"{_shown(name)}: {what}; needed: a place where a WAV file can be written") from None
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115  # likewise
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(rate)

    def write(self, pcm: bytes) -> None:
        """Append whole samples."""
        self._wave.writeframesraw(pcm)

    def close(self) -> None:
        """Complete the header and close the file."""
        try:
            self._wave.close()
        finally:
            self._file.close()
