"""Who may import whom: the rooms of both packages, without a circle of rooms or of modules.

``pytest -s tests/test_import_rules.py`` prints rooms and arrows. Imports inside functions count.
"""

import ast
import json
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import semfit
from semfit import reliability

ROOT = Path(__file__).parents[1]
FOLDERS = {"semfit": ROOT / "semfit/src/semfit", "mkb21": ROOT / "mkb21"}
CORE = {"semfit.messages", "semfit.syntax", "semfit.moments"}
PAGE = {"semfit", "mkb21.survey", "mkb21.page"}
STUDY = PAGE | {"mkb21.study", "mkb21.run.paths"}
MAY_IMPORT = {
    "semfit.messages": set(),
    "semfit.example": set(),
    "semfit.syntax": {"semfit.messages"},
    "semfit.moments": {"semfit.messages", "semfit.syntax"},
    "semfit.reliability": {"semfit.moments"},
    "semfit.fitting": CORE,
    "semfit.testing": CORE | {"semfit.fitting"},
    "semfit.effects": CORE | {"semfit.fitting"},
    "semfit.results": CORE | {"semfit.fitting", "semfit.testing", "semfit.effects"},
    "semfit": {"semfit.example", "semfit.reliability", "semfit.testing", "semfit.effects"}
    | {"semfit.fitting", "semfit.results", *CORE},
    "mkb21.run.paths": set(),  # where files are: a room of its own
    "mkb21.survey": {"semfit"},
    "mkb21.reconstruct": {"mkb21.survey"},
    "mkb21.page": PAGE,
    "mkb21.report": PAGE,
    "mkb21.study": STUDY,
    "mkb21": STUDY,
    "mkb21.run": STUDY | {"mkb21", "mkb21.reconstruct", "mkb21.report"},
}


def imported(tree):
    """(module, name) of each import in a syntax tree; name is None of ``import module``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            yield from ((node.module, alias.name) for alias in node.names)


def module_graph(folders):
    """Each module of the packages, with the modules of them that it imports."""
    files = {}
    for package, folder in folders.items():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            files[".".join((package, *parts)).removesuffix(".__init__")] = file
    graph = {}
    for module, file in files.items():
        pairs = imported(ast.parse(file.read_text(encoding="utf-8")))
        found = {f"{a}.{name}" if f"{a}.{name}" in files else a for a, name in pairs}
        graph[module] = {name for name in found if name.split(".")[0] in folders}
    return graph


def room(module):
    return module if module in MAY_IMPORT else ".".join(module.split(".")[:2])


def room_graph(graph):
    """Each room, with the rooms that it imports; another package is one room."""
    rooms = defaultdict(set)
    for module, targets in graph.items():
        here = room(module)
        rooms[here] |= {
            room(t) if t.split(".")[0] == here.split(".")[0] else t.split(".")[0] for t in targets
        } - {here}
    return dict(rooms)


def circle(graph):
    """The circle of a graph, [] if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_rooms_import_what_is_below_them():
    rooms = room_graph(module_graph(FOLDERS))
    for here, there in sorted(rooms.items()):
        print(f"{here:20} -> {', '.join(sorted(there)) or '-'}")
    assert set(rooms) <= set(MAY_IMPORT), "a room without a rule"
    assert {"semfit.fitting", "semfit.reliability", "mkb21.survey", "mkb21.run"} <= set(rooms)
    against = {here: there - MAY_IMPORT[here] for here, there in rooms.items()}
    assert {here: there for here, there in against.items() if there} == {}


@pytest.mark.parametrize("package", FOLDERS)
def test_no_circle_of_rooms_or_modules(package):
    graph = module_graph({package: FOLDERS[package]})
    rooms = room_graph(graph)
    assert circle(rooms) == []
    assert circle(graph) == []
    arrows = sum(map(len, rooms.values())), sum(map(len, graph.values()))
    print(f"{package}: {len(rooms)} rooms, {arrows[0]} arrows; {len(graph)} modules, {arrows[1]}")
    assert min(arrows) > 5


def test_an_import_inside_a_function_counts(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "a/__init__.py").write_text("def f():\n    from p.b import g\n")
    (tmp_path / "b.py").write_text("import json\n\nfrom p import a\n")
    graph = module_graph({"p": tmp_path})
    assert graph == {"p": set(), "p.a": {"p.b"}, "p.b": {"p.a"}}
    assert set(circle(graph)) == {"p.a", "p.b"}


def test_notebooks_use_the_public_names_of_semfit():
    bound, used = {}, set()
    for file in sorted((ROOT / "notebooks").glob("[0-4]*.ipynb")):  # not one's own
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        nodes = list(ast.walk(ast.parse("\n".join(code))))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                bound |= {alias.asname or alias.name: home + alias.name for alias in node.names}
        dotted = [
            n for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
        ]
        used |= {f"{bound.get(node.value.id)}.{node.attr}" for node in dotted} | {*bound.values()}
    used = {name for name in used if name.split(".")[0] == "semfit"}
    public = {f"semfit.{name}" for name in semfit.__all__} | {"semfit", "semfit.reliability"}
    public |= {f"semfit.reliability.{name}" for name in reliability.__all__}
    assert len(used) > 3 and used <= public
