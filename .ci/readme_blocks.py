"""Run the python blocks of a Markdown file in order and in one namespace, as its reader would."""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```python\s*?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main(path):
    text = path.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    if not blocks:
        sys.exit(f"{path.name} holds no python block")
    namespace = {"__name__": "__main__"}
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        print(f"-- {path.name}, line {line + 1}", flush=True)
        # The blank lines make a traceback name the line of the file.
        exec(compile("\n" * line + block[1], path, "exec"), namespace)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
