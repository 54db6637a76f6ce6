"""The lectures' update rules, for `model.compile(optimizer=…)`."""

from keras_lecture.optimizers import schedules
from keras_lecture.optimizers.adaptive import AdaGrad, Adam, RMSProp
from keras_lecture.optimizers.armijo import Armijo
from keras_lecture.optimizers.averages import Lookahead, StochasticWeightAverage
from keras_lecture.optimizers.lbfgs import LBFGS
from keras_lecture.optimizers.nesterov import Nesterov
from keras_lecture.optimizers.newton import Newton, NewtonCG
from keras_lecture.optimizers.rectified_adam import RectifiedAdam
from keras_lecture.optimizers.rule import Rule
from keras_lecture.optimizers.sgd import SGD, Momentum

__all__ = [
    "LBFGS",
    "SGD",
    "AdaGrad",
    "Adam",
    "Armijo",
    "Lookahead",
    "Momentum",
    "Nesterov",
    "Newton",
    "NewtonCG",
    "RMSProp",
    "RectifiedAdam",
    "Rule",
    "StochasticWeightAverage",
    "schedules",
]
