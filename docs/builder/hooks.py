"""What ``make docs`` does to the pages on their way into the site. The pages themselves are written to be read at a repository.

- Pages that lie elsewhere (README.md, those of examples/) and those that are generated (``reference``) join.
- Links that lead out of docs/ lead to these.
- A fence's second word is for the tests, a ``\\|`` in code for the table; neither is for the reader.
- A page that would fetch something from elsewhere ends the building.
- A list directly below a line of text is a list, as it is everywhere but in this builder.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parent))
import reference

ROOT = Path(__file__).resolve().parent.parent.parent
ELSEWHERE = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changes.md",
    "SECURITY.md": "security.md",
    "LICENSE": "license.md",
    "examples/selectors_adapter.py": "examples/selectors_adapter.md",
    **{f"examples/{path.parent.name}/README.md": f"examples/{path.parent.name}.md" for path in ROOT.glob("examples/*/README.md")},
}
"""Files outside of docs/ that are pages of the site, and as which."""
_EXAMPLES = sorted(uri for uri in ELSEWHERE.values() if uri.startswith("examples/"))
_ORIGIN = {page: origin for origin, page in ELSEWHERE.items()}

_FENCE = re.compile(r"^(```+)(\w*)[^\n]*$")
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_CODE = re.compile(r"`[^`\n]*`")
_FETCHED = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    generated = reference.pages()
    for uri, text in generated.items():
        files.append(File.generated(config, uri, content=text))
    for origin, uri in ELSEWHERE.items():
        files.append(File.generated(config, uri, content=_page(ROOT / origin)))
    config.nav = _filled(config.nav, generated)
    return files


def _page(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    kind = path.suffix.removeprefix(".").replace("py", "python") or "text"
    return f"# {path.name}\n\n```{kind}\n{text}```\n"


def _filled(entries: Any, generated: dict[str, str]) -> Any:
    """The navigation, with the pages of each ``generated: folder`` in its place."""
    if isinstance(entries, dict):
        return {title: _filled(each, generated) for title, each in entries.items()}
    if not isinstance(entries, list):
        return entries
    filled: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict) and "generated" in entry:
            folder = entry["generated"]
            found = _EXAMPLES if folder == "examples" else reference.navigation(folder, generated)
            if not found:
                raise PluginError(f"mkdocs.yml: nothing is generated in {folder}")
            filled += found
        else:
            filled.append(_filled(entry, generated))
    return filled


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return "\n".join(_lines(markdown, page.file.src_uri))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    if found := _FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri}: a page fetches nothing from elsewhere, and this one would: {found[0]}")
    return output


def _lines(markdown: str, uri: str) -> Iterator[str]:
    fence, before = "", ""
    for line in markdown.split("\n"):
        found = _FENCE.match(line)
        if fence:
            if line == fence:
                fence = ""
            yield line
        elif found:
            fence = found[1]
            yield fence + {"trace": "text", "output": "text"}.get(found[2], found[2])
        else:
            if _ITEM.match(line) and before.strip() and not _ITEM.match(before) and not before.startswith((" ", "|", "#")):
                yield ""
            yield _line(line, uri)
        before = line


def _line(line: str, uri: str) -> str:
    if line.startswith("|"):
        line = _CODE.sub(lambda code: code[0].replace("\\|", "|"), line)
    return _LINK.sub(lambda link: f"{link[1]}{_target(link[2], uri)}{link[3]}", line)


def _target(link: str, uri: str) -> str:
    """Where a link leads that was written for the repository."""
    if "://" in link or link.startswith(("#", "mailto:")):
        return link
    path, mark, anchor = link.partition("#")
    here = posixpath.dirname(_ORIGIN.get(uri, f"docs/{uri}"))
    there = posixpath.normpath(posixpath.join(here, path))
    there = ELSEWHERE.get(there, there.removeprefix("docs/"))
    return posixpath.relpath(there, posixpath.dirname(uri) or ".") + mark + anchor
