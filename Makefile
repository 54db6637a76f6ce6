# make demo    train a small image classifier on the bundled digits (KERAS_BACKEND=torch SEED=1 make demo changes both)
# make test    run the linter and the test suite on TensorFlow, PyTorch and JAX (BACKENDS=jax make test runs one)
# make test-all      run the long tests, too: every layer in every contract, and the guide and the examples on each backend
# make test-coverage runs the suite in a shuffled order (SEED=7 changes it) and reports the lines that no test has run
# make fuzz    compare 10,000 generated cases a backend with independent formulas (CASES=1000 SEED=7 make fuzz changes both)
# make test-mutants  break the formulas one at a time and count how often the tests notice (SAMPLE=100 takes some of them)
# make test-hostile  load hostile files and configs under watch, on each backend
# make test-engines  train on several simulated devices or processes, and in every precision (minutes to an hour)
# make soak          the long runs and the faults, on each backend; as root, for a small file system (an hour)
# make lint    run the linter and report how complete the types are
# make docs    run the guide and the examples and build the documentation into docs/_build/html
# make bench   print the benchmark tables
# make ward    train the sick and the healthy programs of the ward under the doctor and print how it judged them
# make page-check         open the doctor's report in a headless Chromium, which must be installed, and check it
# make docs-check         build the documentation, open every page in a headless Chromium, and check it
# make divergence-check   compare healthy models on all pairs of backends by diagnosis.divergence
# make dist    build and check the wheel and the sdist in dist/
# make test-oldest    run the test suite on the oldest supported Keras, TensorFlow, JAX and NumPy, in a separate environment
# make test-nightly   run it on the latest keras-nightly, in a separate environment
#
# Each target installs its requirements into .venv on first use.

PYTHON ?= python3
KERAS_BACKEND ?= jax
SEED ?= 0
BACKENDS ?=
SAMPLE ?=
CASES ?= 10000
VENV := .venv
RUN := KERAS_BACKEND=$(KERAS_BACKEND) TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/python
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.docs_installed

# The CPU build of PyTorch: on Linux, the default wheel downloads gigabytes of CUDA libraries.
ifeq ($(shell uname -s),Darwin)
TORCH := $(PIP) torch==2.13.0
TENSORFLOW := tensorflow
else
TORCH := $(PIP) torch==2.13.0+cpu 2>/dev/null || $(PIP) torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu
TENSORFLOW := tensorflow-cpu
endif

NIGHTLY := .venv-nightly
OLDEST := .venv-oldest
OLDEST_PACKAGES := keras==3.15.0 $(TENSORFLOW)==2.18.1 jax==0.5.0 jaxlib==0.5.0 numpy==1.26.4

.PHONY: demo test test-all test-coverage fuzz test-mutants test-engines test-hostile soak test-newest test-oldest test-nightly lint docs dist bench ward page-check docs-check divergence-check clean

# A residual network with random affine augmentation and weight averaging. oneDNN kernels are off because TensorFlow
# reports them on standard error. One thread, because in such small operations PyTorch's threads mostly wait for each
# other, for minutes if another program occupies a core.
demo: $(INSTALLED)
	@TF_ENABLE_ONEDNN_OPTS=0 OMP_NUM_THREADS=1 $(RUN) -m keras_lecture train --seed $(SEED) --out runs/demo \
		--dataset digits --fractions 0.7 0.1 0.2 --model resnet depth=8 --augment random_affine \
		--loss softmax_cross_entropy label_smoothing=0.1 --optimizer nesterov use_ema=true --learning-rate 0.1 \
		--schedule warm_restarts --epochs 40 --batch-size 64 --doctor

test: $(INSTALLED)
	@$(VENV)/bin/python tests/suite.py $(BACKENDS)

test-all test-newest: $(INSTALLED)
	@$(VENV)/bin/python tests/suite.py --all $(BACKENDS)

