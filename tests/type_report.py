"""Reports the share of our public symbols with complete types; below the required one it lists the others and fails.

    python tests/type_report.py

Types of other packages are not counted, and neither are base classes of Keras, which has hardly any annotations.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

REQUIRED = 95.0


def report():
    """The output of `basedpyright --verifytypes` for the installed package."""
    scripts = Path(sys.executable).parent
    # The checker looks for the package where the first `python` on the path does.
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [scripts / "basedpyright", "--verifytypes", "keras_lecture", "--ignoreexternal"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=scripts)
    return done.stdout + done.stderr


def incomplete(text):
    """`{symbol: its errors}`, without those that say only that a base class of Keras has no types."""
    symbols, symbol = {}, None
    for line in text.splitlines():
        if re.fullmatch(r"keras_lecture[\w.]*", line):
            symbol = line
        elif symbol and "error: " in line and not re.search(r"Type of (base class|metaclass)", line):
            symbols.setdefault(symbol, []).append(line.strip())
    return symbols


def main():
    text = report()
    total = sum(map(int, re.findall(r"^(?:Symbols exported by|Other symbols referenced).*: (\d+)$", text, re.M)))
    missing = incomplete(text)
    share = 100.0 * (1.0 - len(missing) / total) if total else 0.0
    if share < REQUIRED:
        print(text if not total else "\n".join(f"{name}\n  " + "\n  ".join(lines) for name, lines in missing.items()))
    print(f"Types of public symbols: {share:.1f} % of {total} complete.")
    return int(share < REQUIRED)


if __name__ == "__main__":
    sys.exit(main())
