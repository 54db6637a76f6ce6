"""A file imports only from its own floor and floors below, and only `_backend/` imports a framework."""

import ast

import pytest
from support.house import FILES, PACKAGE

pytestmark = pytest.mark.once

# Part of the package → its floor. A new part must be entered here.
FLOORS = {
    "_training": 0,
    "_backend": 0,
    "_core": 0,
    "_keras": 0,
    "activations": 1,
    "constraints": 1,
    "initializers": 1,
    "losses": 1,
    "regularizers": 1,
    "data": 2,
    "layers": 2,
    "optimizers": 2,
    "diagnosis": 3,
    "models": 3,
    "callbacks": 4,
    "figures": 5,
    "_command_line": 6,
}
FRONT_DOOR = 7
FRAMEWORKS = {"jax", "jaxlib", "tensorflow", "torch"}
# Packages that one part may import, or none; the package itself depends on keras and numpy alone.
OPTIONAL = {"matplotlib": "figures", "optax": None, "rich": "_command_line", "scipy": None, "sklearn": "data"}


def imports(path):
    """Every module that the file imports, and whether the import is inside a function."""
    tree = ast.parse(path.read_text())
    inner = {
        id(node)
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(f)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in inner
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) in inner


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_its_floor_and_below(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    own = FRONT_DOOR if part in ("__init__", "__main__") else FLOORS[part]
    for module, inside in imports(path):
        root, *rest = module.split(".")
        assert not inside, f"{module} is imported inside a function: move it to the top, or split the file"
        assert "keras.src" not in module, f"{module} is private Keras"
        if root in FRAMEWORKS:
            assert path.is_relative_to(PACKAGE / "_backend" / root), f"{root} belongs into _backend/{root}/"
        if root in OPTIONAL:
            assert part == OPTIONAL[root], f"the package depends on keras and numpy alone, not {root}"
        if root == "keras_lecture" and rest:
            assert FLOORS[rest[0]] <= own, f"floor {own} imports {module} from floor {FLOORS[rest[0]]}"


def test_every_part_has_a_floor():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} - {"__init__", "__main__"}
    assert parts <= set(FLOORS)


def test_the_backends_define_the_same_functions():
    """The same names and arguments in `autodiff` and `training` of every backend."""

    def functions(folder, file):
        tree = ast.parse((PACKAGE / "_backend" / folder / file).read_text())
        public = (node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"))
        return {node.name: ast.unparse(node.args) for node in public}

    for file in ("autodiff.py", "training.py"):
        first, *others = (functions(folder, file) for folder in ("jax", "tensorflow", "torch", "forward_only"))
        assert all(other == first for other in others), file
