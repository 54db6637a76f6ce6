# make demo    train a small image classifier on the bundled digits (KERAS_BACKEND=torch make demo switches the backend)
# make test    linter and suite on TensorFlow, PyTorch and JAX
# make lint    the linter alone
# make bench   the benchmark tables
#
# Each installs what it needs into .venv on first use.

PYTHON ?= python3
KERAS_BACKEND ?= jax
VENV := .venv
RUN := KERAS_BACKEND=$(KERAS_BACKEND) TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/python
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed

# The CPU build of PyTorch: on Linux the plain wheel of the package index would bring gigabytes of CUDA.
ifeq ($(shell uname -s),Darwin)
TORCH := $(PIP) torch==2.13.0
TENSORFLOW := tensorflow
else
TORCH := $(PIP) torch==2.13.0+cpu 2>/dev/null || $(PIP) torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu
TENSORFLOW := tensorflow-cpu
endif

.PHONY: demo test lint bench clean

demo: $(INSTALLED)
	@$(RUN) examples/digits.py

test: $(INSTALLED)
	@$(VENV)/bin/python tests/suite.py

lint: $(INSTALLED)
	@$(VENV)/bin/python -m ruff check .
	@$(VENV)/bin/python -m ruff format --check .

bench: $(INSTALLED)
	@for script in $(filter-out %/measure.py,$(wildcard tests/benchmarks/*.py)); do \
		for backend in tensorflow torch jax; do KERAS_BACKEND=$$backend $(VENV)/bin/python $$script || exit 1; done; \
	done

clean:
	rm -rf $(VENV) runs

$(INSTALLED): pyproject.toml Makefile
	@echo "installing TensorFlow, PyTorch and JAX (CPU builds) into $(VENV) …"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(TORCH)
	@$(PIP) jax $(TENSORFLOW) --editable '.[test,examples]'
	@touch $@
