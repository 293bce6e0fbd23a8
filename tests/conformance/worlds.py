"""Worlds of the simulated network, played to an adapter.

A world runs with the bare core, and every input of the core's is written down. Played to an adapter at the same virtual times,
the same inputs have to give the same outputs: control messages with their ids, sound, notices, requests, microphone audio. What a
closed loop would add is in the record already, because server, user and speaker answered the core that an adapter only carries;
and unlike a closed loop, a difference shows where it first arises, and not as another world.

Two things are the adapter's own and no input: how long a line that went dead is waited for, and the words of a lost connection.
There the script says what the link does, and the bare core is given the same.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from conformance.drivers import Driver
from conformance.player import Player
from conformance.plays import LINE, Bare, Script, Step, difference
from rtcore import Disconnection, Session
from rtcore.sim._rng import Rng
from rtcore.sim.scenario import Scenario, draw_scenario
from rtcore.sim.voices import Voice, synthetic_voices
from rtcore.sim.world import World
from rtcore_adapters._link import Closed, LinkTimes, disconnection

VOICES: tuple[Voice, ...] = synthetic_voices(1)
INPUTS = (
    *("connected", "disconnected", "receive", "played", "flushed", "underrun", "device", "speech", "append_audio", "commit"),
    *("clear", "send_text", "respond", "interrupt", "tool_result", "update", "create_item", "delete_item", "pause", "resume"),
    *("approve", "retrieve_item", "send_raw", "release", "replace_item", "move_item", "sync_history", "close"),
    *("cancel_tool", "mute", "unmute", "begin_turn", "end_turn", "user_turn", "renew"),
    *("say", "say_begin", "say_append", "say_end"),
)
"""The session's inputs but for ``open`` and ``tick``, which every adapter owes by itself."""


class WrittenDown(Session):
    """A session that keeps its inputs."""

    steps: list[Step]


def _kept(name: str) -> Any:
    take = getattr(Session, name)

    def kept(self: WrittenDown, *args: Any, now: float, **options: Any) -> Any:
        self.__dict__.setdefault("steps", []).append(Step(now, name, args, options))
        return take(self, *args, now=now, **options)

    return kept


for _name in INPUTS:
    setattr(WrittenDown, _name, _kept(_name))


def scenario(seed: int) -> Scenario:
    """What the seed's world draws, but for what no adapter lets through: commands before the session is ready, and messages of a
    connection that is over."""
    return structs.replace(draw_scenario(Rng(seed).fork("scenario")), early=False, stale_per_mille=0)


def script(seed: int, voices: Sequence[Voice] = VOICES) -> Script:
    """The world of this seed as a play."""
    drawn = scenario(seed)
    world = World(seed, voices, scenario=drawn, session_factory=WrittenDown)
    world.run()
    assert isinstance(world.session, WrittenDown)
    steps = world.session.steps
    half_open = drawn.loss_at_ms / 1000 if drawn.loss == "half-open" and steps[-1].do == "disconnected" else None
    steps = _until_the_end(steps, half_open)
    return Script(f"world {seed}", drawn.config(), drawn.speaker.clock, seed, steps, half_open)


def _until_the_end(steps: list[Step], half_open: float | None) -> list[Step]:
    """Up to the end of the session: what its devices say afterwards is for nobody. The line's end in the link's words."""
    found: list[Step] = []
    for step in steps:
        if step.do == "disconnected":
            number, cause = step.args
            at = step.at if half_open is None else _given_up(found, half_open)
            found = [each for each in found if each.at < at]
            found.append(Step(at, "disconnected", (number, _in_the_links_words(cause, half_open is not None))))
            return found
        found.append(step)
        if step.do == "close":
            return found
    return found


def _given_up(steps: list[Step], half_open: float) -> float:
    """When the link gives up a line that went dead: it pings after a silence, and an answer begins the silence anew."""
    times = LinkTimes()
    heard = max(step.at for step in steps if step.do in LINE)
    while heard + times.ping_s < half_open:
        heard += times.ping_s
    return heard + times.ping_s + times.pong_s


def _in_the_links_words(cause: Disconnection, half_open: bool) -> Disconnection:
    if half_open:
        error = f"nothing came from the server for {LinkTimes().pong_s:g} s after a ping"
        return disconnection(Closed(1006, error, "the network or the server is gone: connect again"))
    if cause.close_code is not None:
        return disconnection(Closed(cause.close_code, cause.reason))
    return disconnection(Closed(1006, "the connection was cut in the middle of a message", "connect again"))


class Played(Struct):
    """A world, played to some adapters."""

    seed: int
    digest: str
    """Of what the bare core gave."""
    inputs: int
    seconds: float
    """Of virtual time."""
    differences: dict[str, str]
    """By the driver's name: where what it gave first is another. Empty: nowhere."""


def play(seed: int, drivers: Sequence[Driver], voices: Sequence[Voice] = VOICES) -> Played:
    """Play a world to the bare core and to these adapters."""
    written = script(seed, voices)
    bare = Bare(written)
    expected = bare.run()
    differences: dict[str, str] = {}
    for driver in drivers:
        # In half of the worlds the voice comes from a microphone, in the others by command.
        player = Player(written, cuts=seed, microphone=bare.session.input_format if seed % 2 else None)
        found = difference(expected, driver.play(player))
        if found or player.failed is not None:
            differences[driver.name] = found or f"connect failed: {player.failed}"
    return Played(seed, expected.digest(), len(written.steps), written.steps[-1].at, differences)
