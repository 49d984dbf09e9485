# Two commands do everything on a fresh machine with Python 3.11+, make and a package registry: `make demo`, `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
VLLM_VENV ?= .venv-vllm
# Beside the base install the demo needs what runs its tiny models, the OCR reader and the measures.
DEMO_EXTRAS = models,ocr,eval

.PHONY: demo test test-vllm check types unit kills failpoints lock lock-vllm tiny clean

demo: $(VENV)/installed-demo  ## render a small archive, index it, ask it questions
	$(BIN)/rankvideo demo

test: check unit  ## everything that CI checks

test-vllm: $(VLLM_VENV)/installed  ## compare with real vLLM, on the CPU (Linux on x86-64, some minutes)
	$(VLLM_VENV)/bin/pytest tests/models/test_vllm.py -s

check: $(VENV)/installed-test types  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy must see the package as it ships: indexing/, agents/ and eval/ inside rankvideo_rag/.
types: $(VENV)/installed-test
	rm -rf build/types && mkdir -p build/types/rankvideo_rag
	for part in rankvideo_rag/*; do ln -s "$(CURDIR)/$$part" build/types/rankvideo_rag/; done
	for part in indexing agents eval; do ln -s "$(CURDIR)/$$part" build/types/rankvideo_rag/; done
	cd build/types && "$(CURDIR)/$(BIN)/mypy" --cache-dir "$(CURDIR)/.mypy_cache" --config-file "$(CURDIR)/pyproject.toml" -p rankvideo_rag

unit: $(VENV)/installed-test
	$(BIN)/pytest

KILLS ?= 2000
kills: $(VENV)/installed-test  ## kill indexing at that many random moments, and see that nothing is lost
	RANKVIDEO_KILLS=$(KILLS) $(BIN)/pytest tests/indexing/test_kills.py -s

SHARE ?= 1
failpoints: $(VENV)/installed-test  ## fail every write, sync, rename and deletion (or one of SHARE) in six ways, and fill a small disk
	RANKVIDEO_FAILPOINTS_SHARE=$(SHARE) $(BIN)/pytest tests/indexing/test_failpoints.py -s

lock: $(BIN)/uv  ## resolve requirements.lock anew
	$(BIN)/uv pip compile pyproject.toml --constraint constraints.txt --universal --python-version 3.11 \
	  --extra models --extra asr --extra faster-whisper --extra ocr --extra eval --extra served --extra server --extra train \
	  --extra milvus --extra ray --group dev \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -q -o requirements.lock

# A step's tensors come and go: in pages of 4 kB the kernel hands them out anew by the ten thousand (glibc 2.35 or newer).
tiny: $(VENV)/installed-test  ## train the models that ship, from random weights
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/rankvideo demo train --to build/tiny --ship

lock-vllm: $(BIN)/uv  ## resolve requirements-vllm.lock anew
	$(BIN)/uv pip compile pyproject.toml requirements-vllm.in --override requirements-vllm.overrides \
	  --constraint constraints.txt --python-version 3.11 --python-platform x86_64-manylinux_2_28 --extra models --group dev \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock-vllm" -q -o requirements-vllm.lock

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rankvideo-rag needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The lock serves as constraints, so that the demo installs its part of it and no more.
$(VENV)/installed-demo: $(BIN)/uv pyproject.toml requirements.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint requirements.lock --editable ".[$(DEMO_EXTRAS)]"
	touch $@

$(VENV)/installed-test: $(BIN)/uv pyproject.toml requirements.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@ $(VENV)/installed-demo

# vLLM pins what the lock of everything else has newer: an environment of its own. Its overridden requirements are why --no-deps.
$(VLLM_VENV)/installed: $(BIN)/uv pyproject.toml requirements-vllm.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VLLM_VENV)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VLLM_VENV)/bin/python --no-deps --require-hashes -r requirements-vllm.lock
	$(BIN)/uv pip install --quiet --python $(VLLM_VENV)/bin/python --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
