"""What is particular to each runtime, on the real clock: nurseries, scopes, time-outs, threads (issue 4, item 1)."""

import asyncio
import gc
import math
import os
import signal
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import trio
from loopback import config, served_in_a_thread

from rtcore import Interrupted, MessageStarted, Notice, RequestEnded, SessionClosed, SessionReady, SpeakingStarted
from rtcore.sim.server import ServerOptions, spoken
from rtcore_adapters import asyncio as on_asyncio
from rtcore_adapters import threads as on_threads
from rtcore_adapters import trio as on_trio
from rtcore_adapters._mailbox import SharedMailbox
from rtcore_adapters.audio import VirtualSpeaker
from rtcore_adapters.threads import Request


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_in_a_thread(options=ServerOptions(script=tuple(spoken(3000) for _ in range(9)))) as found:
        yield found


# -- trio ---------------------------------------------------------------------------------------------------------------------


def test_a_nursery_of_the_callers_holds_the_tasks_and_its_cancellation_ends_the_conversation_in_order(url: str) -> None:
    async def main() -> None:
        speaker = VirtualSpeaker()
        told: list[Notice] = []
        async with trio.open_nursery() as nursery:
            async with on_trio.connect(config(url), speaker=speaker, nursery=nursery) as conversation:
                assert nursery.child_tasks
                conversation.send_text("Hello.")
                async for notice in conversation:
                    told.append(notice)
                    if isinstance(notice, SpeakingStarted):
                        nursery.cancel_scope.cancel()
                        break
                with trio.CancelScope(shield=True), trio.fail_after(5):
                    told += [notice async for notice in conversation]
            assert not nursery.child_tasks
        assert isinstance(told[-1], SessionClosed)
        assert told[-1].reason == "closed"
        assert speaker.deadline is None

    trio.run(main)


def test_a_scope_around_a_conversation_that_talks_ends_it_at_its_time(url: str) -> None:
    async def main() -> str:
        with trio.move_on_after(0.4) as scope:
            async with on_trio.connect(config(url), speaker=VirtualSpeaker()) as conversation:
                conversation.send_text("Hello.")
                async for _ in conversation:
                    pass
        return conversation.state if scope.cancelled_caught else "the scope caught nothing"

    assert trio.run(main) == "closed"


def test_every_notice_is_a_checkpoint(url: str) -> None:
    async def main() -> None:
        async with on_trio.connect(config(url)) as conversation:
            conversation.update({"instructions": "Be brief."})
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(conversation)
            assert scope.cancelled_caught
            assert isinstance(await anext(conversation), SessionReady)  # and it was not lost

    trio.run(main)


def test_trio_as_a_guest_of_another_loop(url: str) -> None:
    async def inside() -> str:
        async with on_trio.connect(config(url)) as conversation:
            return conversation.state

    async def host() -> Any:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        results: list[Any] = []

        def done(outcome: Any) -> None:
            results.append(outcome)
            over.set()

        trio.lowlevel.start_guest_run(
            inside, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done, host_uses_signal_set_wakeup_fd=True
        )
        await over.wait()
        return results[0].unwrap()

    assert asyncio.run(host()) == "ready"


# -- asyncio ------------------------------------------------------------------------------------------------------------------


def test_a_time_out_around_a_conversation_ends_it_in_order(url: str) -> None:
    async def main() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4), on_asyncio.connect(config(url), speaker=VirtualSpeaker()) as conversation:
                conversation.send_text("Hello.")
                async for _ in conversation:
                    pass
        return conversation.state

    assert asyncio.run(main()) == "closed"


def test_a_task_group_in_the_block(url: str) -> None:
    async def main() -> list[str]:
        async with on_asyncio.connect(config(url), speaker=VirtualSpeaker()) as conversation, asyncio.TaskGroup() as group:
            request = conversation.send_text("Hello.")

            async def interrupt() -> None:
                await asyncio.sleep(0.3)
                conversation.interrupt()

            group.create_task(interrupt())
            kinds = []
            async for notice in conversation:
                kinds.append(type(notice).__name__)
                if isinstance(notice, Interrupted):
                    break
            assert (await request).outcome in ("done", "cancelled")
        return kinds

    assert asyncio.run(main())[-1] == "Interrupted"


# -- threads ------------------------------------------------------------------------------------------------------------------


def test_an_iterator_with_time_outs(url: str) -> None:
    with on_threads.connect(config(url)) as conversation:
        assert isinstance(conversation.next_notice(timeout_s=5), SessionReady)
        for timeout_s in (0, 0.02):
            with pytest.raises(TimeoutError, match=f"no notice came in {timeout_s:g} s"):
                conversation.next_notice(timeout_s)
        conversation.close()
        assert isinstance([*conversation][-1], SessionClosed)
        assert conversation.next_notice(timeout_s=0) is None


