"""The package as a whole: version, public names, what an import costs, what a bug report shows."""

import importlib.metadata
import importlib.resources
import tomllib

import pytest

import skdeep
from tests._subprocess import TOP, run_python


def test_version_is_written_once():
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project["dynamic"]
    assert importlib.metadata.version("skdeep") == skdeep.__version__


@pytest.mark.parametrize("name", skdeep.__all__)
def test_public_names_exist(name):
    assert getattr(skdeep, name) is not None
    assert name in dir(skdeep)


def test_short_name_is_the_classifier():
    assert skdeep.MLPBackprop is skdeep.MLPBackpropClassifier


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"module 'skdeep' has no attribute 'Perceptron'"):
        skdeep.Perceptron  # noqa: B018
    with pytest.raises(ImportError, match="Perceptron"):
        from skdeep import Perceptron  # noqa: F401


def test_import_is_light():
    heavy = {"numpy", "scipy", "sklearn", "numba", "llvmlite", "matplotlib"}
    done = run_python(f"import sys, skdeep; dir(skdeep); print(sorted({heavy} & sys.modules.keys()))")
    assert done.stdout.strip() == "[]"


def test_licence_and_types_are_packaged():
    assert (importlib.resources.files("skdeep") / "py.typed").is_file()
    assert "LICENSE" in {path.name for path in importlib.metadata.files("skdeep")}


def test_show_versions_names_everything(capsys):
    skdeep.show_versions()
    rows = dict(line.strip().split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows.keys() == {
        "skdeep",
        "python",
        "platform",
        "numpy",
        "scipy",
        "scikit-learn",
        "numba",
        "llvmlite",
        "threading layer",
        "numba threads",
        "logical cores",
        "vector width",
        "cache folder",
    }
    assert rows["skdeep"] == skdeep.__version__


def test_show_versions_starts_no_threads():
    code = """
    import numba, skdeep

    skdeep.show_versions()
    try:
        print("started", numba.threading_layer())
    except ValueError:
        print("still at rest")
    """
    done = run_python(code)
    assert "not started, available: " in done.stdout
    assert done.stdout.endswith("still at rest\n")
