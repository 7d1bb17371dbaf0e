"""How Sphinx builds these pages."""

import sys
from pathlib import Path

import pyacq_rpc

sys.path.insert(0, str(Path(__file__).parent))  # for the extension `pictures`

project = "pyacq-rpc"
author = "the pyacq-rpc developers"
project_copyright = "the pyacq-rpc developers"
release = version = pyacq_rpc.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "pictures"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"  # `RPCClient` in a docstring is a link where it can be one

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's Parameters sections say it for people
autodoc_member_order = "bysource"
# The page of a class lists its members itself: _templates/autosummary/class.rst.
numpydoc_show_class_members = False

html_theme = "alabaster"
html_theme_options = {
    "description": "Objects of other processes, used like local ones",
    "fixed_sidebar": True,
    "page_width": "1080px",
}
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["comparison.css"]
