# One environment in .venv, made on first use and again when the two files it depends on change.
PYTHON ?= python3
SCALE ?= default
NOTEBOOKS ?=
SWEEP ?= params/sweeps/token_budget.yaml
JOBS ?=
SLURM ?=
ROWS ?=
REPOSITORY ?=
TESTS ?=
PUBLISH ?=
# Notebooks at once, by default; a model of the paper's size fills the machine alone.
AT_ONCE := $(or $(JOBS),$(if $(filter paper,$(SCALE)),1,2))
# A test process for every core, each with one thread.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --dist worksteal
WHAT = --scale $(SCALE) --jobs $(AT_ONCE) $(if $(PUBLISH),--publish) $(NOTEBOOKS)
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help reproduce publish figures report bench sweep test test-slow test-long mutants lab clean
.PHONY: test-lmms-eval test-viewer test-oldest test-newest docs badges

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

reproduce: $(READY)  ## measure again and compare (SCALE=quick|default|full|paper, NOTEBOOKS="01 02"; PUBLISH=1 ships it)
	$(BIN)/vzlib reproduce $(WHAT)

publish: $(READY)  ## measure on both embedded models what their columns of the ledger need, then all anew, and ship it
	VZLIB_FIGURES=results/beside $(BIN)/vzlib reproduce 01 02 03 04 --jobs $(AT_ONCE) -p model pico
	VZLIB_FIGURES=results/beside $(BIN)/vzlib reproduce 05 06 07 09 10 14 16 17 --jobs $(AT_ONCE) -p model dino -p questions things
	$(BIN)/vzlib reproduce --jobs $(AT_ONCE) --publish

figures: $(READY)  ## redraw the figures from what is stored or ships, measuring nothing (the same choices)
	$(BIN)/vzlib figures $(WHAT)

report: $(READY)  ## write results/report.html: figures, tables, settings and environment in one offline page
	$(BIN)/vzlib report

bench: $(READY)  ## measure the ratios of speed and memory on this machine, alone (ROWS="prefill ...", PUBLISH=1)
	$(BIN)/vzlib bench $(ROWS) $(if $(PUBLISH),--publish)

sweep: $(READY)  ## run a notebook over a grid (SWEEP=params/sweeps/<name>.yaml, JOBS=at a time, SLURM=workflow/slurm.yaml)
	$(BIN)/vzlib sweep $(SWEEP) $(if $(JOBS),--jobs $(JOBS)) $(if $(SLURM),--slurm $(SLURM))

test: $(READY)  ## check style and types, run the fast tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy & types=$$!; $(PYTEST); tests=$$?; wait $$types && exit $$tests  # beside each other, for the time's sake

test-slow: $(READY)  ## run the slow tests
	$(PYTEST) -m "slow$(if $(shell command -v slurmctld),, and not slurm)"

test-long: $(READY)  ## run the longest tests: every method on pico in every way, all questions, many kills; hours
	$(PYTEST) -m long

test-lmms-eval: .venv-lmms-eval/ready  ## try the plug-in under the real lmms-eval, on a tiny model and on dino
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 .venv-lmms-eval/bin/python -c 'import lmms_eval'
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 .venv-lmms-eval/bin/python -m pytest -q -W default \
		-m 'slow or not slow' tests/lmms_eval

test-viewer: .venv-viewer/ready  ## try all that is shown in a browser, in headless Chromium (apt-get install chromium)
	.venv-viewer/bin/python -m pytest -q -m slow tests/viewer tests/site/test_ledger_in_browser.py

test-oldest test-newest: test-%: .venv-%/ready  ## run the fast tests with the oldest, or newest, torch and transformers (TESTS=...)
	OMP_NUM_THREADS=1 .venv-$*/bin/python -c 'import torch, transformers as t; print("torch", torch.__version__, "transformers", t.__version__)'
	OMP_NUM_THREADS=1 .venv-$*/bin/python -m pytest -q -n logical --dist worksteal -o filterwarnings=default $(TESTS)

docs: .venv/docs-ready  ## redraw the notebooks and build results/site from them, offline, following every link
	-$(BIN)/vzlib figures
	$(BIN)/python -m vzlib.site

badges: $(READY)  ## let README and notebook 00 open in Colab and Binder (REPOSITORY=owner/name)
	$(BIN)/python -m vzlib.site.badges $(REPOSITORY)

mutants: $(READY)  ## put small faults into the code and print those that no test notices
	$(BIN)/python tests/mutants.py

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. notebooks/00_quickstart.ipynb

clean:  ## remove .venv and caches; results/ and figures/ stay
	rm -rf .venv .venv-* *.egg-info build .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch first and alone: asked for together with the rest, pip may fetch another, far larger build.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

# Beside .venv, whose other packages they borrow. torch first and alone, as below.
OLDEST = sed -n 's/^ *"$(1)>=\([0-9.]*\)".*/$(1)==\1/p' pyproject.toml
.venv-oldest/ready .venv-newest/ready: $(READY)
	$(PYTHON) -m venv $(@D)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/main.pth"
	$(@D)/bin/pip install --quiet --disable-pip-version-check --upgrade \
		$(if $(findstring oldest,$@),"$$($(call OLDEST,torch))",torch)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --upgrade \
		$(if $(findstring oldest,$@),"$$($(call OLDEST,transformers))",transformers)
	@touch $@

# lmms-eval asks for far more packages than its evaluation imports; the others are those of .venv.
.venv-lmms-eval/ready: $(READY)
	$(PYTHON) -m venv .venv-lmms-eval
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(.venv-lmms-eval/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/main.pth"
	.venv-lmms-eval/bin/pip install --quiet --disable-pip-version-check --no-deps 'lmms-eval>=0.7.3' -e .
	.venv-lmms-eval/bin/pip install --quiet --disable-pip-version-check -c constraints.txt \
		datasets evaluate sacrebleu pytablewriter loguru pytz python-dotenv
	@touch $@

# gradio wants an older pillow.
.venv-viewer/ready: $(READY)
	$(PYTHON) -m venv .venv-viewer
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(.venv-viewer/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/main.pth"
	.venv-viewer/bin/pip install --quiet --disable-pip-version-check -e '.[test-viewer]'
	@touch $@

.venv/docs-ready: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@
