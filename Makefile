# Everything starts from a clone: `make demo` and `make test` set up .venv by themselves.

PYTHON ?= python3
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
BIN := .venv/bin
SOURCES := CMakeLists.txt pyproject.toml constraints.txt $(wildcard csrc/* csrc/*/*)
DAEMONS := mosquitto prometheus
BROWSER := chromium
MICROPHONE := libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins
SERVERS := $(DAEMONS) ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0 \
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP := $(INSTALL) --constraint constraints.txt
HASHED := $(INSTALL) --require-hashes --requirement

# Several at once: many tests wait for sound or for a process. Each process takes 1.5 GB.
JOBS ?= $(shell n=$$(nproc 2> /dev/null || echo 2); echo $$((n < 4 ? n : 4)))

.PHONY: help check demo test soak household corpus-kills microphone lint format bench card sanitize fuzz \
  altered kills home-assistant mutants docs wheel lock checksums clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | sort | expand -t 16

check: lint  ## what to run before a commit: lint and the tests that take no time
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal \
	  -m "not slow and not live and not gpu" tests/core tests/project \
	  tests/streamsed/pipeline tests/streamsed/test_config.py tests/streamsed/test_events.py

demo: .venv/runtime  ## detect the events of half a minute of home life
	@mkdir -p build
	$(BIN)/streamsed file examples/scene.flac --format table --plot build/scene.png
	$(BIN)/python examples/compare.py examples/scene.flac examples/scene.tsv
	@echo 'The picture is build/scene.png. For the command "streamsed": . .venv/bin/activate'

test: .venv/develop microphone  ## all tests; COVERAGE=1 measures what of the Python they run
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal \
	  --durations 10 --durations-min 1 $(if $(COVERAGE),--cov --cov-report=term)

soak: .venv/develop microphone  ## 200 kills, stalls and losses of the device: half an hour
	STREAMSED_SOAK=200 $(BIN)/python -m pytest tests/streamsed/live/test_soak.py

household: .venv/develop microphone  ## ten minutes of `serve` with sources that die, stall and flood
	STREAMSED_SERVE_MINUTES=10 $(BIN)/python -m pytest -s tests/streamsed/serve/test_household.py

corpus-kills: .venv/develop  ## 50 kills of a corpus of 1000 files; a cluster with 200
	STREAMSED_KILLS=50 STREAMSED_KILLS_FILES=1000 STREAMSED_RAY_FILES=200 \
	  $(BIN)/python -m pytest tests/streamsed/corpus -m slow

# Home Assistant asks for a Python of its own, and for half a gigabyte.
HOME_PYTHON ?= python3.13
HOME_VERSION ?= 2025.4.4
home-assistant: .venv/develop microphone  ## what Home Assistant itself makes of our messages
	test -x build/home-assistant/bin/python || $(HOME_PYTHON) -m venv build/home-assistant
	build/home-assistant/bin/python -m pip install --quiet homeassistant==$(HOME_VERSION) paho-mqtt==2.2.0
	STREAMSED_HOME_ASSISTANT=build/home-assistant/bin/python $(BIN)/python -m pytest -q \
	  tests/streamsed/serve/mqtt/test_home_assistant.py

# The tests' virtual microphone and the servers they start; without apt they skip and say so.
microphone:
	@command -v apt-get > /dev/null || exit 0; \
	new=; install="$(SUDO) apt-get install -y --no-install-recommends"; \
	for each in $(DAEMONS); do dpkg -s $$each > /dev/null 2>&1 || new="$$new $$each"; done; \
	dpkg -s $(MICROPHONE) $(SERVERS) > /dev/null 2>&1 \
	  || { $(SUDO) apt-get update && $$install $(MICROPHONE) $(SERVERS) || exit 1; }; \
	if [ -n "$$new" ] && [ -d /run/systemd/system ]; then \
	  $(SUDO) systemctl disable --now $$new; fi; \
	dpkg -s $(BROWSER) > /dev/null 2>&1 || ! apt-cache show $(BROWSER) > /dev/null 2>&1 \
	  || $$install $(BROWSER)

