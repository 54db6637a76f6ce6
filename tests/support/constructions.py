"""Constructor arguments of the public classes: the required ones, and non-default values of others.

The contracts construct every class from these, so that a round trip that omits an argument cannot pass by its default.
"""

from collections.abc import Mapping

import keras


class Fresh(Mapping):
    """Arguments that are made again for every construction, because a layer can be wrapped only once."""

    def __init__(self, **functions):
        self.functions = functions

    def __getitem__(self, name):
        return self.functions[name]()

    def __iter__(self):
        return iter(self.functions)

    def __len__(self):
        return len(self.functions)


ARGUMENTS = {}

ARGUMENTS |= {
    "layers.BatchNormalization": {"axis": -1, "momentum": 0.9, "epsilon": 0.01},
    "layers.DropConnect": Fresh(layer=lambda: keras.layers.Dense(3), rate=lambda: 0.3, per=lambda: "sample"),
    "layers.Dropout": {"rate": 0.3},
    "layers.GroupNormalization": {"groups": 2, "epsilon": 0.01},
    "layers.InstanceNormalization": {"epsilon": 0.01},
    "layers.LayerNormalization": {"epsilon": 0.01, "activation": "tanh"},
    "layers.LocalContrastNormalization": {"size": 3, "std": 1.0, "floor": 0.5},
    "layers.LocalResponseNormalization": {"size": 3, "k": 1.0, "alpha": 0.1, "beta": 0.75},
    "layers.MaxPooling1D": {"pool_size": 3, "strides": 2, "padding": 1},
    "layers.MaxPooling2D": {"pool_size": 2, "strides": 1},
    "layers.MaxPooling3D": {"pool_size": 3, "strides": 2, "padding": 1},
    "layers.Maxout": {"units": 4, "pieces": 3},
    "layers.MaxoutConv2D": {"filters": 4, "kernel_size": 3, "pieces": 2},
    "layers.PReLU": {"alpha_initializer": 0.1},
    "layers.StochasticDepth": {"rate": 0.3},
    "layers.WeightNormalization": Fresh(layer=lambda: keras.layers.Conv2D(3, 3), data_init=lambda: False),
}

ARGUMENTS |= {
    "constraints.MaxNorm": {"max_value": 3.0, "axis": [0, 1]},
    "initializers.Bilinear": {"strides": [2, 3]},
    "initializers.Gaussian": {"std": 0.5, "mean": 1.0, "seed": 3},
    "initializers.Kaiming": {"mode": "fan_out", "distribution": "uniform", "negative_slope": 0.2, "seed": 3},
    "initializers.PositiveBias": {"value": 0.1},
    "initializers.Xavier": {"mode": "fan_avg", "input_axes": [0], "output_axes": [1]},
    "regularizers.L1": {"factor": 0.5},
    "regularizers.L2": {"factor": 0.5},
}

ARGUMENTS |= {
    "optimizers.AdaGrad": {"learning_rate": 0.1, "epsilon": 1e-6, "weight_decay": 0.1, "l1": 0.01},
    "optimizers.Adam": {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-6, "bias_correction": False},
    "optimizers.Lookahead": lambda: {"optimizer": keras.optimizers.SGD(0.1), "period": 3, "slow_step": 0.25},
    "optimizers.Momentum": {"learning_rate": 0.1, "momentum": 0.5, "penalize": "all"},
    "optimizers.Nesterov": {"learning_rate": 0.1, "momentum": 0.5, "global_clipnorm": 1.0},
    "optimizers.RMSProp": {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-6},
    "optimizers.RectifiedAdam": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-6, "threshold": 5.0, "l1": 0.01},
    "optimizers.Rule": {"learning_rate": 0.1, "weight_decay": 0.1},
    "optimizers.SGD": {"learning_rate": 0.1, "l1": 0.01},
    "optimizers.StochasticWeightAverage": lambda: {"optimizer": keras.optimizers.SGD(0.1), "start": 3, "period": 2},
}

ARGUMENTS |= {
    "losses.MulticlassHinge": {"margin": 2.0, "ignore_class": 255},
    "losses.SoftmaxCrossEntropy": {"label_smoothing": 0.1, "ignore_class": -1},
}

