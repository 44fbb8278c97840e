"""Sphinx configuration; builds offline."""

import re
from pathlib import Path

from skdeep import __version__

project = "skdeep"
author = "skdeep developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# The templates list the members.
numpydoc_show_class_members = False

# The user guide's figures are those of the examples, which run when it is built and save a copy where they run.
generated = Path(__file__).parent / "generated"
generated.mkdir(exist_ok=True)
plot_basedir = "../examples"
plot_working_directory = str(generated)
plot_formats = [("png", 120)]
plot_html_show_formats = False

html_theme = "pydata_sphinx_theme"
html_title = f"skdeep {release}"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}


def skip_inherited_from_sklearn(app, what, name, member, skip, options):
    """Leave out get_params, set_fit_request and the like: scikit-learn documents them."""
    return skip or (getattr(member, "__module__", None) or "").startswith("sklearn.")


def unlink_inherited_references(app, what, name, obj, options, lines):
    """Keep the words of a reference in a docstring that an override inherits: its label is scikit-learn's."""
    if not obj.__doc__:
        lines[:] = re.sub(r":ref:`([^`<]*?)\s*<[^`]*>`", r"\1", "\n".join(lines)).split("\n")


def setup(app):
    app.connect("autodoc-process-docstring", unlink_inherited_references)
    app.connect("autodoc-skip-member", skip_inherited_from_sklearn)
