"""Checks the wheel (the package alone) and the sdist (with tests, docs, guide and examples), and installs both.

python tests/distribution.py dist
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The installed files are tried, not those of the clone.
IMPORTS = """
import sys; sys.path.insert(0, {folder!r})
import keras_lecture
assert keras_lecture.__file__.startswith({folder!r}), keras_lecture.__file__
print(keras_lecture.__version__)
"""


def tracked(folder):
    """The files of the folder that git knows, as paths from the root."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


def check_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {name for name in names if ".dist-info/" not in name}
    assert package == tracked("keras_lecture"), sorted(package ^ tracked("keras_lecture"))
    assert "keras_lecture/py.typed" in package
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def check_sdist(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("keras_lecture", "tests", "docs", "examples", "guide"):
        missing = tracked(folder) - names
        assert not missing, sorted(missing)
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "pyproject.toml"} <= names


def check_import(archive):
    """Installs it into an empty folder and imports it from there."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, archive]
        subprocess.run(pip, check=True)
        code = IMPORTS.format(folder=folder)
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
        return done.stdout.strip()


def main():
    folder = Path(sys.argv[1])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)
    versions = {check_import(archive) for archive in (wheel, sdist)}
    assert len(versions) == 1, versions
    print(f"{wheel}\n{sdist}\nchecked: contents, metadata, installation, import of version {versions.pop()}")


if __name__ == "__main__":
    main()
