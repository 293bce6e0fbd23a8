"""The site that ``make docs`` builds: a page for each notice, option, policy and dialect, all pages in the navigation.

What only the builder can tell (anchors, the search, what a browser fetches) is held by ``make docs`` itself.
"""

import posixpath
import re
import runpy
from pathlib import Path

import pytest
from test_docs import _anchors

from rtcore import Notice
from rtcore.config import Config
from rtcore.dialects import DIALECTS
from rtcore.policies import Policies

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
REFERENCE = runpy.run_path(str(DOCS / "builder" / "reference.py"))
GENERATED: dict[str, str] = REFERENCE["pages"]()
_LINK = re.compile(r"\]\(([^)\s:#]*)#?([^)\s]*)\)")


def named(folder: str) -> set[str]:
    return {Path(uri).stem for uri in GENERATED if uri.startswith(f"reference/{folder}/")}


def test_every_notice_policy_and_dialect_has_a_page() -> None:
    assert named("notices") == {kind.__name__ for kind in Notice.__subclasses__()}
    assert named("policies") == set(Policies.__struct_fields__)
    assert named("dialects") == set(DIALECTS)


def test_every_option_has_a_page() -> None:
    """Those of docs/configuration.md, which a test holds to the schema."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8").partition("<!-- from here on written")[2]
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    listed = {f"{model}.{name}" for model, section in sections for name in re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)}
    assert named("options") == listed
    assert {f"Config.{name}" for name in Config.model_fields} <= listed


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("options/Playout.hold_ms", ["`int` 0 to 60000", "`playout.hold_ms`", "[Context](../../context.md)"]),
        ("options/ServerVad.silence_duration_ms", ["`session.audio.input.turn_detection.silence_duration_ms`"]),
        ("notices/MessageEnded", ["| `heard_ms` |", "`from rtcore import MessageEnded`", "[Verdicts](../../verdicts.md)"]),
        ("policies/interruption", ["def interruption(view", "| `speech_ms` | `float` |", "[Interruptions"]),
        ("dialects/inworld", ["wss://api.inworld.ai", "| session |"]),
    ],
)
def test_a_generated_page_says_what_there_is_to_say(uri: str, words: list[str]) -> None:
    page = GENERATED[f"reference/{uri}.md"]
    assert [word for word in words if word not in page] == []


def test_links_of_generated_pages_lead_somewhere() -> None:
    seen: dict[Path, set[str]] = {}
    for uri, text in GENERATED.items():
        for path, anchor in _LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
            target = DOCS / posixpath.normpath(posixpath.join(posixpath.dirname(uri), path)) if path else None
            assert target is not None and target.exists(), f"{uri} links to {path}"
            assert not anchor or anchor in seen.setdefault(target, _anchors(target)), (
                f"{uri}: {target.name} has no heading #{anchor}"
            )


def test_every_page_is_in_the_navigation_once() -> None:
    """The builder says so too; here it is said without it."""
    listed = re.findall(r"^ +- (?:[^:\n]+: )?([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages - set(listed) == set()
    for other in set(listed) - pages:  # those that lie elsewhere in the repository
        hooks = (DOCS / "builder" / "hooks.py").read_text(encoding="utf-8")
        assert f'"{other}"' in hooks or (ROOT / Path(other).with_suffix("") / "README.md").exists(), other


def test_the_builder_ends_at_a_broken_link() -> None:
    """Strict, every kind of link checked, and warnings not hushed: with ``--quiet`` none would be counted."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\nstrict: true\n" in settings
    assert settings.count(": warn") == 7
    [command] = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "mkdocs build" in line]
    assert "--quiet" not in command and "-q" not in command.split()


def test_what_the_builder_takes_is_pinned() -> None:
    lines = [line for line in (DOCS / "requirements.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines and all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in lines)


def test_nothing_of_the_site_is_fetched() -> None:
    """No font, no script and no style from elsewhere: what the theme would fetch is switched off or replaced."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings and "polyfills: [iframe-worker.js]" in settings
    assert "repo_url" not in settings
    for name in ("site.css", "iframe-worker.js"):
        assert not re.search(r"https?://|url\(", (DOCS / name).read_text(encoding="utf-8"))
