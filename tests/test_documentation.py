"""The user guide's code runs as it stands."""

import re
import textwrap
from pathlib import Path

import pytest

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
    assert {page.stem for page in PAGES} >= {"index", "networks", "kernels"}
