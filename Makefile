.POSIX:
# `make app` and `make test` do all set-up themselves and repeat nothing that is done. PYTHON=… chooses the interpreter.
PYTHON =
VENV = .venv
BIN = $(VENV)/bin
ARGS =
# For every platform; which registry this machine asks is not written.
LOCK = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

.PHONY: help app check test bench bench-gpu load gallery models lock setup-test chromium nginx

help:
	@echo "make app        start the explorer on http://localhost:8501"
	@echo "make check      lint, format and types: ruff and mypy"
	@echo "make test       check, and every test, in a real browser too   (ARGS='tests/core -x' narrows it)"
	@echo "make bench      measure the figures of the README's table  (ARGS=… is passed on)"
	@echo "make bench-gpu  measure a random pair of 8B on a GPU       (prints one JSON and a table)"
	@echo "make load       fifty sessions at once: right answers, and how long each waits"
	@echo "make gallery    make the answers that are shipped          (cache/gallery.sqlite)"
	@echo "make lock       all that requirements.txt brings along, with hashes (requirements.lock, which the container installs)"
	@echo "make models     fetch the real pair's weights now          (app and test try it themselves)"

app: $(VENV)/app.stamp
	@.ci/models "$(VENV)"
	$(BIN)/python -m streamlit run app.py $(ARGS)

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One more at a time than two cores: a third of the time a test in a browser waits for a picture, a poll or a child.
test: setup-test check
	@.ci/models "$(VENV)"
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: setup-test
	@.ci/models "$(VENV)"
	$(BIN)/python -m tests.bench $(ARGS)

models: $(VENV)/app.stamp
	@.ci/models "$(VENV)" now

bench-gpu: setup-test
	$(BIN)/python -m tests.bench.gpu

load: setup-test
	$(BIN)/python -m tests.load

gallery: $(VENV)/test.stamp
	@.ci/models "$(VENV)"
	$(BIN)/python -m tests.gallery

lock: $(VENV)/test.stamp
	$(BIN)/uv pip compile requirements.txt --output-file requirements.lock $(LOCK)

setup-test: $(VENV)/test.stamp chromium nginx

chromium: $(VENV)/test.stamp
	@$(BIN)/python -m tests.browser.chromium

nginx: $(VENV)/test.stamp
	@$(BIN)/python -m tests.hosting.nginx

$(VENV)/app.stamp: requirements.txt
	@.ci/venv "$(VENV)" "$(PYTHON)"
	.ci/install "$(VENV)" requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements.txt requirements-ray.txt requirements-test.txt
	@.ci/venv "$(VENV)" "$(PYTHON)"
	.ci/install "$(VENV)" requirements-test.txt
	@touch $(VENV)/app.stamp $@
