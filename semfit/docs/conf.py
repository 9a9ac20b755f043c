"""Sphinx builds the pages of semfit: `make docs`. Nothing is fetched when they are read."""

import shutil
from pathlib import Path

import semfit

project = "semfit"
author = "The MKB21 maintainers"
copyright = f"2026, {author}"
release = version = semfit.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_build"]
default_role = "obj"  # `fit` in a docstring leads to its page where there is one
autosummary_generate = True
# a name that is gone leaves no page behind
shutil.rmtree(Path(__file__).parent / "api", ignore_errors=True)
# where file names know no case, Fit and fit would be one page
autosummary_filename_map = {
    f"semfit.{name}": f"semfit.{name}-class" for name in ("Bootstrap", "Fit", "Invariance", "Power")
}
# a class is described by the Attributes and Methods of its docstring
numpydoc_show_class_members = False
numpydoc_show_inherited_class_members = False
autodoc_default_options = {"members": False}
# the signatures of result classes hold every attribute once more
autodoc_typehints = "none"
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"semfit {release}"
html_copy_source = False
html_show_sphinx = False
