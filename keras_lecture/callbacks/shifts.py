"""The train functions of a model whose observers look at some steps only: one for each choice of those who rest.

A step that nobody looks at is then Keras's own and costs nothing. Decided inside of the step it would cost XLA a copy
of all weights before each one, in case they are needed after it. And its logs hold what the step before it had: Keras
fetches every number of the logs from the device, which on JAX takes as long as a hundredth of a step of a small model.
"""

import functools
import itertools


class Shifts:
    """Calls the train function for those `observers` who look at the step with number `batch`, while the others rest.

    `resting` holds those others during the call and is `None` outside of it: if another train function is called in
    the place of these, the observers must decide inside of the step.
    """

    def __init__(self, model, observers):
        self.batch = 0
        self.resting = None
        self._observers = observers
        self._shown = {}
        those = [observer for observer in observers if observer.every > 1]
        # Now, and not when they are needed: during an epoch Keras's models have no values on JAX.
        self._functions = {
            frozenset(resting): _train_function(model)
            for size in range(len(those) + 1)
            for resting in itertools.combinations(those, size)
        }

    def __call__(self, *args):
        self.resting = frozenset(observer for observer in self._observers if self.batch % observer.every)
        try:
            result = self._functions[self.resting](*args)
        finally:
            resting, self.resting = self.resting, None
        # On JAX the state comes with them.
        logs = result[0] if isinstance(result, tuple) else result
        for observer in self._observers:
            if observer in resting:
                logs.update(self._shown.get(observer, {}))
            else:
                self._shown[observer] = {name: logs[name] for name in observer.metric.names if name in logs}
        return result


def _train_function(model):
    step = model.train_step
    # JAX remembers what it has traced by the function, and would not trace the same step again.
    model.train_step = functools.partial(step)
    model.make_train_function(force=True)
    model.train_step = step
    return model.train_function
