# Needs Python >= 3.11 and make; everything else is set up in .venv, and again only where pyproject.toml has changed.

VENV := .venv
BIN := $(VENV)/bin
# The clients that are judged want another websockets than rtcore, so they live apart.
CLIENTS := .venv-clients
# The peers of `make interop` that are servers, each with what it wants.
SPEECH := .venv-speech
FAKEAI := .venv-fakeai
# rtcore and the frameworks that it is plugged into, with the websockets that both take.
PLUGS := .venv-plugs
SITE := .venv-docs
TALK ?= --simulated --no-microphone --output heard.wav
N ?= 1000000
MESSAGES ?= 10000000
NODE_FITS := node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# Use it as it is given (make PYTHON=/opt/python3.13/bin/python3 test), else the first that fits.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python /usr/bin/python3 /usr/local/bin/python3; do \
	$$each -c '$(FITS)' >/dev/null 2>&1 && { echo $$each; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo talk page newcomer test lint fuzz messages mutants behaviours soak lines device audit examples browser interop plugs cluster corpus bench bench-context bench-text bench-clients bench-live clean drift events wheels docs

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/demo.stamp  ## talk for real, interrupt, count; writes report.html and heard.wav
	$(BIN)/rtcore demo

talk: $(VENV)/demo.stamp  ## take part by typing: the simulated server answers, and heard.wav is what was heard
	$(BIN)/rtcore talk $(TALK)

page: $(VENV)/page.stamp  ## take part by voice in a browser, at http://127.0.0.1:8000; the simulated server answers
	@$(BIN)/rtcore serve --port 8765 & serving=$$!; trap "kill $$serving" EXIT INT TERM; \
		RTCORE_URL=ws://127.0.0.1:8765 $(BIN)/python -m uvicorn examples.browser.gateway:app --port 8000

newcomer: $(VENV)/browser.stamp  ## what the README says first, in a new clone and an empty home: how long until something is heard
	$(BIN)/python .ci/newcomer.py

test: lint  ## ruff, mypy and pytest
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/test.stamp  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

fuzz: $(VENV)/demo.stamp  ## a million interruptions; Ctrl-C, and later make fuzz again, goes on where it was
	$(BIN)/rtcore fuzz --interruptions $(N) $(if $(wildcard fuzz.json),--resume,--save) fuzz.json --html fuzz.html

messages: $(VENV)/test.stamp  ## ten million broken server messages, none of which may cost another; goes on like make fuzz
	cd tests && ../$(BIN)/python -m fuzzing --messages $(MESSAGES) $(if $(wildcard messages.json),--resume,--save) ../messages.json

corpus: $(VENV)/test.stamp  ## show what changed in the outcomes of the recorded corpus, and take it as meant
	cd tests && ../$(BIN)/python -m corpus.make

mutants: $(VENV)/test.stamp  ## plant bugs in the core, one by one: does the simulated world find each
	$(BIN)/python -m mutants

behaviours: $(VENV)/test.stamp  ## which planted bug breaks which behaviour's tests (many minutes)
	$(BIN)/python -m mutants --behaviours

soak: $(VENV)/test.stamp  ## eight hours of virtual time in one session, on one line and on lines that drop; what make test takes a sample of, whole
	RTCORE_SOAK=required $(BIN)/python -m pytest -q -rP tests/test_soak.py tests/test_sim_lines.py
	RTCORE_SOAK=required $(BIN)/python -m pytest -q $(addprefix tests/test_,$(addsuffix .py,dialect_worlds mutants sim_shrink sim_situations sim_traced sim_words)) tests/conformance/test_worlds.py -k "not real_clock"

lines: $(VENV)/test.stamp  ## three minutes on the real clock: each runtime talks to a server that is killed, hung up, stopped and started again
	RTCORE_LINES=required $(BIN)/python -m pytest -q -rP tests/lines

device: $(VENV)/device.stamp  ## play, cut, record, lose and find a real sound device: PortAudio on a PulseAudio of its own
	RTCORE_DEVICE=required $(BIN)/python -m pytest -q tests/device

audit: $(VENV)/test.stamp $(CLIENTS)/stamp  ## judge rtcore, openai-agents and livekit-agents
	CLIENTS_PYTHON=$(CLIENTS)/bin/python $(BIN)/python -m pytest -q -rP -n 2 examples/audit

examples: $(VENV)/examples.stamp  ## the programs of examples/ against the strict server: whole calls, in virtual time, one of eight hours
	RTCORE_SOAK=required $(BIN)/python -m pytest -q -rP --show-capture=stdout examples --ignore=examples/audit --ignore=examples/browser --ignore=examples/desktop
	$(BIN)/python -m pytest -q examples/desktop

browser: $(VENV)/browser.stamp  ## real Chromium: the timeline viewer; the web page, with a thousand interruptions through the gateway
	RTCORE_BROWSER=required $(BIN)/python -m pytest -q -rP tests/browser
	$(BIN)/python -m pytest -q -rP --show-capture=stdout examples/browser

interop: $(VENV)/test.stamp $(CLIENTS)/interop.stamp $(SPEECH)/stamp $(FAKEAI)/stamp interop/node_modules/stamp  ## talk with clients and servers that nobody here wrote
	CLIENTS_PYTHON=$(CLIENTS)/bin/python SPEECH_PYTHON=$(SPEECH)/bin/python FAKEAI_PYTHON=$(FAKEAI)/bin/python \
		$(BIN)/python -m pytest -q -rP -n 4 interop/test_names.py interop/test_clients.py interop/test_servers.py
	CLIENTS_PYTHON=$(CLIENTS)/bin/python $(BIN)/python -m pytest -q -rP interop/test_models.py

plugs: $(PLUGS)/stamp  ## rtcore behind other frameworks: their programs, with and without it, side by side
	$(PLUGS)/bin/mypy --config-file interop/plugs.ini $(wildcard src/adapters/rtcore_[!a]*)
	$(PLUGS)/bin/python -m pytest -q $(wildcard interop/test_plug_*.py)
	$(PLUGS)/bin/python interop/plugs.py

cluster: $(VENV)/cluster.stamp  ## the same campaign on a Dask cluster of two workers, one of which is killed
	RTCORE_CLUSTER=required $(BIN)/python -m pytest -q tests/test_cluster.py

conformance: $(VENV)/test.stamp  ## a thousand worlds of the simulated network through asyncio and trio, in virtual time
	cd tests && PYTHONPATH=.. ../$(BIN)/python -m conformance

wheels: $(VENV)/test.stamp  ## the wheel alone, then with its extras, in an empty environment of every Python that is supported
	$(BIN)/python .ci/wheels.py

events: $(VENV)/test.stamp  ## the vocabulary: events and fields handled of those known; writes docs/events.md
	$(BIN)/python docs/events.py

docs: $(SITE)/stamp  ## the documentation as a site, in build/site; a broken link or anchor ends it
	PYTHONPATH=src NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build

drift: $(CLIENTS)/bench.stamp  ## compare the vocabulary with the models of the installed openai package
	PYTHONPATH=src $(CLIENTS)/bin/python docs/drift.py

bench: $(VENV)/demo.stamp  ## microseconds per event through the core; the simulated world's speed, and where its time goes
	$(BIN)/python benchmarks/core.py
	$(BIN)/python benchmarks/running_text.py
	$(BIN)/python benchmarks/world.py

bench-text: $(VENV)/demo.stamp $(CLIENTS)/bench.stamp  ## what was heard, in words: three estimates and livekit's against real word times (6 minutes)
	$(BIN)/python benchmarks/heard_text.py --clients-python $(CLIENTS)/bin/python

bench-context: $(VENV)/demo.stamp  ## answers from words that nobody heard, by the line's round trip, and what it costs to have none (10 minutes)
	$(BIN)/python benchmarks/context.py

bench-clients: $(VENV)/test.stamp $(CLIENTS)/bench.stamp  ## what a client spends on a delta: rtcore beside three others and the floor (10 minutes)
	$(BIN)/python benchmarks/clients.py --clients-python $(CLIENTS)/bin/python

bench-live: $(VENV)/test.stamp  ## how many live conversations one process holds, on each runtime (10 minutes)
	$(BIN)/python benchmarks/conversations.py

clean:  ## remove what was set up, built and written
	rm -rf $(VENV) $(CLIENTS) $(SPEECH) $(FAKEAI) $(PLUGS) $(SITE) interop/node_modules build dist report.html heard.wav fuzz.json fuzz.html messages.json .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 (with venv and pip) found: install one, or say make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli]'
	@touch $@

