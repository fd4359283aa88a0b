#!/usr/bin/env bash
# Tries make release in a copy of the tree that is ready for it, with the package in dist/; and that it refuses one that is not.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/tree.sh
. "$root/scripts/tree.sh"

need git gnupg make dpkg-dev
place=$(mktemp -d)
trap 'gpgconf --homedir "$place/keys" --kill gpg-agent 2>/dev/null || true; rm -rf "$place"' EXIT
said=$place/said
copy=$place/copy
version=$(dpkg-parsechangelog -l "$root/debian/changelog" -S Version)
day=$(date -u -d "@$(dpkg-parsechangelog -l "$root/debian/changelog" -S Timestamp)" +%F)

git_here() { git -C "$copy" -c user.name=nobody -c user.email=nobody@example.org -c commit.gpgsign=false "$@"; }

# A commit in which the changelogs agree; dist/ as it is here.
ready() {
    copy_tree "$copy"
    mkdir "$copy/dist"
    cp "$root"/dist/libpam-otp_* "$copy/dist/"
    sed -i "s/^## ${version//./\\.} .*/## $version ($day)/" "$copy/CHANGELOG.md"
    printf '\n## 0.0.0 (2001-09-09)\n\n- What came before is not told again.\n' >>"$copy/CHANGELOG.md"
    git_here init -q -b main
    git_here config user.name nobody
    git_here config user.email nobody@example.org
    commit
}
commit() { git_here add -A && git_here commit -qm 'a release'; }
release() { make -s -C "$copy" release VERSION="${1:-$version}" BUILT=1 "${@:2}" >"$said" 2>&1; }
releases() { release "$@" || die "not released: $(cat "$said")"; }
# refuses TEXT [VERSION [VARIABLE=...]]
refuses() {
    local text=$1
    shift
    ! release "$@" || die "released, although: $text"
    grep -qF -- "$text" "$said" || die "'$text' is not what it says, but: $(cat "$said")"
    [ -z "$(git_here tag)" ] || [ "$text" = "there is a tag" ] || die "refused, and tagged"
    [ ! -e "$copy/dist/release-$version" ] || die "refused, and collected"
}
# edited FILE EXPRESSION TEXT: refused as long as the file says that.
edited() {
    sed -i "$2" "$copy/$1"
    [ -n "$(git_here status --porcelain)" ] || die "$1: $2 changes nothing"
    refuses "the tree is not clean" "$version" DRY_RUN=1
    commit
    refuses "$3" "$version" DRY_RUN=1
    git_here reset -q --hard HEAD^
}

say "make release: a trial, and what it refuses"
ready
refuses "usage:" 1.0 DRY_RUN=1
refuses "Cargo.toml says $version, not 99.0.0" 99.0.0 DRY_RUN=1
edited Cargo.toml "0,/^version = .*/s//version = \"99.0.0\"/" "Cargo.toml says 99.0.0"
edited Cargo.lock "/^name = \"otpctl\"/{n;s/.*/version = \"99.0.0\"/}" "Cargo.lock has another otpctl"
edited debian/changelog "1s/($version)/(99.0.0)/" "debian/changelog begins with 99.0.0"
edited debian/changelog "1s/unstable/UNRELEASED/" "UNRELEASED"
edited CHANGELOG.md "s/^## ${version//./\\.} .*/## $version (unreleased)/" "CHANGELOG.md has no line"
edited CHANGELOG.md "s/^## ${version//./\\.} .*/## $version (2001-09-09)/" "CHANGELOG.md is of 2001-09-09"
edited CHANGELOG.md "0,/^## /s//## 99.0.0 (2001-09-09)\n\n## /" "CHANGELOG.md begins with another version"

# Signed by a key that is made here and gone with the place.
mkdir -m 700 "$place/keys"
export GNUPGHOME=$place/keys
quietly gpg --batch --passphrase '' --quick-generate-key 'release trial <trial@example.org>' ed25519 sign 1d
releases "$version" DRY_RUN=1 KEY=trial@example.org
[ -z "$(git_here tag)" ] || die "a trial tags"
[ -z "$(git_here status --porcelain)" ] || die "a trial leaves something in the tree"
out=$copy/dist/release-$version
(cd "$out" && sha256sum --quiet -c SHA256SUMS) || die "checksums"
for file in "$out"/*; do
    case ${file##*/} in SHA256SUMS*) ;; *) grep -q "  ${file##*/}\$" "$out/SHA256SUMS" || die "no checksum of ${file##*/}" ;; esac
done
quietly gpg --batch --verify "$out/SHA256SUMS.asc" "$out/SHA256SUMS"
cmp "$root"/dist/libpam-otp_"$version"_*.deb "$out"/libpam-otp_"$version"_*.deb
perl -MJSON::PP -0777 -ne "exit !(decode_json(\$_)->{metadata}{component}{version} eq '$version')" "$out/libpam-otp_$version.cdx.json" || die "the bill"
# The notes are what stands below the version's own line, up to the next.
diff <(sed "1,/^## /d; /^## /,\$d; /./,\$!d" "$copy/CHANGELOG.md") "$out/NOTES.md" || die "the notes"
tar -tzf "$out/libpam-otp-$version.tar.gz" >"$place/files"
grep -qx "libpam-otp-$version/debian/control" "$place/files" || die "the source"

# The other way with make check as it ends: it would be here in itself.
printf '#!/bin/sh\nexit 1\n' >"$copy/scripts/check.sh"
commit
rm -rf "$out"
refuses "Error 1"
printf '#!/bin/sh\ntouch checked\n' >"$copy/scripts/check.sh"
commit
refuses "the tree is not clean: ?? checked"
rm "$copy/checked"
printf '#!/bin/sh\nexit 0\n' >"$copy/scripts/check.sh"
commit
releases "$version" KEY=trial@example.org
[ "$(git_here rev-parse "v$version^{commit}")" = "$(git_here rev-parse HEAD)" ] || die "the tag is elsewhere"
quietly git_here verify-tag "v$version"
git_here cat-file tag "v$version" | grep -q '^### ' || die "the tag does not tell the notes"
rm -rf "$out"
refuses "there is a tag" "$version" DRY_RUN=1
