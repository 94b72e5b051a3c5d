.POSIX:
# `make app` and `make test` do all set-up themselves and repeat nothing that is done. PYTHON=… chooses the interpreter.
PYTHON =
VENV = .venv
BIN = $(VENV)/bin
ARGS =

.PHONY: help app test bench bench-gpu setup-test chromium

help:
	@echo "make app    start the explorer on http://localhost:8501"
	@echo "make test   run every test, in a real browser too      (ARGS='tests/core -x' narrows it)"
	@echo "make bench  measure the figures of the README's table  (ARGS=… is passed on)"
	@echo "make bench-gpu  measure a random pair of 8B on a GPU   (prints one JSON and a table)"

app: $(VENV)/app.stamp
	$(BIN)/python -m streamlit run app.py $(ARGS)

test: setup-test
	$(BIN)/python -m pytest $(ARGS)

bench: setup-test
	$(BIN)/python -m tests.bench $(ARGS)

bench-gpu: setup-test
	$(BIN)/python -m tests.bench.gpu

setup-test: $(VENV)/test.stamp chromium

chromium: $(VENV)/test.stamp
	@$(BIN)/python -m tests.browser.chromium

$(VENV)/app.stamp: requirements.txt
	@.ci/venv "$(VENV)" "$(PYTHON)"
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements.txt requirements-test.txt
	@.ci/venv "$(VENV)" "$(PYTHON)"
	$(BIN)/python -m pip install --quiet --requirement requirements-test.txt
	@touch $(VENV)/app.stamp $@
