"""Fixtures of every test. The suite runs once per backend, in processes of its own."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests compile much and compute little: on JAX, and in what TensorFlow compiles by XLA, a third of the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)

import keras
import pytest
from hypothesis import settings
from support.harness import BACKEND, precision

# The same examples in every run: a find is a bug for everybody, not for one unlucky change.
settings.register_profile("suite", derandomize=True)
settings.load_profile("suite")


def pytest_report_header(config):
    return f"keras {keras.__version__}, backend {BACKEND}"


def _freeze():
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    """What the imports made stays to the end: the garbage collector need not walk through it again and again."""
    _freeze()


@pytest.fixture(autouse=True, scope="module")
def _frozen():
    """Nor through what Keras keeps: on TensorFlow thousands of objects for each model that its own Adam has trained."""
    yield
    _freeze()


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same seeds and default configuration and leaves no names or policies behind."""
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
