"""The only code that changes a model's train step: a pipeline of stages, and the `fit` in which it runs."""
