"""Policies: what may be set and how, what they change in a world, and what they leave as it was drawn."""

import msgspec
import pytest

from rtcore.sim.campaign import Sum, policy_world, run_campaign
from rtcore.sim.policy import NETWORKS, Policy, PolicyError, allowed_values, keys, parse_policy
from rtcore.sim.scenario import Scenario, scenario_of
from rtcore.sim.voices import synthetic_voices
from rtcore.sim.world import World

VOICES = synthetic_voices(1)


def test_a_policy_is_read_and_written_again() -> None:
    text = "context=exact,interruption=ignore,lead_ms=none,network=noisy,server.rate_percent=[100,120],speaker.pause=false"
    policy = parse_policy(f" {text.replace(',s', ' , s')} ")

    assert str(policy) == text
    assert parse_policy(str(policy)) == policy
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy
    assert (parse_policy(""), Policy().name) == (Policy(), "as drawn")


def test_a_policy_changes_what_it_names_and_nothing_else() -> None:
    drawn = scenario_of(7)
    changed = parse_policy("lead_ms=200,network.latency_ms=151,speaker.report_ms=33,timeouts.edit_ms=700").applied(drawn)

    assert (changed.lead_ms, changed.stream.latency_ms, changed.speaker.report_ms) == (200, 151, 33)
    assert changed.config().timeouts.edit_ms == 700 and changed.config().playout.lead_ms == 200
    back = msgspec.structs.replace(
        changed,
        lead_ms=drawn.lead_ms,
        stream=msgspec.structs.replace(changed.stream, latency_ms=drawn.stream.latency_ms),
        speaker=msgspec.structs.replace(changed.speaker, report_ms=drawn.speaker.report_ms),
        core={},
    )
    assert back == drawn


def test_a_named_line_comes_first_and_a_single_setting_changes_it() -> None:
    line = parse_policy("network.jitter_ms=7,network=clean").applied(scenario_of(3)).stream

    assert line == msgspec.structs.replace(NETWORKS["clean"], jitter_ms=7)


def test_a_world_without_faults_has_none_but_those_that_the_policy_brings() -> None:
    drawn = next(scenario for scenario in map(scenario_of, range(100)) if len(scenario.faults) > 5)

    assert parse_policy("faults=none").applied(drawn).faults == ()
    assert parse_policy("faults=none,network=noisy").applied(drawn).stream == NETWORKS["noisy"]
    assert all(each.startswith("network: ") for each in parse_policy("faults=none,network=noisy").applied(drawn).faults)
    assert parse_policy("faults=drawn").applied(drawn) == drawn


def test_a_core_that_ignores_speech_meets_a_server_that_does_not_cut() -> None:  # DESIGN section 4
    scenario = parse_policy("interruption=ignore").applied(Scenario())

    assert (scenario.server_interrupts, scenario.server_creates) == (False, False)
    assert scenario.config().interruption == "ignore"


def test_no_world_has_an_echo_that_its_session_does_nothing_against() -> None:  # F118: it would talk to itself without end
    drawn = msgspec.structs.replace(Scenario(), interruption="half_duplex", microphone=True, echo_ms=60)
    guarded = msgspec.structs.replace(drawn, interruption="cut", guard_ms=500)
    heard = [
        parse_policy(f"interruption={how}").applied(world).echo_ms
        for how in ("half_duplex", "cut", "pause", "ignore")
        for world in (drawn, guarded)
    ]
    assert heard == [60, 60, 0, 60, 0, 60, 0, 0]


@pytest.mark.parametrize("text", ["interruption=half_duplex,echo_ms=60", "guard_ms=800,guard=ignore"])
def test_a_room_that_echoes_can_be_held_fixed_where_it_fits(text: str) -> None:  # F039, F118
    policy = parse_policy(text)
    worlds = [policy.applied(scenario_of(seed)) for seed in range(60)]
    held = [world for world in worlds if world.echo_ms == 60 and (world.guard_ms == 800 or text.startswith("int"))]

    assert len(held) >= 10
    assert {world.config().interruption for world in held} == {"half_duplex" if text.startswith("int") else "cut"}
    assert all(world.microphone for world in held)
    assert all(world.server.call is None and world.detects and world.loss is None for world in held)
    assert all(policy_world(seed, VOICES, policy).run().violations == () for seed in range(6))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("contxt=exact", "unknown key 'contxt'; there are answer_turns"),
        ("network.latency=3", "unknown key 'network.latency'; there are network.burst_ms"),
        ("context", "'context' is not key=value"),
        ("context=exactly", "context=exactly: one of auto, exact is allowed"),
        ("network=wet", "network=wet: one of clean, noisy is allowed"),
        ("lead_ms=soon", "lead_ms=soon: a whole number or none is allowed"),
        ("lead_ms=3", "lead_ms=3: Input should be greater than or equal to 20"),
        ("playout.stall_ms=0", "playout.stall_ms=0: Input should be greater than or equal to 1"),
        ("network.latency_ms=-1", "network.latency_ms=-1: at least 0"),
        ("speaker.report_ms=0", "speaker.report_ms=0: at least 1"),
        ("edits_per_mille=1001", "edits_per_mille=1001: at most 1000"),
        ("server.rate_percent=[120,100]", "server.rate_percent=[120,100]: [least,most]"),
        ("server.rate_percent=[120]", "server.rate_percent=[120]: [number,number] is allowed"),
        ("server.rate_percent=[a,b]", "server.rate_percent=[a,b]: [number,number] is allowed"),
        ("server.message_weights=[0,0,0]", "one of them at least must be above 0"),
        ("speaker.pause=1", "speaker.pause=1: true or false is allowed"),
        ("context=exact,context=auto", "context is given twice"),
        ("detection=none", "unknown key 'detection'"),
        ("x" * 5000, "a policy of 5000 characters"),
    ],
)
def test_what_cannot_be_is_refused_with_the_key_and_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)

    assert said in str(refused.value)


def test_every_key_says_what_it_takes() -> None:
    assert {"context", "lead_ms", "interruption", "network", "network.latency_ms", "speaker.report_ms"} <= set(keys())
    assert all(allowed_values(key) for key in keys())
    assert allowed_values("server.rate_percent") == "[number,number]"


def test_an_empty_policy_is_the_world_that_the_seed_draws() -> None:  # invariant 14
    assert policy_world(5, VOICES, Policy()).run() == World(5, VOICES).run()


def test_a_policy_counts_in_a_campaign() -> None:
    policy = parse_policy("interruptions=2,network=clean")
    result = run_campaign(0, 4, VOICES, policy=policy)

    assert (result.worlds, result.interruptions) == (2, 4)


def test_a_sum_goes_on_from_any_place_and_any_number_of_times() -> None:
    worlds = [World(seed, VOICES, scenario=Scenario(interruptions=2)).run() for seed in range(7)]
    whole, parted = Sum(), Sum()
    for world in worlds:
        whole.add(world)
        parted = Sum(parted.result)
        parted.add(world)

    assert whole.result == parted.result
    assert (whole.worlds, whole.interruptions) == (parted.worlds, parted.interruptions) == (7, 14)
