# The daily commands. `make help` lists them; script/bootstrap sets up what they need.

PYTHON := .venv/bin/python
RUFF := .venv/bin/ruff
CLANG_FORMAT := .venv/bin/clang-format
C_FILES = $(shell find src tests/c -name '*.[ch]' 2>/dev/null)
# KOLO_C_TEST_LONG=1: what the gate does in part is done in full.
LONG := $(filter-out 0,$(KOLO_C_TEST_LONG))
PYTHON_FILES := kolo_c tests tools benchmarks examples setup.py
GENERATORS = $(wildcard tools/generate_*.py)

.PHONY: help build test test-all test-c test-spec test-pythons test-django sanitize valgrind soak soak-server deaths disk-load many-traces crowd forks fuzz fuzz-readers leaks validate programs cpython-tests wheel \
	lint lint-c lint-python types format docs generate generate-check screenshots bench clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.venv/bin/python:
	script/bootstrap

build: .venv/bin/python ## Compile what has changed, in place
	$(PYTHON) setup.py -q build_ext --inplace

test: build ## The Python suite, without what takes long
	$(PYTHON) -m pytest -q -m 'not slow'

test-all: ## Everything: what the gate runs
	script/test

test-c: ## Plain C tests: as they are, under ASan and UBSan, under TSan
	@# Side by side: the disk's tests mostly wait.
	$(MAKE) -j4 -C tests/c all asan tsan $(if $(shell command -v clang),asan-clang)

test-spec: build ## Behaviour, one fact a test
	$(PYTHON) -m pytest -q tests/spec

test-pythons: ## tests/spec on every other Python of this machine
	script/test-python --all

test-django: .venv/bin/python ## The shop's own tests on Django 4.2, 5.2, 6.0 and 6.1
	script/test-django --all

# The Python core, which has no C to look at, is left to the other runs. Of the unit tests,
# those that reach into the extension, or compile parts of it. The usual hook, and each
# one with KOLO_C_TEST_LONG=1.
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined
IN_C = cli connection corrupt_store delete export extension grep masking matching reader \
    value_guest value_types values
sanitize: .venv/bin/python ## The extension's suite under ASan and UBSan
	KOLO_C_SANITIZE=1 KOLO_C_DEBUG=1 KOLO_C_TEST_CFLAGS="$(SANITIZERS)" \
	    script/test-python $(PYTHON) --core=c \
	    $(if $(LONG),,--hook=auto) tests/spec \
	    $(addprefix tests/unit/test_,$(addsuffix .py,$(IN_C)))

# What the interpreter leaves undefined on purpose (small integers made from bytes) taints
# most of what it does next: for it, and only for it, valgrind looks at addresses alone.
valgrind: .venv/bin/python ## Plain C tests and tests/spec under valgrind (an hour)
	$(MAKE) -C tests/c all
	@for each in build/c-tests/plain/test_*; do case $$each in *.o) ;; \
	    *) echo $$each; FAULT_STRIDE=100 valgrind -q --error-exitcode=99 $$each || exit 1 ;; \
	    esac; done
	KOLO_C_DEBUG=1 PYTHONMALLOC=malloc KOLO_C_RUNNER="valgrind -q --error-exitcode=99 \
	    --trace-children=yes --undef-value-errors=no \
	    --suppressions=$(CURDIR)/tools/valgrind.supp" \
	    script/test-python $(PYTHON) tests/spec --core=c

soak: build ## Hours of recording: nothing grows, nothing is lost (SECONDS=3600)
	$(PYTHON) tools/soak.py --seconds $(or $(SECONDS),3600)

soak-server: build ## A server under load: memory and files flat, nothing lost (SECONDS=600)
	$(PYTHON) -m tools.soak_server --seconds $(or $(SECONDS),600)

deaths: build ## Programs killed at random instants: nothing is lost, none twice (RUNS=1000)
	$(PYTHON) -m tools.deaths --runs $(or $(RUNS),1000)

disk-load: build ## How long a program is held for a block while its disk is busy (SECONDS=30)
	$(PYTHON) -m tools.disk_load --seconds $(or $(SECONDS),30)

