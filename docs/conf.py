"""Sphinx's configuration: `make docs` builds the site from these pages and from the docstrings."""

import inspect
import re
from pathlib import Path
from types import FunctionType

from sphinx import addnodes

import mfenvs
from mfenvs.game import Game
from mfq.recording.command import RecordConfig, run

project = "mfenvs and mfq"
version = release = mfenvs.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
pygments_style = "friendly"
pygments_dark_style = "github-dark"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_param = False  # one entry may name several: "mu, sigma: above 0"
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
default_role = "py:obj"  # a name in single backticks is a link where that name is on the site
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_theme_options = {
    scheme: {"code-font-size": "77.5%"}  # 88 columns fit
    for scheme in ("light_css_variables", "dark_css_variables")
}
html_title = "mfenvs and mfq"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

ROOT = Path(__file__).parent.parent
_PART = re.compile(r"^([A-Z]\w+): ")  # "Reward: ", in the docstrings of games


def readable(app, what, name, obj, options, lines):
    """Turns docstrings into reStructuredText, before napoleon does."""
    is_game = isinstance(obj, type) and issubclass(obj, Game)
    result = []
    for line in lines:
        line = re.sub(r"(`[\w.]+`)(?=\w)", r"\1\\ ", line)  # `Agent`s
        line = re.sub(r"(?<![`\w])\|(\w[^|`]*)\|", r"\\|\1\\|", line)  # not a substitution
        if is_game and line.startswith("    "):  # the rest of a part
            result.append(line.strip())
        elif is_game:
            result += ["", _PART.sub(r"**\1.** ", line)]
        else:
            result.append(line)
    if what in ("attribute", "property") and ": " in lines[0]:
        # napoleon takes what stands before a colon for the type, unless the line ends there.
        result[:1] = [part.strip() for part in result[0].replace(": ", ":\n", 1).split("\n")]
    lines[:] = result


def short_signature(app, what, name, obj, options, signature, returns):
    """Shows the options of a game's maker as ``**options``: the page lists them once."""
    if not (what == "function" and re.match(r"mfenvs\.\w+_v0\.", name)):
        return None
    plain = FunctionType(obj.__code__, obj.__globals__, obj.__name__, obj.__defaults__)
    plain.__kwdefaults__ = obj.__kwdefaults__
    return str(inspect.signature(plain)), returns


def folders_are_text(app, doctree):
    """Replaces links to folders of the repository by their text: the site has files only."""
    page = Path(app.env.doc2path(app.env.current_document.docname)).parent
    for link in list(doctree.findall(addnodes.pending_xref)):
        target = (page / link["reftarget"]).resolve()
        if link["reftype"] == "myst" and target.is_dir() and target.is_relative_to(ROOT):
            link.replace_self(link.children)


def record_battle(app, exception):
    """Records the battle that games/battle.md embeds."""
    if exception is None and app.builder.format == "html":
        path = Path(app.outdir, "_static", "battle-replay.html")
        run("battle", RecordConfig(out=str(path), overwrite=True))


def setup(app):
    app.connect("build-finished", record_battle)
    app.connect("autodoc-process-docstring", readable, priority=400)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("doctree-read", folders_are_text)
