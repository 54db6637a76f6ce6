"""Every private name of Keras that this package uses, and why there is no public way.

`tests/test_keras.py` finds these names in the package and in the installed Keras. It fails where the package uses a
private name that is not listed, and where Keras has moved one, and it says which files use it.
"""

PRIVATE = {
    "Model": {
        "_symbolic_build": "builds model, optimizer and metrics from a batch's shapes, as `fit` does",
        "_compile_config": "the arguments of `compile` as objects, which functions of the user survive",
        "_compile_loss": "the losses by output and their weights, for the check that weights reach the loss",
        "_non_trainable_variables": "the variables of a layer itself that it never trains, such as adapted statistics",
        "_flatten_layers": "lists all layers, nested ones too; `Model.layers` has the outer ones",
        "_seed_generators": "carries variables through JAX's compiled step that no user's list shows",
        "_loss_tracker": "the mean loss of an epoch, updated by train steps that replace Keras's",
        "_flatten_metrics_in_order": "wraps the logs of a step, so that measurements join them",
        "_get_metrics_result_or_logs": "the same, under the name that the trainers call",
        "_initial_epoch": "`fit` continues at this epoch; its argument is read before any callback runs",
        "_jax_state": "the state of a running `fit` on JAX, dropped after an exception: its buffers are gone",
        "_jax_state_synced": "whether that state has been written back to the variables",
    },
    "Optimizer": {
        "_trainable_variables": "the variables that the slots belong to, in their order",
        "_learning_rate": "the schedule or variable itself; `learning_rate` has already called the schedule",
        "_iterations": "the counter as a variable; `iterations` is another one during gradient accumulation",
        "_accumulated_gradients": "the sum that the next applied step divides, for observers of that step",
        "_get_variable_index": "the position of a variable's slots",
        "_check_variables_are_known": "skipped where the same variables came in the step before",
        "_apply_weight_decay": "does nothing: the rules decay inside of their step",
        "_use_weight_decay": "which variables decay, for a copy of the optimizer that takes the same steps",
        "_clip_gradients": "clipping by norm and value happens here, after observers have changed the gradients",
        "_backend_update_step": "the hook around all updates of a step, inside distribution on TensorFlow",
        "_overwrite_variable_with_gradient": "finds variables of float8 quantization, whose gradient is their value",
        "_overwrite_variables_directly_with_gradients": "takes those variables out of the list of a step",
        "_model_variables_moving_average": "the averages of `use_ema`, for `AverageModelCheckpoint`",
        "_update_model_variables_moving_average": "`use_ema`, for steps that a line search takes itself",
    },
    "Variable": {
        "_autocast": "a derived kernel is computed in full precision and cast once",
        "_value": "PyTorch's parameter, to see whether a variable's memory has moved since the step before",
    },
    "Functional": {
        "_nodes_by_depth": "the arguments of the calls in a functional model's graph, where `training` may be written",
    },
    "CompileLoss": {
        "_user_loss": "the losses as they were given, to build the same ones with other weights",
        "_user_loss_weights": "the weights as they were given",
    },
    "KerasTensor": {
        "_keras_history": "the layer that made a tensor: `fine_tune` replaces it, `prescribe` looks before it",
    },
    "EpochIterator": {
        "_enumerate_iterator": "the steps of a running `fit`, for the position in the data and for exceptions",
    },
    "TFEpochIterator": {
        "_distributed_dataset": "the shapes of a batch on TensorFlow, without taking one",
    },
    "Callback": {
        "_model": "the model; `Callback.model` writes JAX's state back to the variables each time it is read",
    },
    "ModelCheckpoint": {
        "_batches_seen_since_last_saving": "part of its state, for resuming",
        "_last_batch_seen": "part of its state, for resuming",
    },
    "SwapEMAWeights": {
        "_ema_weights_in_model": "part of its state, for resuming",
    },
    "TensorBoard": {
        "_train_writer": "writes the histograms of `GradientMonitor` into the run's own log",
    },
    "DataLayer": {
        "_get_seed_generator": "a generator of TensorFlow inside `tf.data`, of the backend elsewhere",
    },
    "tensor": {
        "_keras_mask": "the mask of an eager tensor, which detaching a PyTorch tensor loses",
    },
}
