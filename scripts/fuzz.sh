#!/usr/bin/env bash
# scripts/fuzz.sh [SECONDS [TARGET...]]: runs the fuzz targets under libFuzzer, each for so long (60 s), from the kept corpus. As root,
# because the store trusts only what is root's. What it finds new stays in target/fuzz. With KEEP=1 the corpus is made anew: the files
# with a name of their own stay, and of the others and what was found, as many as reach something more.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(policy line passcode user door secrets state stored contacts sends machine slots logins import_google import_oath import_otpauth import_csv import_pskc)

[ "$(id -u)" = 0 ] || die "the store trusts only what is root's: run this as root"
need g++
cd "$root/fuzz"
find_cargo
# As cargo-fuzz has them; the code is safe Rust, so no sanitizer of memory is needed.
export RUSTC_BOOTSTRAP=1
# The hashes that ship: these flags replace those of .cargo/config.toml, so they begin with them.
hashes=$(sed -n 's/^rustflags = \[\(.*\)\]$/\1/p' "$root/.cargo/config.toml" | tr -d "\"'," | sed 's/=\([a-z]*\)/="\1"/g')
case $hashes in
*'sha1_backend="soft"'*'sha2_backend="soft"'*'sha2_backend_soft="compact"'*) ;;
*) die ".cargo/config.toml does not say which hashes ship: $hashes" ;;
esac
export RUSTFLAGS="$hashes --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build -q --locked --release --target "$host" --target-dir "$root/target/fuzz"

# The stores that are tried stand in a memory of their own, gone with the run.
apart() { unshare --mount sh -c 'mount -t tmpfs -o mode=755 tmpfs /run && exec "$@"' apart "$@"; }

for target in "${targets[@]}"; do
    found=$root/target/fuzz/found/$target
    mkdir -p "$found"
    say "$target, $seconds s"
    program=$root/target/fuzz/$host/release/$target
    apart "$program" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$found-" "$found" "corpus/$target"
    if [ -n "${KEEP:-}" ]; then
        kept=$(mktemp -d)
        find "corpus/$target" -name '*-*' -exec cp -t "$kept" {} +
        # By what is reached, not how often: the corpus stays small.
        apart "$program" -set_cover_merge=1 -use_counters=0 -verbosity=0 "$kept" "corpus/$target" "$found"
        rm -r "corpus/$target"
        mkdir "corpus/$target"
        cp "$kept"/* "corpus/$target"
        rm -r "$kept"
    fi
done
