"""The report: one page without scripts and outside resources, every text escaped; a picture whose labels do not collide."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from helpers.svg import SPACE, texts_apart

from rtcore.sim.results import CampaignResult, KindResult, Violation
from rtcore_adapters.cli._heard import Hearing, Message, Sounded, Told
from rtcore_adapters.cli._live import LiveResult, Received, Talked
from rtcore_adapters.cli._person import Utterance
from rtcore_adapters.cli._scene import draw_scenes
from rtcore_adapters.cli.report._page import table
from rtcore_adapters.cli.report._picture import picture
from rtcore_adapters.cli.report.talk import Caught, Findings, caption, page, picture_file

HOSTILE = "<script>alert('x')</script>&\"</svg>"
RATE = 24_000


def _message(number: int, *, heard_s: float, sent_s: float, verdict: str, at: float, **more: object) -> Message:
    fields: dict[str, object] = {
        "item_id": f"item_{number}",
        "response_id": "resp_1" if number < 4 else "resp_2",
        "planned": round(sent_s * RATE),
        "sent": round(sent_s * RATE),
        "heard": round(heard_s * RATE),
        "text": "one two three",
        "heard_text": "one two",
        "verdict": verdict,
        "deleted": False,
        "truncated_ms": None,
        "first_audio_at": at,
        "last_audio_at": at + sent_s / 3,
    }
    return msgspec.convert(fields | more, Message)


def _talk(text: str = "one two three") -> Talked:
    """Two messages heard in whole or in part, one not at all, and the next answer; the signal begins at 100 s."""
    messages = (
        _message(1, heard_s=1.5, sent_s=1.5, verdict="full", at=102.0, text=text, heard_text=text),
        _message(
            2, heard_s=0.8, sent_s=2.0, verdict="partial", at=102.5, truncated_ms=800, text=f"heard{text}", heard_text="heard"
        ),
        _message(3, heard_s=0.0, sent_s=1.0, verdict="skipped", at=103.2, deleted=True, text=text, heard_text=""),
        _message(4, heard_s=1.0, sent_s=1.0, verdict="full", at=106.0),
    )
    sounded = (
        Sounded("item_1", 102.0, 103.5, 0, 36_000),
        Sounded("item_2", 103.5, 104.3, 0, 19_200),
        Sounded("item_4", 106.0, 107.0, 0, 24_000),
    )
    told = (Told(104.31, "truncate", "item_2", 800), Told(104.31, "delete", "item_3"), Told(104.32, "cancel"))
    received = tuple(Received(102.0 + step / 10, "item_1", 4_800 * step) for step in range(1, 7))
    return Talked(
        scene=draw_scenes(0, 1)[0],
        began=99.0,
        ended=107.2,
        opened=100.0,
        hearing=Hearing(messages, sounded, told),
        received=received,
        said=(Utterance(100.5, b"\x00\x40" * RATE), Utterance(104.2, b"\x00\x20" * RATE)),
        detected_at=(100.6, 104.3),
        flushed_at=(104.3,),
        signal=b"\x00\x30" * (7 * RATE),
        result=KindResult("inside message 2", interruptions=1, verdicts={"partial": 1}, truncation_error_ms={0: 1}, answered=1),
        faults=(),
    )


def _findings(text: str) -> Findings:
    violation = Violation(7, 5, 1.5, text)
    campaign = CampaignResult(
        worlds=1, kinds=(KindResult(text, interruptions=1),), violations=(violation,), server_errors={text: 1}
    )
    return Findings(
        seed=0,
        live=LiveResult((_talk(text),), ()),
        fuzz=campaign,
        fuzz_seconds=1.0,
        sabotaged=(Caught(text, violation, 3, text), Caught("blind", None, 400, "rtcore fuzz")),
        problems=(text,),
    )


class _Reader(HTMLParser):
    """Which tags there are, which attributes point somewhere, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pointers: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.pointers += [name for name, _ in attrs if name in ("src", "href", "xlink:href", "srcset") or name.startswith("on")]
        if tag not in ("meta", "br", "line", "rect", "circle", "polygon", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_hostile_text_stays_text() -> None:
    written = page(_findings(HOSTILE))
    reader = _Reader()
    reader.feed(written)

    assert "script" not in reader.tags
    assert reader.tags.count("svg") == 2
    assert HOSTILE not in written and "&lt;script&gt;" in written
    assert reader.open == []


def test_the_page_needs_nothing_from_outside_and_no_script() -> None:
    written = page(_findings("words"))
    reader = _Reader()
    reader.feed(written)

    assert reader.pointers == []
    assert set(re.findall(r"https?://[^\"' ]*", written)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in written and "@import" not in written
    assert "prefers-color-scheme: dark" in written and "width=device-width" in written
    assert "$" not in written


def test_the_page_says_what_failed_and_what_was_not_caught() -> None:
    written = page(_findings("an item was left"))

    assert "Failed: 1" in written and "<li>an item was left</li>" in written
    assert "not caught in 400 interruptions" in written
    assert "Everything held." in page(msgspec.structs.replace(_findings("x"), problems=()))


def test_what_was_not_heard_is_struck_out() -> None:
    written = page(_findings(" and unheard"))

    assert "<td>heard<del> and unheard</del></td>" in written


def test_the_caption_tells_what_the_picture_shows() -> None:
    told = caption(_talk())

    assert "Message 2 is truncated to the 800 ms that were audible." in told
    assert "Message 3, of which nothing was audible, is deleted." in told


def test_the_table_ends_with_the_sum() -> None:
    kinds = [KindResult("a", interruptions=2, answered=2), KindResult("b", interruptions=1, unanswered=1)]
    last = table(kinds).splitlines()[-2]

    assert last.startswith('<tr class="sum"><td>all</td><td>3</td>')
    assert last.endswith("<td>2/3</td></tr>")


@pytest.mark.parametrize("width", [960, 360])
def test_the_picture_is_well_formed_inside_its_frame_and_no_label_covers_another(width: int) -> None:
    root = ElementTree.fromstring(picture(_talk(), width=width))
    texts_apart(root, width)
    titles = [title.text for title in root.iter(f"{SPACE}title")]
    assert "message 2 (partial): 800 ms of 2,000 ms heard" in titles
    assert "truncate message 2 to 800 ms, at 4.010 s" in titles


def test_the_lanes_agree_on_the_time() -> None:
    """The mark of the truncate stands where the flush does, within a hundredth of a second."""
    root = ElementTree.fromstring(picture(_talk()))
    space = "{http://www.w3.org/2000/svg}"
    cut = next(float(line.attrib["x1"]) for line in root.iter(f"{space}line") if line.attrib["class"] == "rt-cut")
    mark = next(float(circle.attrib["cx"]) for circle in root.iter(f"{space}circle"))
    second = (960 - 28) / (107.0 - 100.5 + 0.5)

    assert mark - cut == pytest.approx(0.01 * second, abs=0.2)


def test_the_picture_alone_is_a_file_with_its_own_style() -> None:
    root = ElementTree.fromstring(picture_file(_talk()))

    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["style", "rect"]
    assert "prefers-color-scheme: dark" in (root[0].text or "")


def test_a_conversation_in_which_nothing_happened_has_a_picture_too() -> None:
    empty = msgspec.structs.replace(_talk(), hearing=Hearing(), received=(), said=(), flushed_at=(), signal=b"")

    ElementTree.fromstring(picture(empty))
