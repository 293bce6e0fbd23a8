"""A page for each notice, option, policy and dialect, written from the code and from the pages that list them all.

``pages()`` gives them by their place in the site; nothing here knows the builder, and the tests ask it directly.
"""

import ast
import inspect
import re
import runpy
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from rtcore import config, policies
from rtcore.dialects import DIALECTS, Dialect

DOCS = Path(__file__).resolve().parent.parent
_OPTIONS = runpy.run_path(str(DOCS / "options.py"))
_TABLES = runpy.run_path(str(DOCS / "dialect_tables.py"))
_LINK = re.compile(r"(\]\()([^)\s:#]*)(#[^)\s]*)?\)")
_IDS = re.compile(r" \((?:[BCFS]\d+(?:, | to )?)+\)")
"""Which behaviour a rule comes from: for readers of the source."""
_MOST = 8
"""So many pages are named as further reading."""


def pages() -> dict[str, str]:
    """Every generated page: its place below docs/, and its Markdown."""
    listed = [*_notices(), *_options(), *_policies(), *_dialects()]
    return {f"reference/{folder}/{name}.md": f"# {name}\n\n{text.strip()}\n" for folder, name, text in listed}


def navigation(folder: str, generated: Iterable[str]) -> list[Any]:
    """The entries of one folder, options by their model."""
    uris = [uri for uri in generated if uri.startswith(f"reference/{folder}/")]
    if folder != "options":
        return [{Path(uri).stem: uri} for uri in uris]
    models: dict[str, list[Any]] = {}
    for uri in uris:
        model, _, name = Path(uri).stem.partition(".")
        models.setdefault(model, []).append({name: uri})
    return [{model: entries} for model, entries in models.items()]


# -- notices ---------------------------------------------------------------------------------------------------------------------


