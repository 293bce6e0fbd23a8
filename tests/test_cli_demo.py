"""``rtcore demo``: real conversations in this process at real speed, their truth, and what the command writes."""

import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from rtcore import PCM16_24K, MessageEnded, Verdict
from rtcore.sim.results import CampaignResult, KindResult, Violation
from rtcore_adapters.cli import demo, main
from rtcore_adapters.cli._campaign import Campaign, Goal
from rtcore_adapters.cli._heard import _check
from rtcore_adapters.cli._judgement import campaign_problems
from rtcore_adapters.cli._live import LiveResult, talk_for_real
from rtcore_adapters.cli._person import FRAME_MS, Person, clip, stutter
from rtcore_adapters.cli._scene import KINDS, Scene, draw_scenes
from rtcore_adapters.cli.report.talk import Caught
from rtcore_adapters.voices import load_voices


def _short(scene: Scene, number: int, **changes: Any) -> Scene:
    quick = {"messages_ms": (900, 600), "voices": (), "turns_ms": (400, 400), "starts_after_s": 0.0}
    return msgspec.structs.replace(scene, number=number, **(quick | changes))


@pytest.fixture(scope="module")
def live() -> LiveResult:
    by_kind = {scene.kind: scene for scene in draw_scenes(0, len(KINDS))}
    scenes = (
        _short(by_kind["inside message 1"], 0, flush_ms=20, share=0.6),
        _short(by_kind["between declaration and audio"], 1, share=0.0),
        _short(by_kind["twice within 100 ms"], 2, share=0.6, messages_ms=(700,)),
    )
    with pytest.MonkeyPatch.context() as stranger:
        stranger.setitem(sys.modules, "jsonschema", None)  # `make demo` sets up the command line and no other extra
        return talk_for_real(scenes)


def test_live_conversations_are_cut_where_they_were_heard_and_answered_next(live: LiveResult) -> None:  # B01, B03, C11, S03
    assert live.faults == ()
    assert [talk.result.answered for talk in live.talks] == [1, 1, 1]
    inside, before, _ = live.talks
    assert inside.result.truncation_error_ms == {0: 1} and inside.result.verdicts["partial"] == 1
    assert before.result.truncation_error_ms == {} and "partial" not in before.result.verdicts
    assert [talk.result.unheard_left for talk in live.talks] == [0, 0, 0]


def test_live_a_double_barge_in_is_two_starts_of_speech(live: LiveResult) -> None:  # C11
    assert [len(talk.detected_at) for talk in live.talks] == [2, 2, 3]


def test_live_nothing_is_left_behind(live: LiveResult) -> None:
    assert live.left_behind == ()


def test_live_the_truth_is_the_sound_not_the_word_of_the_core(live: LiveResult) -> None:
    cut = next(message for message in live.talks[0].hearing.messages if message.verdict == "partial")
    stretches = [each for each in live.talks[0].hearing.sounded if each.item_id == cut.item_id]

    assert sum(each.end - each.start for each in stretches) == cut.heard
    assert cut.truncated_ms == PCM16_24K.ms(cut.heard)
    assert 0 < cut.heard < cut.sent


_VIOLATION = Violation(seed=1, invariant=5, at=1.0, text="an item was left")


@pytest.fixture
def quick(live: LiveResult, monkeypatch: pytest.MonkeyPatch) -> Callable[[LiveResult], None]:
    """The command, with conversations that were held already and without worlds."""

    def run_campaign(campaigns: Sequence[Campaign], goal: Goal, runner: object, **options: object) -> None:
        return None

    def sabotage(name: str, first: int) -> Caught:
        return Caught(name, _VIOLATION, 1, "rtcore fuzz --world 1")

    def use(result: LiveResult) -> None:
        monkeypatch.setattr(demo, "talk_for_real", lambda scenes, told: result)

    monkeypatch.setattr(demo, "run_campaign", run_campaign)
    monkeypatch.setattr(demo, "_sabotage", sabotage)
    use(live)
    return use


