"""The texts of the rules about invariants: what is violated, why it happens, what to do."""

from typing import NamedTuple

from keras_lecture.diagnosis._rules import invariant_codes as codes

LECTURE = "deck A: the learning goes on only if the gradient is non-zero; deck E: dropout, batch normalization"


class Text(NamedTuple):
    """A rule: its id, the fact that decides it, its severity, and its sentences."""

    id: str
    fact: str
    severity: str
    criterion: str
    cause: str
    cure: str
    code: str
    needed: str
    before_training: bool = True


_BATCH = "a compiled model that can be called, and one batch with targets"
_STEPS = "the first training steps of a standard `train_step`"

TEXTS = (
    Text(
        "non-finite-loss",
        "finite_loss",
        "high",
        "|L(w₀; batch)| < ∞",
        "The loss of the first batch is not finite before any step was taken, so no gradient can be used.",
        "Find the first layer or loss that is not finite; a logarithm or a division near 0 needs `from_logits=True` or "
        "a small constant.",
        "keras_lecture.diagnosis.first_nonfinite(model, x[:32], y[:32])",
        _BATCH,
    ),
    Text(
        "unrepeatable-loss",
        "repeatable_loss",
        "medium",
        "f(w, batch, seed) = f(w, batch, seed)",
        "The same batch with the same weights and seeds gives another output: the model draws numbers that no seed of "
        "Keras sets, so that no run can be repeated.",
        "Draw random numbers by `keras.random` with a `SeedGenerator` that the layer holds.",
        codes.NOISE,
        _BATCH,
    ),
    Text(
        "random-inference",
        "deterministic_inference",
        "low",
        "f(x, training=False) = f(x, training=False)",
        "Two predictions for the same input differ: a layer draws random numbers in inference mode, too.",
        "Draw only in training mode, unless the model is to sample its predictions.",
        codes.NOISE,
        _BATCH,
    ),
    Text(
        "inactive-dropout",
        "random_layers_act",
        "high",
        "layer(x, training=True) ≠ layer(x, training=False), or random numbers are drawn",
        "A dropout, noise or augmentation layer does nothing in training although its rate is above 0, so that the "
        "regularization that was written does not take place.",
        "Let the layer act if `training` is true; Keras passes this argument from `fit` to every layer.",
        codes.MASK,
        _BATCH,
    ),
    Text(
        "random-layers-not-training",
        "random_state_moves",
        "medium",
        "seed(k + 1) ≠ seed(k) in `fit` for each seed that a pass in training mode advances",
        "The seeds of dropout or augmentation do not advance in `fit`: the training step calls the layers in inference "
        "mode.",
        "Let the `call` of the model take `training` and pass it on to its layers; in a `train_step` of your own, call "
        "the model with `training=True`.",
        codes.PASSED_ON,
        _STEPS,
        False,
    ),
    Text(
        "overridden-training-argument",
        "written_mode_kept",
        "low",
        "mode of layer(x, training=t) is t",
        "A layer of a functional model was called with `training=…`, and Keras replaces this by the mode of the whole "
        "model: statistics and dropout of the layer act in the other mode.",
        "Freeze normalization by `trainable = False`, and put a call with `training=…` into the `call` of an own layer "
        "or model, where Keras keeps it.",
        codes.FIXED,
        "a functional model with `training=…` in its graph",
    ),
    Text(
        "dropout-in-inference",
        "dropout_only_in_training",
        "medium",
        "dropout(x, training=False) draws no random numbers",
        "Dropout or noise acts in inference, too, so that predictions and validation are noisy.",
        "Return the input unchanged if `training` is false, and do not pass `training=True` to the layer.",
        "hidden = keras.layers.Dropout(0.5)(hidden)  # without training=True",
        _BATCH,
    ),
    Text(
        "augmentation-in-inference",
        "augmentation_only_in_training",
        "medium",
        "augment(x, training=False) = augment(x, training=False)",
        "Augmentation acts in inference, too: validation and predictions see randomly changed inputs.",
        "Do not pass `training=True` to the augmentation, and return the input if `training` is false.",
        'images = keras.layers.RandomFlip("horizontal")(images)  # without training=True',
        _BATCH,
    ),
    Text(
        "repeated-random-numbers",
        "random_numbers_differ",
        "high",
        "mask(k + 1) ≠ mask(k)",
        "A random layer draws the same numbers in every step: the same units are dropped for ever, which removes them "
        "instead of regularizing.",
        "Create a `SeedGenerator` once, in `__init__`, and pass it as the seed; an integer seed gives the same numbers "
        "in every call.",
        codes.MASK,
        _BATCH,
    ),
    Text(
        "compiled-random-numbers",
        "random_numbers_not_compiled",
        "high",
        "the states of Python's and NumPy's generators do not change in a forward pass",
        "The model draws numbers from Python's or NumPy's generators in `call`; the compiled step keeps those of its "
        "first call for ever.",
        "Draw random numbers by `keras.random` with a `SeedGenerator` that the layer holds.",
        codes.NOISE,
        _BATCH,
    ),
    Text(
        "ignored-sample-weights",
        "sample_weights_reach_loss",
        "high",
        "∂L/∂ŷ depends on the sample weights",
        "The loss does not depend on the sample weights (or class weights) that were given.",
        "Pass `sample_weight` on in the own `compute_loss`.",
        codes.WEIGHTED,
        f"{_BATCH} and sample weights other than 1",
    ),
    Text(
        "ignored-loss-weights",
        "loss_weights_reach_loss",
        "high",
        "L depends on `loss_weights`",
        "The loss does not depend on the `loss_weights` given to `compile`.",
        "Build on the compiled loss in the own `compute_loss`, or multiply its terms by the weights.",
        codes.WEIGHTED,
        f"{_BATCH}, compiled with loss weights other than 1",
    ),
    Text(
        "optimizer-variables",
        "optimizer_has_trainable",
        "high",
        "trainable weights ⊆ variables of the optimizer",
        "The optimizer was built before some weights became trainable, and does not update them.",
        "Compile again, with a new optimizer, after each change of `trainable` or of the layers.",
        'model.compile(optimizer="adam", loss=model.loss)',
        "an optimizer that has its variables",
    ),
    Text(
        "trainable-changed",
        "trainable_as_compiled",
        "medium",
        "`trainable` is as when the optimizer was built",
        "`trainable` of a layer changed after the step was compiled, which a compiled step need not notice.",
        "Compile again after each change of `trainable`.",
        'layer.trainable = False\nmodel.compile(optimizer="adam", loss=model.loss)',
        "an optimizer that has its variables",
    ),
    Text(
        "untracked-weights",
        "weights_tracked",
        "high",
        "variables read in the forward pass ⊆ variables of the model",
        "The forward pass uses weights that Keras does not track: they are neither trained nor saved.",
        "Create layers in `__init__` and keep them as attributes, or in lists and dictionaries that are attributes; "
        "create weights by `add_weight`.",
        codes.CLASSIFIER,
        "a forward pass and a standard `train_step`",
    ),
    Text(
        "weight-not-moving",
        "weights_move",
        "high",
        "wₖ₊₁ ≠ wₖ if ∇L ≠ 0 and η > 0, in one of the first steps",
        "A trainable weight has a gradient and does not move: the training step does not update it.",
        "Let the optimizer apply the gradients of all trainable weights, and look for code that sets the weight back.",
        "self.optimizer.apply(gradients, self.trainable_variables)  # in `train_step`",
        f"{_STEPS}, and gradients",
        False,
    ),
    Text(
        "update-below-rounding",
        "updates_above_rounding",
        "low",
        "w + Δw ≠ w for at least half of the elements with Δw ≠ 0, in the first steps",
        "Most updates of a weight are too small for its float type and are lost in rounding.",
        "Keep the weights in float32 (mixed precision does), or raise the learning rate.",
        'keras.config.set_dtype_policy("mixed_bfloat16")',
        f"{_STEPS}, and an optimizer with momentum, whose slots tell which elements have a step",
        False,
    ),
    Text(
        "frozen-weight-moves",
        "frozen_weights_stay",
        "high",
        "wₖ₊₁ = wₖ if the weight is frozen",
        "A frozen weight moves in training: the step was compiled before it was frozen, or the layer assigns it.",
        "Compile again after freezing.",
        'layer.trainable = False\nmodel.compile(optimizer="adam", loss=model.loss)',
        f"{_STEPS}, and frozen weights",
        False,
    ),
    Text(
        "batch-norm-still",
        "statistics_move",
        "medium",
        "μₖ₊₁ ≠ μₖ or σ²ₖ₊₁ ≠ σ²ₖ in training",
        "The moving statistics of a batch normalization do not move in training, so that inference uses those of the "
        "initialization.",
        "Let the `call` of the model take `training` and pass it on to its layers; in a `train_step` of your own, call "
        "the model with `training=True`. Use a `momentum` below 1.",
        codes.PASSED_ON,
        f"{_STEPS}, and a batch normalization in training mode",
        False,
    ),
    Text(
        "iterations-not-advancing",
        "iterations_advance",
        "high",
        "iterations(k + 1) > iterations(k)",
        "The optimizer does not count its steps, so that its schedule does not go on.",
        "Let the own optimizer call `super().apply`, which counts, or add 1 to `iterations` in each step.",
        codes.HALF_STEP,
        _STEPS,
        False,
    ),
    Text(
        "evaluation-changes-weights",
        "evaluation_changes_nothing",
        "medium",
        "w and the moving statistics are equal before and after an evaluation",
        "An evaluation changes weights or statistics of the model: validation data leak into it.",
        "Update weights and statistics in training mode only, and call layers with the given `training`.",
        codes.BLOCK,
        "a forward pass in inference mode, or snapshots around an evaluation",
        False,
    ),
    Text(
        "repeated-batch-order",
        "order_changes",
        "medium",
        "first batch(epoch) ≠ first batch(epoch + 1); low if nothing says that the rows are shuffled",
        "Every epoch begins with the same batch: the rows are not shuffled again between epochs.",
        "Shuffle in each epoch, not once.",
        "model.fit(keras_lecture.data.Batches(x, y, batch_size=32))\n"
        "# with tf.data: dataset.cache().shuffle(rows).batch(32), in this order",
        "a `tf.data` data set, a `DataLoader` or a generator, and more epochs: some ten without a difference",
        False,
    ),
    Text(
        "monitor-mode",
        "improvement_known",
        "medium",
        "`mode` is `min` for losses and errors, and `max` for accuracies, as the metric says",
        "A callback takes a worse value of what it monitors for a better one: it reacts while all goes well, and keeps "
        "the worst state.",
        'Leave `mode="auto"`, or give the direction in which the monitored number improves.',
        'keras.callbacks.ReduceLROnPlateau(monitor="val_loss", mode="min")',
        "a callback with `monitor` and an explicit `mode`, and a metric of Keras",
        False,
    ),
    Text(
        "samples-not-seen",
        "samples_seen",
        "medium",
        "samples seen in an epoch = samples given",
        "An epoch does not see the number of samples that was given.",
        "Make the length of the data set the number of its batches, with the last, smaller one.",
        codes.ROWS,
        "the number of samples given and seen",
        False,
    ),
)
