# Every target installs what it lacks with apt and says so first.
.DEFAULT_GOAL := help
.PHONY: help demo check test e2e releases audit bench deb install release

help:
	@echo 'make demo      see it work in a throw-away container: ssh logins with one-time codes'
	@echo '               (SHELL_AFTER=1 leaves a prompt inside)'
	@echo 'make check     everything CI runs'
	@echo 'make test      the fast part of it: no root, no container'
	@echo 'make e2e       the container part: the installed package, sshd, sudo, su'
	@echo 'make releases  the container part on Debian 12 and on Debian 13, built there with the compiler of each'
	@echo 'make audit     licences, sources and advisories of the crates; the bill of materials'
	@echo 'make bench     what a login costs, beside pam_google_authenticator, pam_oath and pam_permit'
	@echo 'make deb       dist/libpam-otp_<version>_<arch>.deb'
	@echo 'make release VERSION=X.Y.Z   checks, tags, and collects what is published in dist/ (DRY_RUN=1: a trial)'
	@echo 'make install   builds that package and installs it (sudo make install)'

demo:
	@tests/container/demo.sh

check:
	@scripts/check.sh

test:
	@scripts/test.sh

e2e:
	@tests/container/e2e.sh

releases:
	@tests/container/releases.sh --all bookworm trixie

audit:
	@scripts/audit.sh

bench:
	@scripts/bench.sh

deb:
	@scripts/deb.sh

install:
	@scripts/install.sh

release:
	@scripts/release.sh
