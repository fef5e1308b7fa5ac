"""The three rooms stay apart, and the science runs where the engine is not installed."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
HEAVY = (
    "torch",
    "ray",
    "mlflow",
    "optuna",
    "seisbench",
    "obspy",
    "pandas",
    "numpy",
    "matplotlib",
    "onnxruntime",
)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_platform_is_no_package():
    assert not (REPOSITORY / "platform" / "__init__.py").exists(), "it would hide Python's own module 'platform'"


def test_imports_point_one_way():
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def python_files() -> list[Path]:
    rooms = ("platform", "search_spaces", "trainables", "tests", "benchmarks")
    return [file for room in rooms for file in (REPOSITORY / room).rglob("*.py")]


def test_files_can_be_read_at_a_sitting():
    long = {file.name: lines for file in python_files() if (lines := len(file.read_text().splitlines())) > 350}
    assert long == {}, "one concept a file: split these"
    directly = [file.name for file in (REPOSITORY / "platform" / "seisweep").glob("*.py")]
    assert len(directly) <= 8, f"a line of the engine is found by its package: {directly}"


def packages_of(file: Path) -> Iterator[tuple[str, str]]:
    """Package of the engine, and each other one that it imports, also inside functions; not for type checkers alone."""
    tree = ast.parse(file.read_text())
    aside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    own = file.relative_to(REPOSITORY / "platform" / "seisweep").parts[0].removesuffix(".py")
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or id(node) in aside or not (node.module or "").startswith("seisweep"):
            continue
        for alias in node.names:
            other = f"{node.module}.{alias.name}".split(".")[1]
            if other != own:
                yield own, other


def test_no_packages_import_each_other_in_a_circle():
    arrows: dict[str, set[str]] = {}
    for file in (REPOSITORY / "platform" / "seisweep").rglob("*.py"):
        for own, other in packages_of(file):
            arrows.setdefault(own, set()).add(other)
    assert arrows["commands"] >= {"results", "settings"}, "imports inside functions count"
    assert list(TopologicalSorter(arrows).static_order())  # raises CycleError, which names the circle


def test_a_worker_imports_nothing_that_the_driver_alone_needs():
    """Each trial pays for what its processes import."""
    found = run_python("""
        import sys
        import seisweep.workers.trial, seisweep.workers.ray_train, seisweep.workers.relay
        print([name for name in ("mlflow", "optuna", "matplotlib", "seisbench", "torch") if name in sys.modules])
        import seisweep.engine.launch
        print("torch" in sys.modules)
    """)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "[]\nFalse\n", "torch is for the trainable to import"


def test_the_science_imports_without_the_engine():
    """Every module of it."""
    found = run_python("""
        import importlib, pkgutil, sys
        for name in ("ray", "optuna", "mlflow", "seisweep", "search_spaces", "xlstm", "mlstm_kernels"):
            sys.modules[name] = None  # an import of it fails
        import trainables
        modules = [found.name for found in pkgutil.walk_packages(trainables.__path__, "trainables.")]
        for module in modules:
            importlib.import_module(module)
        print("trainables.distillation" in modules)
    """)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "True\n"


def test_xlstm_is_imported_where_a_network_is_built():
    found = run_python("""
        import sys
        import trainables.distillation
        import trainables.models.classifier
        print([name for name in ("xlstm", "mlstm_kernels", "transformers") if name in sys.modules])
    """)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "[]\n"


@pytest.mark.integration
def test_the_science_trains_without_the_engine(earthquakes, teacher_file, tmp_path):
    found = run_python(f"""
        import sys
        for name in ("ray", "optuna", "mlflow", "seisweep", "search_spaces", "xlstm", "mlstm_kernels"):
            sys.modules[name] = None
        from pathlib import Path
        from trainables.distillation import DistillationConfig, train
        from trainables.run import LocalRun
        run = LocalRun(Path({str(tmp_path)!r}))
        train(
            DistillationConfig(
                data=dict(dataset={str(earthquakes)!r}, cache_dir={str(tmp_path)!r}, dev_windows_per_trace=1),
                teacher=dict(weights={str(teacher_file)!r}),
                student=dict(base_channels=4, pooling=4),
                training=dict(epochs=1, steps_per_epoch=2, batch_size=4),
                export=dict(calibration_windows=4),
            ),
            run,
        )
        print(len(run.reports), (run.checkpoint / "artifacts" / "model_fp32.onnx").exists())
    """)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["2", "True"]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["sweeps", "--help"], ["data", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    found = run_python(f"""
        import sys
        from seisweep.cli import run
        assert run({arguments!r}) == 0
        print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])
    """)
    assert found.returncode == 0, found.stderr
    assert found.stdout.endswith("heavy: []\n")
