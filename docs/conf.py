"""Sphinx's configuration. Nothing here, and nothing it starts, needs a network."""

import os
import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from api_reference import write_if_new, write_reference  # noqa: E402
from layers import draw_layers, read_layers  # noqa: E402
from other_projects import write_inventories  # noqa: E402

# Examples, and the workers that they start, use one thread: two run at a time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

GENERATED = DOCS / "_generated"
GENERATED.mkdir(exist_ok=True)
write_reference(DOCS / "api")
write_if_new(GENERATED / "layers.svg", draw_layers(read_layers()))

project = "cftlearn"
author = "the authors of cftlearn"
project_copyright = author
release = version = version_of("cftlearn")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "_generated", "gallery/**/*.ipynb", "**/GALLERY_HEADER*"]
templates_path = ["_templates"]
nitpicky = True
smartquotes = False  # quotes are copied into code
nitpick_ignore_regex = [  # words of numpydoc's sections that name no documented object
    ("py:class", r"cftlearn\.(_|\w+\._).*"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # docstrings have types, with shapes and ranges
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template lists them
intersphinx_mapping = write_inventories(GENERATED)
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "backreferences_dir": "_generated/backreferences",
    "doc_module": ("cftlearn",),
    "download_all_examples": False,
    "matplotlib_animations": False,
    "min_reported_time": 1000,
    "parallel": 2,
    "plot_gallery": "True",
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "gallery_order.ByNumber",
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"cftlearn {release}"
html_static_path = ["_static"]
html_css_files = ["cftlearn.css"]
html_favicon = "_static/mark.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "cftlearn", "image_light": "_static/mark.svg"},
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
}
SINGLE_PAGES = ("index", "install", "getting_started", "changelog", "contributing")
html_sidebars = {page: [] for page in SINGLE_PAGES}


DOCTEST = re.compile(r"(```python\n>>>(?:(?!\n```).)*)\n\n```\n", re.DOTALL)


def skip_metadata_routing(app, what, name, obj, skip, options):
    """Leave out the ``set_fit_request`` and the like that scikit-learn adds."""
    return True if name.startswith("set_") and name.endswith("_request") else skip


def close_doctests(app, docname, source):
    """Drop the blank line that a doctest in Markdown ends in."""
    source[0] = DOCTEST.sub(r"\1\n```\n", source[0])


def setup(app):
    """Connect the hooks above."""
    app.connect("autodoc-skip-member", skip_metadata_routing)
    app.connect("source-read", close_doctests)
