"""The rules' steps on PyTorch: lists of weights, gradients and slots, in as few passes over memory as there can be."""

import torch
from torch._C._nn import softshrink

# A step number at which 1 − βᵏ is 1: PyTorch's kernels then correct nothing.
_FOREVER = 1e30


class _Update:
    """One step of a rule on lists of weights, gradients and slots."""

    # How often the step goes through memory, and whether it decays and scales on its way.
    passes = 1
    decays = False
    scales = False

    def __init__(self, rule, rate, k, scale):
        self.rule, self.rate, self.k, self.scale = rule, rate, k, scale

    def prepares(self, decay):
        return (decay and not self.decays) or (self.scale != 1.0 and not self.scales)

    def __call__(self, decay, weights, gradients, *slots):
        if decay and not self.decays:
            torch._foreach_mul_(weights, 1.0 - self.rate * decay)
        if self.scale != 1.0 and not self.scales:
            gradients = torch._foreach_mul(gradients, self.scale)
        self.step(decay, weights, gradients, *slots)

    def shrink(self, l1, weights, *slots):
        """w − clip(w, −t, t): exactly 0 where |w| ≤ t, the rule's own step of each weight times `l1`."""
        for w, *state in zip(weights, *slots, strict=True):
            t = self.threshold(l1, *state)
            if isinstance(t, float):
                softshrink(w, t, out=w)
            else:
                w.sub_(torch.clamp(w, -t, t, out=t))

    def threshold(self, l1, *slots):
        """A number, or a new tensor of a number for each weight."""
        return self.rate * l1


class _SGD(_Update):
    decays = scales = True

    def step(self, decay, weights, gradients):
        _descend(weights, gradients, self.rate, self.scale, decay)


class _Momentum(_Update):
    scales = True

    def step(self, decay, weights, gradients, velocities):
        rho, rate = scheduled(self.rule.momentum, self.k), self.rate * self.scale
        # With lr = −1 and dampening 1 + η, PyTorch's momentum is v ← ρv − ηg, w ← w + v.
        # 1 + η must keep ten digits of η, and PyTorch wants no velocity where ρ = 0.
        if rate > 1e-5 and rho:
            torch._fused_sgd_(
                weights,
                gradients,
                velocities,
                weight_decay=0.0,
                momentum=rho,
                lr=-1.0,
                dampening=1.0 + rate,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )
        else:
            torch._foreach_mul_(velocities, rho)
            torch._foreach_add_(velocities, gradients, alpha=-rate)
            torch._foreach_add_(weights, velocities)


class _Nesterov(_Update):
    passes = 2
    decays = scales = True

    def step(self, decay, weights, gradients, velocities):
        rho, rate = scheduled(self.rule.momentum, self.k), self.rate * self.scale
        if decay:
            # What decays is w, which is the look-ahead point that the weights hold less ρv.
            torch._foreach_mul_(weights, 1.0 - self.rate * decay)
            torch._foreach_add_(weights, velocities, alpha=self.rate * decay * rho)
        # v ← ρv − ηg is gradient descent on v with a decay of 1 − ρ.
        if rate > 0.0:
            _descend(velocities, gradients, rate, 1.0, (1.0 - rho) / rate)
        else:
            torch._foreach_mul_(velocities, rho)
            torch._foreach_add_(velocities, gradients, alpha=-rate)
        torch._foreach_add_(weights, gradients, alpha=-rate)


class _AdaGrad(_Update):
    def step(self, decay, weights, gradients, accumulators):
        _adagrad(weights, gradients, accumulators, self.rate)

    def threshold(self, l1, accumulator):
        return accumulator.rsqrt().mul_(self.rate * l1)


class _RMSProp(_Update):
    passes = 3

    def step(self, decay, weights, gradients, accumulators):
        # AdaGrad on a sum that fades and keeps its ε: γS + ε is gradient descent on S where the gradient is −1.
        fading = (1.0 - self.rule.rho) / self.rule.epsilon
        _descend(accumulators, _constant_like(accumulators, -1.0), self.rule.epsilon, 1.0, fading)
        _adagrad(weights, gradients, accumulators, self._rate())

    def threshold(self, l1, accumulator):
        return accumulator.rsqrt().mul_(self._rate() * l1)

    def _rate(self):
        return self.rate * (1.0 - self.rule.rho) ** -0.5


class _Adam(_Update):
    decays = True

    def step(self, decay, weights, gradients, means, squares):
        rule = self.rule
        k = self.k if rule.bias_correction else _FOREVER
        _adam(weights, gradients, means, squares, self.rate, decay, rule.beta_1, rule.beta_2, rule.epsilon, k)

    def threshold(self, l1, mean, square):
        # η/(√(G/c) + ε) is η√c/(√G + ε√c): one pass less.
        correction = (1.0 - self.rule.beta_2**self.k) ** 0.5 if self.rule.bias_correction else 1.0
        root = square.sqrt().add_(self.rule.epsilon * correction)
        return torch.div(root.new_tensor(self.rate * l1 * correction), root, out=root)


UPDATES = {
    "sgd": _SGD,
    "momentum": _Momentum,
    "nesterov": _Nesterov,
    "adagrad": _AdaGrad,
    "rmsprop": _RMSProp,
    "adam": _Adam,
}


def _adam(weights, gradients, means, squares, rate, decay, beta_1, beta_2, epsilon, k):
    steps = [torch.tensor(k, device=weights[0].device)] * len(weights)
    torch._fused_adamw_(
        weights,
        gradients,
        means,
        squares,
        [],
        steps,
        lr=rate,
        beta1=beta_1,
        beta2=beta_2,
        weight_decay=decay,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


def _adagrad(weights, gradients, accumulators, rate):
    steps = [torch.ones((), device=weights[0].device)] * len(weights)
    # The slot holds G + ε: the root needs no other.
    settings = {"lr_decay": 0.0, "weight_decay": 0.0, "eps": 0.0, "maximize": False}
    torch._fused_adagrad_(weights, gradients, accumulators, steps, lr=rate, **settings)


def _descend(weights, gradients, rate, scale, decay):
    """w ← (1 − η·decay)w − η·scale·g."""
    if not decay or not rate * scale:
        torch._foreach_mul_(weights, 1.0 - rate * decay) if decay else None
        torch._foreach_add_(weights, gradients, alpha=-rate * scale)
        return
    torch._fused_sgd_(
        weights,
        gradients,
        [],
        weight_decay=decay / scale,
        momentum=0.0,
        lr=rate * scale,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


def _constant_like(tensors, value):
    shapes = [tensor.shape for tensor in tensors]
    constant = torch.full(
        (max(map(torch.Size.numel, shapes)),), value, dtype=tensors[0].dtype, device=tensors[0].device
    )
    views = {shape: constant[: shape.numel()].view(shape) for shape in set(shapes)}
    return [views[shape] for shape in shapes]


def scheduled(value, k):
    return float(value(k - 1.0)) if callable(value) else value
