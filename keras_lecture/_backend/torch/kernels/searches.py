"""Line searches on PyTorch: a list of tensors in one call, in as few passes over memory as possible."""

import torch


@torch.no_grad()
def inner_product(a, b, dtype):
    if not _plain(a, dtype) or not _plain(b, dtype):
        return None
    return sum(torch.dot(x.reshape(-1), y.reshape(-1)) for x, y in zip(a, b, strict=True))


@torch.no_grad()
def descended(weights, t, direction):
    if not _plain(weights, t.dtype) or not _plain(direction, t.dtype):
        return None
    return list(torch._foreach_sub(list(weights), list(direction), alpha=float(t)))


@torch.no_grad()
def adam_direction(gradients, memory, k, betas, epsilon):
    gradients, means, squares = list(gradients), list(memory[: len(gradients)]), list(memory[len(gradients) :])
    if not _plain([*gradients, *memory], k.dtype):
        return None
    means = torch._foreach_lerp(means, gradients, 1 - betas[0])
    squares = torch._foreach_mul(squares, betas[1])
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - betas[1])
    roots = torch._foreach_sqrt(squares)
    torch._foreach_div_(roots, float((1 - betas[1] ** k) ** 0.5))
    torch._foreach_add_(roots, epsilon)
    torch._foreach_mul_(roots, float(1 - betas[0] ** k))
    return torch._foreach_div(means, roots), [*means, *squares]


@torch.no_grad()
def quasi_newton_direction(g, steps, changes, products, count):
    """In place, without the empty rows: two products and two sums for each of the others."""
    pairs, memory = int(count), len(steps)
    rows = [(pairs - 1 - age) % memory for age in range(min(pairs, memory))]
    d, alphas = -g, {}
    for row in rows:
        alphas[row] = torch.dot(steps[row], d) / products[row]
        d.sub_(changes[row], alpha=float(alphas[row]))
    if rows:
        d.mul_(products[rows[0]] / torch.dot(changes[rows[0]], changes[rows[0]]))
    for row in reversed(rows):
        d.add_(steps[row], alpha=float(alphas[row] - torch.dot(changes[row], d) / products[row]))
    return d, torch.tensor(bool(rows), device=g.device)


@torch.no_grad()
def with_row(matrix, row, vector):
    """In place: the pairs of L-BFGS are 20 times as large as the weights."""
    matrix[int(row)] = vector
    return matrix


def first_trial(last, longest, reset):
    # Plain comparisons: a single operation of `keras.ops` takes longer than all of them.
    return longest if reset == "full" or not last > 0 else torch.minimum(reset * last, longest)


def choose(condition, a, b):
    return a if condition else b


def repeated(body, goes_on, state, limit=None):
    """A Python loop: Keras's traversal of the nested state takes as long as a layer of a small network."""
    rounds = 0
    while (limit is None or rounds < limit) and goes_on(*state):
        state, rounds = body(*state), rounds + 1
    return tuple(state)


def _plain(tensors, dtype):
    """Whether all tensors have the dtype of the sums: intermediate results in half precision would be rounded."""
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    return all(t.dtype == dtype for t in tensors)
