"""Everything about the Python client that a machine can judge, in one command.

    pip install -e 'clients/python[test]'
    python clients/python/scripts/check.py

Runs all checks with the Python that runs this, then says which failed.
"""

from __future__ import annotations

import json
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
}
BRANCHES = 95  # percent of those of each file of the core


def passes(name: str, command: list[str]) -> bool:
    print(f"· {name}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=FOLDER).returncode == 0


def covers_the_core() -> bool:
    """Whether the tests have taken enough branches: lines, which are easier, do not make up for them."""
    print("· branches of the core", flush=True)
    command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", "-", f"--include={CORE}", "--fail-under=0"]
    report = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE)
    files = json.loads(report.stdout)["files"] if report.returncode == 0 else {}
    for name, file in files.items():
        print(f"{name}: {branches(file['summary']):.1f} %")
    return len(files) == len(CORE.split(",")) and all(branches(file["summary"]) >= BRANCHES for file in files.values())


def branches(summary: dict[str, int]) -> float:
    return 100 * summary["covered_branches"] / summary["num_branches"]


failed = [name for name, command in CHECKS.items() if not passes(name, command)]
if not covers_the_core():
    failed.append("branches of the core")
if failed:
    sys.exit(f"failed: {'; '.join(failed)}")
print("· all checks passed")
