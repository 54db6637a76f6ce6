"""The rules' steps on PyTorch: lists of weights, gradients and slots, in as few passes over memory as possible.

Scalars that change from step to step are floats on a CPU and tensors elsewhere. No intermediate result leaves the range
that the formula keeps: `tests/optimizers/test_range.py`.
"""

import torch
from torch._C._nn import softshrink

# A step number k with 1 − βᵏ = 1: it turns off the bias correction of PyTorch's kernel.
_FOREVER = 1e30


class _Update:
    """One step of a rule on lists of weights, gradients and slots."""

    # The number of passes over memory on a CPU, whether the step includes the weight decay, and whether it has to read
    # the step number.
    passes = 1
    decays = False
    reads = False

    def __init__(self, rule, rate, k, on_cpu):
        self.rule, self.rate, self.k, self.on_cpu = rule, rate, k, on_cpu

    def __call__(self, decay, weights, gradients, *slots):
        if decay and not self.decays:
            torch._foreach_mul_(weights, 1.0 - self.rate * decay)
        self.step(decay, weights, gradients, *slots)

    def shrink(self, l1, weights, *slots):
        """w ← w − clip(w, −t, t), exactly 0 for |w| ≤ t, where t is the rule's step size for the weight times `l1`."""
        for w, *state in zip(weights, *slots, strict=True):
            t = self.threshold(l1, *state)
            if isinstance(t, float):
                softshrink(w, t, out=w)
            else:
                w.sub_(torch.clamp(w, -t, t))

    def threshold(self, l1, *slots):
        """The threshold t: a number, or a tensor with a number for each weight."""
        return self.rate * l1

    def descend(self, tensors, directions):
        """x ← x − η·d."""
        if self.on_cpu:
            torch._foreach_add_(tensors, directions, alpha=-self.rate)
        else:
            torch._foreach_sub_(tensors, torch._foreach_mul(directions, self.rate))

    def descend_scaled(self, weights, gradients, roots):
        """w ← w − η·g/r."""
        if self.on_cpu:
            torch._foreach_addcdiv_(weights, gradients, roots, -self.rate)
        else:
            self.descend(weights, torch._foreach_div(gradients, roots))


class _SGD(_Update):
    def step(self, decay, weights, gradients):
        self.descend(weights, gradients)


class _Momentum(_Update):
    def step(self, decay, weights, gradients, velocities):
        rho = scheduled(self.rule.momentum, self.k)
        # With lr = −1 and dampening 1 + η, PyTorch's momentum is v ← ρv − ηg, w ← w + v.
        # 1 + η must keep ten digits of η, and PyTorch takes no velocity if ρ = 0.
        if self.on_cpu and self.rate > 1e-5 and rho:
            settings = {"momentum": rho, "lr": -1.0, "dampening": 1.0 + self.rate, "weight_decay": 0.0}
            flags = {"nesterov": False, "maximize": False, "is_first_step": False}
            torch._fused_sgd_(weights, gradients, velocities, **settings, **flags)
            return
        torch._foreach_mul_(velocities, rho)
        self.descend(velocities, gradients)
        torch._foreach_add_(weights, velocities)


class _Nesterov(_Update):
    passes = 3
    decays = True

    def step(self, decay, weights, gradients, velocities):
        rho = scheduled(self.rule.momentum, self.k)
        torch._foreach_mul_(velocities, rho)
        if decay:
            # The decay acts on w; the variables hold the look-ahead point w + ρv.
            torch._foreach_sub_(weights, velocities)
            torch._foreach_mul_(weights, 1.0 - self.rate * decay)
            torch._foreach_add_(weights, velocities)
        self.descend(velocities, gradients)
        self.descend(weights, gradients)


