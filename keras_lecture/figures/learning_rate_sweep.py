"""`learning_rate_sweep`: the losses and the suggestions of a learning-rate sweep as a figure."""

import numpy as np

from keras_lecture._core import checks
from keras_lecture.callbacks._rates.learning_rate_sweep import SUGGESTIONS, LearningRateSweep
from keras_lecture.figures._canvas import BLUE, GRAY, GREEN, ORANGE, RED, Figure, canvas, panels

_COLORS = dict(zip(SUGGESTIONS, (ORANGE, RED, GREEN), strict=True))


def learning_rate_sweep(sweep: LearningRateSweep, *, theme: str = "light") -> Figure:
    """The loss over the learning rate, flat, falling, then exploding, with the rates that the sweep suggests.

    Use it to judge a suggestion: a good rate lies where the loss falls, well below the rate where it starts to rise.

    Args:
        sweep: The result of `callbacks.find_learning_rate`.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`: `figure.savefig("learning_rate.png")`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
        >>> sweep = keras_lecture.callbacks.find_learning_rate(model, x, y, smoothing=0.0, verbose=0)
        >>> (axes,) = keras_lecture.figures.learning_rate_sweep(sweep).axes
        >>> axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()
        ('learning rate', 'loss', 'log')

    Reference:
        Deck C (learning rates too high, too low, good); Smith, 2017, arXiv:1506.01186, section 3.3.
    """
    remedy = "Pass the result of `keras_lecture.callbacks.find_learning_rate`."
    checks.instance("learning_rate_sweep", "sweep", sweep, LearningRateSweep, "a `LearningRateSweep`", remedy)
    with canvas("learning_rate_sweep", theme):
        figure, (axes,) = panels(1, width=6.4, height=4.0)
        axes.plot(sweep.learning_rates, sweep.losses, color=GRAY, alpha=0.45, linewidth=1, label="loss of each batch")
        axes.plot(sweep.learning_rates, sweep.smoothed, color=BLUE, label="smoothed")
        for name in SUGGESTIONS:
            rate = sweep.suggestion(name)
            if rate is not None:
                axes.axvline(rate, color=_COLORS[name], linestyle="--", linewidth=1.2, label=f"{name}: {rate:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=_range(sweep))
        axes.grid()
        axes.legend()
    return figure


def _range(sweep):
    """The limits of the loss axis: the explosion is visible but does not flatten the rest of the curve."""
    losses = np.concatenate([sweep.losses, sweep.smoothed])
    losses = losses[np.isfinite(losses)]
    if not len(losses):
        return None
    low, high = losses.min(), max(1.5 * sweep.smoothed[0], 2 * sweep.smoothed[np.isfinite(sweep.smoothed)].min())
    margin = 0.05 * (min(high, losses.max()) - low)
    return low - margin, min(high, losses.max()) + margin
