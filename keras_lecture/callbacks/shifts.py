"""The train functions of a model whose observers look at some steps only: one for each choice of those who rest.

A step that nobody looks at is then Keras's own and costs nothing. Decided inside of the step it would cost XLA a copy
of all weights before each one, in case they are needed after it.
"""

import functools


class Shifts:
    """Calls the train function for those `observers` who look at the step with number `batch`, while the others rest.

    `resting` holds those others during the call and is `None` outside of it: if another train function is called in
    the place of these, the observers must decide inside of the step.
    """

    def __init__(self, model, observers):
        self.batch = 0
        self.resting = None
        self._model, self._observers = model, observers
        self._functions = {frozenset(): model.train_function}

    def __call__(self, *args):
        self.resting = frozenset(observer for observer in self._observers if self.batch % observer.every)
        try:
            if self.resting not in self._functions:
                self._functions[self.resting] = self._another()
            return self._functions[self.resting](*args)
        finally:
            self.resting = None

    def _another(self):
        model = self._model
        # What others have put around this function must stay.
        current, step = model.train_function, model.train_step
        # JAX remembers what it has traced by the function, and would not trace the same step again.
        model.train_step = functools.partial(step)
        model.make_train_function(force=True)
        another, model.train_function, model.train_step = model.train_function, current, step
        return another
