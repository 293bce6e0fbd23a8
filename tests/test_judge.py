"""The judge by itself: messages, positions and samples in, a verdict out; nothing makes it raise."""

import base64
from typing import Any

import msgspec
import pytest

from rtcore._formats import PCM16_24K
from rtcore.sim._judge_sound import Listener
from rtcore.sim._judge_tape import Item, Part
from rtcore.sim._rng import Rng
from rtcore.sim.judge import FINDINGS, AuditVerdict, Judge, JudgeOptions

SECOND = 48_000


def noise(seconds: float, seed: int = 1) -> bytes:
    """Loud samples, no two windows of which are alike."""
    rng = Rng(seed)
    return b"".join((rng.bits() | 0x0101_0101_0101_0101).to_bytes(8, "little") for _ in range(int(seconds * SECOND) // 8))


class Scene:
    """A judge, and both sides' messages in short."""

    def __init__(self, *, interrupts: bool = True, options: JudgeOptions | None = None) -> None:
        self.judge = Judge(options or JudgeOptions())
        self.now = 0.0
        detection = {"type": "server_vad", "interrupt_response": interrupts}
        self.server("session.created", session={"audio": {"input": {"turn_detection": detection}}})

    def at(self, now: float) -> "Scene":
        self.now = now
        return self

    def server(self, kind: str, **fields: Any) -> "Scene":
        self.judge.server(msgspec.json.encode({"type": kind, **fields}), now=self.now)
        return self

    def client(self, kind: str, **fields: Any) -> "Scene":
        self.judge.client(msgspec.json.encode({"type": kind, **fields}), now=self.now)
        return self

    def created(self, response: str = "r1") -> "Scene":
        return self.server("response.created", response={"id": response, "conversation_id": "conv"})

    def audio(self, pcm: bytes, item: str = "m1", response: str = "r1", transcript: str = "") -> "Scene":
        where = {"response_id": response, "item_id": item, "content_index": 0}
        if transcript:
            self.server("response.output_audio_transcript.delta", **where, delta=transcript)
        return self.server("response.output_audio.delta", **where, delta=base64.b64encode(pcm).decode())

    def done(self, response: str = "r1", status: str = "completed", reason: str | None = None) -> "Scene":
        details = {"reason": reason} if reason else None
        return self.server("response.done", response={"id": response, "status": status, "status_details": details})

    def speech(self) -> "Scene":
        return self.server("input_audio_buffer.speech_started")

    def truncate(self, ms: Any, item: str = "m1", index: int = 0) -> "Scene":
        return self.client("conversation.item.truncate", item_id=item, content_index=index, audio_end_ms=ms)

    @property
    def names(self) -> list[str]:
        return list(self.judge.verdict().counts)


def talking(seconds: float = 3.0) -> Scene:
    """All audio came at 1.0 s; the person speaks at 2.0 s."""
    return Scene().at(1.0).created().audio(noise(seconds)).done().at(2.0).speech()


# -- what messages alone prove --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ms", "name"),
    [
        (1000, None),
        (1, None),  # a client may lag as it likes: nothing proves that it heard more
        (1060, "told too much"),  # faster than real time
        (3001, "truncate above what was sent"),
        (0, "truncate at zero"),
        (-5, "truncate at zero"),
        (1000.0, "truncate not an integer"),
        (None, "truncate not an integer"),
        (True, "truncate not an integer"),
    ],
)
def test_a_position_is_held_against_real_time(ms: Any, name: str | None) -> None:  # B01, C08, F002, F011
    found = talking().truncate(ms).names
    assert found[:1] == ([name] if name else [])


def test_an_underrun_takes_time_too() -> None:  # C19
    scene = Scene().at(0.0).created().audio(noise(0.2)).at(3.0).audio(noise(3.0, 2)).at(3.1).speech().truncate(300)
    assert scene.names == []
    scene = Scene().at(0.0).created().audio(noise(0.2)).at(3.0).audio(noise(3.0, 2)).at(3.1).speech().truncate(900)
    assert scene.names == ["told too much"]


def test_a_second_message_waits_for_the_first() -> None:  # B06, C02
    def scene(ms: int) -> list[str]:
        both = Scene().at(0.0).created().audio(noise(2.0)).audio(noise(2.0, 2), item="m2").done()
        return both.at(2.5).speech().truncate(ms, item="m2").names

    assert scene(500) == []
    assert scene(1900) == ["told too much"]  # nearly as if it had sounded since it came
    assert scene(2400) == ["cumulative position"]


def test_what_is_neither_heard_nor_taken_back_is_left_with_its_words() -> None:  # F006
    scene = Scene().at(1.0).created().audio(noise(3.0), transcript="one two three four five six").done().at(2.0).speech().at(9.0)
    (finding,) = scene.server("rate_limits.updated").judge.verdict().findings
    assert finding.name == "unheard words left"
    assert finding.text.endswith("'four five six'")  # half a second of grace, in proportion
    assert finding.interruption == 1


def test_a_deleted_item_leaves_nothing() -> None:  # C05
    assert talking().client("conversation.item.delete", item_id="m1").names == []


def test_what_was_heard_to_its_end_is_no_interruption() -> None:  # C07
    verdict = Scene().at(1.0).created().audio(noise(1.0)).done().at(30.0).speech().judge.verdict()
    assert verdict.interruptions == ()
    assert verdict.findings == ()
    assert verdict.notes == ("no interruption came up: nothing is proven about them",)


def test_a_server_that_does_not_interrupt_by_itself_may_be_cancelled_once() -> None:  # B07, C13
    scene = Scene(interrupts=False).at(1.0).created().audio(noise(3.0)).at(2.0).speech()
    assert scene.client("response.cancel", response_id="r1").truncate(1000).names == []
    assert scene.at(2.2).client("response.cancel", response_id="r1").names == ["second cancel"]


def test_audio_that_goes_on_after_the_servers_own_interruption_may_be_cancelled() -> None:  # DESIGN section 4
    scene = Scene().at(1.0).created().audio(noise(1.0)).at(1.5).speech().truncate(500)
    scene.at(2.0).audio(noise(1.0, 2)).client("response.cancel", response_id="r1")
    assert "second cancel" not in scene.names


def test_a_cancel_that_crosses_the_end_is_excused() -> None:  # C14
    scene = Scene(interrupts=False).at(1.0).created().audio(noise(1.0)).at(1.5).done()
    scene.at(1.51).client("response.cancel", response_id="r1", event_id="e1")
    error = {"type": "invalid_request_error", "code": "response_cancel_not_active", "event_id": "e1"}
    scene.at(1.52).server("error", error=error)
    verdict = scene.judge.verdict()
    assert [refused.excused for refused in verdict.refused] == [True]
    assert verdict.findings == ()


def test_an_error_is_found_again_in_what_caused_it_without_an_event_id() -> None:  # F046
    scene = talking().truncate(1000)
    text = "Audio content of 900ms is already shorter than 1000ms"
    scene.server("error", error={"type": "invalid_request_error", "code": "invalid_value", "message": text})
    verdict = scene.judge.verdict()
    assert [(each.event_type, each.code) for each in verdict.refused] == [("conversation.item.truncate", "invalid_value")]
    assert "refused event" in verdict.counts


def test_a_server_error_is_not_the_clients() -> None:
    scene = Scene().server("error", error={"type": "server_error", "code": None, "message": "internal"})
    assert scene.judge.verdict().refused == ()


def test_an_out_of_band_response_does_not_hold_the_slot() -> None:  # C17
    scene = Scene().at(1.0).server("response.created", response={"id": "o1", "conversation_id": None})
    assert scene.at(2.0).client("response.create").names == []
    assert scene.at(3.0).client("response.create", response={"conversation": "none"}).names == []
    assert scene.at(4.0).client("response.create").names == ["response while one is active"]


def test_the_preview_dialect_reads_the_same() -> None:  # C28
    where = {"response_id": "r1", "item_id": "m1", "content_index": 0}
    scene = Scene().at(1.0).created()
    scene.server("response.audio.delta", **where, delta=base64.b64encode(noise(3.0)).decode()).done()
    assert scene.at(2.0).speech().truncate(1060).names == ["told too much"]


# -- the audible signal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "name"), [(700, None), (715, None), (760, "told too much"), (600, "told too little"), (400, "told too little")]
)
def test_samples_tell_what_was_heard(told: int, name: str | None) -> None:
    pcm = noise(3.0)
    scene = Scene().at(1.0).created().audio(pcm).done()
    scene.judge.sound(bytes(9600) + pcm[:20_000], at=1.0)
    scene.judge.sound(pcm[20_000 : 700 * 48] + bytes(48_000), at=1.6)
    verdict = scene.at(2.0).speech().truncate(told).judge.verdict()
    assert verdict.signal == "samples"
    (part,) = verdict.interruptions[0].parts
    assert (part.heard_least_ms, part.heard_most_ms) == (700, 700)
    assert list(verdict.counts) == ([name] if name else [])


