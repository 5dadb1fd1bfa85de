# make up      set everything up and start a cloud network on this machine (root; Debian 12 or alike)
# make down    remove that cloud
# make test    run the tests, beside a running cloud or not
# make lint    style, format, types, and who may import whom
# make docs    write docs/reference anew
# make install the set-up alone: the command is then .venv/bin/ovenbird
# make clean   remove what the other targets made in this folder

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Users of su and sudo may lack the directories of system programs.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# Programs (or files, by their paths) and the Debian packages that they come in.
PYTHON_TOOLS := $(PYTHON):python3
TOOLS   := ovs-vswitchd:openvswitch-switch ip:iproute2 ping:iputils-ping ethtool:ethtool udhcpc:udhcpc curl:curl
ORACLES := ovn-nbctl:ovn-common ovn-northd:ovn-central ovn-controller:ovn-host ovn-ic:ovn-ic \
	/usr/share/ovn/ovn-ic-nb.ovsschema:ovn-ic-db ovn-controller-vtep:ovn-controller-vtep \
	vtep-ctl:openvswitch-vtep dhclient:isc-dhcp-client dig:bind9-dnsutils \
	/usr/lib/frr/bgpd:frr tcpdump:tcpdump htpasswd:apache2-utils systemd-analyze:systemd openssl:openssl logrotate:logrotate

# $(call packages,program:package ...) names the packages of the programs that are missing.
packages = for pair in $(1); do command -v "$${pair%%:*}" >/dev/null || test -e "$${pair%%:*}" || echo "$${pair\#*:}"; done | sort -u | tr '\n' ' '

# $(call provide,PACKAGES) installs packages where that is possible, and otherwise says in one line what to install.
define provide
if [ -n "$(1)" ]; then \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $(1)"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $(1) >/dev/null; \
	else \
		echo "missing: as root, apt-get install $(1)" >&2; exit 1; \
	fi; \
fi
endef

.PHONY: install up down test lint docs clean tools oracles

install: tools $(VENV)/.installed

up: install
	@$(BIN)/ovenbird up

down:
	@$(BIN)/ovenbird down

test: tools oracles $(VENV)/.installed-dev
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadgroup --no-loadscope-reorder

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy tests/types
	$(BIN)/lint-imports

docs: tools oracles $(VENV)/.installed-dev
	OVENBIRD_UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/golden/test_reference.py tests/golden/test_option_reference.py tests/golden/test_setting_reference.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

tools:
	@missing="$$($(call packages,$(TOOLS)))"; $(call provide,$$missing)

# Without them, the tests that compare with the original programs say so and are skipped.
oracles:
	@missing="$$($(call packages,$(ORACLES)))"; ( $(call provide,$$missing) ) || true

$(BIN)/python:
	@missing="$$($(call packages,$(PYTHON_TOOLS)))"; \
	[ -n "$$missing" ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="python3-venv"; \
	$(call provide,$$missing)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Ovenbird needs Python 3.11 or newer; name one with: make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
