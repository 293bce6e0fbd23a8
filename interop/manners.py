"""How the strict server answers what the facts leave open, for tests of the plugs: as most do, or oddly in all at once."""

from msgspec.structs import replace

from rtcore.sim.server import ResponsePlan, Rules, ServerOptions

USUAL = Rules(error_event_id="always")
ODD = Rules(
    truncate_midway="keeps_later",
    cascade="before_speech_started",
    error_event_id="never",
    codes="old",
    unknown_item_text="not_found",
    item_done=False,
    done_predecessor=False,
    rate_limits="at_start",
    audio_done_first=False,
    cascade_audio_done=False,
    cancelled_output="empty",
    whole_samples=False,
    obfuscation=True,
    part_content=True,
    detection_echo="absent",
    detection_merge=False,
    cut_transcript="empty",
)


def script(*plans: ResponsePlan, rules: Rules = USUAL) -> ServerOptions:
    """A server with these responses; an odd one mixes its messages up, and cuts its deltas in the middle of a sample."""
    if rules == ODD:
        plans = tuple(
            replace(plan, interleaving="late_close", closing="output first", ragged=True, burst=3, delta_ms=(40, 160))
            for plan in plans
        )
    return ServerOptions(script=plans, rules=rules, transcription_failed_per_mille=0)
