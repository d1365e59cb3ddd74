"""The documentation's sources: complete, true to the code, and without dead links.

Nothing here needs Sphinx: what only a build can tell is told by ``make docs``.
"""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import textwrap
from dataclasses import fields
from enum import Enum
from pathlib import Path

import pytest

import cftlearn
from cftlearn.cli import _settings, main
from cftlearn.cli._configuration import read_settings
from cftlearn.cli._model import make_model

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("user_guide/*.md")])
# The names of these modules are those of the package itself, and a command is no part
# of a programmer's reference.
NOT_IN_REFERENCE = {
    "cftlearn.classifier",
    "cftlearn.cli",
    "cftlearn.feature_extraction",
    "cftlearn.fine_tuning",
    "cftlearn.persistence",
}


def script(name):
    """Import a script of the documentation by its path."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


API = script("api_reference").API


def public_modules():
    yield "cftlearn"
    for found in pkgutil.walk_packages(cftlearn.__path__, "cftlearn."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            yield found.name


def public_names():
    for module in API:
        for name in sorted(script("api_reference").names_of(module)):
            item = getattr(importlib.import_module(module), name, None)
            if inspect.isclass(item) or inspect.isfunction(item):
                yield pytest.param(item, id=f"{module}.{name}")


def own_callables(item):
    """The item itself, or a class's own public methods, without their decorators."""
    if inspect.isfunction(item):
        yield inspect.unwrap(item)
        return
    if issubclass(item, (Enum, tuple, Exception)):
        return
    for name, member in vars(item).items():
        member = getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(member):
            yield inspect.unwrap(member)


# The reference


def test_reference_has_every_public_module():
    assert set(API) == set(public_modules()) - NOT_IN_REFERENCE


@pytest.mark.parametrize("module", sorted(NOT_IN_REFERENCE - {"cftlearn.cli"}))
def test_modules_that_it_leaves_out_have_no_names_of_their_own(module):
    assert set(importlib.import_module(module).__all__) <= set(cftlearn.__all__)


@pytest.mark.parametrize("module", API)
def test_reference_has_the_names_of_a_module(module):
    names = [name for section in API[module].sections for name in section.names]
    assert sorted(names) == sorted(importlib.import_module(module).__all__)


@pytest.mark.parametrize("item", list(public_names()))
def test_public_names_are_documented(item):
    assert inspect.getdoc(item)
    for function in own_callables(item):
        assert function.__doc__, function.__qualname__


@pytest.mark.parametrize("item", list(public_names()))
def test_what_raises_says_so(item):
    silent = []
    class_says = inspect.isclass(item) and "\nRaises\n---" in (inspect.getdoc(item))
    for function in own_callables(item):
        # in a block of its own: lines that a docstring goes on in may not be indented
        block = "if True:\n" + textwrap.indent(inspect.getsource(function), " ")
        source = ast.parse(block)
        raises = any(isinstance(node, ast.Raise) for node in ast.walk(source))
        says = "\nRaises\n---" in (inspect.getdoc(function) or "")
        if raises and not (says or class_says):
            silent.append(function.__qualname__)
    assert not silent


@pytest.mark.parametrize("item", list(public_names()))
def test_arrays_are_documented_with_their_shape(item):
    documented = [item.__doc__, *(f.__doc__ for f in own_callables(item))]
    for text in filter(None, documented):
        for entry in re.findall(r"(?m)^\s*[*\w, ]+ : ((?:.|\\\n)+)$", text):
            if re.search(r"\b(array-like|ndarray)\b", entry):
                assert "shape" in entry, entry


# The pages


def markdown_links(text):
    """Targets of links and images, without those in code."""
    prose = re.sub(r"(?ms)^(```+|:::+)python.*?^\1", "", text)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def exists(target, page):
    path = (page.parent / target).resolve()
    if path.is_relative_to(DOCS / "gallery"):
        name = path.name
        return name == "index" or (ROOT / "examples" / f"{name}.py").exists()
    if path == DOCS / "api" / "index" or path.is_relative_to(DOCS / "_generated"):
        return True
    return path.exists() or path.with_name(path.name + ".md").exists()


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in markdown_links(text) if "://" not in link]
    links += re.findall(r"(?m)^```\{(?:image|include)\} (\S+)$", text)
    links += re.findall(r"(?m)^:link: (\S+)$", text)
    dead = [link for link in links if not exists(link.split("#")[0], page)]
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_roles_and_citations_have_targets(page):
    text = page.read_text(encoding="utf-8")
    keys = set(re.findall(r"@\w+\{(\w+),", (DOCS / "references.bib").read_text()))
    cited = re.findall(r"\{cite:[tp]\}`([\w,]+)`", text)
    assert {key for keys_of in cited for key in keys_of.split(",")} <= keys
    for target in re.findall(r"\{(?:class|func|meth)\}`~?(cftlearn[\w.]+)`", text):
        module, names = "cftlearn", target.split(".")[1:]
        while names and f"{module}.{names[0]}" in API:
            module = f"{module}.{names.pop(0)}"
        item = importlib.import_module(module)
        for name in names:
            item = getattr(item, name)
        assert names[0] in importlib.import_module(module).__all__


