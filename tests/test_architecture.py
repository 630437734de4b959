"""Who may import whom, read from the source; and what a plain import loads, seen in fresh processes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module belongs to the first entry that its name starts with. Modules may import their own level and lower ones.
LEVELS = (
    (
        0,
        (
            "training.geometry",
            "training.volume",
            "training.labels",
            "training.issues",
            "training.data",
            "training.words",
        ),
    ),
    (1, ("training.io", "training.preprocess", "training.resample", "training.picture", "training.partition")),
    (
        1,
        tuple(
            f"training.explain.{name}"
            for name in ("result", "map_summary", "model_info", "cam", "placement", "display")
        ),
    ),
    (2, ("training.models",)),
    (3, ("training.explain", "training.fit")),
    (4, ("training.cohort", "training.evaluate")),
    (5, ("training.cli", "training.commands", "training.console")),
)
WINDOW = {"napari", "qtpy", "magicgui", "superqt", "vispy", "PyQt5", "PyQt6", "PySide2", "PySide6", "hirescam_napari"}

OWN_PIPES = {"hirescam_napari._engine", "hirescam_napari._engine_process"}
"""A process and its own child exchange objects through a pipe; no file, nothing from outside."""


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module, at_run_time_only: bool = True) -> set[str]:
    """Names imported anywhere in a module, inside functions too, but not for type checkers alone."""
    found: set[str] = set()
    skipped = {id(node) for guard in ast.walk(tree) if _is_type_checking(guard) for node in ast.walk(guard)}
    for node in ast.walk(tree):
        if at_run_time_only and id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            assert node.module is not None
            found |= {_module(node.module, alias.name) for alias in node.names}
    return found


def _module(package: str, name: str) -> str:
    """Return the module that ``from package import name`` needs: a module of that name, else the package."""
    path = ROOT.joinpath(*package.split("."), name)
    return f"{package}.{name}" if path.with_suffix(".py").is_file() or path.is_dir() else package


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def level_of(name: str) -> int | None:
    for level, prefixes in LEVELS:
        if any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes):
            return level
    return None


def test_every_module_has_a_level() -> None:
    names = {name for name, _ in modules("training")} - {"training"}
    assert len(names) > 20
    assert sorted(name for name in names if level_of(name) is None) == []


def test_imports_go_down_only() -> None:
    wrong = []
    for name, tree in modules("training"):
        own = level_of(name)
        for target in imported(tree):
            level = level_of(target)
            lazy_door = name == "training.explain"  # its __getattr__ loads the explainer, of its own level
            if own is not None and level is not None and level > own and not lazy_door:
                wrong.append(f"{name} (level {own}) imports {target} (level {level})")
    assert wrong == []


def test_training_never_imports_a_window() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in modules("training")
        for target in imported(tree, at_run_time_only=False)
        if target.partition(".")[0] in WINDOW
    ]
    assert wrong == []


def test_nothing_is_unpickled_from_files() -> None:
    for package in ("training", "hirescam_napari"):
        for name, tree in modules(package):
            assert not imported(tree) & {"dill", "joblib", "cloudpickle", "shelve", "pickle.load", "pickle.loads"}, name
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                keywords = {word.arg: word.value for word in call.keywords}
                unpickles = ast.unparse(call.func) in ("pickle.load", "pickle.loads", "pickle.Unpickler")
                assert not unpickles or name in OWN_PIPES, name
                if ast.unparse(call.func) in ("np.load", "numpy.load"):
                    assert ast.unparse(keywords["allow_pickle"]) == "False", name
                if ast.unparse(call.func) == "torch.load":
                    assert ast.unparse(keywords["weights_only"]) == "True", name


def loaded_by(statement: str) -> set[str]:
    """Return the top-level packages that ``statement`` loads in a fresh interpreter."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=ROOT)  # noqa: S603
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize("statement", ["import hirescam_napari", "import hirescam_napari.cli"])
def test_importing_the_plugin_is_light(statement: str) -> None:
    heavy = {"torch", "torchvision", "qtpy", "PyQt6", "napari", "SimpleITK", "pydicom", "zarr", "scipy", "lightning"}
    assert loaded_by(statement) & heavy == set()


@pytest.mark.parametrize(
    "module",
    [
        "training.explain.result",
        "training.io.read",
        "training.cohort.store",
        "training.cohort.results",
        "training.cohort.sources",
        "training.evaluate.audit.session",
    ],
)
def test_results_are_read_without_torch(module: str) -> None:
    assert "torch" not in loaded_by(f"import {module}")


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)
sys.meta_path.insert(0, Blocker())
import importlib, pkgutil, training
for found in pkgutil.walk_packages(training.__path__, "training."):
    importlib.import_module(found.name)
sys.argv = ["training.cli", "models", "--labels", "--json"]
import runpy
runpy.run_module("training.cli", run_name="__main__", alter_sys=True)
"""


def test_training_and_its_command_line_work_where_no_window_can() -> None:
    script = BLOCKER.format(blocked=sorted(WINDOW))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["labels"]) == 80