lint: .venv/develop  ## formats, types, import contracts, mistakes in the C++
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror csrc/*.h csrc/*.cpp csrc/kernels/* tests/core/*.cpp tests/fuzz/*.cpp
	printf '%s\n' csrc/*.cpp csrc/kernels/kernels.cpp | xargs -P $(JOBS) -I FILE $(BIN)/clang-tidy \
	  --quiet FILE -- -std=c++20 -Icsrc -DSTREAMSED_TARGET=baseline -DSTREAMSED_LANES=4 \
	  $$($(BIN)/python -m pybind11 --includes | sed 's/-I/-isystem /g')

format: .venv/develop  ## what lint would only complain of
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i csrc/*.h csrc/*.cpp csrc/kernels/* tests/core/*.cpp tests/fuzz/*.cpp

bench: .venv/bench  ## measure against peers and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

# The shipped model has learnt all splits of its banks, so that figures of its own would flatter.
MODEL ?= default
card: .venv/develop  ## measure a model: make card MODEL=FILE SOUNDBANK="DIR ..." LIST=validation.tsv
	$(BIN)/python -m train card $(MODEL) $(addprefix --soundbank ,$(SOUNDBANK)) --blueprint $(LIST) \
	  $(OPTIONS) --output docs/model-card.md

sanitize: .venv/develop  ## the core under AddressSanitizer, UBSan and ThreadSanitizer
	tests/sanitize.sh

FUZZ_SECONDS ?= 3600
fuzz: .venv/fuzz  ## search inputs that break the core or a reader: an hour, or FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh

kills: .venv/develop  ## 1000 SIGKILLs at random moments of file, listen and fit
	STREAMSED_KILL_ROUNDS=1000 $(BIN)/python -m pytest -q -s tests/streamsed/test_kills.py

altered: .venv/develop  ## 1000 altered model files, each in a process of its own
	STREAMSED_ALTERED=1000 $(BIN)/python -m pytest -q -s \
	  tests/streamsed/inference/test_altered_files.py -k command

mutants: .venv/develop  ## change the code in small ways and see whether the tests notice: an hour
	@mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.mutants --out build/mutants.jsonl

docs: .venv/develop  ## build the documentation site, build/site, warnings being errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

wheel: .venv/develop  ## build the wheel and test it from another folder
	tests/wheel.sh

# `requirements/` pins every package with its SHA-256, for Python 3.11 and later.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes -c constraints.txt -q
lock:  ## resolve requirements/ again from pyproject.toml and constraints.txt (by uv)
	$(LOCK) requirements/build.in -o requirements/build.txt
	$(LOCK) pyproject.toml --extra plot -o requirements/runtime.txt
	$(LOCK) pyproject.toml --all-extras -o requirements/develop.txt

checksums:  ## list the SHA-256 of the shipped models, whose programs may be run
	cd streamsed/models && sha256sum *.pt > SHA256SUMS

clean:  ## delete .venv and all that was built or cached
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A virtual environment with the build's tools; Debian keeps venv and the headers apart.
.venv/tools: requirements/build.txt
	$(PYTHON) -c 'import ensurepip, os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' \
	  || { $(SUDO) apt-get update && $(SUDO) apt-get install -y python3-venv python3-dev; }
	$(PYTHON) -m venv .venv
	$(HASHED) requirements/build.txt
	touch $@

# The light install, without torch, and what --plot needs: all that the demo takes.
.venv/runtime: .venv/tools requirements/runtime.txt $(SOURCES)
	$(HASHED) requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

# Of the versions that are in constraints.txt, and not by their hashes: PyTorch has builds
# without CUDA, of a tenth of the size, that are not on PyPI.
# sed_scores_eval comes as source and brings its own build's tools, if it may build apart.
.venv/develop: .venv/runtime
	$(PIP) sed_scores_eval
	$(PIP) --no-build-isolation --editable '.[train,ray,serve,dev]'
	touch $@

.venv/bench: .venv/develop
	$(PIP) --no-build-isolation --editable '.[train,ray,serve,dev,bench]'
	touch $@

# Atheris has wheels for some platforms only; without it the fuzzer does what it can.
.venv/fuzz: .venv/develop
	$(PIP) --no-build-isolation --editable '.[train,ray,serve,dev,fuzz]'
	touch $@
