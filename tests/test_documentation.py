"""The user guide's code runs as it stands."""

import re
import textwrap
from pathlib import Path

import pytest

import skdeep
from skdeep import inspection, kernels, networks

SUBJECTS = {
    *("backpropagation", "initialisation", "convolution", "data_format", "training"),
    *("kernels", "dual_ridge", "mercer", "svd", "network_kernels"),
}
DOC = Path(__file__).parents[1] / "doc"
BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:(?:   .*)?\n)+)", re.MULTILINE)
PAGES = [page for page in sorted(DOC.rglob("*.rst")) if BLOCK.search(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_blocks_run(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # for the files that they write
    namespace = {}
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        exec(compile(textwrap.dedent(block[1]), page, "exec"), namespace)


def test_pages_with_code_are_found():
    assert {page.stem for page in PAGES} >= {"index", *SUBJECTS}


def figures_of(subject):
    text = (DOC / "user_guide" / f"{subject}.rst").read_text(encoding="utf-8")
    return re.findall(r"^\.\. plot:: (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("subject", sorted(SUBJECTS - {"training"}))
def test_subjects_have_a_figure(subject):
    assert figures_of(subject)


def test_each_example_with_a_figure_is_in_the_guide_once():
    # The build of the documentation is what runs them.
    examples = sorted(path.name for path in (DOC.parent / "examples").glob("plot_*.py"))
    assert sorted(figure for subject in SUBJECTS for figure in figures_of(subject)) == examples


@pytest.mark.parametrize("module", [skdeep, kernels, networks, inspection], ids=lambda module: module.__name__)
def test_public_names_are_in_the_reference(module):
    lines = (DOC / "api.rst").read_text(encoding="utf-8").splitlines()
    listed, current = set(), None
    for line in lines:
        if line.startswith(".. currentmodule:: "):
            current = line.split()[-1]
        elif current == module.__name__ and re.fullmatch(r"   \w+", line):
            listed.add(line.strip())
    public = {name for name in module.__all__ if not name.startswith("_")}
    # Modules have sections of their own, and MLPBackprop is the same class as MLPBackpropClassifier.
    public -= {"inspection", "kernels", "networks", "MLPBackprop"} if module is skdeep else set()
    assert listed == public
