"""The fuzz targets, run by Hypothesis and by raw bytes; and that each would notice."""

from collections.abc import Callable
from typing import Any

import pytest
from fuzzing.targets import TARGETS, any_split_gives_the_same_effects, main, who_heard_what_adds_up

from rtcore._generation import Generation
from rtcore._playout import Playout
from rtcore.sim._rng import Rng
from rtcore_adapters._link import Link


@pytest.mark.parametrize("name", TARGETS)
def test_it_holds(name: str) -> None:  # C29, B27, B31, C30, invariant 14; B01 to B06, B16, C02, C03, C20
    TARGETS[name]()


@pytest.mark.parametrize("name", TARGETS)
def test_a_fuzzer_can_drive_it_by_bytes(name: str) -> None:
    """``fuzz_one_input`` takes any bytes, and says which it could use (None: too short to make a value of)."""
    rng = Rng(7)
    fuzz: Callable[[bytes], bytes | None] = TARGETS[name].hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # given() adds it
    used = [fuzz(b"".join(rng.bits().to_bytes(8, "big") for _ in range(200))) for _ in range(8)]
    assert any(each is not None for each in used)


def test_a_target_can_be_run_from_the_shell(monkeypatch: Any, capsys: Any) -> None:
    class Input:
        class buffer:
            @staticmethod
            def read() -> bytes:
                return bytes(4000)

    monkeypatch.setattr("sys.stdin", Input)
    assert (main(["playout"]), capsys.readouterr().out) == (0, "held\n")
    assert main(["nothing"]) == 2


# -- would they notice? ---------------------------------------------------------------------------------------------------


def test_a_sample_too_many_is_noticed(monkeypatch: Any) -> None:
    report = Playout.report

    def one_more(self: Playout, generation: Generation, samples: int, now: float) -> Any:
        return report(self, generation, min(samples + 1, generation.handed), now)

    monkeypatch.setattr(Playout, "report", one_more)
    with pytest.raises(AssertionError):
        who_heard_what_adds_up(([("say", 100), ("sound", 50)], True, None))


def test_a_byte_lost_at_a_cut_is_noticed(monkeypatch: Any) -> None:
    receive = Link.receive

    def short(self: Link, data: bytes, *, now: float) -> Any:
        return receive(self, data[: 70 if len(data) > 70 else None], now=now)

    monkeypatch.setattr(Link, "receive", short)
    with pytest.raises(AssertionError):
        any_split_gives_the_same_effects(([b'{"type":"x"}'], [150, 152, 154], None))
