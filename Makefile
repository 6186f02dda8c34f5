# make install   .venv with everything for development        make check    style, types, layers, limits, documents
# make run       a gateway on loopback, its data in var/      make test     all of check, then every test
# make demo      two companies, two gateways, mails to watch  make docs     the pages that are made from the source
# make bench     how fast; MAILSEAL_BENCH=short: less         make soak     an hour of kills and other faults
# make fuzz      the parsers, FUZZ_SECONDS each               make mutate   whether the tests notice what is changed
# make messages  texts for translators       make screenshots  the pictures of the console in docs/pictures
# make debian    the programs that the tests need             make lock     the lock files anew

SHELL := /bin/bash
BIN := .venv/bin
PACKAGES := libarchive13 postfix mariadb-server openssl swaks libnet-ssleay-perl gpg gpgsm gpg-agent sqop libnss3-tools age \
    iproute2 knot unbound opendkim chromium
MUTATE ?=
FUZZ_SECONDS ?= 600

.PHONY: install run demo test check bench soak fuzz mutate docs messages screenshots lock debian
.DELETE_ON_ERROR:

install: .venv/installed-dev

.venv/installed-dev: requirements-dev.lock tools/install.sh
	@tools/install.sh requirements-dev.lock
	@touch .venv/installed-run $@

.venv/installed-run: requirements.lock tools/install.sh
	@tools/install.sh requirements.lock
	@touch $@

debian:
	@tools/debian.sh $(PACKAGES)

run: .venv/installed-run
	@$(BIN)/mailseal --config var/mailseal.toml init --data var --hostname localhost --smtp 127.0.0.1:10025 --web 127.0.0.1:8443
	@exec $(BIN)/mailseal --config var/mailseal.toml serve

demo: .venv/installed-run
	@tools/debian.sh libarchive13 openssl swaks gpg gpg-agent
	@if [ $$(id -u) = 0 ] || sudo -n true 2>/dev/null; then tools/debian.sh postfix libnet-ssleay-perl; fi
	@exec $(BIN)/python -m demo

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/limits.py
	$(BIN)/python tools/config_docs.py --check
	$(BIN)/python tools/policy_docs.py --check
	$(BIN)/python tools/metrics_docs.py --check
	$(BIN)/python tools/messages.py --check

test: install debian check
	@tools/test.sh

docs: install
	$(BIN)/python tools/config_docs.py
	$(BIN)/python tools/policy_docs.py
	$(BIN)/python tools/metrics_docs.py

messages: install
	$(BIN)/python tools/messages.py

screenshots: install
	@tools/debian.sh chromium fonts-inter libarchive13
	$(BIN)/python tools/screenshots.py

bench: install
	@exec $(BIN)/python -m bench

soak: install
	@exec $(BIN)/python -m bench.soak

fuzz: install
	@for target in mime content documents sandbox_lines cms certificates openpgp pgp_certificates pgp_mail dkim receiver questions; do $(BIN)/python fuzz/$$target.py --seconds $(FUZZ_SECONDS) || exit 1; done

mutate: install
	@exec $(BIN)/python tools/mutate.py $(MUTATE)

lock:
	@tools/lock.sh
