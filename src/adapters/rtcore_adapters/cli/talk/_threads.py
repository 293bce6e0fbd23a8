"""A talk in plain threads: the main one takes what another hears of the conversation, and what is typed, from one queue."""

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from rtcore import Config
from rtcore_adapters.cli.talk._conduct import FRAME_S, Input, Talk
from rtcore_adapters.cli.talk._inputs import Listening
from rtcore_adapters.threads import Conversation, connect


def run(config: Config, talk: Talk, listening: Listening, **options: Any) -> None:
    """Talk until it is over; returns when nothing is left of the conversation."""
    given: SimpleQueue[Input | Exception] = SimpleQueue()
    with connect(config, **options) as conversation:
        talk.begin(conversation, now=time.monotonic())
        threading.Thread(target=_hear, args=(conversation, given), name="rtcore talk", daemon=True).start()
        try:
            with listening(given.put):
                while not talk.over:
                    what: Input | Exception = None
                    with suppress(Empty):
                        what = given.get(timeout=FRAME_S)
                    if isinstance(what, Exception):
                        raise what
                    talk.take(what, now=time.monotonic())
        finally:
            talk.leave()


def _hear(conversation: Conversation, given: "SimpleQueue[Input | Exception]") -> None:
    """Ends with the conversation."""
    try:
        for notice in conversation:
            given.put(notice)
    except Exception as error:  # a mistake in a device or in this program: the talk's own thread shall say so
        given.put(error)
