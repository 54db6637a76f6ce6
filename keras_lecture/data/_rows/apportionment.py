"""Whole numbers for shares: classes dealt out to parts so that every total is exact."""

import heapq

import numpy as np


def sizes(count: int, fractions) -> np.ndarray:
    """`count` in parts by the largest remainders: each is its share rounded down or up, and they add up."""
    exact = _shares(count, fractions)
    whole = np.floor(exact).astype(int)
    largest = np.argsort(whole - exact, kind="stable")[: count - whole.sum()]
    whole[largest] += 1
    return whole


def table(counts, fractions) -> np.ndarray:
    """How many of each class go to each part: one row per class, one column per part.

    Rows add up to `counts` and columns to `sizes`; each entry is its exact share rounded down or up. Up to three parts
    there is such a table for certain; were there none for more, an entry would give way, and never the sums.
    """
    exact = _shares(np.asarray(counts)[:, None], fractions)
    whole = np.floor(exact).astype(int)
    wanted = (sizes(int(np.sum(counts)), fractions) - whole.sum(0)).tolist()
    parts = range(len(fractions))
    remainders, may = (exact - whole).tolist(), (exact > whole).tolist()
    extra = [[0 for _ in parts] for _ in may]
    # For each pair of parts a heap of the rows whose 1 may move from the first to the second: without them each row
    # would search through all rows before it.
    movable = [[[] for _ in parts] for _ in parts]
    for row, missing in enumerate((counts - whole.sum(1)).tolist()):
        for _ in range(missing):
            # The largest remainder that is left; of equal ones, the part that wants most.
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
    """How `part` can take one more: as it is, or by a row that moves its own to another part, and so on."""
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
    # 0.2·15 is 3, not 3.0000000000000004, which would be rounded up.
    return np.round(np.asarray(counts) * np.asarray(fractions, "float64"), 9)
