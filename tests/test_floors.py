"""A file imports only from floors below its own or from its own folder: the map of doc/architecture.rst, enforced."""

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
FILES = sorted(path.relative_to(TOP) for path in (TOP / "skdeep").rglob("*.py"))

FLOORS = {
    "_sklearn": 0,
    "engine": 1,
    "kernels": 2,
    "networks": 2,
    "solvers": 3,
    "training": 3,
    "neural_network": 4,
    "kernel_ridge": 4,
    "feature_map": 4,
    "inspection": 5,
    "interop": 5,
    "skdeep": 6,
}
COMPILERS = {"numba", "llvmlite"}
ABOVE_THE_ENGINE = {"sklearn", "scipy"}


def part_of(module):
    """The part of the map that holds a dotted module name: a folder, `_sklearn`, or `skdeep` for the top level."""
    names = module.split(".")
    return "skdeep" if len(names) == 1 or names[1] in {"__init__", "_show_versions"} else names[1]


def imported_modules(tree):
    """Line and dotted name of every import in a syntax tree, inside functions and through import_module, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "skdeep":
            # `from skdeep import kernels` reaches a folder, `from skdeep import RBF` goes through the top level.
            for alias in node.names:
                yield node.lineno, f"skdeep.{alias.name}" if alias.name in FLOORS else "skdeep"
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in {"import_module", "__import__"}:
                yield node.lineno, str(node.args[0].value)


def violations(path, source):
    """Sentences, one per import that the map forbids in the file `path` (relative to the top of the repository)."""
    own = part_of(".".join(Path(path).with_suffix("").parts))
    if own not in FLOORS:
        yield f"{path}: {own!r} stands on no floor of the map"
        return
    for line, module in imported_modules(ast.parse(source)):
        root, where = module.split(".")[0], f"{path}:{line} imports {module}"
        if module.startswith("."):
            yield f"{where}: imports are absolute"
        elif root in COMPILERS and own != "engine" and Path(path).name != "_show_versions.py":
            yield f"{where}: only the engine imports numba"
        elif root in ABOVE_THE_ENGINE and own == "engine":
            yield f"{where}: the engine knows NumPy and numba alone"
        elif root == "skdeep" and part_of(module) not in FLOORS:
            yield f"{where}: it stands on no floor of the map"
        elif root == "skdeep" and part_of(module) != own and FLOORS[part_of(module)] >= FLOORS[own]:
            yield f"{where}: floor {FLOORS[part_of(module)]} from floor {FLOORS[own]}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_down(path):
    assert list(violations(path, (TOP / path).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("skdeep/kernels/leaves.py", "from skdeep.kernel_ridge import KernelRidgeDual"),
        ("skdeep/kernels/leaves.py", "def f():\n    import skdeep.solvers.cholesky"),
        ("skdeep/kernels/leaves.py", "from skdeep.networks.layers import Dense"),
        ("skdeep/kernels/leaves.py", "from skdeep import networks"),
        ("skdeep/kernels/leaves.py", "from skdeep import show_versions"),
        ("skdeep/kernels/leaves.py", "import importlib\nimportlib.import_module('skdeep.training')"),
        ("skdeep/kernels/leaves.py", "from .program import compile"),
        ("skdeep/kernels/leaves.py", "import numba as nb"),
        ("skdeep/engine/jit.py", "from sklearn.utils import check_array"),
        ("skdeep/engine/jit.py", "def f():\n    from scipy import linalg"),
        ("skdeep/engine/jit.py", "from skdeep.kernels import RBF"),
        ("skdeep/engine/jit.py", "from skdeep.attic import f"),
        ("skdeep/_sklearn.py", "from skdeep.engine import jit"),
        ("skdeep/attic/old.py", ""),
    ],
)
def test_violations_are_caught(path, source):
    assert len(list(violations(path, source))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("skdeep/engine/jit.py", "import numba\nfrom llvmlite import ir\nfrom skdeep.engine.simd import load"),
        ("skdeep/kernels/leaves.py", "from skdeep import _sklearn\nfrom skdeep.kernels.base import Kernel"),
        ("skdeep/kernel_ridge/dual.py", "import sklearn\nfrom skdeep import kernels\nfrom skdeep.solvers import solve"),
        ("skdeep/_show_versions.py", "import numba\nfrom skdeep import __version__"),
    ],
)
def test_lawful_imports_pass(path, source):
    assert list(violations(path, source)) == []
