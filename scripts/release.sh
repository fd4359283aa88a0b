#!/usr/bin/env bash
# make release VERSION=X.Y.Z: from a tree that says it is that version to a tag and a directory to publish. docs/releasing.md tells it.
# DRY_RUN=1 neither checks nor tags; BUILT=1 with it: the package in dist/ is new. KEY: an OpenPGP key that signs tag and checksums.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=${VERSION:-}
dry=${DRY_RUN:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "usage: make release VERSION=X.Y.Z [DRY_RUN=1] [KEY=...]"
cd "$root"
need git dpkg-dev
[ -z "${KEY:-}" ] || need gnupg
out=dist/release-$version

# The day this version is said to be of, by either changelog.
day_for_users() { sed -n "s/^## ${version//./\\.} (\([0-9-]\{10\}\))\$/\1/p" CHANGELOG.md; }
day_for_debian() { date -u -d "@$(dpkg-parsechangelog -S Timestamp)" +%F; }

agreed() {
    local cargo debian
    cargo=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
    [ "$cargo" = "$version" ] || die "Cargo.toml says $cargo, not $version"
    for crate in otp otpctl otpd pam_otp; do
        grep -A1 "^name = \"$crate\"\$" Cargo.lock | grep -qxF "version = \"$version\"" || die "Cargo.lock has another $crate than $version: cargo update --workspace"
    done
    debian=$(dpkg-parsechangelog -S Version)
    [ "$debian" = "$version" ] || die "debian/changelog begins with $debian, not $version"
    [ "$(dpkg-parsechangelog -S Distribution)" != UNRELEASED ] || die "debian/changelog says UNRELEASED"
    [ -n "$(day_for_users)" ] || die "CHANGELOG.md has no line '## $version (YYYY-MM-DD)'"
    [ "$(sed -n 's/^## \([^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)" = "$version" ] || die "CHANGELOG.md begins with another version than $version"
    [ "$(day_for_users)" = "$(day_for_debian)" ] || die "CHANGELOG.md is of $(day_for_users), debian/changelog of $(day_for_debian)"
}

# What users are told of this version, without the line that names it.
notes() { awk -v head="## $version " 'index($0, head) == 1 { on = 1; next } /^## / { on = 0 } on' CHANGELOG.md | sed -e '/./,$!d'; }

clean() {
    [ -z "$(git status --porcelain)" ] || die "the tree is not clean: $(git status --short | head -n 5)"
    ! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || die "there is a tag v$version already"
}

# The package that make check built and tried.
package() {
    local deb
    deb=$(echo dist/libpam-otp_"$version"_*.deb)
    [ -e "$deb" ] || die "dist/ has no package of $version"
    [ "$(dpkg-deb -f "$deb" Version)" = "$version" ] || die "$deb is of another version"
    echo "$deb"
}

collect() {
    local deb
    deb=$(package)
    rm -rf "$out"
    mkdir -p "$out"
    cp "$deb" dist/libpam-otp_"$version"_*.buildinfo "$out/"
    dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/share/doc/libpam-otp/libpam-otp.cdx.json >"$out/libpam-otp_$version.cdx.json"
    notes >"$out/NOTES.md"
    [ -s "$out/NOTES.md" ] || die "CHANGELOG.md says nothing of $version"
    git archive --prefix="libpam-otp-$version/" --format=tar HEAD | gzip -9n >"$out/libpam-otp-$version.tar.gz"
    (cd "$out" && sha256sum -- *) >"$root/dist/SHA256SUMS" && mv dist/SHA256SUMS "$out/"
    [ -z "${KEY:-}" ] || gpg --batch --yes --local-user "$KEY" --armor --output "$out/SHA256SUMS.asc" --detach-sign "$out/SHA256SUMS"
}

tag() {
    if [ -n "${KEY:-}" ]; then set -- --sign --local-user "$KEY"; else set -- --annotate; fi
    { echo "libpam-otp $version" && echo && cat "$out/NOTES.md"; } | git tag "$@" --cleanup=verbatim --file=- "v$version" "$head"
}

clean
agreed
head=$(git rev-parse HEAD)
if [ -z "$dry" ]; then
    scripts/check.sh
    clean
    [ "$(git rev-parse HEAD)" = "$head" ] || die "the tree has changed meanwhile"
elif [ -z "${BUILT:-}" ]; then
    scripts/deb.sh >/dev/null
fi
collect
[ -n "$dry" ] || tag
say "$version${dry:+, a trial: nothing was checked, nothing is tagged}"
(cd "$out" && ls -- *)
[ -n "$dry" ] || say "Next: git push origin v$version; publish $out; for a first release, keep the package (docs/releasing.md)"