def test_it_writes_the_report_and_the_sound(
    quick: object, live: LiveResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--directory", str(tmp_path)]) == 0

    out = capsys.readouterr().out
    assert "Everything held." in out and "no task, no socket, no thread" in out
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with wave.open(str(tmp_path / "heard.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        assert sound.readframes(sound.getnframes()) == live.talks[0].signal


def test_it_fails_where_something_was_wrong(
    quick: Callable[[LiveResult], None], live: LiveResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = msgspec.structs.replace(live.talks[0], faults=("3 ms too much",))
    quick(LiveResult((wrong, *live.talks[1:]), ("thread ghost",)))

    assert main(["demo", "--directory", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAILED: conversation 1 (inside message 1): 3 ms too much" in out
    assert "FAILED: left behind: thread ghost" in out


def test_it_writes_the_picture_alone(quick: object, tmp_path: Path) -> None:
    assert main(["demo", "--picture", str(tmp_path / "conversation.svg")]) == 0
    assert (tmp_path / "conversation.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--directory", "nowhere"], 2, "nowhere is not a directory that exists: make it, or give another --directory"),
        (
            ["--picture", "nowhere/p.svg"],
            2,
            "cannot write p.svg into nowhere: no such file or directory: make it writable, or give",
        ),
        (["--seed", str(1 << 63)], 2, "is too large: at most 9223372036854775807"),
        (["--conversations", "0"], 2, "'0' is not a whole number of at least 1"),
        (["--seed", "x"], 2, "'x' is not a whole number of at least 0"),
    ],
)
def test_wrong_arguments_end_with_status_2(capsys: pytest.CaptureFixture[str], words: list[str], status: int, said: str) -> None:
    try:
        ended: object = main(["demo", *words])
    except SystemExit as ending:
        ended = ending.code
    assert ended == status
    assert said in capsys.readouterr().err


def test_problems_of_a_campaign_are_told() -> None:
    result = CampaignResult(violations=(_VIOLATION,), cuts=100, cuts_checked=90)
    assert campaign_problems(result) == [
        "invariant 5 (the server is told what was not heard, and nothing else) in world 1 at 1.000 s: an item was left; "
        "replay it: rtcore fuzz --world 1",
        "only 90 of 100 cuts were checked",
    ]


def test_what_a_campaign_left_is_told_with_the_worlds_that_show_it() -> None:
    result = CampaignResult(kinds=(KindResult("a", unheard_left=2, unanswered=9),))
    assert campaign_problems(result, (1, 2, 3, 4, 5, 6, 7), (8,)) == [
        "2 unheard messages were left at the server; replay: rtcore fuzz --world 8",
        "9 turns were not answered; replay: rtcore fuzz --world 1, rtcore fuzz --world 2, rtcore fuzz --world 3, "
        "rtcore fuzz --world 4, rtcore fuzz --world 5 and 2 more worlds",
    ]


@pytest.mark.parametrize("name", ["report.html", "heard.wav"])
def test_a_place_that_cannot_be_written_is_told_before_it_talks(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "talk_for_real", lambda scenes, told: pytest.fail("it talked"))
    (tmp_path / name).mkdir()
    assert main(["demo", "--directory", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"cannot write {name} into {tmp_path}: is a directory: make it writable, or give another --directory" in said
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_sigterm_ends_it_like_ctrl_c(
    quick: object, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "talk_for_real", lambda scenes, told: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["demo", "--directory", str(tmp_path)]) == 143
    assert "ended by SIGTERM; nothing was written" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    assert list(tmp_path.iterdir()) == []


def test_what_was_heard_is_there_before_the_fuzzing_and_stays(
    quick: object, live: LiveResult, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_campaign(*given: object, **options: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(demo, "run_campaign", run_campaign)
    assert main(["demo", "--directory", str(tmp_path)]) == 130
    sound = tmp_path / "heard.wav"
    assert f"ended by Ctrl-C; {sound} written, nothing else" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [sound]
    with wave.open(str(sound)) as file:
        assert file.readframes(file.getnframes()) == live.talks[0].signal


def test_a_closed_pipe_is_a_quiet_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rtcore_adapters.cli", "demo", "--conversations", "1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


def test_twenty_conversations_cover_every_kind() -> None:
    scenes = draw_scenes(0, demo.CONVERSATIONS)
    assert {scene.kind for scene in scenes} == set(KINDS)
    assert len(KINDS) == 11
    assert scenes == draw_scenes(0, demo.CONVERSATIONS)
    assert scenes != draw_scenes(1, demo.CONVERSATIONS)


# -- the person -------------------------------------------------------------------------------------------------------------


class _Ear:
    """Keeps frames with the time at which they came."""

    def __init__(self) -> None:
        self.now = 0.0
        self.frames: list[tuple[float, bytes]] = []

    def audio(self, pcm: bytes) -> None:
        self.frames.append((self.now, pcm))

    def speech(self, event: object) -> None:
        raise AssertionError("a microphone without a detector")


def test_a_person_is_heard_at_the_instant() -> None:
    person, ear = Person(), _Ear()
    person.open(ear, now=10.0)
    speech = clip(load_voices()[0], 600)
    while person.deadline is not None and person.deadline < 11.0:
        ear.now = person.deadline
        if len(ear.frames) == 5:
            person.say(speech, heard_at=10.3333, now=ear.now)
        person.tick(now=person.deadline)
    loud = [(at, pcm) for at, pcm in ear.frames if any(pcm)]

    assert loud[2][0] == pytest.approx(10.3333)
    assert all(len(pcm) == FRAME_MS * PCM16_24K.bytes_per_ms for _, pcm in ear.frames)
    assert b"".join(pcm for _, pcm in loud).startswith(speech)
    assert [len(said.pcm) for said in person.said] == [len(speech)]
    assert person.said[0].at == pytest.approx(10.3333 - 0.06)


def test_a_false_start_is_three_frames_and_a_silent_one() -> None:
    speech = b"\x00\x70" * 24 * 100
    frame = FRAME_MS * PCM16_24K.bytes_per_ms
    assert stutter(speech) == speech[: 3 * frame] + bytes(frame) + speech


def test_a_recording_without_speech_is_refused() -> None:
    silent = msgspec.structs.replace(load_voices()[0], pcm=bytes(48_000))
    with pytest.raises(ValueError, match="too quiet"):
        clip(silent, 500)


def test_a_last_sample_that_sounds_a_moment_later_is_no_fault() -> None:  # B02: it counted as heard without it
    item: Any = SimpleNamespace(id="m1", deleted=False)
    part: Any = SimpleNamespace(truncations=[], sent_bytes=2 * 24_000, sent_samples=24_000)

    def faults(heard_ms: int) -> list[str]:
        ended = MessageEnded("r1", "m1", Verdict.FULL, heard_ms, 1000, "One.", "One.", 0.0, 1.0)
        return _check(item, part, 24_000, ended, closed_first=False)

    assert (faults(1000), faults(999)) == ([], [])
    assert faults(998) == ["m1: the program was told 998 ms, 1000 ms were heard"]
