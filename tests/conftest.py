"""Fixtures of all tests. The suite runs once per backend, each in its own processes."""

import gc
import importlib.metadata
import importlib.util
import itertools
import os
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests compile much and compute little: without XLA's optimizations they take a third of the time. XLA ends the process
# at a flag that it does not know, as that of JAX 0.5 and TensorFlow 2.18 does at the last one.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1"
    + " --xla_cpu_use_fusion_emitters=false"
    * (not importlib.metadata.version("jax").startswith("0.5.")),
)

import keras
import long_tests
import pytest
from hypothesis import settings
from support.harness import BACKEND, precision

# The same examples in every run, so that a failure is reproducible.
settings.register_profile("suite", derandomize=True)
settings.load_profile("suite")


# Nightly builds of Keras come without Keras's own tests.
if importlib.util.find_spec("keras.src.callbacks.early_stopping_test") is None:
    collect_ignore = ["callbacks/test_as_in_keras.py"]


def pytest_report_header(config):
    return f"keras {keras.__version__}, backend {BACKEND}"


def pytest_collection_modifyitems(items):
    tests = long_tests.listed(BACKEND)
    for item in items:
        if long_tests.is_long(item.nodeid, tests) and not item.get_closest_marker("once"):
            item.add_marker("long")
    if "SHUFFLE" in os.environ:
        items[:] = _shuffled(items, int(os.environ["SHUFFLE"]))


def _shuffled(items, seed):
    """The files in another order, and the tests of each file; files stay together because of their fixtures."""
    files, source = {}, random.Random(seed)
    for item in items:
        files.setdefault(item.path, []).append(item)
    groups = [source.sample(tests, len(tests)) for tests in files.values()]
    return list(itertools.chain.from_iterable(source.sample(groups, len(groups))))


def _freeze():
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    """Objects made by imports live to the end: the garbage collector need not traverse them again."""
    _freeze()


@pytest.fixture(autouse=True, scope="module")
def _frozen():
    """The same for objects that Keras keeps: on TensorFlow thousands for each model trained by Keras's Adam."""
    yield
    if BACKEND == "jax":
        # What a module has compiled is of no use to the next one, and grew to 4 GB in a process.
        sys.modules["jax"].clear_caches()
    _freeze()


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same seeds and default configuration, and leaves no global state."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.utils.clear_session(free_memory=False)


@pytest.fixture
def float64():
    with precision("float64"):
        yield "float64"


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with precision(request.param):
        yield request.param
