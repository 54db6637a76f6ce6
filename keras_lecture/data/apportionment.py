"""Whole numbers for shares: classes dealt out to parts so that every total is exact."""

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
    wanted = sizes(int(np.sum(counts)), fractions) - whole.sum(0)
    extra = np.zeros(whole.shape, int)
    may = exact > whole
    for row in range(len(whole)):
        for _ in range(counts[row] - whole[row].sum()):
            # The largest remainder that is left; of equal ones, the part that wants most.
            order = sorted(range(len(fractions)), key=lambda part: (whole[row, part] - exact[row, part], -wanted[part]))
            free = [part for part in order if may[row, part] and not extra[row, part]]
            path = next(filter(None, (_path(part, extra, may, wanted) for part in free)), None)
            path = path or [(None, int(np.argmax(wanted)))]
            for giver, part in path:
                extra[row if giver is None else giver, part] += 1
            for (giver, _), (_, left) in zip(path[1:], path, strict=False):
                extra[giver, left] -= 1
            wanted[path[-1][1]] -= 1
    return whole + extra


def _path(part, extra, may, wanted):
    """How `part` can take one more: as it is, or by a row that moves its own to another part, and so on."""
    paths, seen = [[(None, part)]], {part}
    for path in paths:
        last = path[-1][1]
        if wanted[last] > 0:
            return path
        movable = (extra[:, last] == 1)[:, None] & may & (extra == 0)
        for other in np.flatnonzero(movable.any(0)):
            if other not in seen:
                seen.add(other)
                paths.append([*path, (int(np.argmax(movable[:, other])), int(other))])
    return None


def _shares(counts, fractions):
    # 0.2·15 is 3, not 3.0000000000000004, which would be rounded up.
    return np.round(np.asarray(counts) * np.asarray(fractions, "float64"), 9)
