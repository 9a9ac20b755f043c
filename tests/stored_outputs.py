"""Do notebooks hold the outputs of one run from top to bottom? Needs no package, so that pre-commit can run it.

python tests/stored_outputs.py notebooks/01_cleaning.ipynb ...
"""

import json
import sys
from pathlib import Path


def fault(path):
    """Say what is wrong with the stored outputs of a notebook, or ""."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    code = [
        cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]
    counts = [cell["execution_count"] for cell in code]
    if counts != list(range(1, len(code) + 1)):
        return "its cells were not run from top to bottom"
    if any(output["output_type"] == "error" for cell in code for output in cell["outputs"]):
        return "a cell ended in an error"
    return "" if any(cell["outputs"] for cell in code) else "it holds no outputs"


def main(paths):
    """Name the notebooks that are not whole; return 1 if there are any."""
    faults = {path: fault(path) for path in paths}
    for path, what in faults.items():
        if what:
            print(f"{path}: {what}. Run `make notebooks`.")
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
