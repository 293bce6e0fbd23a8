"""An HTML page that needs nothing but a browser: no scripts, nothing from outside, and a browser told to hold it to that."""

from html import escape
from importlib import resources
from string import Template


def document(title: str, css: str, body: str) -> str:
    """The page. ``title`` is text, ``css`` and ``body`` are markup that ends in a new line."""
    whole = Template(resources.files(__package__).joinpath("document.html").read_text(encoding="utf-8"))
    return whole.substitute(title=escape(title), css=css, body=body)
