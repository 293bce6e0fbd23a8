"""What the running text costs: the CPU of a session while a message is heard, with ``HeardText`` and without.

Two sessions take turns over the same speech: one with ``playout.heard_text_ms`` as it is by default, one with None. Only the
clock's reports are timed, as they come every 20 ms; of each the best round counts. A single look is the longest report of the
best round.

Run it by ``make bench`` or ``python benchmarks/running_text.py [--rounds N]``.
"""

import argparse
from base64 import b64encode
from json import dumps
from time import perf_counter
from typing import NamedTuple

from rtcore import PCM16_24K, Config, HeardText, Session
from rtcore.config import Connection, Playout
from rtcore.sim.voices import Voice
from rtcore_adapters.voices import load_voices

SECONDS = (5, 60)
"""A short message and a long one."""
DELTA = PCM16_24K.samples(200)
REPORT = PCM16_24K.samples(20)


class Cost(NamedTuple):
    """Milliseconds of CPU for each second of sound, the longest report among them, and how often text was told."""

    per_second_ms: float
    longest_ms: float
    told: int


def said(voices: list[Voice], seconds: int) -> tuple[bytes, str]:
    """So many seconds of speech, one voice behind the other, and its text."""
    pcm, words = b"", []
    wanted = seconds * PCM16_24K.rate * PCM16_24K.sample_width
    while len(pcm) < wanted:
        for voice in voices:
            pcm += voice.pcm
            words.append(voice.text)
    return pcm[:wanted], " ".join(words)


def heard(pcm: bytes, text: str, heard_text_ms: int | None) -> Cost:
    """One message, heard to its end."""
    connection = Connection(dialect="openai", url="ws://127.0.0.1:1")
    session = Session(Config(connection=connection, playout=Playout(heard_text_ms=heard_text_ms)))
    session.open(now=0.0)
    session.connected(1, now=0.0)
    key = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    item = {"id": "item_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    audio = {"output": {"format": {"type": "audio/pcm", "rate": 24_000}}}
    script: list[dict[str, object]] = [
        {"type": "session.created", "session": {"id": "sess_1", "type": "realtime", "audio": audio}},
        {"type": "session.updated", "session": {"id": "sess_1", "type": "realtime", "audio": audio}},
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "conversation_id": "conv_1"}},
        {"type": "response.output_item.added", "response_id": "resp_1", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **key, "part": {"type": "audio", "transcript": ""}},
        {"type": "response.output_audio_transcript.delta", **key, "delta": text},
    ]
    for at in range(0, len(pcm), 2 * DELTA):
        script.append({"type": "response.output_audio.delta", **key, "delta": b64encode(pcm[at : at + 2 * DELTA]).decode()})
    for event in script:
        session.receive(1, dumps(event).encode(), now=0.0)
    samples, spent, longest, told = len(pcm) // 2, 0.0, 0.0, 0
    for at in range(REPORT, samples + 1, REPORT):
        start = perf_counter()
        effects = session.played(1, at, now=at / PCM16_24K.rate)
        took = perf_counter() - start
        spent, longest = spent + took, max(longest, took)
        told += sum(type(effect) is HeardText for effect in effects)
    return Cost(spent * 1000 / (samples / PCM16_24K.rate), longest * 1000, told)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="messages per line (default: 7)")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error(f"--rounds {rounds}: must be at least 1")
    voices = list(load_voices())
    default = Playout().heard_text_ms
    print(f"{'CPU per second of sound, ms':30}{'with':>8}{'without':>9}{'ratio':>8}{'a look, at most':>17}")
    for seconds in SECONDS:
        pcm, text = said(voices, seconds)
        with_it: list[Cost] = []
        without: list[Cost] = []
        for _ in range(rounds):
            with_it.append(heard(pcm, text, default))
            without.append(heard(pcm, text, None))
        best, bare = min(with_it), min(without)
        if not best.told or bare.told:
            raise SystemExit("no text was told, so the figures would mean nothing")
        ratio = best.per_second_ms / bare.per_second_ms
        longest = min(cost.longest_ms for cost in with_it)
        print(f"{f'a message of {seconds} s':30}{best.per_second_ms:8.2f}{bare.per_second_ms:9.2f}{ratio:8.2f}{longest:14.2f} ms")


if __name__ == "__main__":
    main()
