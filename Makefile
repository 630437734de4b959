# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A window needs a display; without one the same session runs under a virtual one.
XVFB := xvfb-run --auto-servernum --server-args="-screen 0 1366x768x24 +extension GLX"
SOFTWARE_GL := LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb
ARGS ?=

.PHONY: help demo test test-slow lint pictures reproduce-small system clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

system:
	@PYTHON="$(PYTHON)" .ci/system-packages

$(READY): pyproject.toml constraints.txt | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing (PyTorch is large: several minutes on a slow line)" >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@

demo: system $(READY)  ## Open the viewer on the demo (no display: pictures in demo-output/)
	@if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] || [ "$$(uname -s)" != Linux ]; then \
	  $(BIN)/hirescam demo $(ARGS); \
	else \
	  $(SOFTWARE_GL) $(XVFB) $(BIN)/hirescam demo --headless --out demo-output $(ARGS); \
	fi

test: system $(READY)  ## Run the tests
	$(SOFTWARE_GL) OMP_NUM_THREADS=1 $(XVFB) $(BIN)/python -m pytest $(ARGS)

test-slow: system $(READY)  ## Run the tests that take minutes
	$(SOFTWARE_GL) $(XVFB) $(BIN)/python -m pytest -m slow $(ARGS)

lint: $(READY)  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

reproduce-small: $(READY)  ## Train and compare the paper's networks on phantoms (up to an hour; docs/reproduction.md)
	$(BIN)/hirescam reproduce reproduction --size small --page docs/reproduction.md $(ARGS)

pictures: system $(READY)  ## Make the pictures of the docs again
	$(SOFTWARE_GL) $(XVFB) $(BIN)/python docs/make_pictures.py $(ARGS)
	$(SOFTWARE_GL) $(XVFB) $(BIN)/python docs/make_compare_pictures.py $(ARGS)
	$(SOFTWARE_GL) $(XVFB) $(BIN)/python docs/make_audit_pictures.py $(ARGS)

clean:  ## Remove the environment and everything made
	rm -rf $(VENV) demo-output reproduction build dist .mypy_cache .ruff_cache .pytest_cache
