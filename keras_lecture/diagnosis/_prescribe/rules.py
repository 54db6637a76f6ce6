"""The change for each rule, or the reason why a rebuilt model is no cure."""

from collections.abc import Callable

from keras_lecture.diagnosis._prescribe import heads, hidden, placing, training
from keras_lecture.diagnosis._prescribe.plan import Plan
from keras_lecture.diagnosis._rules.rule import Finding

# In the order in which they are applied: what is put in front of a kernel comes after changes of the kernel, and
# specific changes of the learning rate come before general ones.
CHANGES: dict[str, Callable[[Plan, Finding], str]] = {
    "label-mismatch": heads.label_mismatch,
    "output-loss-mismatch": heads.output_loss_mismatch,
    "symmetric-units": hidden.symmetric_units,
    "dead-relu": hidden.dead_relu,
    "zero-gradient": hidden.dead_relu,
    "saturation": hidden.flat_activation,
    "vanishing-gradient": hidden.flat_activation,
    "exploding-gradient": hidden.exploding_gradient,
    "growing-signal": hidden.unsuitable_start,
    "shrinking-signal": hidden.unsuitable_start,
    "linear-stack": hidden.linear_stack,
    "bottleneck": hidden.bottleneck,
    "too-little-capacity": hidden.too_little_capacity,
    "redundant-bias": placing.redundant_bias,
    "batch-norm-batch-of-one": placing.layer_normalization,
    "batch-norm-drift": placing.faster_statistics,
    "too-much-regularization": placing.less_regularization,
    "frozen-layer": placing.trainable,
    "input-dtype": placing.more_tokens,
    "misplaced-dropout": placing.in_front_of_head,
    "normalized-output": placing.in_front_of_head,
    "unscaled-input": placing.scaled_input,
    "uncentered-input": placing.scaled_input,
    "learning-rate-too-high": training.fitting_rate,
    "learning-rate-too-low": training.fitting_rate,
    "non-finite": training.run_is_not_finite,
    "exploding-loss": training.smaller_rate,
    "cannot-fit-one-batch": training.one_batch,
    "zig-zag": training.momentum,
    "oscillating-loss": training.smaller_rate,
    "slow-learning": training.adam,
    "bad-start": heads.bad_start,
    "optimizer-variables": training.compiled_again,
    "trainable-changed": training.compiled_again,
    "frozen-weight-moves": training.compiled_again,
}

_OWN = "The cure is in the code of a layer or of the model, which only its author can change."
_DATA = "The cure is in the data or in the arguments of `fit`, not in the model."
REFUSED: dict[str, str] = {
    **dict.fromkeys(
        (
            "unrepeatable-loss",
            "random-inference",
            "inactive-dropout",
            "random-layers-not-training",
            "overridden-training-argument",
            "dropout-in-inference",
            "augmentation-in-inference",
            "repeated-random-numbers",
            "compiled-random-numbers",
            "ignored-sample-weights",
            "ignored-loss-weights",
            "untracked-weights",
            "weight-not-moving",
            "batch-norm-still",
            "iterations-not-advancing",
            "evaluation-changes-weights",
        ),
        _OWN,
    ),
    **dict.fromkeys(
        (
            "repeated-batch-order",
            "monitor-mode",
            "samples-not-seen",
            "constant-input",
            "batch-size",
            "no-validation",
            "unshuffled-batches",
            "unbalanced-batches",
            "bad-split",
            "leaked-validation",
            "unlearnable-labels",
            "unscaled-target",
            "cut-short",
        ),
        _DATA,
    ),
    "non-finite-loss": "`diagnosis.first_nonfinite` finds the operation, which must be written in another way.",
    "unused-weights": "Connect the layer to the output, or remove it: only its author knows which.",
    "shared-weight-path": "Other names of layers would not fit saved files; a name scope belongs where they are built.",
    "update-below-rounding": "Choose a data type policy: it concerns every layer.",
    "underfit": "Several causes are possible: more capacity, less regularization, better labels.",
    "overfit": "Stop at the best validation loss by a callback; more data or a smaller model are decisions.",
}

# A low finding of these rules is as often a decision as a fault.
INTENDED = (
    "bad-start",
    "frozen-layer",
    "too-much-regularization",
    "batch-norm-drift",
    "bottleneck",
    "too-little-capacity",
    "learning-rate-too-high",
    "learning-rate-too-low",
    "non-finite",
    "exploding-loss",
    "zig-zag",
    "oscillating-loss",
    "slow-learning",
)

# They are consequences of other faults, too, and measured before these were cured.
CONSEQUENCES = (
    "learning-rate-too-high",
    "learning-rate-too-low",
    "non-finite",
    "exploding-loss",
    "cannot-fit-one-batch",
    "zig-zag",
    "oscillating-loss",
    "slow-learning",
    "bad-start",
)
