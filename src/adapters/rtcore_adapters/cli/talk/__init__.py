"""``rtcore talk``: talk to a model, by microphone and loudspeaker, by files or by typing, on any of the three runtimes.

The environment is read here and nowhere else: ``OPENAI_API_KEY``, or ``AZURE_OPENAI_API_KEY`` with ``AZURE_OPENAI_ENDPOINT``,
make the server a real one; ``NO_COLOR`` and ``TERM`` say how to write. No key is ever printed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path

from rtcore import Config, LocalProtocolError
from rtcore.config import AudioInput, AudioOutput, Connection, SessionOptions, Transcription
from rtcore.dialects import DIALECTS
from rtcore.sim.server import Server, ServerOptions, spoken
from rtcore_adapters._extras import install
from rtcore_adapters._failures import ConnectionFailed
from rtcore_adapters.audio import AudioFileError, WavMicrophone
from rtcore_adapters.cli._arguments import lengths, seconds, seed
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._signals import endable
from rtcore_adapters.cli.talk._conduct import Rules, Talk
from rtcore_adapters.cli.talk._drawn import drawn
from rtcore_adapters.cli.talk._embedded import embedded
from rtcore_adapters.cli.talk._inputs import listening
from rtcore_adapters.cli.talk._server import AZURE_ENDPOINT, AZURE_KEY, OPENAI_KEY, NoServer, Wanted, choose
from rtcore_adapters.cli.talk._sound import NoSound, devices, microphone, speaker
from rtcore_adapters.cli.talk._terminal import Terminal, is_live
from rtcore_adapters.voices import load_voices

RUNTIMES = ("asyncio", "trio", "threads")
"""What a talk can run on; each has a driver of its own here."""

_TRANSCRIPTION = "whisper-1"  # the one that every dialect knows (protocol facts 2.8)
_KEYS = "type and press Enter to say something in writing; space holds the sound and lets it go on; Ctrl-C ends"


_ANSWERING = tuple(name for name, table in DIALECTS.items() if table.capabilities.answers)
"""Dialects in which there is somebody to talk to."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore talk``."""
    parser.epilog = (
        f"The server is the simulated one unless {OPENAI_KEY}, or {AZURE_KEY} with {AZURE_ENDPOINT}, is set. While it lasts: "
        "type and press Enter to say something in writing, space on an empty line holds the sound and lets it go on, Ctrl-C ends "
        "in order and a second one at once. Exits with 0 where it was ended so, or was over; with 1 where there was no session, "
        "or it ended with an error; with 2 for wrong usage; with 130 and 143 where Ctrl-C or SIGTERM ended it at once."
    )
    option = parser.add_argument
    option("--runtime", choices=RUNTIMES, default="asyncio", help="what it runs on (default: %(default)s)")
    option("--list-devices", action="store_true", help="list this computer's sound devices, and end")
    server = parser.add_argument_group("the server")
    server.add_argument("--simulated", action="store_true", help="the simulated server, whatever keys are set")
    server.add_argument("--url", help="another server: its base address")
    server.add_argument(
        "--dialect",
        choices=_ANSWERING,
        metavar="NAME",
        help=f"one of {', '.join(_ANSWERING)} (default: as its address or its first event tells)",
    )
    server.add_argument("--model", help="the model; on Azure the deployment (default: gpt-realtime)")
    server.add_argument("--instructions", help="what the model is told to be and do")
    server.add_argument("--voice", help="how it sounds")
    server.add_argument("--seed", type=seed, default=0, help="what the simulated server is drawn from (default: %(default)s)")
    server.add_argument(
        "--say",
        type=lengths,
        action="append",
        default=[],
        metavar="MS[,MS...]",
        help="script one answer of the simulated server with messages of these lengths; repeat for the next (default: drawn)",
    )
    sound = parser.add_argument_group("the sound")
    spoken_into, heard_with = sound.add_mutually_exclusive_group(), sound.add_mutually_exclusive_group()
    spoken_into.add_argument("--input", metavar="WAV", help="speak this file instead of a microphone")
    spoken_into.add_argument("--no-microphone", action="store_true", help="only type")
    spoken_into.add_argument("--microphone", metavar="DEVICE", help="the microphone, by number or a part of its name")
    heard_with.add_argument("--output", metavar="WAV", help="write what would be heard instead of a loudspeaker")
    heard_with.add_argument("--no-speaker", action="store_true", help="let the sound pass unheard, at the speed of speech")
    heard_with.add_argument("--speaker", metavar="DEVICE", help="the loudspeaker, by number or a part of its name")
    sound.add_argument("--device", help="both, where it is one device (default: the computer's)")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--record", metavar="FILE", help="record the conversation for rtcore replay, without voices and words")
    kept.add_argument("--timeline", type=Path, metavar="HTML", help="write what happened as a page, with its words, at the end")
    option("--seconds", type=seconds, metavar="N", help="end after so long (default: when you say so, or all has been said)")


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore talk``: 0 where it was ended in order, 1 where it could not be held, 2 for wrong usage, 130 and 143 at once."""
    with endable() as ending:
        try:
            return _listed() if options.list_devices else _talk(options)
        except KeyboardInterrupt:
            print(f"\nrtcore talk: ended by {ending.word}", file=sys.stderr)
            return ending.status
        except (NoServer, AudioFileError, LocalProtocolError) as wrong:
            return _refused(str(wrong), 2)
        except (NoSound, ConnectionFailed) as failed:
            return _refused(str(failed), 1)
        except OSError as error:
            what = f"{error.filename}: " if isinstance(error.filename, str) else ""
            return _refused(what + (error.strerror or str(error)).lower(), 1)


def _refused(why: str, status: int) -> int:
    print(f"rtcore talk: {why}", file=sys.stderr)
    return status


def _listed() -> int:
    found = devices()
    print("\n".join(found) or "no sound devices were found")
    return 0


def _talk(options: argparse.Namespace) -> int:
    choice = choose(Wanted(options.simulated, options.url, options.dialect, options.model), os.environ)
    if choice.connection is not None and (options.say or options.seed):
        raise NoServer("--say and --seed are the simulated server's: add --simulated, or leave them out")
    simulated = ServerOptions(script=tuple(spoken(*each) for each in options.say))
    if choice.connection is None:
        _check(simulated)
    driver = _driver(options.runtime)
    heard_with, heard_words = speaker(output=options.output, silent=options.no_speaker, device=options.speaker or options.device)
    spoken_into, spoken_words = microphone(
        input=options.input, silent=options.no_microphone, device=options.microphone or options.device
    )
    live = is_live(sys.stdout, os.environ)
    at_keyboard = sys.stdin is not None and sys.stdin.isatty()
    says = spoken_into if isinstance(spoken_into, WavMicrophone) else None
    rules = Rules(options.seconds, listens=spoken_into is not None and says is None, waits_for_keys=at_keyboard)
    talk = Talk(Terminal(live=live), rules, says=says)
    print(f"rtcore talk: {choice.words}; on {options.runtime}")
    words = [spoken_words, heard_words]
    words += [f"recording: {options.record}, for rtcore replay"] if options.record else []
    words += [f"timeline: {options.timeline}, at the end"] if options.timeline else []
    words += [_KEYS] if live and at_keyboard else []
    for each in words:
        print(f"rtcore talk: {each}")
    sys.stdout.flush()
    with ExitStack() as stack:
        record = stack.enter_context(drawn(options.timeline)) if options.timeline else options.record
        connection = choice.connection
        if connection is None:
            base = stack.enter_context(embedded(seed=options.seed, options=simulated))
            dialled = {"dialect": choice.dialect, "url": base, "model": options.model or "gpt-realtime"}
            connection = Connection.model_validate(dialled)
        driver(
            Config(connection=connection, session=_session(options)),
            talk,
            partial(listening, keys=live and at_keyboard, errors=live and sys.stderr is not None and sys.stderr.isatty()),
            speaker=heard_with,
            microphone=spoken_into,
            tools=[current_time],
            record=record,
        )
    return int(talk.failed)


def _check(simulated: ServerOptions) -> None:
    try:
        Server(seed=0, voices=load_voices(), options=simulated)
    except ValueError as wrong:
        raise NoServer(f"argument --say: {wrong}") from None


def _driver(runtime: str) -> Callable[..., None]:
    """The driver of a runtime, loaded only where it is the one."""
    try:
        run: Callable[..., None] = import_module(f"{__name__}._{runtime}").run
    except ModuleNotFoundError as missing:
        if missing.name != runtime:
            raise
        raise NoServer(f"--runtime {runtime} needs the package {runtime}: {install(runtime)}") from None
    return run


def _session(options: argparse.Namespace) -> SessionOptions:
    """What the server is asked for: what was typed, and the user's words in writing."""
    audio = {"input": AudioInput(transcription=Transcription(model=_TRANSCRIPTION))}
    given: dict[str, object] = {"audio": audio}
    if options.voice is not None:
        given["audio"] = {**audio, "output": AudioOutput(voice=options.voice)}
    if options.instructions is not None:
        given["instructions"] = options.instructions
    return SessionOptions.model_validate(given)


def current_time() -> str:
    """The local date and time where the user is."""
    return time.strftime("%A, %d %B %Y, %H:%M")
