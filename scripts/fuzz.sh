#!/usr/bin/env bash
# scripts/fuzz.sh [SECONDS [TARGET...]]: runs the fuzz targets under libFuzzer, each for so long (60 s), from the kept corpus. As root,
# because the store trusts only what is root's. What it finds new stays in target/fuzz; with KEEP=1 it is merged into the corpus.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(policy passcode user secrets state stored logins)

need g++
cd "$root/fuzz"
find_cargo
# As cargo-fuzz has them; the code is safe Rust, so no sanitizer of memory is needed.
export RUSTC_BOOTSTRAP=1
# The hashes that ship: these flags replace those of .cargo/config.toml.
hashes="--cfg sha1_backend=\"soft\" --cfg sha2_backend=\"soft\" --cfg sha2_backend_soft=\"compact\""
export RUSTFLAGS="$hashes --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build -q --locked --release --target "$host" --target-dir "$root/target/fuzz"
for target in "${targets[@]}"; do
    found=$root/target/fuzz/found/$target
    mkdir -p "$found"
    say "$target, $seconds s"
    program=$root/target/fuzz/$host/release/$target
    "$program" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$found-" "$found" "corpus/$target"
    if [ -n "${KEEP:-}" ]; then
        "$program" -merge=1 -verbosity=0 "corpus/$target" "$found"
    fi
done
