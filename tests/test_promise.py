"""What is promised is there (docs/versions.md): a name that is gone fails, one that is marked says what stands in its place."""

import importlib
import inspect
import re
import runpy
import sys
import types
import warnings
from pathlib import Path

import pytest

import rtcore_adapters
from rtcore import Session, config
from rtcore_adapters.engine import Commands

ROOT = Path(__file__).resolve().parent.parent
LINES = (ROOT / "tests" / "promised.txt").read_text(encoding="utf-8").splitlines()
PROMISE = runpy.run_path(str(ROOT / "docs" / "promise.py"))
_FORM = re.compile(r"^`(?P<old>[\w.]+)` is `(?P<new>[\w.]+)` since \d+\.\d+ and goes away in \d+\.\d+$")


def missing(lines: list[str]) -> list[str]:
    """The lines that are not kept any more; those that warn must do so in the form, and name what there is."""
    return [line for line in lines if not _kept(line)]


def _kept(line: str) -> bool:
    kind, _, what = line.rpartition(" ")
    if not kind:
        return _given(what)
    name, given = re.split(r"[.(]", what.rstrip(")"), maxsplit=1)
    match kind:
        case "option":
            return given in getattr(config, name).model_fields
        case "notice":
            return given in getattr(importlib.import_module("rtcore"), name).__struct_fields__
        case _:
            method = getattr(Session if kind == "input" else Commands, name, None)
            return method is not None and (not given or given in inspect.signature(method).parameters)


def _given(what: str) -> bool:
    module, _, name = what.partition(":")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DeprecationWarning)
        try:
            found = hasattr(importlib.import_module(module), name)
        except ImportError:  # an extra or a framework that is not here
            found = name in PROMISE["written"](module)
    for each in told:
        marked = _FORM.match(str(each.message))
        assert marked is not None, f"{what}: {each.message}"
        there, _, new = marked["new"].rpartition(".")
        assert marked["old"] == f"{module}.{name}" and hasattr(importlib.import_module(there), new), str(each.message)
    return found


def test_nothing_that_was_promised_is_gone() -> None:
    gone = missing(LINES)
    assert gone == [], "promised (docs/versions.md, What goes away): mark it for one minor version first"


def test_what_is_promised_is_what_is_public() -> None:
    """Every line was public when it was written; the list is not a wish, and holds some of each kind."""
    public = set(PROMISE["promised"]())
    assert public >= set(LINES)
    modules = {line.partition(":")[0] for line in LINES if ":" in line}
    assert modules >= {"rtcore.recording", "rtcore.dialects.calls", "rtcore_adapters.audio.device", *PROMISE["PLUGS"]}
    kinds = {line.rpartition(" ")[0] for line in LINES}
    assert kinds == {"", "option", "input", "command", "notice"}
    assert len(LINES) == len(set(LINES)) > 500


@pytest.mark.parametrize(
    "line",
    [
        "rtcore:Cut",
        "option Playout.no_such",
        "notice MessageEnded.no_such",
        "input interrupt(no_such)",
        "input no_such()",
        "command interrupt(no_such)",
    ],
)
def test_what_is_gone_is_found(line: str) -> None:
    assert missing([line]) == [line]


def test_a_name_of_a_framework_that_is_not_here_is_looked_up_in_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for framework in ("agents", "livekit", "sounddevice"):
        monkeypatch.setitem(sys.modules, framework, None)
    # As it is now, so that it is that again: what is imported below is another one.
    monkeypatch.setattr(rtcore_adapters, "audio", importlib.import_module("rtcore_adapters.audio"))
    for module in ("rtcore_openai_agents", "rtcore_livekit", "rtcore_adapters.audio.device"):
        # With everything that another test may have loaded with the framework, or with one in its place.
        family = module.rpartition(".")[0] or module
        for loaded in [name for name in sys.modules if name.startswith(family)]:
            monkeypatch.delitem(sys.modules, loaded)
        with pytest.raises(ImportError):
            importlib.import_module(module)
        mine = [line for line in LINES if line.startswith(f"{module}:")]
        assert missing(mine) == [] != mine
        assert missing([f"{module}:NoSuch"]) == [f"{module}:NoSuch"]


def test_a_marked_name_is_kept_if_it_names_what_stands_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("renamed")

    def told(text: str) -> None:
        def get(name: str) -> object:
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return int

        module.__dict__["__getattr__"] = get

    monkeypatch.setitem(sys.modules, "renamed", module)
    told("`renamed.Cut` is `rtcore.Interrupted` since 1.3 and goes away in 1.5")
    assert missing(["renamed:Cut"]) == []
    for text in ("Cut is old", "`renamed.Cut` is `rtcore.NoSuch` since 1.3 and goes away in 1.5"):
        told(text)
        with pytest.raises(AssertionError, match="Cut"):
            missing(["renamed:Cut"])


def test_every_warning_of_the_package_has_the_form() -> None:
    """In the sources: a DeprecationWarning points to its caller, and its text can be made in the form alone."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for found in re.finditer(r"warnings\.warn\((?:[^()]|\([^()]*\))*\)", source):
            if "DeprecationWarning" in found[0]:
                assert "stacklevel=2" in found[0], path
                assert "goes away in" in source, path
