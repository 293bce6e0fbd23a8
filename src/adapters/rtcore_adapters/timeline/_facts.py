"""What a recording is, in a few lines of text."""

from rtcore.recording import Recording
from rtcore.sim.recorded import RecordedWorld


def facts_of(recording: Recording, world: RecordedWorld | None) -> list[str]:
    """How long it is and what is in it; what a reader must know to judge what it shows; its world, if it is one."""
    header, inputs = recording.header, recording.inputs
    seconds = inputs[-1].now - inputs[0].now if inputs else 0.0
    left = f"without {' and '.join(header.left_out)}" if header.left_out else "with audio and text"
    facts = [f"{len(inputs):,} inputs in {seconds:.1f} s, recorded by rtcore {header.rtcore}, {left}"]
    if header.policies:
        facts.append(
            f"The program decided {', '.join(header.policies)} by functions of its own, which no file holds: "
            "to replay it with them, call rtcore.recording.replay(recording, policies=...) from Python"
        )
    if not recording.complete:
        facts.append("The file breaks off; what is there is replayed")
    if recording.stopped:
        facts.append(f"Recording stopped before the session did: {recording.stopped}")
    unlike = [line for line, each in enumerate(inputs, 2) if each.unlike is not None]
    if unlike:
        facts.append(
            f"What was left out made a difference at {len(unlike)} inputs, first on line {unlike[0]}: "
            "from there on this is not quite the session that was recorded"
        )
    if world is not None:
        core = f", core sabotaged on purpose: {world.sabotage}" if world.sabotage else ""
        facts.append(f"A simulated world: seed {world.seed}, {world.scenario}{core}")
    return facts
