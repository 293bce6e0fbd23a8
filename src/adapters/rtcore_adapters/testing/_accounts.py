"""What was heard, what the model's conversation holds, and the difference: the words that it believes it has said."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from rtcore.sim.judge import Finding, Judge
from rtcore.sim.server import ServerItem, ServerPart
from rtcore_adapters.testing._speaker import BenchSpeaker, found
from rtcore_adapters.testing._talk import Talk


class Memory(NamedTuple):
    """One entry of the model's conversation. ``role`` is ``user``, ``assistant``, ``system``, ``call`` or ``output``."""

    role: str
    text: str


class Message(NamedTuple):
    """One spoken message of the model's: the text of what was heard, and the words that it holds although nobody heard them."""

    heard: str
    unheard: tuple[str, ...]


def messages(talks: Sequence[Talk], speakers: Sequence[BenchSpeaker], *, now: float) -> list[Message]:
    """Every message that the model began to speak, in order. With speakers of the bench by what they sounded; otherwise what was
    heard is what the client told the server, and what was not is what an ideal listener cannot have heard either."""
    entries = [(talk, item, part) for talk in talks for item, part in talk.parts()]
    used = [speaker for speaker in speakers if speaker.used]
    sounded = found(used, [part for _, _, part in entries]) if used else None
    told: list[Message] = []
    of: list[str] = []
    # What an earlier connection held went with it.
    remembers = set(talks[-1].server.conversation) if talks else set()
    for index, (talk, item, part) in enumerate(entries):
        at_most = talk.ear.heard((item.id, part.index), now=now) if sounded is None else sounded[index]
        text = _said(part, sounded[index] if sounded is not None else _claimed(item, part))
        kept = part.held_samples if item.id in remembers else 0
        unheard = tuple(_words(part, at_most, kept))
        if item.out_of_band and not text:
            continue
        if of and of[-1] == item.id:
            before = told.pop()
            told.append(Message(f"{before.heard} {text}".strip(), before.unheard + unheard))
        else:
            told.append(Message(text, unheard))
            of.append(item.id)
    return told


def judged(talk: Talk) -> list[Finding]:
    """What ``rtcore audit``'s judge finds wrong in the messages that passed."""
    judge = Judge()
    came = 0
    for at, before, payload in [*talk.received, (0.0, len(talk.sent), b"")]:
        for each in talk.sent[came:before]:
            if not each.refused:
                judge.client(each.payload, now=each.at)
        came = before
        if payload:
            judge.server(payload, now=at)
    return list(judge.verdict(talk.server).findings)


def remembered(talk: Talk) -> list[Memory]:
    """The conversation as the server holds it."""
    return [entry for name in talk.server.conversation for entry in _memories(talk.server.items[name], talk)]


def _memories(item: ServerItem, talk: Talk) -> Iterator[Memory]:
    if item.type == "function_call":
        yield Memory("call", f"{item.name}({item.arguments})")
    elif item.type == "function_call_output":
        yield Memory("output", item.output if isinstance(item.output, str) else msgspec.json.encode(item.output).decode())
    elif item.origin == "response":
        texts = [part.sent_text.rstrip() if part.kind == "text" else _said(part, part.held_samples) for part in item.parts]
        yield Memory(item.role or item.type, " ".join(filter(None, texts)))
    elif item.id in talk.said:
        yield Memory("user", talk.said[item.id])
    else:
        texts = [str(part.get("text") or part.get("transcript") or "") for part in item.content]
        yield Memory(item.role or item.type, " ".join(filter(None, texts)))


def _claimed(item: ServerItem, part: ServerPart) -> int:
    """What the client says was heard: up to where it truncated, nothing of what it deleted, and otherwise everything."""
    if item.deleted:
        return 0
    ms = part.truncated_ms
    return part.sent_samples if ms is None else min(part.sent_samples, ms * part.format.rate // 1000)


def _said(part: ServerPart, samples: int) -> str:
    """The text up to the last word of which at least half lies before this sample."""
    count = sum(1 for _ in _words(part, 0, samples))
    end = part.words[count].char if count < len(part.words) else len(part.planned_text)
    return part.planned_text[:end].rstrip() if count else ""


def _words(part: ServerPart, first: int, end: int) -> Iterator[str]:
    """The words whose middle lies between these samples."""
    for word in part.words:
        middle = (word.start_ms + word.sound_end_ms) * part.format.rate // 2000
        if first <= middle < end:
            yield word.text