def test_sound_after_the_interruption_is_late() -> None:  # F031
    pcm = noise(3.0)
    scene = Scene().at(1.0).created().audio(pcm).done()
    scene.judge.sound(pcm[: int(1.5 * SECOND)], at=1.0)
    verdict = scene.at(2.0).speech().at(2.5).truncate(1500).judge.verdict()
    assert verdict.interruptions[0].late_ms == 500
    assert list(verdict.counts) == ["late audio"]


def test_deleting_what_was_heard_is_wrong_unless_it_comes_back() -> None:
    pcm = noise(3.0)
    scene = Scene().at(1.0).created().audio(pcm).done()
    scene.judge.sound(pcm[:SECOND], at=1.0)
    scene.at(2.0).speech().client("conversation.item.delete", item_id="m1")
    assert scene.names == ["deleted what was heard"]
    assert scene.client("conversation.item.create", item={"type": "message", "role": "assistant", "content": []}).names == []


def test_positions_bound_what_was_heard() -> None:
    scene = Scene().at(1.0).created().audio(noise(3.0)).done()
    assert scene.judge.position(at=1.8, samples=12_000, item_id="m1")
    assert not scene.judge.position(at=1.8, samples=12_000, item_id="m9")
    verdict = scene.at(2.0).speech().truncate(900).judge.verdict()
    assert verdict.signal == "positions"
    (part,) = verdict.interruptions[0].parts
    assert (part.heard_least_ms, part.heard_most_ms) == (500, 720)  # 200 ms since the report, and 20 for clocks
    assert list(verdict.counts) == ["told too much"]