def _notices() -> Iterator[tuple[str, str, str]]:
    text = (DOCS / "notices.md").read_text(encoding="utf-8")
    for found in re.finditer(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        name, said = found[1], _from_docs(found[2].strip())
        fields = re.findall(r"^\| `(\w+)` \|", said, re.MULTILINE)
        given = ", ".join(f"{field}={field}" for field in fields[:3])
        match = f"```text\nmatch notice:\n    case {name}({given}): ...\n```"
        first, _, table = said.partition("\n\n|")
        table = f"\n\n|{table}" if table else ""
        all_of_them = "All notices: [Notices](../../notices.md); what may be held back of them is said there."
        yield "notices", name, f"{first}{table}\n\n{match}\n\n`from rtcore import {name}`. {all_of_them}\n\n{_read_on(name)}"


# -- options ---------------------------------------------------------------------------------------------------------------------


def _options() -> Iterator[tuple[str, str, str]]:
    paths = _paths()
    roots = (config.Config, config.ResponseOptions)
    for model, schema in _OPTIONS["_models"](roots):
        for row in re.finditer(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", _OPTIONS["_section"](model, schema), re.MULTILINE):
            name, kind, default, meaning = row.groups()
            kind = re.sub(r"\]\(#(\w+)\)", r"](../../configuration.md#\1)", kind)
            at = [f"{path}{'.' if path else ''}{name}" for path in paths[model.__name__]]
            where = ", ".join(f"`{each}`" for each in at[:6]) + (", and others" if len(at) > 6 else "")
            table = "\n".join(
                [
                    "| | |",
                    "|---|---|",
                    f"| type | {kind} |",
                    f"| default | {default} |",
                    f"| written as | {where} |",
                    f"| of | [`rtcore.config.{model.__name__}`](../../configuration.md#{model.__name__.lower()}) |",
                ]
            )
            yield "options", f"{model.__name__}.{name}", f"{meaning}\n\n{table}\n\n{_read_on(*at, f'{name}=')}"


def _paths() -> dict[str, list[str]]:
    """By model: where it stands in a configuration, or in the options of ``respond``."""
    found: dict[str, list[str]] = {}
    for root, start in ((config.Config, ""), (config.ResponseOptions, "respond")):
        waiting: deque[tuple[type[BaseModel], str]] = deque([(root, start)])
        while waiting:
            model, path = waiting.popleft()
            places = found.setdefault(model.__name__, [])
            if path in places:
                continue
            places.append(path)
            properties = model.model_json_schema().get("properties", {})
            for name, option in properties.items():
                for inner in _OPTIONS["_named"](option):
                    if inner not in _OPTIONS["_GENERIC"]:
                        waiting.append((getattr(config, inner), f"{path}{'.' if path else ''}{name}"))
    return found


# -- policies --------------------------------------------------------------------------------------------------------------------


def _policies() -> Iterator[tuple[str, str, str]]:
    decisions = _documented(inspect.getsource(policies), "Policies")
    for name, (kind, question) in decisions.items():
        default = getattr(policies, name)
        source: ModuleType = inspect.getmodule(default) or policies
        view = next(iter(inspect.signature(default).parameters.values())).annotation
        fields = _documented(inspect.getsource(source), view.__name__)
        rows = [f"| `{field}` | `{kind}` | {_plain(text)} |" for field, (kind, text) in fields.items()]
        said = _plain(inspect.getdoc(default) or "").removeprefix("The default: ")
        about = _plain(inspect.getdoc(view) or "")
        lines = [
            question,
            "",
            f"`Policies({name}=...)` takes a `{kind}`, a pure function of a frozen view.",
            "It reads no clock, keeps nothing and waits for nothing, so that a recorded session replays with it.",
            "What it raises, and an answer that is none, is told as `PolicyFailed`; the default decides then.",
            "",
            f"**The default**, `rtcore.policies.{name}`: {said[:1].lower()}{said[1:]}",
            "",
            "```python",
            *inspect.getsource(default).rstrip().split("\n"),
            "```",
            "",
            f"## {view.__name__}",
            "",
            about,
            "",
            "| field | type | |",
            "|---|---|---|",
            *rows,
            "",
            _read_on(f"policies=Policies({name}", f"Policies({name}", view.__name__, always=("contributing.md",)),
        ]
        yield "policies", name, "\n".join(lines)


def _documented(source: str, name: str) -> dict[str, tuple[str, str]]:
    """The fields of a struct, and its properties: the type of each, and the text below."""
    [found] = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
    told: dict[str, tuple[str, str]] = {}
    for node, after in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            told[node.target.id] = _written(node.annotation), str(after.value.value) if said else ""  # type: ignore[union-attr]
        elif isinstance(node, ast.FunctionDef) and name != "Policies":
            told[node.name] = _written(node.returns), ast.get_docstring(node) or ""
    return told


def _written(kind: ast.expr | None) -> str:
    return ast.unparse(kind).replace("|", "\\|") if kind is not None else ""


# -- dialects --------------------------------------------------------------------------------------------------------------------


def _dialects() -> Iterator[tuple[str, str, str]]:
    for name, table in DIALECTS.items():
        section = "\n".join(_TABLES["_section"](table)).partition("\n")[2]
        lines = [
            section.strip(),
            "",
            "## What it can do",
            "",
            "| | |",
            "|---|---|",
            *_able(table),
            "",
            "What the words mean, and all dialects side by side: [Dialects](../../dialects.md#what-each-can-do).",
        ]
        yield "dialects", name, "\n".join(lines)


def _able(table: Dialect) -> Iterator[str]:
    """The row of each table of all dialects, as one table of this one."""
    common = list(_TABLES["_capabilities"]())
    heads = [line for line in common if line.startswith("| dialect ")]
    rows = [line for line in common if re.match(rf"\| \[?`{re.escape(table.name)}`", line)]
    for head, row in zip(heads, rows, strict=True):
        for title, cell in list(zip(_cells(head), _cells(row), strict=True))[1:]:
            yield f"| {title} | {cell} |"


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|\n").split(" | ")]


# -- common ----------------------------------------------------------------------------------------------------------------------


def _read_on(*words: str, always: tuple[str, ...] = ()) -> str:
    """The pages that name one of these words, those first that do so most often."""
    counted = {page: sum(text.count(word) for word in words) for page, text in _texts().items()}
    named = sorted((page for page, count in counted.items() if count), key=lambda page: -counted[page])[:_MOST]
    named += [page for page in always if page not in named and page in counted]
    if not named:
        return ""
    links = ", ".join(f"[{_title(_texts()[page])}](../../{page})" for page in named)
    return f"Read on: {links}."


def _texts() -> dict[str, str]:
    if not _READ:
        for path in sorted(DOCS.rglob("*.md")):
            name = path.relative_to(DOCS).as_posix()
            if name not in ("notices.md", "configuration.md", "index.md", "decisions.md"):
                _READ[name] = path.read_text(encoding="utf-8")
    return _READ


_READ: dict[str, str] = {}


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _from_docs(text: str) -> str:
    """Markdown of a page in docs/, for one two folders below; its own anchors lead back to it."""
    return _LINK.sub(lambda link: f"{link[1]}../../{link[2] or 'notices.md'}{link[3] or ''})", text)


def _plain(text: str) -> str:
    return _IDS.sub("", " ".join(str(_OPTIONS["_plain"](text)).split()))