many-traces: build ## A store of a million tiny segments is brought within its bounds (COUNT=1000000)
	$(PYTHON) -m tools.many_traces --count $(or $(COUNT),1000000)

crowd: build ## 16 processes record 1,000 traces each in one store, while others read (TRACES=1000)
	$(PYTHON) -m tools.crowd --traces $(or $(TRACES),1000)

forks: build ## 1,000 forks in the middle of a busy writer: two whole traces each time (FORKS=1000)
	$(PYTHON) -m tools.forks --forks $(or $(FORKS),1000)

validate: build ## Generated programs, recorded by every core and hook, compared (PROGRAMS=2000)
	$(PYTHON) -m kolo_c validate --generate $(or $(PROGRAMS),2000) --seed $(or $(SEED),0)

programs: build ## The gate's generated programs, by every hook of the C core and by both cores (KOLO_C_TEST_LONG=1: more)
	$(PYTHON) -m kolo_c validate --generate $(if $(LONG),2000,300) --sides 'c/*'
	$(PYTHON) -m kolo_c validate --generate $(if $(LONG),400,100) --seed 2000

fuzz: build ## Hostile bytes for the reader, hostile values for the encoder (ROUNDS=20000)
	FUZZ_ROUNDS=$(or $(ROUNDS),20000) $(PYTHON) -m pytest -q -o faulthandler_timeout=0 \
	    tests/unit/test_corrupt_store.py tests/unit/test_hostile_bytes.py \
	    tests/unit/test_values.py tests/unit/test_value_hostile.py

# What they learn stays in build/ for the next time.
fuzz-readers: build ## The readers in C under libFuzzer, then Python's under Atheris (SECONDS=120 each)
	$(MAKE) -C tests/c fuzz SECONDS=$(or $(SECONDS),120)
	$(PYTHON) -c "import atheris" 2>/dev/null || $(PYTHON) -m pip install -q atheris
	$(PYTHON) -m tests.unit.fuzz_readers --seeds build/fuzz-readers
	$(PYTHON) -m tests.unit.fuzz_readers -max_total_time=$(or $(SECONDS),120) \
	    -max_len=131072 -rss_limit_mb=1500 -timeout=25 -verbosity=0 \
	    -print_final_stats=1 -artifact_prefix=build/ build/fuzz-readers

# One Python's: a clone's .venv; `PYTHON -m tools.cpython_tests` for another.
cpython-tests: build ## CPython's own tests, with and without tracing: what differs and why
	$(PYTHON) -m tools.cpython_tests --more

wheel: .venv/bin/python ## The sdist, and a wheel that is tried where there is nothing but Python
	script/wheel

leaks: build ## Memory and references that do not come back
	$(PYTHON) -m pytest -q tests/leaks

lint: lint-c lint-python types ## Every check that reads and does not run

lint-c: .venv/bin/python
	$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)

lint-python: .venv/bin/python
	$(RUFF) format --check $(PYTHON_FILES)
	$(RUFF) check $(PYTHON_FILES)

types: .venv/bin/python
	.venv/bin/mypy

format: .venv/bin/python ## Put C and Python into their shape
	$(CLANG_FORMAT) -i $(C_FILES)
	$(RUFF) format $(PYTHON_FILES)
	$(RUFF) check --fix $(PYTHON_FILES)

generate: build ## Write the generated parts of the documentation anew
	@for each in $(GENERATORS); do $(PYTHON) $$each || exit 1; done

generate-check: build
	@for each in $(GENERATORS); do $(PYTHON) $$each --check || exit 1; done

docs: generate ## The generated pages, and the tests that hold the others to the truth
	$(PYTHON) -m pytest -q tests/test_documentation.py

screenshots: build ## The pictures in docs/images, from real runs
	$(PYTHON) tools/screenshots.py

bench: build ## Every benchmark, and the README's table from its results
	$(PYTHON) -m benchmarks

clean: ## Remove what was built
	rm -rf build dist *.egg-info kolo_c/_kolo*.so .mypy_cache .pytest_cache .ruff_cache
	$(MAKE) -C tests/c clean