test-coverage: $(INSTALLED)
	@rm -f runs/coverage*
	@$(VENV)/bin/python tests/suite.py --coverage --shuffle $(SEED) $(BACKENDS)

test-oldest: $(OLDEST)/.keras
	@$(OLDEST)/bin/python tests/suite.py --all $(BACKENDS)

test-nightly: $(NIGHTLY)/.keras
	@$(NIGHTLY)/bin/python tests/suite.py --all $(BACKENDS)

fuzz: $(INSTALLED)
	@for backend in tensorflow torch jax; do \
		OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=$$backend $(VENV)/bin/python tests/fuzz/run.py --cases $(CASES) --seed $(SEED) || exit 1; \
	done

# A mutant that no test notices on PyTorch may be a formula in whose place PyTorch runs a kernel: JAX has fewest.
test-mutants: $(INSTALLED)
	@OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(VENV)/bin/python tests/mutation/run.py $(if $(SAMPLE),--sample $(SAMPLE)) --out runs/mutants.json
	@KERAS_BACKEND=jax $(VENV)/bin/python tests/mutation/run.py --again runs/mutants.json --out runs/survivors.json

# The fits of several PyTorch processes need Keras 3.16, and so run in the environment of the nightly build.
test-engines: $(INSTALLED) $(NIGHTLY)/.keras
	@for backend in $(or $(BACKENDS),tensorflow torch jax); do \
		OMP_NUM_THREADS=1 KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 \
			$(VENV)/bin/python -m pytest tests/engines || exit 1; \
	done
	@OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(NIGHTLY)/bin/python -m pytest tests/engines/test_engines.py

test-hostile soak: $(INSTALLED)
	@for backend in $(or $(BACKENDS),tensorflow torch jax); do \
		OMP_NUM_THREADS=1 KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/python -m pytest \
			tests/$(subst test-,,$@) || exit 1; \
	done

lint: $(INSTALLED)
	@$(VENV)/bin/python tests/lint.py

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

ward: $(INSTALLED)
	@mkdir -p runs
	@OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(VENV)/bin/python tests/ward/ward_run.py --seeds 0,1,2 --out runs/ward.jsonl --records runs/ward
	@$(VENV)/bin/python tests/ward/ward_table.py runs/ward.jsonl

page-check: $(INSTALLED)
	@OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(VENV)/bin/python tests/diagnosis/check_page.py

docs-check: docs
	@$(VENV)/bin/python tests/docs/check_site.py

divergence-check: $(INSTALLED)
	@for backend in tensorflow torch jax; do \
		OMP_NUM_THREADS=1 KERAS_BACKEND=$$backend PYTHONPATH=tests $(VENV)/bin/python \
			tests/diagnosis/check_divergence.py record runs/divergence || exit 1; \
	done
	@KERAS_BACKEND=torch PYTHONPATH=tests $(VENV)/bin/python tests/diagnosis/check_divergence.py compare runs/divergence

# keras-nightly installs the package `keras` under another name, so the release is removed first.
$(NIGHTLY)/.keras: pyproject.toml Makefile
	@$(MAKE) --no-print-directory VENV=$(NIGHTLY) $(NIGHTLY)/.installed
	@$(NIGHTLY)/bin/python -m pip uninstall --quiet --yes keras keras-nightly
	@$(NIGHTLY)/bin/python -m pip install --quiet --disable-pip-version-check --pre --upgrade --no-deps keras-nightly
	@touch $@

$(OLDEST)/.keras: pyproject.toml Makefile
	@$(MAKE) --no-print-directory VENV=$(OLDEST) $(OLDEST)/.installed
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check $(OLDEST_PACKAGES)
	@touch $@

clean:
	rm -rf $(VENV) $(NIGHTLY) $(OLDEST) runs build dist docs/_build docs/api docs/gallery docs/guide docs/rules/*.md \
		docs/figures/*.md docs/figures/*.png docs/figures/*.json docs/figures/animations docs/llms.txt

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
