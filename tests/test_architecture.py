"""The tree is held to its rooms and arrows: who may import whom, what stays lazy, and what is never called.

All imports are read from the source by `ast`, also those inside functions and under `TYPE_CHECKING`: an arrow is an
arrow whenever it is followed. The checker is tried on small made-up trees first, since one that finds nothing proves nothing.
"""

from __future__ import annotations

import ast
import graphlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Room -> what it may import: a whole room, or one module of a room. Importing `gdrepl` itself (its version) is free.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "expression": {"errors"},
    "engine": {"expression", "errors"},
    "insight": {"engine", "expression", "errors"},
    "recording": {"engine", "errors"},
    "commands": {"insight", "engine", "expression", "recording", "errors"},
    "attach": {"engine", "errors"},
    "display": {"insight", "engine.snapshot", "commands.results", "errors"},  # values only, never the debugger
    "shell": {"attach", "commands", "display", "engine", "errors", "expression", "insight", "recording"},
    "pytest_plugin": {"recording", "commands", "errors"},
    "__main__": {"shell"},
    "__init__": {"attach", "engine", "errors"},  # inside functions only: `import gdrepl` stays instant
}

CHARTS = "gdrepl.display.charts"
KERAS_MODULES = {f"gdrepl.engine.{name}" for name in ("optimizer", "schedule", "hyperparameter", "backend")}
LAZY = {"tensorflow", "keras", "plotext", "scipy", "contourpy"}  # slow to import, or able to end the process
UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
UNSAFE_NAMES = {"eval", "exec", "__import__"}  # not even passed on; `compile` only when called, as it is a common name

TOP_LEVEL = {"gdrepl", "tests", "sessions", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}


# --- reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import:
    """One module that a file names, and whether reaching that line takes a call (`lazy`) or never happens (`typing_only`)."""

    target: str
    line: int
    lazy: bool
    typing_only: bool


