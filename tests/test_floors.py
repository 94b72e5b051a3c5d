"""The floors' arrows, the requirements and the README: each rule as a check, and each check shown to fail."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from core.models.pairs import registry
from core.settings import variables

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "transformer_lens"}
FLOORS = ("core", "cache", "pages")
# Imports under their own names, prints which of the unwanted ones came with them.
PROBE = """import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
print(*{unwanted!r} & set(sys.modules))"""


def module_names(root: Path, *folders: str) -> list[str]:
    """Every module of the folders that runs nothing when it is imported."""
    paths = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
    scripts = (".page", "pages.frame", ".__main__")
    return [name.removesuffix(".__init__") for name in names if not name.endswith(scripts)]


def brought_along(root: Path, modules: list[str], unwanted: set[str]) -> set[str]:
    """Which unwanted modules a fresh interpreter holds after importing these, however they came."""
    command = [sys.executable, "-c", PROBE.format(modules=modules, unwanted=unwanted)]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())


def imports(path: Path, inside_functions: bool) -> Iterator[str]:
    """Dotted names that a file imports, without what only a type checker reads."""
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide a floor's name"
            # The name may be a module of the package or something in it.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
        elif inside_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes += ast.iter_child_nodes(node)


def files_of(root: Path, name: str) -> Iterator[Path]:
    """The project's files that importing a dotted name runs: of its packages, and its own."""
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        stem = root.joinpath(*parts[:n])
        yield from (path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file())


def reached(root: Path, starts: list[Path]) -> dict[str, Path]:
    """Every outside package that these files import when they start, through the project's own modules too."""
    found, seen, waiting = {}, set(), list(starts)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports(path, inside_functions=False):
            if name.split(".")[0] in FLOORS:
                waiting += files_of(root, name)
            else:
                found.setdefault(name.split(".")[0], path)
    return found


def shown(root: Path) -> list[Path]:
    return [*root.glob("app.py"), *sorted((root / "pages").rglob("*.py"))]


def forbidden(root: Path, floor: str, names: set[str]) -> list[str]:
    """Imports anywhere in a floor's files, inside functions too, that it must not make."""
    paths = shown(root) if floor == "pages" else sorted((root / floor).rglob("*.py"))
    return [f"{p.relative_to(root)}: {n}" for p in paths for n in imports(p, True) if n.split(".")[0] in names]


def make(root: Path, **files: str) -> Path:
    """A project of a few files; `core__a` is core/a.py."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return root


def test_core_brings_neither_streamlit_nor_the_other_floors():
    modules = module_names(ROOT, "core")
    assert {"core.attribution", "core.charts", "core.tiny.train"} <= set(modules)
    assert brought_along(ROOT, modules, {"streamlit", "cache", "pages"}) == set()


def test_what_core_brings_along_is_seen(tmp_path):
    make(tmp_path, core__a="import core.b", core__b="import cache.kept", cache__kept="import decimal")
    modules = module_names(tmp_path, "core")
    assert modules == ["core", "core.a", "core.b"]
    assert brought_along(tmp_path, modules, {"cache", "decimal", "fractions"}) == {"cache", "decimal"}


def test_no_floor_names_what_is_above_it():
    assert forbidden(ROOT, "core", {"streamlit", "cache", "pages"}) == []
    assert forbidden(ROOT, "cache", {"streamlit", "pages"}) == []
    assert forbidden(ROOT, "pages", HEAVY) == []


def test_an_import_from_above_is_seen_wherever_it_stands(tmp_path):
    late = "def f():\n    from streamlit.runtime import x\n"
    make(tmp_path, core__a="import os", cache__a=late, pages__b__page="if True:\n    import torch.nn")
    assert forbidden(tmp_path, "core", {"streamlit"}) == []
    assert forbidden(tmp_path, "cache", {"streamlit"}) == ["cache/a.py: streamlit.runtime.x"]
    assert forbidden(tmp_path, "pages", HEAVY) == ["pages/b/page.py: torch.nn"]


def test_what_is_shown_starts_without_torch():
    found = reached(ROOT, shown(ROOT))
    assert "streamlit" in found
    assert {name: found[name] for name in HEAVY & set(found)} == {}
    assert brought_along(ROOT, ["app", *module_names(ROOT, "pages", "cache")], HEAVY) == set()


def test_torch_behind_two_imports_is_seen(tmp_path):
    make(
        tmp_path,
        pages__a__page="from cache import kept\nif TYPE_CHECKING:\n    import transformers",
        cache__kept="def f():\n    import transformer_lens\nfrom core.b import g",
        core__b="import torch\ng = 1",
    )
    found = reached(tmp_path, shown(tmp_path))
    assert HEAVY & set(found) == {"torch"} and found["torch"] == tmp_path / "core/b.py"


def pages_addresses(root: Path) -> set[str]:
    """Each page as the README writes its address; Explore is the first."""
    names = {path.parent.name for path in (root / "pages").glob("*/page.py")}
    return {"`/`" if name == "explore" else f"`/{name}`" for name in names}


def readme_lacks(readme: str) -> set[str]:
    """Pages, pairs and settings that the README does not name."""
    wanted = pages_addresses(ROOT) | {f"`{name}`" for name in registry()}
    wanted |= {f"`{variable.name}`" for variable in variables()}
    return {name for name in wanted if name not in readme}


def test_the_readme_names_every_page_pair_and_setting():
    assert readme_lacks((ROOT / "README.md").read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("name", ["`/`", "`/attribution`", "`tiny`", "`REPHRASE_PAIRS`"])
def test_a_name_that_the_readme_lacks_is_seen(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme_lacks(readme.replace(name, "")) == {name} | readme_lacks(readme)


def pins(root: Path, *files: str) -> dict[str, str]:
    """Package → pinned version; every line must be one pin."""
    lines = [line for file in files for line in (root / file).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "-r "))]
    return dict(re.fullmatch(r"(\w+)==([\w.]+)(?:  # .+)?", line).groups() for line in lines)


def outside(paths: list[Path]) -> set[str]:
    """Packages that files import from outside the project and the standard library."""
    names = {name.split(".")[0] for path in paths for name in imports(path, inside_functions=True)}
    return names - set(sys.stdlib_module_names) - {*FLOORS, "tests"}


def test_what_is_imported_is_pinned():
    app = pins(ROOT, "requirements.txt", "requirements-ray.txt")
    assert outside([*shown(ROOT), *(ROOT / "core").rglob("*.py"), *(ROOT / "cache").rglob("*.py")]) <= set(app)
    assert outside(list((ROOT / "tests").rglob("*.py"))) <= set(app) | set(pins(ROOT, "requirements-test.txt"))


def test_what_is_pinned_is_what_is_tested():
    for name, pinned in pins(ROOT, "requirements.txt", "requirements-ray.txt", "requirements-test.txt").items():
        assert version(name).split("+")[0] == pinned, name


def test_an_unpinned_import_is_seen(tmp_path):
    make(tmp_path, core__a="import os, numpy\nfrom core import b\ndef f():\n    import attr.validators")
    assert outside(list((tmp_path / "core").rglob("*.py"))) == {"numpy", "attr"}
