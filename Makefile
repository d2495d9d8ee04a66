# What can be made here; `make` alone lists it. Builds are locked to Cargo.lock.

PREFIX = /usr
DESTDIR =
CARGO = cargo

# The programs that exec hold nothing of the administrator's: they are built without its features.
SHIMS = kubens-exec kubensenter kubens-hook
# At a fixed address: relocations would take a tenth of their time (make bench; SECURITY.md).
SHIM_MODEL = -C relocation-model=static
PROGRAMS = $(SHIMS) $(ADMIN)
ADMIN = kubens kubens-generator

HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
HOST_ARCH := $(or $(firstword $(subst -, ,$(HOST))),$(shell uname -m))
ARCHES = x86_64 aarch64
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
DIST = $(TARGET_DIR)/dist
SOURCES := Cargo.toml Cargo.lock build.rs link.ld $(shell find src -name '*.rs')
SCRIPTS = .ci/run $(shell find benches tests -name "*.sh")

BIN = $(DESTDIR)$(PREFIX)/bin
# Where hook files name it.
LIBEXEC = $(DESTDIR)$(PREFIX)/libexec/oci/hooks.d
# Where systemd looks, if PREFIX is /usr or /usr/local.
UNITS = $(DESTDIR)$(PREFIX)/lib/systemd/system
PRESETS = $(DESTDIR)$(PREFIX)/lib/systemd/system-preset
GENERATORS = $(DESTDIR)$(PREFIX)/lib/systemd/system-generators
SHARE = $(DESTDIR)$(PREFIX)/share
DOCUMENTS = $(SHARE)/doc/kubens
DATA = $(SHARE)/kubens
# Outside of what the runtimes read: kubens hooks enable registers them.
HOOKS = $(DATA)/hooks.d
BASH_COMPLETIONS = $(SHARE)/bash-completion/completions
ZSH_COMPLETIONS = $(SHARE)/zsh/site-functions
FISH_COMPLETIONS = $(SHARE)/fish/vendor_completions.d

.PHONY: help demo test bench install lint release clean test-tools test-systemd-newer \
	lint-format lint-clippy lint-docs lint-man lint-shell lint-deny lint-rust-version

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## see it work on this machine, in a scratch directory (root)
	$(CARGO) build --release --locked --bins --examples
	$(CARGO) run --release --locked --example demo

test: test-tools ## prove it; installs what the tests need when that is missing (root)
	$(CARGO) test --locked
	@# The same with what is released: another C library, other options.
	$(MAKE) --no-print-directory $(DIST)/$(HOST_ARCH)/kubens
	KUBENS_BIN=$(abspath $(DIST)/$(HOST_ARCH)) \
		$(CARGO) test --locked --test pin --test shim --test runtime --test transparency \
		--test generator --test systemd --test profile --test hook --test hook_record \
		--test mounts --test conformance

bench: ## measure what the shim, the generator, the hook and a node's mounts cost (root)
	$(CARGO) bench --locked --bench exec
	$(MAKE) --no-print-directory $(DIST)/$(HOST_ARCH)/kubens
	KUBENS_BIN=$(abspath $(DIST)/$(HOST_ARCH)) $(CARGO) bench --locked --bench generator
	KUBENS_BIN=$(abspath $(DIST)/$(HOST_ARCH)) $(CARGO) bench --locked --bench mounts
	$(CARGO) bench --locked --bench hook
	$(CARGO) bench --locked --bench node

lint: lint-format lint-clippy lint-docs lint-man lint-shell lint-deny lint-rust-version ## check format, lints, documents, licences, the oldest Rust

release: $(patsubst %,$(DIST)/%/kubens,$(sort $(HOST_ARCH) $(ARCHES))) ## build static programs into target/dist/ARCH