class _Reader(ast.NodeVisitor):
    """Collects imports and unsafe calls of one module."""

    def __init__(self, module: str, is_package: bool, known: set[str]) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.known = known
        self.imports: list[Import] = []
        self.unsafe: list[tuple[int, str]] = []
        self._lazy = 0
        self._typing = 0

    def _add(self, target: str, line: int) -> None:
        self.imports.append(Import(target, line, self._lazy > 0, self._typing > 0))

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        body: list[ast.AST] = [*node.body] if isinstance(node.body, list) else [node.body]
        for outer in ast.iter_child_nodes(node):  # decorators, defaults and annotations run with the module
            if outer not in body:
                self.visit(outer)
        self._lazy += 1
        for inner in body:
            self.visit(inner)
        self._lazy -= 1

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_function  # noqa: N815 (ast's own names)

    def visit_If(self, node: ast.If) -> None:
        typing_only = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._typing += typing_only
        for child in node.body:
            self.visit(child)
        self._typing -= typing_only
        for other in [node.test, *node.orelse]:
            self.visit(other)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self.package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            # `from gdrepl.engine import snapshot` names a module, `from gdrepl.engine import Debugger` a name inside one.
            is_module = whole in self.known or whole.split(".")[0] in LAZY | UNSAFE_MODULES
            self._add(whole if is_module else base, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in ("importlib.import_module", "import_module"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self._add(name.value, node.lineno)
            else:
                self.unsafe.append((node.lineno, "imports a module whose name is not written out"))
        if called == "compile":
            self.unsafe.append((node.lineno, "calls compile"))
        if any(keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False" for keyword in node.keywords):
            self.unsafe.append((node.lineno, "allows pickle"))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in UNSAFE_NAMES:
            self.unsafe.append((node.lineno, f"uses {node.id}"))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = ast.unparse(node.value)
        if owner in ("builtins", "__builtins__") and node.attr in UNSAFE_NAMES | {"compile"}:
            self.unsafe.append((node.lineno, f"uses {node.attr}"))
        if owner in ("tf", "tensorflow") and node.attr == "keras":
            self._add("keras", node.lineno)
        self.generic_visit(node)


@dataclass(frozen=True)
class Tree:
    """Sources by dotted module name; packages are the names in `packages`."""

    sources: Mapping[str, str]
    packages: frozenset[str]

    def read(self) -> Iterator[tuple[str, _Reader]]:
        for module, source in sorted(self.sources.items()):
            reader = _Reader(module, module in self.packages, set(self.sources))
            reader.visit(ast.parse(source, module))
            yield module, reader


def tree_on_disk() -> Tree:
    sources, packages = {}, set()
    for path in sorted((ROOT / "gdrepl").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
            packages.add(".".join(parts))
        sources[".".join(parts)] = path.read_text(encoding="utf-8")
    return Tree(sources, frozenset(packages))


# --- judging ------------------------------------------------------------------------------------------------------------


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def third_party(target: str) -> str:
    """The library an import is really of: `tensorflow.keras` is Keras."""
    return "keras" if target.startswith("tensorflow.keras") else target.split(".")[0]


def problems(tree: Tree) -> list[str]:
    """Everything in which the tree breaks its rules, one line each: `module:line what`."""
    found = [f"{module}:1 is in no known room" for module in sorted(tree.sources) if room_of(module) not in ARROWS]
    for module, reader in tree.read():
        found += [f"{module}:{line} {what}" for line, what in reader.unsafe]
        found += [f"{module}:{item.line} {what}" for item in reader.imports for what in _judge(module, item)]
    return found + _cycles(tree)


def _judge(module: str, item: Import) -> Iterator[str]:
    if item.target.split(".")[0] == "gdrepl":
        yield from _judge_arrow(module, item)
    else:
        yield from _judge_library(module, item)


def _judge_arrow(module: str, item: Import) -> Iterator[str]:
    room, target = room_of(module), item.target.partition(".")[2]
    if not target or room_of(item.target) == room:
        return
    allowed = ARROWS.get(room, set())
    if not any(target == name or target.startswith(f"{name}.") for name in allowed):
        yield f"may not import {item.target}"
    if room == "__init__" and not (item.lazy or item.typing_only):
        yield f"imports {item.target} outside a function"


def _judge_library(module: str, item: Import) -> Iterator[str]:
    library = third_party(item.target)
    waits = item.lazy or item.typing_only
    if library in UNSAFE_MODULES:
        yield f"imports {library}"
    if library == "plotext" and module != CHARTS:
        yield f"imports plotext, which only {CHARTS} may"
    if library == "keras" and module not in KERAS_MODULES:
        yield "imports keras, which only the engine's optimizer modules may"
    if library in LAZY and not waits and (library, module) != ("plotext", CHARTS):
        yield f"imports {library} outside a function"
    if module == "gdrepl" and not waits and library not in sys.stdlib_module_names:
        yield f"imports {library} outside a function"


def _cycles(tree: Tree) -> list[str]:
    graph: dict[str, set[str]] = {}
    for module, reader in tree.read():
        rooms = {room_of(item.target) for item in reader.imports if item.target.startswith("gdrepl.")}
        if module != "gdrepl":  # every room imports its package; what that does inside functions is no arrow of a room
            graph.setdefault(room_of(module), set()).update(rooms - {room_of(module)})
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [f"gdrepl:1 rooms import in a circle: {' <- '.join(error.args[1])}"]
    return []


# --- the checker itself -------------------------------------------------------------------------------------------------


def made_up(sources: dict[str, str]) -> Tree:
    """A tree of empty rooms and a few modules, with the given sources laid over it; `""` is the package itself."""
    empty = ["", *ARROWS.keys() - {"__init__", "__main__"}, "engine.snapshot", "engine.debugger", "commands.results"]
    tree = {f"gdrepl.{name}".rstrip("."): source for name, source in (dict.fromkeys(empty, "") | sources).items()}
    return Tree(tree, frozenset(name for name in tree if name.count(".") < 2))


@pytest.mark.parametrize(
    ("module", "source", "finding"),
    [
        ("engine.program", "import tensorflow", "tensorflow outside a function"),
        ("engine.program", "from tensorflow import Variable", "tensorflow outside a function"),
        ("engine.program", "import importlib\ntf = importlib.import_module('tensorflow')", "tensorflow outside a function"),
        ("engine.program", "class Program:\n    import tensorflow", "tensorflow outside a function"),
        ("engine.program", "def run():\n    import keras", "keras, which only"),
        ("engine.program", "def run():\n    from tensorflow import keras", "keras, which only"),
        ("engine.program", "def run():\n    import tensorflow.keras.optimizers", "keras, which only"),
        ("engine.program", "def run(tf):\n    return tf.keras.optimizers.Adam()", "keras, which only"),
        ("engine.optimizer", "import keras", "keras outside a function"),
        ("engine.program", "from gdrepl.commands import results", "may not import"),
        ("engine.program", "from ..display import charts", "may not import"),
        ("engine.program", "def run():\n    import gdrepl.shell.cli", "may not import"),
        (
            "engine.program",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gdrepl.insight import Explained",
            "may not import",
        ),
        ("engine.program", "import importlib\ndef run():\n    importlib.import_module('gdrepl.shell')", "may not import"),
        ("engine.program", "import importlib\ndef run(name):\n    importlib.import_module(name)", "not written out"),
        ("expression.syntax", "from gdrepl.engine import snapshot", "may not import"),
        ("errors", "from gdrepl import expression", "may not import"),
        ("insight.explain", "from gdrepl.recording import journal", "may not import"),
        ("recording.replay", "from gdrepl.commands import registry", "may not import"),
        ("attach.callback", "from gdrepl.recording import journal", "may not import"),
        ("pytest_plugin", "from gdrepl.engine import debugger", "may not import"),
        ("display.tables", "from gdrepl.engine import debugger", "may not import"),
        ("display.tables", "from gdrepl.engine import Debugger", "may not import"),
        ("display.tables", "from gdrepl.engine.debugger import Debugger", "may not import"),
        ("display.tables", "from gdrepl.commands import registry", "may not import"),
        ("display.tables", "def draw():\n    import plotext", "plotext, which only"),
        ("display.tables", "from plotext import figure", "plotext, which only"),
        ("", "from gdrepl.engine import debugger", "gdrepl.engine.debugger outside a function"),
        ("", "import numpy", "numpy outside a function"),
        ("", "def plot():\n    from gdrepl import display", "may not import"),
        ("strange", "", "no known room"),
        ("strange.inside", "", "no known room"),
        ("engine.program", "eval('1')", "uses eval"),
        ("engine.program", "exec('1')", "uses exec"),
        ("engine.program", "run = eval", "uses eval"),
        ("engine.program", "__import__('os')", "uses __import__"),
        ("engine.program", "compile('1', '', 'eval')", "compile"),
        ("engine.program", "import builtins\nbuiltins.compile('1', '', 'eval')", "compile"),
        ("engine.program", "def load():\n    import pickle", "imports pickle"),
        ("engine.program", "from marshal import loads", "imports marshal"),
        ("engine.program", "import numpy\nnumpy.load('x', allow_pickle=True)", "allows pickle"),
    ],
)
def test_the_checker_finds(module, source, finding):
    assert any(finding in problem for problem in problems(made_up({module: source})))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine.program", "def run():\n    import tensorflow as tf\n    return tf.function"),
        ("engine.program", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow as tf"),
        ("engine.program", "from gdrepl.expression import evaluate\nfrom . import snapshot\nfrom .snapshot import Point"),
        ("engine.program", "import re\nre.compile('x')"),
        ("engine.program", "'import pickle; eval(1)'  # eval(1)"),
        ("engine.optimizer", "def build():\n    import keras\n    import tensorflow"),
        ("engine.backend", "import importlib\ndef load():\n    importlib.import_module('keras')"),
        ("display.charts", "import plotext"),
        ("display.tables", "from gdrepl.commands.results import Stepped\nfrom gdrepl.engine import snapshot"),
        ("display.tables", "from gdrepl.engine.snapshot import Point\nfrom gdrepl.insight.explain import Explained"),
        ("shell.cli", "from gdrepl import __version__, commands, display\nimport gdrepl.attach"),
        ("__main__", "from gdrepl.shell.cli import main"),
        ("", "from pathlib import Path\ndef set_trace():\n    from gdrepl.attach import trace"),
    ],
)
def test_the_checker_lets_pass(module, source):
    assert problems(made_up({module: source})) == []


def test_the_checker_names_module_line_and_cause():
    tree = made_up({"engine.program": "\nfrom gdrepl.shell import cli\n"})
    assert problems(tree) == ["gdrepl.engine.program:2 may not import gdrepl.shell"]


def test_the_checker_finds_a_circle():
    tree = made_up({"errors": "from gdrepl import expression", "expression": "def f():\n    from gdrepl import errors"})
    assert any("circle" in problem for problem in problems(tree))


def test_the_arrows_themselves_run_one_way():
    graph = {room: {name.split(".")[0] for name in allowed} for room, allowed in ARROWS.items()}
    graphlib.TopologicalSorter(graph).prepare()


# --- this tree ----------------------------------------------------------------------------------------------------------


def test_the_tree_keeps_to_its_rooms_and_arrows():
    tree = tree_on_disk()
    assert len(tree.sources) > 5
    assert problems(tree) == []


def test_every_folder_of_the_package_is_a_known_room():
    folders = {path.name for path in (ROOT / "gdrepl").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(ARROWS)


def test_importing_gdrepl_loads_nothing_heavy():
    heavy = {"tensorflow", "keras", "plotext", "numpy", "rich", "prompt_toolkit"}
    script = f"import sys, gdrepl; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_the_top_level_holds_only_what_its_readers_expect():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no git checkout, so what belongs to it cannot be told from what only lies there")
    listed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    tops = {name.split("/")[0] for name in listed.split("\0") if name}
    assert {name for name in tops if not name.startswith(".")} <= TOP_LEVEL


def test_constraints_are_plain_pins_of_all_that_is_asked_for():
    lines = (ROOT / "tests" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []
    pinned = {_normal(line.split("==")[0]) for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    assert {_normal(re.split(r"[<>=!~ \[;]", line)[0]) for line in asked} <= pinned


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