def test_commands_from_many_threads_are_taken_whole(url: str) -> None:  # safe calls from any thread
    with on_threads.connect(config(url)) as conversation:
        numbers: list[int] = []

        def work() -> None:
            for _ in range(25):
                numbers.append(conversation.update({"instructions": "Be brief."}).number)
                assert conversation.state == "ready"

        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(20)
        assert len(set(numbers)) == 200


def test_a_speaker_is_called_with_no_lock_held(url: str) -> None:  # no callback under a lock
    """A speaker that waits for another thread, which looks at the mailbox meanwhile: with a lock held neither would go on."""
    looked: list[bool] = []

    class Waiting(VirtualSpeaker):
        def play(self, *args: Any, **options: Any) -> None:
            super().play(*args, **options)
            if not looked:
                other = threading.Thread(target=lambda: looked.append(_times_out(conversation)))
                other.start()
                other.join(5)

    with on_threads.connect(config(url), speaker=Waiting()) as conversation:
        conversation.send_text("Hello.")
        while not isinstance(conversation.next_notice(timeout_s=5), MessageStarted):
            pass
    assert looked == [True]


def _times_out(conversation: on_threads.Conversation) -> bool:
    """Whether asking for a notice comes back, with one or without."""
    with suppress(TimeoutError):
        conversation.next_notice(timeout_s=0)
    return True


def test_the_last_notice_is_not_missed_by_who_looks_while_it_is_put_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer wakes in the very moment in which the session closes (the conversation's thread may be held up anywhere)."""
    put = SharedMailbox.put

    def slowly(self: SharedMailbox, notice: Notice) -> None:
        if isinstance(notice, SessionClosed):
            conversation._pump.tell()
            time.sleep(0.05)
        put(self, notice)

    monkeypatch.setattr(SharedMailbox, "put", slowly)
    with on_threads.connect(config(url)) as conversation:
        conversation.next_notice(timeout_s=5)
        threading.Timer(0.02, conversation.close).start()
        assert isinstance([*conversation][-1], SessionClosed)


@pytest.mark.parametrize("timeout_s", [None, math.inf, 1e300])
def test_a_time_out_may_be_as_long_as_one_likes(url: str, timeout_s: float | None) -> None:
    with on_threads.connect(config(url)) as conversation:
        assert conversation.update({"instructions": "Be brief."}).result(timeout_s).outcome == "done"
        assert conversation.next_notice(timeout_s) is not None


@pytest.mark.parametrize("timeout_s", [math.nan, -1, -math.inf, "5", True])
def test_a_time_out_that_is_none_is_refused(url: str, timeout_s: Any) -> None:
    with on_threads.connect(config(url)) as conversation:
        request = conversation.update({"instructions": "Be brief."})
        for wait in (request.result, conversation.next_notice):
            with pytest.raises(ValueError, match=r"timeout_s is .*: give seconds"):
                wait(timeout_s)


def _in_a_child(work: Callable[[], object]) -> str:
    """What comes of it in a child of this process."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: it forks among threads, and means to
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)  # it would hang
            try:
                said = repr(work())
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            os.write(writing, said.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_is_told_that_the_conversation_is_its_parents(url: str) -> None:
    """Of the threads a child has only the one that forked: whatever waits for the conversation's would wait for ever."""
    with ExitStack() as stack:
        conversation = stack.enter_context(on_threads.connect(config(url), speaker=VirtualSpeaker()))
        asked: list[Callable[[], object]] = [
            conversation.interrupt,
            lambda: conversation.history,
            conversation.next_notice,
        ]
        for each in asked:
            assert "RuntimeError: this conversation runs in the process that opened it" in _in_a_child(each)
        assert _in_a_child(stack.close) == "None"  # leaving the block there takes nothing from the parent
        assert conversation.update({"instructions": "Be brief."}).result(timeout_s=10).outcome == "done"
        conversation.close()
        assert isinstance([*conversation][-1], SessionClosed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_does_not_wait_for_a_request_but_sees_what_is_settled() -> None:
    request = Request(7)
    assert "RuntimeError: this conversation runs" in _in_a_child(request.result)
    request.settle(RequestEnded(7, "done"))
    assert "outcome='done'" in _in_a_child(request.result)


# -- memory -------------------------------------------------------------------------------------------------------------------


def test_conversations_that_ended_leave_nothing_behind(url: str) -> None:
    def one() -> None:
        with on_threads.connect(config(url)) as conversation:
            conversation.update({"instructions": "Be brief."}).result(timeout_s=5)

    for _ in range(3):
        one()  # what is loaded once
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            one()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The server runs in this process, too, and keeps the truth of each session.
    assert after - before < 20 * 40_000
