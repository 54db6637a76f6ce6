"""Mutants of a formula: copies of a source file in which one operator, constant, comparison or function is another."""

import ast
import copy

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
COMPARISONS = {ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
FUNCTIONS = {
    "maximum": "minimum",
    "minimum": "maximum",
    "mean": "sum",
    "sum": "mean",
    "sqrt": "square",
    "square": "sqrt",
    "exp": "log",
    "log": "exp",
    "max": "min",
    "min": "max",
    "cos": "sin",
    "sin": "cos",
    "abs": "square",
}
# What these contain is no formula: checks of arguments, texts of errors, configurations.
NO_FORMULA = ("__init__", "get_config", "from_config", "__repr__")


def mutants(source):
    """`[(line, change, mutated source)]`."""
    tree = ast.parse(source)
    found = []
    for node in _formulas(tree):
        for change, apply in _changes(node):
            original = copy.copy(node.__dict__)
            apply(node)
            found.append((node.lineno, change, ast.unparse(tree)))
            node.__dict__.clear()
            node.__dict__.update(original)
    return found


def _formulas(tree):
    """The expressions inside functions that compute, in the order of the file."""
    pending, found = [(tree, False)], []
    while pending:
        node, inside = pending.pop()
        if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr)) or _is_check(node):
            continue
        if isinstance(node, ast.FunctionDef):
            if node.name not in NO_FORMULA:
                pending += [(child, True) for child in reversed(node.body)]
            continue
        if inside and isinstance(node, ast.expr):
            found.append(node)
        pending += [(child, inside) for child in reversed(list(ast.iter_child_nodes(node)))]
    return found


def _is_check(node):
    return isinstance(node, ast.Expr) and (isinstance(node.value, ast.Constant) or "checks." in ast.unparse(node.value))


def _changes(node):
    """`(description, function that changes the node in place)` of each mutant of a node."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        other = OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} → {other.__name__}", lambda n: setattr(n, "op", other())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "−x → x", lambda n: setattr(n, "op", ast.UAdd())
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        other = COMPARISONS[type(node.ops[0])]
        yield f"{type(node.ops[0]).__name__} → {other.__name__}", lambda n: setattr(n, "ops", [other()])
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield f"{node.value} → {node.value + 1}", lambda n: setattr(n, "value", n.value + 1)
    elif isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
        yield f"{node.attr} → {FUNCTIONS[node.attr]}", lambda n: setattr(n, "attr", FUNCTIONS[n.attr])
