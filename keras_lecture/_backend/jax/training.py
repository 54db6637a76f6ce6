"""The train step on JAX."""

# Keras's train step is a function of the model's state here.
PURE_TRAIN_STEP = True
# What a train function raises where its data end.
END_OF_DATA = (StopIteration,)


def train_step(model, step):
    def run(state, data):
        return step(state, data)

    return run


def repeatable(f):
    return f  # Randomness on JAX is an argument: the seeds of the model's layers.


def generators():
    return []


def set_generators(states):
    pass


def build(model, batches):
    pass  # Keras's `fit` has done it.


def shuffles_alike():
    return True  # From NumPy's global generator, whose state can be put back.


def build_first(model, data):
    pass  # Keras's `fit` has done it.


def only_if(condition, act):
    raise NotImplementedError("A step on JAX is a function of its state: `Condition.choose` does this.")


def recover(model, state=None, data=None):
    """After an exception: the model has its values again, where the interrupted step has not used them up.

    Keras 3.15 takes the values out of the model for the length of an epoch.
    """
    if state is not None:
        groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        pairs = [pair for group, values in zip(groups, state, strict=True) for pair in zip(group, values, strict=True)]
        if not any(value.is_deleted() for _, value in pairs):
            for variable, value in pairs:
                variable.assign(value)
    else:
        model.jax_state_sync()
    model._jax_state = None


def mean_over_ranks(model):
    return lambda tensors: tensors  # A step sees the whole batch, whatever devices it lies on.