def test_counts_without_an_item_go_to_what_plays_in_order() -> None:
    scene = Scene().at(0.0).created().audio(noise(1.0)).audio(noise(1.0, 2), item="m2").done()
    assert scene.judge.position(at=1.5, samples=36_000)
    verdict = scene.at(1.5).speech().truncate(500, item="m2").judge.verdict()
    assert [part.heard_least_ms for part in verdict.interruptions[0].parts] == [1000, 500]
    assert verdict.findings == ()


def test_a_signal_that_is_not_the_servers_is_not_used() -> None:
    scene = Scene().at(1.0).created().audio(noise(3.0)).done()
    scene.judge.sound(noise(1.0, 99), at=1.0)
    verdict = scene.at(2.0).speech().truncate(1000).judge.verdict()
    assert verdict.signal == "messages"
    assert "not used" in verdict.notes[0]


@pytest.mark.parametrize("size", [2, 46, 480, 960, 4801 * 2])
def test_a_signal_reads_the_same_however_it_is_cut(size: int) -> None:  # invariant 14
    first, second = noise(0.5, 1), noise(0.5, 2)
    parts = []
    for index, pcm in enumerate((first, second)):
        parts.append(Part(Item(f"m{index}"), 0, PCM16_24K, index, received=len(pcm), chunks=[pcm]))
    # Silence before, an underrun inside, the second cut after 100 ms.
    signal = bytes(4000) + first[:9000] + bytes(3000) + first[9000:] + bytes(500) + second[:4800] + bytes(6000)
    listener = Listener()
    for at in range(0, len(signal), size):
        listener.hear(parts, PCM16_24K, signal[at : at + size], at / 48_000)
    assert [part.heard_least for part in parts] == [len(first), 4800]
    assert listener.unknown_samples == 0


# -- robustness -----------------------------------------------------------------------------------------------------------------


def test_no_bytes_make_it_raise() -> None:  # C29
    rng = Rng(7)
    call = {"id": "m1", "type": "function_call", "call_id": []}
    values: list[Any] = [None, True, -1, 1.5, "", "r1", "m1", [], {}, {"id": 3}, call]
    kinds = [
        "session.updated", "response.created", "response.done", "response.output_item.done", "response.output_audio.delta",
        "response.content_part.done", "response.output_audio_transcript.delta", "conversation.item.deleted", "error",
        "conversation.item.truncate", "conversation.item.delete", "conversation.item.create", "response.create",
        "response.cancel", "input_audio_buffer.speech_started", 7, None,
    ]  # fmt: skip
    keys = ["session", "response", "item", "error", "response_id", "item_id", "content_index", "delta", "audio_end_ms"]
    judge = Judge()
    for step in range(3000):
        event: Any = {"type": rng.choice(kinds)} | {rng.choice(keys): rng.choice(values) for _ in range(rng.below(5))}
        payload = msgspec.json.encode(event if rng.below(20) else rng.choice(values))
        if rng.below(30) == 0:
            payload = payload[: rng.below(len(payload) + 1)]
        (judge.server if rng.chance(500) else judge.client)(payload, now=step * 0.01)
        judge.sound(payload, at=step * 0.01)
        judge.position(at=step * 0.01, samples=rng.below(1000))
    verdict = judge.verdict()
    assert set(verdict.counts) <= set(FINDINGS)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=AuditVerdict) == verdict


def test_asking_twice_gives_the_same_verdict() -> None:
    scene = talking().truncate(0)
    error = {"type": "invalid_request_error", "code": "unsupported_content_type", "message": "can be truncated"}
    scene.server("error", error=error)
    assert scene.judge.verdict() == scene.judge.verdict()
    assert sorted(scene.names) == ["truncate at zero", "unheard words left"]  # not a third one for the refusal
