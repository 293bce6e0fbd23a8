"""``rtcore timeline``: recordings and simulated worlds as a page that one can zoom and scrub; two of them on one axis."""

import argparse
import os
import sys
from pathlib import Path

from rtcore.recording import Recording, RecordingError, read
from rtcore.sim.campaign import comes_back
from rtcore.sim.policy import PolicyError, parse_policy
from rtcore.sim.recorded import record_lines, record_world
from rtcore.sim.scenario import scenario_of
from rtcore_adapters._recording import read_recording
from rtcore_adapters.cli._arguments import world
from rtcore_adapters.cli._output import with_output
from rtcore_adapters.cli._store import StoreError, writable
from rtcore_adapters.timeline import write_timeline
from rtcore_adapters.voices import load_voices


class _Unusable(Exception):
    """A source that is none; the text says why and what would be right."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rtcore timeline``."""
    parser.epilog = (
        "A recording that is being written, or that breaks off, is shown as far as it goes. SEED:KEY=VALUE,... is a world under "
        "a policy: rtcore timeline 7 7:interruption=ignore shows what it changes."
    )
    parser.add_argument("source", metavar="SOURCE", help="a recording (.jsonl or .jsonl.gz), or the seed of a simulated world")
    parser.add_argument("other", nargs="?", metavar="OTHER", help="another, on the same axis")
    parser.add_argument(
        "--html", type=Path, default=Path("timeline.html"), metavar="FILE", help="where to write the page (default: %(default)s)"
    )
    parser.add_argument(
        "--align", choices=("begin", "sound", "cut"), default="begin",
        help="where two meet: at their beginning, the first sound that was heard, or the first cut (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--title", default="", help="the page's heading")


@with_output
def run(options: argparse.Namespace) -> int:
    """``rtcore timeline SOURCE [OTHER]``: 0 where the page was written, else 1."""
    words: list[str] = [options.source] if options.other is None else [options.source, options.other]
    try:
        writable(options.html)  # better known before the work than after
        sources = [_source(word) for word in words]
        names = [name for _, name in sources]
        recordings = [recording for recording, _ in sources]
        write_timeline(options.html, *recordings, names=names, align=options.align, title=options.title)
    except (StoreError, RecordingError, _Unusable) as error:
        print(f"rtcore timeline: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"rtcore timeline: cannot write {options.html}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    print(f"Timeline of {' and '.join(names)} in {options.html}")
    return 0


def _source(word: str) -> tuple[Recording, str]:
    """A file where there is one of that name, else a world."""
    if not os.path.exists(word) and word.partition(":")[0].isdigit():
        return _world(word)
    try:
        return read_recording(word, partial=True), Path(word).name
    except RecordingError as error:
        raise _Unusable(f"{word}: {error}") from None
    except FileNotFoundError:
        raise _Unusable(f"{word}: no such file; a world is named by its seed, such as 7 or 7:interruption=ignore") from None
    except (OSError, ValueError) as error:
        raise _Unusable(f"{word}: {getattr(error, 'strerror', None) or error}") from None


def _world(word: str) -> tuple[Recording, str]:
    """Run a world and record it. Its words are nobody's, so they are kept."""
    number, _, changes = word.partition(":")
    try:
        seed, rules = world(number), parse_policy(changes)
    except (argparse.ArgumentTypeError, PolicyError) as error:
        raise _Unusable(f"{word}: {error}") from None
    if comes_back(seed):
        if rules.changes:
            raise _Unusable(f"{word}: the lines of this world come back, and such a world is drawn whole: leave the policy out")
        _, lines = record_lines(seed, load_voices())
    else:
        _, lines = record_world(seed, load_voices(), scenario=rules.applied(scenario_of(seed)) if rules.changes else None)
    return read(lines), f"world {seed}" + (f" under {changes}" if changes else "")
