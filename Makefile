# A thin front: scripts/ sets up, CMakePresets.json holds the configurations, ctest runs the tests.

PRESET ?= dev
JOBS ?= $(shell nproc)
export JOBS
PREFIX ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: help demo test test-packages setup build install wheel format asan tsan clean distclean setup-build setup-tests setup-packages
# Two targets of this file at once would only contend for the same folders; ninja and ctest get JOBS.
.NOTPARALLEL:

help: ## this list
	@echo 'Headwater traces every generated token back to its sources in the prompt.'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r target what; do printf '  make %-13s %s\n' "$$target" "$$what"; done
	@echo
	@echo '  PRESET=dev|release|asan|tsan   for make test (dev unless given); JOBS=n: how many at once'
	@echo '  HEADWATER_MODEL=FILE.gguf      the model for make demo, in place of the one it downloads'
	@echo '  HEADWATER_LLAMA_PREFIX=DIR     a llama.cpp of your own, in place of the one that is built'
	@echo '  PREFIX=DIR, DESTDIR=DIR        where make install installs'

demo: setup-build ## explain the four example prompts; sets up what is missing first
	@scripts/setup-models.sh demo
	@$(MAKE) --no-print-directory build
	@scripts/demo.sh

test: setup-tests ## build and run the tests; sets up what is missing first
	@cmake --preset $(PRESET) --log-level=WARNING >/dev/null
	@cmake --build --preset $(PRESET) --parallel $(JOBS)
	@ctest --preset $(PRESET) --parallel $$(($(JOBS) + 1)) # one more: some wait for a server, a browser or Slurm

setup: setup-tests ## everything that takes long: packages, engine, models, and a build
	@$(MAKE) --no-print-directory build

build: setup-build ## the library and the program, optimised, in build/release
	@cmake --preset release --log-level=WARNING >/dev/null
	@cmake --build --preset release --parallel $(JOBS) --target headwater_cli headwater_static headwater_bench headwater_manual

install: build ## into PREFIX (/usr/local), below DESTDIR if that is set
	@cmake --install build/release --prefix "$(PREFIX)" --strip >/dev/null
	@printf 'headwater: installed into %s%s\n' "$(DESTDIR)" "$(PREFIX)"

wheel: setup-build setup-packages ## the Python package for Linux, and its source, in build/dist
	@build/python-extras/bin/python scripts/make_wheel.py

format: ## rewrite C and C++ sources as .clang-format says
	@scripts/setup-python.sh
	@build/venv/bin/python tests/lint/check_format.py . --fix

test-packages: ## shells, Debian packages, arm64, image, wheel: slow, as root, with packages that it installs
	@$(MAKE) --no-print-directory build
	@scripts/setup-debian.sh packages
	@scripts/setup-python.sh
	@scripts/setup-models.sh demo
	@scripts/test-packages.sh
	@$(MAKE) --no-print-directory wheel
	@scripts/setup-packages.sh tests
	@build/python-extras/bin/python -m pytest -q -p no:cacheprovider tests/python_packages

asan: ## unit, command-line and HTTP tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory test PRESET=asan

tsan: ## the same under the thread sanitizer
	@$(MAKE) --no-print-directory test PRESET=tsan

clean: ## remove what was built; engine, models and Python environment stay
	rm -rf build/release build/dev build/asan build/tsan build/demo build/figures

distclean: ## remove all of build/, downloads included
	rm -rf build web/node_modules

setup-build:
	@scripts/setup-debian.sh
	@scripts/setup-engine.sh
	@scripts/setup-stopwords.sh
	@scripts/setup-web.sh

setup-packages:
	@scripts/setup-packages.sh

setup-tests: setup-build
	@scripts/setup-debian.sh tests
	@scripts/setup-web.sh modules
	@scripts/setup-python.sh
	@scripts/setup-models.sh tests