ARGUMENTS |= {
    "optimizers.Cyclical": {"learning_rate": 0.1, "period": 7, "minimum": 0.01, "policy": "exp_range", "factor": 0.5},
    "optimizers.Exponential": {"learning_rate": 0.1, "factor": 0.9, "period": 7},
    "optimizers.InverseTime": {"learning_rate": 0.1, "period": 7},
    "optimizers.WarmRestarts": {"learning_rate": 0.1, "period": 7, "t_mul": 3, "minimum": 0.01},
    "optimizers.Warmup": {"schedule": 0.1, "length": 7},
}

ARGUMENTS |= {
    "layers.Jitter": {"stddev": 0.3},
    "layers.PCAColor": {
        "stddev": 0.2,
        "value_range": [-3.0, 3.0],
        "eigenvectors": [[0.8, 0.6, 0.0, 0.0], [0.6, -0.8, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]],
        "eigenvalues": [0.4, 0.3, 0.2, 0.1],
    },
    "layers.RandomAffine": {"rotation": 30.0, "shift": 0.2, "stretch": 0.3, "fill_value": 0.5},
    "layers.RandomCropFlip": {"height": 5, "width": 4, "padding": 1, "flip_rate": 0.4},
    "layers.TenCrop": {"height": 4, "width": 3},
    "layers.ZeroCenter": {"mean": [0.1, 0.2, 0.3, 0.4]},
}

ARGUMENTS |= {
    "layers.AtrousSpatialPyramidPooling": {"filters": 3, "rates": [1, 2], "merge": "concat", "image_pooling": True},
    "layers.DenseBlock": {"growth": 2, "layers": 2, "memory_efficient": True},
    "layers.ResidualBlock": {"filters": 4, "preactivation": True, "normalization": "instance", "drop_path": 0.5},
    "layers.TransitionBlock": {"compression": 0.6, "activation": "tanh"},
    "layers.Upscale2D": {"factor": [2, 3], "filters": 3, "use_bias": True},
}

ARGUMENTS |= {
    "optimizers.Armijo": {"learning_rate": 2.0, "gamma": 0.2, "backtrack": 0.7, "direction": "adam", "reset": "full"},
    "optimizers.LBFGS": {"learning_rate": 0.5, "memory": 3, "line_search": "armijo", "iterations": 2, "tolerance": 0.1},
    "optimizers.Newton": {"learning_rate": 0.5, "floor": 1e-3, "memory_limit": 0.1},
    "optimizers.NewtonCG": {"damping": 0.1, "iterations": 7, "curvature": "gauss_newton", "orthogonalize": True},
}

ARGUMENTS |= {
    "callbacks.GradientClipping": {"value": 5.0, "on_nonfinite": "skip"},
    "callbacks.GradientMonitor": {"per_layer": True, "histogram": True, "every": 3},
}

ARGUMENTS |= {
    "callbacks.LearningRateFinder": {
        "learning_rates": [1e-6, 1.0],
        "steps": 20,
        "smoothing": 0.5,
        "suggestion": "steepest",
        "apply": False,
    },
}

ARGUMENTS |= {
    "callbacks.EarlyStopping": {
        "monitor": "val_mae",
        "min_delta": "1%",
        "patience": 3,
        "verbose": 1,
        "mode": "min",
        "baseline": 0.5,
        "restore_best_weights": True,
        "start_from_epoch": 2,
        "smoothing": 0.5,
    },
}

ARGUMENTS |= {
    "callbacks.ExactResume": {"path": "runs/digits", "every": 100},
}

ARGUMENTS |= {
    "callbacks.ReduceLearningRate": {
        "monitor": "val_mae",
        "factor": 0.5,
        "patience": 3,
        "verbose": 1,
        "mode": "min",
        "min_delta": "1%",
        "cooldown": 2,
        "min_lr": 1e-4,
        "every": 10,
        "smoothing": 0.5,
    },
}

ARGUMENTS |= {
    "callbacks.TerminateOnNonFinite": {"path": "runs/broken", "every": 10},
}

ARGUMENTS |= {
    "callbacks.AverageModelCheckpoint": {
        "filepath": "runs/average-{epoch}.weights.h5",
        "monitor": "val_mae",
        "verbose": 1,
        "save_best_only": True,
        "save_weights_only": True,
        "mode": "min",
        "initial_value_threshold": 0.5,
    },
    "callbacks.TimeStopping": {"seconds": 60.0, "verbose": 1},
}
