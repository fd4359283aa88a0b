#!/usr/bin/env bash
# The source as it is here, copied somewhere else to be built. Sourced after lib.sh.
# shellcheck disable=SC2154  # root is lib.sh's

# What git tracks or would track; everything but what was built, where this is no git tree.
files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard
    else
        find . \( -path ./target -o -path ./dist \) -prune -o \( -type f -o -type l \) -print0
    fi
}

# copy_tree DIRECTORY: made anew. Modes are those of the caller's umask.
copy_tree() {
    rm -rf "$1"
    mkdir -p "$1"
    # A file deleted but not yet committed as deleted is listed and absent.
    (cd "$root" && files | while IFS= read -rd '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done | tar -c --null -T -) |
        tar -x --no-same-permissions -C "$1"
}
