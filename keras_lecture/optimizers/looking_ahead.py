"""How `Nesterov` comes before the forward pass of a model's training steps."""

import sys

import keras

from keras_lecture.backend.state import moved


class LookingAhead:
    """The training step of `model`, at the look-ahead point of `optimizer` while the model trains with it."""

    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer
        # The steps of optimizers that the model has trained with before have had their time.
        plain = model.train_step
        while isinstance(plain, LookingAhead) and not trains(plain.model, plain.optimizer):
            plain = plain.plain
        self.plain = plain

    def __call__(self, *args):
        if not trains(self.model, self.optimizer):
            return self.plain(*args)
        with self.optimizer.within_step():
            *state, data = args
            # On JAX, Keras's train step takes a state and returns it; elsewhere it has neither.
            if state:
                logs, after = self.plain(moved(self.model, *state, self.optimizer.look_ahead), data)
                return logs, moved(self.model, after, self._settle)
            if not self.optimizer.built:
                # Keras 3.15 on TensorFlow leaves that to the end of the step, which is too late to look ahead in it.
                self.model._symbolic_build(data_batch=data)
            self.optimizer.look_ahead()
            logs = self.plain(data)
            self._settle()
            return logs

    def _settle(self):
        # Only a wrapper (loss scaling), an accumulation, or a callback that has wrapped `apply` skips a step.
        optimizer = self.optimizer
        if self.model.optimizer is not optimizer or optimizer.gradient_accumulation_steps or "apply" in vars(optimizer):
            optimizer.look_back()


def looks_ahead(model, optimizer):
    """Whether the training steps of `model` do so for `optimizer` already."""
    step = model.train_step
    while isinstance(step, LookingAhead):
        if step.optimizer is optimizer:
            return True
        step = step.plain
    return False


def trains(model, optimizer):
    """Whether `model` trains with `optimizer`, directly or inside a wrapper such as Keras's loss scaling."""
    return any(variable is optimizer._iterations for variable in getattr(model.optimizer, "variables", ()))


def building_model(optimizer):
    """The compiled model one of whose methods is building `optimizer`; `None` where there is none.

    Keras hands an optimizer variables, never a model, and asks it for nothing before the first forward pass; no
    variable knows its model either. The trainer's own call is the one place where both meet, and it stands on the
    stack. Without it there is `bind`.
    """
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.Model) and trains(caller, optimizer):
            return caller
        frame = frame.f_back
    return None
