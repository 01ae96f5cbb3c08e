# `make demo` and `make test` need Python 3.11 with pip, and nothing else. The versions in constraints.txt are
# those of 3.11; docs/platforms.md says what else was tried.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip
INSTALL = $(PIP) install --quiet --constraint constraints.txt
TEST_PROCESSES ?= 2
export SDL_VIDEODRIVER ?= dummy

.PHONY: demo docs test test-fast lint bench mutants test-matrix test-browser test-gpu bench-gpu clean

demo: $(VENV)/.installed
	@echo "1 of 2: agents on a lattice learn at five temperatures (a minute)"
	$(VENV)/bin/mfq compare ising --quick --out runs/ising --overwrite
	@echo "2 of 2: two trained armies fight (the rules are compiled first, about half a minute)"
	$(VENV)/bin/mfq record battle --out runs/battle.html --overwrite
	@printf '%s\n' '' 'Open these two:' '    runs/ising/ising.png    order over temperature' \
		'    runs/battle.html        the battle, to explore in a browser' 'Next:' \
		'    $(VENV)/bin/mfq train                   twelve agents learn to fight (minutes)' \
		'    $(VENV)/bin/mfq play battle             the armies in a window' \
		'    $(VENV)/bin/mfq compare ising           the full study of the README (some minutes)'

test: lint
	$(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES) --dist worksteal

# Without what takes long or needs other packages: for each change, in about a minute.
test-fast: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES) --dist worksteal \
		-m 'not slow and not third_party'

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The documentation site, from docs/ and the docstrings, into build/docs. Every warning, such as of a link to a
# page or a heading that does not exist, is an error; -E reads all pages anew.
docs: $(VENV)/.installed-docs
	$(VENV)/bin/python -m sphinx -W --keep-going -E -q -b html docs build/docs
	@echo 'open build/docs/index.html'

bench: $(VENV)/.installed-dev
	$(VENV)/bin/python -m benchmarks

# N small mutations of mfq/ and the rules, and whether a test fails (see docs/mutants.md).
N ?= 120
SEED ?= 0
SECONDS ?= 60

mutants: $(VENV)/.installed-dev
	$(VENV)/bin/python -m tests.mutation $(MUTANTS) --n $(N) --seed $(SEED) --seconds $(SECONDS) \
		--processes $(TEST_PROCESSES) $(if $(FILES),--files $(FILES))

# The core of the suite on Debian's Pythons, in chroots (as root, with debootstrap), and with the oldest
# versions that pyproject.toml claims. See docs/platforms.md.
test-matrix:
	PYTHON=$(PYTHON) tests/matrix/run.sh $(SUITES)

# The replay page in a headless Chromium: apt-get install chromium chromium-driver.
test-browser: $(VENV)/.installed-dev
	$(INSTALL) --editable '.[browser]'
	$(VENV)/bin/python -m pytest tests/browser

# On a machine with a GPU, with a Python that has torch and numba-cuda (see docs/gpu.md); installs nothing.
GPU_PYTHON ?= python3

test-gpu:
	$(GPU_PYTHON) -m pytest tests/gpu

bench-gpu:
	$(GPU_PYTHON) -m benchmarks.gpu

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade --constraint constraints.txt pip

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing torch, numba and others into $(VENV) (a minute or two)"
	$(INSTALL) --editable .
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) --editable '.[docs]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
