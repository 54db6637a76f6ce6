"""How many of our symbols a type checker knows completely: fails below the required share and prints what is missing.

    python tests/type_report.py

Types that come from other packages are not counted: Keras has hardly any annotations.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

REQUIRED = 95.0


def report():
    """What `basedpyright --verifytypes` prints about the installed package."""
    scripts = Path(sys.executable).parent
    # The checker looks for the package where the first `python` on the path does.
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [scripts / "basedpyright", "--verifytypes", "keras_lecture", "--ignoreexternal"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=scripts)
    return done.stdout + done.stderr


def main():
    text = report()
    score = re.search(r"Type completeness score: ([\d.]+)%", text)
    if score is None or float(score[1]) < REQUIRED:
        print(text)
        return 1
    print(f"Types of public symbols: {score[1]} % complete.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