$(CLIENTS)/stamp: examples/audit/requirements.txt | $(BIN)/python
	$(BIN)/python -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement examples/audit/requirements.txt
	@touch $@

$(CLIENTS)/bench.stamp: benchmarks/requirements.txt $(CLIENTS)/stamp
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $@

# With the SDK's own programs, which its source distribution has.
$(PLUGS)/stamp: interop/requirements-plugs.txt examples/audit/requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(PLUGS)
	$(PLUGS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement interop/requirements-plugs.txt --editable '.[cli,openai-agents,livekit]'
	rm -rf $(PLUGS)/source $(PLUGS)/programs
	mkdir $(PLUGS)/programs
	$(PLUGS)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary openai-agents --constraint examples/audit/requirements.txt --dest $(PLUGS)/source openai-agents
	tar -xzf $(PLUGS)/source/openai_agents-*.tar.gz -C $(PLUGS)/programs --strip-components=1
	@touch $@

$(VENV)/device.stamp: $(VENV)/test.stamp tests/device/install.sh
	sh tests/device/install.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,audio]'
	@touch $@

$(CLIENTS)/interop.stamp: interop/requirements-clients.txt $(CLIENTS)/stamp
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement interop/requirements-clients.txt
	@touch $@

# speech-to-speech asks for gigabytes of models' libraries, of which its server imports none.
$(SPEECH)/stamp: interop/requirements-speech.txt | $(BIN)/python
	$(BIN)/python -m venv $(SPEECH)
	$(SPEECH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement interop/requirements-speech.txt
	@touch $@

$(FAKEAI)/stamp: interop/requirements-fakeai.txt | $(BIN)/python
	$(BIN)/python -m venv $(FAKEAI)
	$(FAKEAI)/bin/python -m pip install --quiet --disable-pip-version-check --requirement interop/requirements-fakeai.txt
	@touch $@

interop/node_modules/stamp: interop/package.json interop/package-lock.json
	@$(NODE_FITS) || { [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet nodejs npm >/dev/null; $(NODE_FITS); } || \
		{ echo "make interop needs Node 20 or newer, with npm, for the peers that are written in JavaScript: install it." >&2; exit 1; }
	npm ci --prefix interop --no-audit --no-fund --silent
	@touch $@

$(SITE)/stamp: docs/requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --requirement docs/requirements.txt --editable .
	@touch $@

$(VENV)/examples.stamp: $(VENV)/test.stamp examples/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement examples/requirements.txt
	@touch $@

$(VENV)/browser.stamp: $(VENV)/test.stamp examples/browser/requirements.txt examples/browser/install.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement examples/browser/requirements.txt
	sh examples/browser/install.sh
	@touch $@

# The page's versions are those that are tested; the browser that tests them is not needed.
$(VENV)/page.stamp: $(VENV)/demo.stamp examples/browser/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint examples/browser/requirements.txt fastapi uvicorn
	@touch $@

$(VENV)/cluster.stamp: $(VENV)/test.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,cluster]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(VENV)/dev.txt
	@touch $@
