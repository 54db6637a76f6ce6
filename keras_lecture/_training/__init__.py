"""The one owner of a model's train step: a pipeline of stages, and the `fit` that it runs in."""