install: $(DIST)/$(HOST_ARCH)/kubens ## install what `make release` built here (DESTDIR=, PREFIX=/usr)
	install -d $(BIN) $(LIBEXEC) $(UNITS) $(PRESETS) $(GENERATORS) $(SHARE)/man/man5 $(SHARE)/man/man7 $(SHARE)/man/man8 \
		$(BASH_COMPLETIONS) $(ZSH_COMPLETIONS) $(FISH_COMPLETIONS)
	install -m 0755 $(patsubst %,$(DIST)/$(HOST_ARCH)/%,kubens-exec kubensenter kubens) $(BIN)
	install -m 0755 $(DIST)/$(HOST_ARCH)/kubens-hook $(LIBEXEC)
	install -m 0755 $(DIST)/$(HOST_ARCH)/kubens-generator $(GENERATORS)
	for unit in kubens.service kubens-metrics.service kubens-metrics.timer; do \
		sed '/^Exec/s,=/usr/bin/,=$(PREFIX)/bin/,' config/systemd/$$unit >$(UNITS)/$$unit && \
		chmod 0644 $(UNITS)/$$unit || exit; \
	done
	install -m 0644 config/systemd/80-kubens.preset $(PRESETS)
	install -m 0644 man/*.5 $(SHARE)/man/man5
	install -m 0644 man/*.7 $(SHARE)/man/man7
	install -m 0644 man/*.8 $(SHARE)/man/man8
	for file in README.md SECURITY.md CHANGELOG.md LICENSE docs/*.* docs/install/*.md; do \
		install -D -m 0644 $$file $(DOCUMENTS)/$$file || exit; \
	done
	install -D -m 0644 config/kubens.toml $(DOCUMENTS)/examples/kubens.toml
	for file in $$(cd config && find openshift profiles prometheus -type f); do \
		install -D -m 0644 config/$$file $(DATA)/$$file || exit; \
	done
	install -d $(HOOKS)/enforce $(DATA)/crio.conf.d $(DATA)/containers.conf.d
	for file in 00-kubens.json enforce/00-kubens.json; do \
		sed '/"path"/s,"/usr/libexec/,"$(PREFIX)/libexec/,' hooks/$$file >$(HOOKS)/$$file && \
		chmod 0644 $(HOOKS)/$$file || exit; \
	done
	install -m 0644 config/crio.conf.d/10-kubens.conf $(DATA)/crio.conf.d
	install -m 0644 config/containers.conf.d/10-kubens.conf $(DATA)/containers.conf.d
	install -m 0644 $(DIST)/$(HOST_ARCH)/kubens.bash $(BASH_COMPLETIONS)/kubens
	install -m 0644 $(DIST)/$(HOST_ARCH)/kubens.zsh $(ZSH_COMPLETIONS)/_kubens
	install -m 0644 $(DIST)/$(HOST_ARCH)/kubens.fish $(FISH_COMPLETIONS)/kubens.fish

clean: ## remove everything that was built
	$(CARGO) clean

# The programs for one architecture, and for this machine's own the completions that they print. musl
# where the compiler has it or can get it. Otherwise static glibc for this machine's own, and nothing
# for another one's: that is said, and no failure.
$(DIST)/%/kubens: $(SOURCES)
	@set -eu; \
	triple=$*-unknown-linux-musl; flags=; \
	has() { test -d "$$(rustc --print target-libdir --target $$triple)"; }; \
	if ! has && command -v rustup >/dev/null; then rustup --quiet target add $$triple || true; fi; \
	if test $* != $(HOST_ARCH); then \
		has || { echo "release: $* is left out: this compiler has no $$triple"; exit 0; }; \
		flags='-C linker=rust-lld'; \
	elif ! has; then \
		triple=$(HOST); flags='-C target-feature=+crt-static'; \
		echo "release: no musl target, so with static glibc (Fedora has it in glibc-static)"; \
	fi; \
	build() { \
		echo "$(CARGO) build --release --locked --target $$triple $$*"; \
		RUSTFLAGS="$${RUSTFLAGS-} $$flags $$model" \
			$(CARGO) build --release --locked --target $$triple "$$@"; \
	}; \
	model='$(SHIM_MODEL)'; build --no-default-features $(SHIMS:%=--bin %) && \
		{ model=; export CARGO_PROFILE_RELEASE_OPT_LEVEL=3; build $(ADMIN:%=--bin %); } || failed=yes; \
	if test -n "$${failed-}"; then \
		test $* != $(HOST_ARCH) || exit 1; \
		echo "release: $* is left out: it cannot be built here"; exit 0; \
	fi; \
	install -d $(@D); \
	for program in $(PROGRAMS); do \
		install -m 0755 $(TARGET_DIR)/$$triple/release/$$program $(@D); \
	done; \
	test $* = $(HOST_ARCH) || exit 0; \
	for shell in bash zsh fish; do $@ completions $$shell >$(@D)/kubens.$$shell; done

# The suites that boot a systemd, for those of other distributions.
SYSTEMD_TESTS = systemd_boot systemd systemd_services sides group parser roundtrip shutdown
NEWER = trixie

test-systemd-newer: $(NEWER:%=$(TARGET_DIR)/systemd-%/etc/os-release) ## the systemd tests with a newer systemd (root, Debian, network; NEWER=trixie)
	@set -eu; for suite in $(NEWER); do \
		root=$(abspath $(TARGET_DIR))/systemd-$$suite; \
		echo "systemd $$(chroot $$root systemctl --version | sed -n '1s/systemd //p')"; \
		KUBENS_TEST_MUST_RUN=1 KUBENS_TEST_ROOT=$$root \
			$(CARGO) test --locked $(SYSTEMD_TESTS:%=--test %); \
	done

# From the mirror that this machine's own packages come from. What is half made goes.
$(TARGET_DIR)/systemd-%/etc/os-release:
	@set -eu; PATH=$$PATH:/usr/sbin:/sbin; export DEBIAN_FRONTEND=noninteractive; \
	if ! command -v debootstrap >/dev/null; then \
		get='apt-get -qq -y --no-install-recommends install debootstrap'; \
		$$get >/dev/null 2>&1 || { apt-get -qq update && $$get >/dev/null; }; \
	fi; \
	mirror=$$(apt-get indextargets --format '$$(SITE)' 'Label: Debian' 'Created-By: Packages' | head -n 1); \
	test -n "$$mirror" || { echo "test-systemd-newer: apt knows no mirror of Debian here"; exit 1; }; \
	root=$(TARGET_DIR)/systemd-$*; rm -rf $$root $$root.new; mkdir -p $(TARGET_DIR); \
	echo "installing Debian $* in $$root: a minute, 260 MB"; \
	debootstrap --variant=minbase --include=systemd,dbus,iproute2,procps,e2fsprogs \
		$* $(abspath $(TARGET_DIR))/systemd-$*.new "$$mirror" >$$root.log 2>&1 || \
		{ tail -n 5 $$root.log; exit 1; }; \
	rm -rf $$root.new/var/cache/apt/archives; mv $$root.new $$root; touch $$root/etc/os-release

# What the tests run beside the programs themselves: PROGRAM=PACKAGE, of what is missing alone, so that
# nothing that is there is replaced by another vendor's. Of those in the second list the tests know
# others that do as well.
APT_TOOLS = runc=runc crun=crun busybox=busybox-static strace=strace unshare=util-linux ctr=containerd \
	dockerd=docker.io podman=podman systemctl=systemd dbus-daemon=dbus mkfs.ext4=e2fsprogs
DNF_TOOLS = $(subst docker.io,moby-engine,$(subst busybox-static,busybox,$(subst =dbus,=dbus-daemon,$(APT_TOOLS))))
EXTRA_TOOLS = kubectl=kubernetes-client

# containerd is not to be started: where systemd runs, Debian's package would do so.
test-tools:
	@PATH=$$PATH:/usr/sbin:/sbin; \
	if command -v apt-get >/dev/null; then \
		tools='$(APT_TOOLS)'; update='apt-get -qq update'; \
		get='apt-get -qq -y --no-install-recommends install'; \
	elif command -v dnf >/dev/null; then \
		tools='$(DNF_TOOLS)'; update=false; get='dnf -q -y install'; \
	else \
		tools='$(APT_TOOLS)'; get=; \
	fi; \
	packages() { \
		for tool in $$*; do \
			command -v $${tool%%=*} >/dev/null || printf ' %s' $${tool#*=}; \
		done; \
	}; \
	missing=$$(packages $$tools); extra=$$(packages $(EXTRA_TOOLS)); \
	test -n "$$missing$$extra" || exit 0; \
	if test -z "$$get"; then \
		echo "test: some tests need programs of:$$missing$$extra"; exit 0; \
	elif test "$$(id -u)" != 0; then \
		echo "test: some tests need more; as root: $$get$$missing$$extra"; exit 0; \
	fi; \
	mask=; ! test -d /run/systemd/system || mask='--quiet --runtime containerd.service'; \
	test -z "$$mask" || systemctl mask $$mask; \
	export DEBIAN_FRONTEND=noninteractive; \
	for packages in "$$missing" "$$extra"; do \
		test -n "$$packages" || continue; \
		echo "test: installing$$packages"; \
		$$get $$packages >/dev/null 2>&1 || { $$update && $$get $$packages >/dev/null; } || \
			echo "test: could not be installed:$$packages"; \
	done; \
	test -z "$$mask" || systemctl unmask $$mask

lint-format:
	@$(CARGO) fmt --version >/dev/null 2>&1 || \
		{ echo "lint: rustfmt is not installed: rustup component add rustfmt"; exit 1; }
	$(CARGO) fmt --check
	rustfmt --check benches/exec/floor.rs benches/exec/target.rs

lint-clippy:
	@$(CARGO) clippy --version >/dev/null 2>&1 || \
		{ echo "lint: clippy is not installed: rustup component add clippy"; exit 1; }
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) clippy --no-default-features --lib $(SHIMS:%=--bin %) --locked -- -D warnings

lint-docs:
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps --locked

lint-man:
	@if command -v mandoc >/dev/null; then mandoc -T lint -W warning man/*.[578]; \
	else echo "lint: mandoc is not installed: the man pages were not checked"; fi

lint-shell:
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	else echo "lint: shellcheck is not installed: the scripts were not checked"; fi

lint-deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check bans licenses sources; \
	else echo "lint: cargo-deny is not installed: the dependencies were not checked"; fi

lint-rust-version:
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1.0/p' Cargo.toml); \
	if $(CARGO) +$$version --version >/dev/null 2>&1; then $(CARGO) +$$version check --locked; \
	else echo "lint: Rust $$version is not installed: the oldest Rust was not tried"; fi
