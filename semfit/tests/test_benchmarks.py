"""The benchmark runs: without R it times this package alone."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_case_is_timed_without_r():
    script = Path(__file__).parent / "benchmarks" / "bench.py"
    done = subprocess.run(
        [sys.executable, str(script), "ml"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    name, ours, theirs, ratio = done.stdout.splitlines()[-1].split()
    assert (name, theirs, ratio) == ("ml", "nan", "-") and float(ours) > 0


def test_growth_is_timed_without_r():
    script = Path(__file__).parent / "benchmarks" / "growth.py"
    done = subprocess.run(
        [sys.executable, str(script), "two_factors"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[0] == "two_factors" and float(words[words.index("semfit_fit") + 1]) > 0
    assert words[words.index("lavaan_06_fit") + 1] == "nan"
