"""The mailbox: facts are never lost, streams flow together, and what nobody reads stays bounded."""

from hypothesis import given
from hypothesis import strategies as st

from rtcore import (
    PCM16_24K,
    ItemDeleted,
    MicrophoneDropped,
    Notice,
    OutOfBandAudio,
    RawEvent,
    TextDelta,
    ToolArguments,
    UnknownEvent,
    UnknownFields,
    UserTranscriptDelta,
)
from rtcore_adapters._mailbox import Mailbox


def text(delta: str, item: str = "item_1") -> TextDelta:
    return TextDelta("resp_1", item, 0, delta)


def audio(size: int) -> OutOfBandAudio:
    return OutOfBandAudio("resp_1", "item_1", 0, bytes(size), PCM16_24K)


def taken(mailbox: Mailbox) -> list[Notice]:
    return list(iter(mailbox.take, None))


def test_neighbouring_pieces_of_one_text_become_one() -> None:
    mailbox = Mailbox()
    for notice in [text("a"), text("b"), text("c"), text("d", "item_2"), text("e"), ItemDeleted("x"), text("f")]:
        mailbox.put(notice)
    assert taken(mailbox) == [text("abc"), text("d", "item_2"), text("e"), ItemDeleted("x"), text("f")]


def test_pieces_of_a_users_transcript_too() -> None:
    mailbox = Mailbox()
    mailbox.put(UserTranscriptDelta("item_1", 0, "Hel"))
    mailbox.put(UserTranscriptDelta("item_1", 0, "lo"))
    assert taken(mailbox) == [UserTranscriptDelta("item_1", 0, "Hello")]


def test_pieces_with_logprobs_stay_apart_so_that_each_keeps_its_own() -> None:
    mailbox = Mailbox()
    pieces = [UserTranscriptDelta("item_1", 0, word, ({"token": word, "logprob": -0.1},)) for word in ("Hel", "lo")]
    for piece in pieces:
        mailbox.put(piece)
    assert taken(mailbox) == pieces


def test_the_tap_gives_way_before_any_fact_does() -> None:
    mailbox = Mailbox(max_waiting=2)
    for number in range(3):
        mailbox.put(RawEvent("received", b"{}"))
        mailbox.put(UnknownFields("x", ("y",), b"{}"))
        mailbox.put(ItemDeleted(str(number)))
    assert [notice for notice in taken(mailbox) if isinstance(notice, ItemDeleted)] == [ItemDeleted(str(n)) for n in range(3)]
    assert mailbox.dropped == 6


def test_what_was_taken_is_not_extended() -> None:
    mailbox = Mailbox()
    mailbox.put(text("a"))
    assert mailbox.take() == text("a")
    mailbox.put(text("b"))
    assert mailbox.take() == text("b")


def test_diagnostics_give_way_oldest_first_and_facts_never() -> None:
    mailbox = Mailbox(max_waiting=3)
    for number in range(5):
        mailbox.put(UnknownEvent(f"new.{number}", b""))
        mailbox.put(ItemDeleted(str(number)))
    assert mailbox.dropped == 5
    assert taken(mailbox) == [ItemDeleted(str(number)) for number in range(5)]


def test_out_of_band_audio_is_bounded_by_bytes() -> None:  # B12
    mailbox = Mailbox(max_audio=10)
    for size in (4, 5, 6):
        mailbox.put(audio(size))
    assert mailbox.dropped == 2
    assert taken(mailbox) == [audio(6)]
    mailbox.put(audio(9))
    assert taken(mailbox) == [audio(9)]


def test_a_program_that_never_reads_costs_bounded_memory() -> None:
    mailbox = Mailbox(max_waiting=50)
    for number in range(10_000):
        mailbox.put(UnknownEvent(str(number), b"x"))
    assert len(mailbox) == 50
    assert len(mailbox._queue) <= 101  # shells of dropped notices are swept out


@given(st.lists(st.sampled_from(["fact", "text", "unknown", "audio", "take"])))
def test_facts_come_out_whole_and_in_order(steps: list[str]) -> None:
    """Whatever is put and taken, every fact comes out once and in order, and the count of what waits is right."""
    mailbox, facts, got = Mailbox(max_waiting=4, max_audio=8), [], []
    for number, step in enumerate(steps):
        match step:
            case "fact":
                facts.append(ItemDeleted(str(number)))
                mailbox.put(facts[-1])
            case "text":
                mailbox.put(text("x"))
            case "unknown":
                mailbox.put(UnknownEvent("?", b""))
            case "audio":
                mailbox.put(audio(3))
            case _:
                if (notice := mailbox.take()) is not None:
                    got.append(notice)
    waiting = len(mailbox)
    rest = taken(mailbox)
    assert len(rest) == waiting
    assert [notice for notice in got + rest if isinstance(notice, ItemDeleted)] == facts


def test_losses_of_one_burst_are_one_sum() -> None:
    mailbox = Mailbox(max_waiting=3)
    for _ in range(5000):
        mailbox.put(MicrophoneDropped(40, "slow"))
    mailbox.put(MicrophoneDropped(40, "held"))
    mailbox.put(ItemDeleted("x"))
    mailbox.put(MicrophoneDropped(40, "held"))
    burst = MicrophoneDropped(200_000, "slow")
    assert mailbox.dropped == 1 and len(mailbox) == 3
    assert taken(mailbox) == [MicrophoneDropped(40, "held"), ItemDeleted("x"), MicrophoneDropped(40, "held")]
    mailbox = Mailbox()
    for _ in range(5000):
        mailbox.put(MicrophoneDropped(40, "slow"))
    assert taken(mailbox) == [burst]


def test_pieces_of_a_call_s_arguments_flow_together_and_those_of_two_calls_stay_apart() -> None:
    mailbox = Mailbox()
    for item, delta in (("f1", '{"a"'), ("f1", ": 1}"), ("f2", "{"), ("f1", "!")):
        mailbox.put(ToolArguments("r1", item, f"c_{item}", delta))
    found = [mailbox.take() for _ in range(4)]
    pieces = [(notice.item_id, notice.delta) for notice in found if isinstance(notice, ToolArguments)]
    assert pieces == [("f1", '{"a": 1}'), ("f2", "{"), ("f1", "!")]
