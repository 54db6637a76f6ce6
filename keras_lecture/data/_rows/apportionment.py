"""Integer apportionment: the number of examples of each class in each part, with exact totals."""

import heapq

import numpy as np


def sizes(count: int, fractions) -> np.ndarray:
    """Sizes of the parts of `count` by the largest remainders: exact shares, rounded down or up, with sum `count`."""
    exact = _shares(count, fractions)
    whole = np.floor(exact).astype(int)
    largest = np.argsort(whole - exact, kind="stable")[: count - whole.sum()]
    whole[largest] += 1
    return whole


def table(counts, fractions) -> np.ndarray:
    """The number of examples of each class in each part: one row per class, one column per part.

    Rows add up to `counts` and columns to `sizes`; each entry is its exact share rounded down or up. Up to three
    parts, such a table always exists; with more, if it did not, an entry would deviate but never the sums.
    """
    exact = _shares(np.asarray(counts)[:, None], fractions)
    whole = np.floor(exact).astype(int)
    wanted = (sizes(int(np.sum(counts)), fractions) - whole.sum(0)).tolist()
    parts = range(len(fractions))
    remainders, may = (exact - whole).tolist(), (exact > whole).tolist()
    extra = [[0 for _ in parts] for _ in may]
    # For each pair of parts, a heap of the rows whose extra example may move from the first part to the second. Without
    # the heaps, each row would search through all rows before it.
    movable = [[[] for _ in parts] for _ in parts]
    for row, missing in enumerate((counts - whole.sum(1)).tolist()):
        for _ in range(missing):
            # By remainder, then by the number of examples that the part still lacks.
            order = sorted(parts, key=lambda part: (-remainders[row][part], -wanted[part]))
            free = [part for part in order if may[row][part] and not extra[row][part]]
            path = next(filter(None, (_path(part, extra, may, wanted, movable) for part in free)), None)
            path = path or [(None, int(np.argmax(wanted)))]
            for giver, part in path:
                extra[row if giver is None else giver][part] += 1
            for (giver, _), (_, left) in zip(path[1:], path, strict=False):
                extra[giver][left] -= 1
            wanted[path[-1][1]] -= 1
            for giver, _ in path:
                _enter(row if giver is None else giver, extra, may, movable)
    return whole + np.array(extra, int).reshape(whole.shape)


def _path(part, extra, may, wanted, movable):
    """The shortest chain of moves by which `part` can take one more example; `[(None, part)]` if it needs no move."""
    paths, seen = [[(None, part)]], {part}
    for path in paths:
        last = path[-1][1]
        if wanted[last] > 0:
            return path
        for other, rows in enumerate(movable[last]):
            while rows and not _can_move(rows[0], last, other, extra, may):
                heapq.heappop(rows)
            if rows and other not in seen:
                seen.add(other)
                paths.append([*path, (rows[0], other)])
    return None


def _can_move(row, left, part, extra, may):
    return extra[row][left] == 1 and may[row][part] and extra[row][part] == 0


def _enter(row, extra, may, movable):
    for left, targets in enumerate(movable):
        for part, rows in enumerate(targets):
            if _can_move(row, left, part, extra, may):
                heapq.heappush(rows, row)


def _shares(counts, fractions):
    # Rounded, because 0.7·90 is 62.99999999999999 in floating point, whose floor is 62.
    return np.round(np.asarray(counts) * np.asarray(fractions, "float64"), 9)
