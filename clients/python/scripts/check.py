"""Everything about the Python client that a machine can judge, in one command.

    pip install -e 'clients/python[test]'
    python clients/python/scripts/check.py

Runs all checks with the Python that runs this, then says which failed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
CORE = "src/cidadao_realtime/machine.py,src/cidadao_realtime/protocol.py"
CHECKS = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "types of the tests and examples": ["mypy", "--config-file", "pyproject.toml", "tests", "examples"],
    "tests": ["pytest", "-q", "--cov", "--cov-report=term"],
    "coverage of the core": ["coverage", "report", f"--include={CORE}", "--fail-under=95"],
}


def passes(name: str, command: list[str]) -> bool:
    print(f"· {name}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=FOLDER).returncode == 0


failed = [name for name, command in CHECKS.items() if not passes(name, command)]
if failed:
    sys.exit(f"failed: {'; '.join(failed)}")
print("· all checks passed")
