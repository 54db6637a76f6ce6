"""Finds the public names that a Python file uses, by reading its source."""

import ast


def mentioned(tree, public, defaults=()):
    """The paths of `public` (`"losses.L1"`) that occur in a syntax tree as names, attributes or, with the rooms in
    `defaults`, as texts such as `getattr(losses, "L1")`.
    """
    aliases = imported(tree)
    return {path for node in ast.walk(tree) for path in paths(node, aliases, public, defaults)}


def imported(tree):
    """`{"L1": "losses.L1", "keras_lecture": ""}`: imported names with their paths below the package."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras_lecture":
            room = node.module.partition(".")[2]
            aliases |= {name.asname or name.name: f"{room}.{name.name}".lstrip(".") for name in node.names}
        elif isinstance(node, ast.Import) and any(name.name.split(".")[0] == "keras_lecture" for name in node.names):
            aliases["keras_lecture"] = ""
    return aliases


def paths(node, aliases, public, defaults=()):
    """Yields the public paths that one node names."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        for path in (f"{room}.{node.value}" for room in defaults):
            if path in public:
                yield path
        return
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in aliases:
        found = resolved(".".join(filter(None, (aliases[node.id], *parts))), public)
        if found:
            yield found


def resolved(dotted, public):
    """`losses.L1` for `losses.L1.call`, and for `losses.regression.L1`, which a file inside the package imports."""
    parts = dotted.split(".")
    for end in range(len(parts), 1, -1):
        if (path := ".".join(parts[:end])) in public:
            return path
    for path in public:
        room, _, name = path.rpartition(".")
        if parts[0] == room.split(".")[0] and name in parts[1:]:
            return path
    return None
