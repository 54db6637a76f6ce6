# make demo    train a small image classifier on the bundled digits (KERAS_BACKEND=torch SEED=1 make demo switches both)
# make test    linter and suite on TensorFlow, PyTorch and JAX (BACKENDS=jax make test runs one)
# make lint    the linter and the report of a type checker
# make docs    the pages, examples executed, into docs/_build/html
# make bench   the benchmark tables
# make dist    the wheel and the sdist, built and checked, into dist/
# make test-oldest    the suite on the oldest Keras that we support, in an environment of its own
# make test-nightly   the same on the Keras of tonight (keras-nightly)
#
# Each installs what it needs into .venv on first use.

PYTHON ?= python3
KERAS_BACKEND ?= jax
SEED ?= 0
BACKENDS ?=
VENV := .venv
RUN := KERAS_BACKEND=$(KERAS_BACKEND) TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/python
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.docs_installed

# The CPU build of PyTorch: on Linux the plain wheel of the package index would bring gigabytes of CUDA.
ifeq ($(shell uname -s),Darwin)
TORCH := $(PIP) torch==2.13.0
TENSORFLOW := tensorflow
else
TORCH := $(PIP) torch==2.13.0+cpu 2>/dev/null || $(PIP) torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu
TENSORFLOW := tensorflow-cpu
endif

NIGHTLY := .venv-nightly
OLDEST := .venv-oldest
OLDEST_KERAS := 3.15.0

.PHONY: demo test test-newest test-oldest test-nightly lint docs dist bench clean

# A residual net that sees every digit a little turned, shifted and stretched; in the end the average of its weights.
# Whoever imports TensorFlow gets its report on oneDNN kernels on the standard error, so they are off here. PyTorch's
# threads wait for each other in operations this small: where another program holds a core, for minutes.
demo: $(INSTALLED)
	@TF_ENABLE_ONEDNN_OPTS=0 OMP_NUM_THREADS=1 $(RUN) -m keras_lecture train --seed $(SEED) --out runs/demo \
		--dataset digits --fractions 0.7 0.1 0.2 --model resnet depth=8 --augment random_affine \
		--loss softmax_cross_entropy label_smoothing=0.1 --optimizer nesterov use_ema=true --learning-rate 0.1 \
		--schedule warm_restarts --epochs 40 --batch-size 64

test test-newest: $(INSTALLED)
	@$(VENV)/bin/python tests/suite.py $(BACKENDS)

test-oldest: $(OLDEST)/.keras
	@$(OLDEST)/bin/python tests/suite.py $(BACKENDS)

test-nightly: $(NIGHTLY)/.keras
	@$(NIGHTLY)/bin/python tests/suite.py $(BACKENDS)

lint: $(INSTALLED)
	@$(VENV)/bin/python -m ruff check .
	@$(VENV)/bin/python -m ruff format --check .
	@$(VENV)/bin/python tests/type_report.py

docs: $(DOCS_INSTALLED)
	@$(RUN) -m sphinx -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

dist: $(INSTALLED)
	@rm -rf dist build
	@$(PIP) build twine
	@$(VENV)/bin/python -m build --outdir dist . >/dev/null
	@$(VENV)/bin/python -m twine check --strict dist/*
	@$(VENV)/bin/python tests/distribution.py dist

bench: $(INSTALLED)
	@for script in $(filter-out %/measure.py %/native_cnn.py,$(wildcard tests/benchmarks/*.py)); do \
		for backend in tensorflow torch jax; do KERAS_BACKEND=$$backend $(VENV)/bin/python $$script || exit 1; done; \
	done

# keras-nightly is the package `keras` under another name: it takes its place.
$(NIGHTLY)/.keras: pyproject.toml Makefile
	@$(MAKE) --no-print-directory VENV=$(NIGHTLY) $(NIGHTLY)/.installed
	@$(NIGHTLY)/bin/python -m pip uninstall --quiet --yes keras keras-nightly
	@$(NIGHTLY)/bin/python -m pip install --quiet --disable-pip-version-check --pre --upgrade --no-deps keras-nightly
	@touch $@

$(OLDEST)/.keras: pyproject.toml Makefile
	@$(MAKE) --no-print-directory VENV=$(OLDEST) $(OLDEST)/.installed
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check keras==$(OLDEST_KERAS)
	@touch $@

clean:
	rm -rf $(VENV) $(NIGHTLY) $(OLDEST) runs build dist docs/_build docs/api docs/gallery

$(INSTALLED): pyproject.toml Makefile
	@echo "installing TensorFlow, PyTorch and JAX (CPU builds) into $(VENV) …"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(TORCH)
	@$(PIP) jax $(TENSORFLOW) --config-settings editable_mode=compat --editable '.[test,examples]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	@echo "installing Sphinx into $(VENV) …"
	@$(PIP) --config-settings editable_mode=compat --editable '.[docs]'
	@touch $@
