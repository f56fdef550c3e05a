"""Sphinx reads this. The sources are staged by build.py: pages as they lie in the repository, and generated ones."""

from pygments.lexers.special import TextLexer
from pygments.lexers.templates import HtmlDjangoLexer
from sphinx.application import Sphinx

from mediagen import __version__

project = "mediagen"
author = "mediagen contributors"
project_copyright = "mediagen contributors"
version = release = __version__
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
extensions = ["myst_parser"]
myst_heading_anchors = 4  # anchors as the forges make them
nitpicky = True
html_theme = "furo"
html_title = f"mediagen {__version__}"
html_copy_source = True  # llms.txt links to the Markdown
html_sourcelink_suffix = ""
html_theme_options = {"navigation_with_keys": True}
pygments_dark_style = "github-dark"
templates_path: list[str] = []


def setup(app: Sphinx) -> None:
    for language in ("csv", "mermaid"):  # shown as they are
        app.add_lexer(language, TextLexer)
    app.add_lexer("html", HtmlDjangoLexer)
