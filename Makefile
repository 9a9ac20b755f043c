# GNU make. Each target makes the environment that it needs; ARGS is passed on, for instance
#   make run WAVE=2012 ARGS="--set language=en"

PYTHON ?= python3
WAVE ?= 2012
ARGS ?=

# python -m rather than the scripts of .venv/bin: those stop working when the folder is moved
IN_VENV := .venv/bin/python -m
# models of this size are slower with more threads
export OPENBLAS_NUM_THREADS = 1
PIP := $(IN_VENV) pip install --disable-pip-version-check
READY := .venv/.ready

.PHONY: help run test test-semfit test-mkb21 test-yours test-all check bench docs lab notebooks lock clean

help:
	@echo "make run        run the notebooks of a wave (WAVE=$(WAVE))"
	@echo "make test       check the code and run the tests of both packages"
	@echo "make test-semfit, make test-mkb21: those of one"
	@echo "make test-yours your changes: own notebooks, models, variants and questions; under two minutes"
	@echo "make test-all   the same, with the tests that take minutes, and how much of the code they reach"
	@echo "make docs       the pages of semfit, in semfit/docs/_build/html"
	@echo "make bench      time the structural model, against R's lavaan where it is there"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make notebooks  run the committed notebooks where they stand, to store their outputs"
	@echo "make lock       bring requirements.lock up to date with pyproject.toml (ARGS=--upgrade: newest versions)"
	@echo "make clean      remove .venv and everything that a run makes anew, figures excepted"

run: $(READY)
	@$(IN_VENV) mkb21.run.cli run $(WAVE) $(ARGS)

# side by side, a file at a time: tests of one file share what they make; in the order of conftest.py
TESTS := -n auto --dist loadfile --no-loadscope-reorder --doctest-modules

check: $(READY)
	@$(IN_VENV) ruff check
	@$(IN_VENV) ruff format --check mkb21 semfit tests
	@$(IN_VENV) mypy

test: check
	@$(IN_VENV) pytest $(TESTS) $(ARGS)

test-semfit: check
	@$(IN_VENV) pytest $(TESTS) semfit/tests semfit/src $(ARGS)

test-mkb21: check
	@$(IN_VENV) pytest $(TESTS) tests $(ARGS)

test-yours: $(READY)
	@$(IN_VENV) pytest -m yours tests/test_yours.py $(ARGS)

test-all: check
	@$(IN_VENV) pytest $(TESTS) -m "not yours" --cov $(ARGS)

docs: $(READY)
	@$(IN_VENV) sphinx -W --keep-going -q -b html semfit/docs semfit/docs/_build/html
	@echo "semfit/docs/_build/html/index.html"

bench: $(READY)
	@.venv/bin/python semfit/tests/benchmarks/bench.py $(ARGS)

lab: $(READY)
	@$(IN_VENV) jupyterlab $(ARGS)

notebooks: $(READY)
	@for notebook in notebooks/[0-9][0-9]_*.ipynb; do \
		echo "$$notebook"; \
		$(IN_VENV) jupyter nbconvert --log-level=ERROR --to notebook --inplace --execute \
			--ExecutePreprocessor.record_timing=False "$$notebook" || exit 1; \
	done

lock:
	@rm -rf .venv-lock
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet uv
	@.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --extra test --extra docs \
		--custom-compile-command "make lock" --no-emit-package semfit --output-file requirements.lock $(ARGS) pyproject.toml semfit/pyproject.toml
	@rm -rf .venv-lock

clean:
	@rm -rf .venv runs data/processed semfit/docs/_build

# The stamp is the last thing made, so that an interrupted installation is taken up again.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
$(READY): requirements.lock pyproject.toml semfit/pyproject.toml
	@rm -f $@
	@$(PYTHON) -c '$(RECENT)' || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not: make PYTHON=python3.12, for instance" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks its venv module; on Debian and Ubuntu: sudo apt install python3-venv" >&2; \
		exit 1; }
	@echo "Installing the packages of requirements.lock in .venv (once; some minutes)"
	@.venv/bin/python -c '$(RECENT)' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@{ $(PIP) --progress-bar off -r requirements.lock && $(PIP) --quiet --no-deps --editable ./semfit --editable . && touch $@; } | \
		awk '/^(Collecting|Processing|Requirement already)/ && ++n % 25 == 0 { print "  " n " packages found"; fflush() } \
		     /^Installing collected/ { print "  installing them"; fflush() }'
	@test -f $@