def test_every_page_is_in_one_table_of_contents():
    listed = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"(?ms)^```\{toctree\}\n(.*?)^```", text):
            entries = [e for e in block.splitlines() if e and not e.startswith(":")]
            listed += [(page.parent / entry).resolve() for entry in entries]
    listed = [path for path in listed if path.with_name(path.name + ".md").exists()]
    pages = {page.with_suffix("") for page in PAGES} - {DOCS / "index"}
    assert sorted(set(listed)) == sorted(pages)
    assert len(listed) == len(set(listed))


def words_of(output):
    """Leave out what differs between processors: decimals, and the width of columns."""
    return re.sub(r"[-+]?\d+\.\d+", "#", output).split()


def commands_of(page):
    """Return what a page runs, in order: Python code, or a command and its output."""
    for kind, block in re.findall(r"(?ms)^```(python|console)\n(.*?)^```", page):
        if kind == "python":
            yield block, None
        for run in re.findall(r"(?ms)^\$ cftlearn (.*?)(?=^\$|\Z)", block):
            command, _, output = run.replace("\\\n", " ").partition("\n")
            yield command, output


def test_commands_do_what_their_page_says(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    pytest.importorskip("torchvision")
    page = (DOCS / "user_guide" / "command_line.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runs = list(commands_of(page))
    assert [output is None for _, output in runs].count(False) >= 7
    for code, output in runs:
        if output is None:
            exec(compile(code, "command_line.md", "exec"), {})
            continue
        assert main(shlex.split(code)) == 0, code
        printed = " ".join(words_of(capsys.readouterr().out))
        parts = (" ".join(words_of(part)) for part in output.split("\n...\n"))
        assert re.fullmatch(".*".join(map(re.escape, parts)), printed), code


def test_configuration_of_the_page_can_be_read(tmp_path):
    page = (DOCS / "user_guide" / "command_line.md").read_text(encoding="utf-8")
    path = tmp_path / "config.toml"
    path.write_text(re.search(r"(?ms)^```toml\n(.*?)^```", page).group(1))
    settings = read_settings(path)
    assert settings.data.labels == tmp_path / "labels.csv"
    names = [item.name for item in fields(_settings.Settings)]
    names += [item.name for item in fields(_settings.DataSettings)]
    names += [item.name for item in fields(_settings.NetworkSettings)]
    assert not [
        name for name in names if f"`{name}`" not in page and f"[{name}]" not in page
    ]
    pytest.importorskip("torchvision", reason="the vision extra")
    make_model(settings, train=True)


def test_pages_have_examples_that_run():
    assert len(PAGES) > 15
    with_code = [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")]
    assert len(with_code) >= 12
    makefile = (ROOT / "Makefile").read_text()
    assert "docs/*.md docs/user_guide/*.md" in makefile


# The gallery


def test_gallery_has_examples():
    assert (ROOT / "examples" / "GALLERY_HEADER.rst").exists()
    assert len(EXAMPLES) >= 8
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {
        path.name for path in EXAMPLES
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_a_title_a_figure_and_public_names_only(path):
    text = path.read_text(encoding="utf-8")
    title, line = ast.get_docstring(ast.parse(text)).splitlines()[:2]
    assert line == "=" * len(title)
    assert "plt.show()" in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("cftlearn") for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("cftlearn"):
            assert {alias.name for alias in node.names} <= set(
                importlib.import_module(node.module).__all__
            )
            assert node.module in API


# The scripts


def test_picture_of_layers_has_every_module():
    from test_architecture import LAYERS

    layers = script("layers")
    assert layers.read_layers() == LAYERS
    picture = layers.draw_layers(LAYERS)
    assert all(f">{module}</text>" in picture for module in LAYERS)


def test_foreign_names_that_pages_link_to_exist(tmp_path):
    others = script("other_projects")
    mapping = others.write_inventories(tmp_path / "inventories")
    assert set(mapping) == {path.stem for path in (tmp_path / "inventories").iterdir()}
    absent = set()
    for _, _, names in others._GENERATED.values():
        for entry in names:
            module, name = entry.split()[1].rsplit(".", 1)
            package = module.split(".")[0]
            if importlib.util.find_spec(package) is None:
                absent.add(package)
            else:
                assert hasattr(importlib.import_module(module), name), entry
    if absent:
        pytest.skip(f"the names of {sorted(absent)} were not looked at: not installed")


def test_link_checker_finds_missing_files_and_anchors(tmp_path):
    checker = script("check_links")
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "theme.html").write_text('<a href="gone.html">')
    (tmp_path / "a.html").write_text(
        '<a id="top" href="b.html#there"><a href="b.html#gone"><a href="#top">'
        '<img src="gone%20too.png"><a href="https://example.org/x">'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    broken = [link for _, link in checker.broken_links(tmp_path)]
    assert broken == ["b.html#gone", "gone%20too.png"]
