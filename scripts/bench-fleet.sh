#!/usr/bin/env bash
# scripts/bench-fleet.sh [USERS]: how fast a fleet comes in and goes out, and in how much memory. As root, in a mount namespace
# of its own, where libnss-db knows so many users (100,000); the store stands in target/bench, on the disk that is there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

users=${1:-100000}
[ "$(id -u)" = 0 ] || die "the store trusts only what is root's: run this as root"
if [ -z "${BENCH_FLEET_INSIDE:-}" ]; then
    need libnss-db time
    mkdir -p "$root/target/bench"
    BENCH_FLEET_INSIDE=1 exec unshare --mount --propagation private "$0" "$users"
fi

place=$(mktemp -d "$root/target/bench/fleet.XXXXXX")
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
otpctl=${OTPCTL:-$root/target/release/otpctl}

say "$users accounts"
mkdir "$place/misc"
seq "$users" | awk '{ printf ".user%d user%d:x:%d:%d::/home/user%d:/bin/sh\n", $1, $1, 100000 + $1, 100000 + $1, $1 }' >"$place/passwd"
makedb -o "$place/misc/passwd.db" "$place/passwd"
printf 'passwd: files db\ngroup: files\n' >"$place/nsswitch.conf"
mount --bind "$place/nsswitch.conf" /etc/nsswitch.conf
mount --bind "$place/misc" /var/lib/misc
getent passwd "user$users" >"$place/last"

# A store that is empty. Those before stay until the end: deleting takes longer than what is measured.
stores=0
new_store() {
    stores=$((stores + 1))
    printf 'state_dir = "%s/lib%d"\nspool_dir = "%s/spool%d"\n' "$place" "$stores" "$place" "$stores" >"$place/otp.toml"
}
# A secret of its own for each, from a hash of the user's number.
awk -v users="$users" 'BEGIN { for (n = 1; n <= users; n++) printf "HOTP/T30 user%d - %040x\n", n, n * 2654435761 + 281474976710655 }' >"$place/users.oath"
echo "correct horse battery staple" >"$place/passphrase"

timed() {
    local what=$1 result
    shift
    if ! /usr/bin/time -o "$place/time" -f '%e %M %U %S' "$otpctl" --config "$place/otp.toml" "$@" --json >"$place/said" 2>/dev/null; then
        die "$what: $(head -c 500 "$place/said")"
    fi
    result=$(awk -v users="$users" '{ printf "%.1f s (processor %.1f s), %d a second, %.1f MB at most", $1, $3 + $4, users / $1, $2 / 1000 }' "$place/time")
    say "$what: $result"
}

new_store
timed "import users.oath" import "$place/users.oath"
timed "import again, all enrolled" import "$place/users.oath"
timed "export archive" export --output "$place/fleet.age" --passphrase-file "$place/passphrase"
timed "export csv" export --format csv --output "$place/fleet.csv"
new_store
timed "import archive" import --passphrase-file "$place/passphrase" "$place/fleet.age"
new_store
timed "import csv, all or nothing" import --all-or-nothing "$place/fleet.csv"