class _AdaGrad(_Update):
    def step(self, decay, weights, gradients, sums):
        if self.on_cpu:
            steps = [torch.ones(())] * len(weights)
            # The slot starts at ε: the root needs no further one.
            settings = {"lr": self.rate, "lr_decay": 0.0, "weight_decay": 0.0, "eps": 0.0, "maximize": False}
            torch._fused_adagrad_(weights, gradients, sums, steps, **settings)
            return
        torch._foreach_addcmul_(sums, gradients, gradients)
        self.descend_scaled(weights, gradients, torch._foreach_sqrt(sums))

    def threshold(self, l1, total):
        return total.rsqrt().mul_(self.rate * l1)


class _RMSProp(_Update):
    passes = 5

    def step(self, decay, weights, gradients, means):
        torch._foreach_mul_(means, self.rule.rho)
        torch._foreach_addcmul_(means, gradients, gradients, 1.0 - self.rule.rho)
        roots = torch._foreach_add(means, self.rule.epsilon)
        torch._foreach_sqrt_(roots)
        self.descend_scaled(weights, gradients, roots)

    def threshold(self, l1, mean):
        return mean.add(self.rule.epsilon).rsqrt_().mul_(self.rate * l1)


class _Adam(_Update):
    decays = True

    @property
    def is_corrected(self):
        return self.rule.bias_correction

    def step(self, decay, weights, gradients, means, squares):
        rule, k = self.rule, self.k if self.is_corrected else _FOREVER
        # The kernel reads the step number and the learning rate from the device.
        steps = [torch.as_tensor(k, dtype=torch.float32, device=weights[0].device)] * len(weights)
        settings = {"beta1": rule.beta_1, "beta2": rule.beta_2, "eps": rule.epsilon, "weight_decay": decay}
        flags = {"amsgrad": False, "maximize": False}
        torch._fused_adamw_(weights, gradients, means, squares, [], steps, lr=self.rate, **settings, **flags)

    def threshold(self, l1, mean, square):
        # η/(√(v/c) + ε) = η√c/(√v + ε√c), with one pass less.
        correction = (1.0 - self.rule.beta_2**self.k) ** 0.5 if self.is_corrected else 1.0
        root = square.sqrt().add_(self.rule.epsilon * correction)
        return root.reciprocal_().mul_(self.rate * l1 * correction)


class _RectifiedAdam(_Adam):
    """`fit` of an MLP takes 2.2 times as long with the formula (docs/benchmarks/optimizers.md)."""

    decays = False
    reads = True
    is_corrected = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.rectification = _rectification(self.rule, self.k)

    def step(self, decay, weights, gradients, means, squares):
        if self.rectification is not None:
            # Adam's step with the learning rate η·r; the decay is not rectified.
            plain, self.rate = self.rate, self.rate * self.rectification
            super().step(0.0, weights, gradients, means, squares)
            self.rate = plain
            return
        torch._foreach_lerp_(means, gradients, 1.0 - self.rule.beta_1)
        torch._foreach_mul_(squares, self.rule.beta_2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - self.rule.beta_2)
        torch._foreach_add_(weights, means, alpha=-self.rate / (1.0 - self.rule.beta_1**self.k))

    def threshold(self, l1, mean, square):
        if self.rectification is None:
            return self.rate * l1
        return super().threshold(l1 * self.rectification, mean, square)


def _rectification(rule, k):
    """The factor r of step `k`; `None` in a step of momentum. Python's floats have the digits that ρ needs."""
    limit = 2.0 / (1.0 - rule.beta_2) - 1.0
    power = rule.beta_2**k
    rho = limit - 2.0 * k * power / (1.0 - power)
    if limit <= rule.threshold or rho <= rule.threshold:
        return None
    return ((rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho)) ** 0.5


UPDATES = {
    "sgd": _SGD,
    "momentum": _Momentum,
    "nesterov": _Nesterov,
    "adagrad": _AdaGrad,
    "rmsprop": _RMSProp,
    "adam": _Adam,
    "rectified_adam": _RectifiedAdam,
}


def scheduled(value, k):
    """The value of a hyperparameter at step `k`, as a float if `k` is one."""
    if not callable(value):
        return value
    return float(value(k - 1.0)) if isinstance(k, float) else value(k - 1.0)
