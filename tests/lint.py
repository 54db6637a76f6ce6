"""Runs ruff and the report on types: all of them, whatever the first one finds.

python tests/lint.py
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("-m ruff check .", "-m ruff format --check .", "tests/type_report.py")


def main():
    codes = [subprocess.run([sys.executable, *command.split()], cwd=ROOT).returncode for command in COMMANDS]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
