#!/bin/bash
# test_headers.sh BUILD_DIR: do the public headers stand alone in C99 and C++11, and is every struct and constant where
# tests/abi/offsets.txt has it? TAP. With --update as second argument: write that table anew, for a new minor version.
set -u
build=$(cd "${1:?the build directory}" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
include=$(cd "$here/../../include" && pwd)
work=$(mktemp -d "$build/abi.XXXXXX")
trap 'rm -rf "$work"' EXIT
n=0 failed=0

# tap WHAT COMMAND...
tap() {
    local what=$1
    shift
    n=$((n + 1))
    if "$@" > "$work/out" 2>&1; then
        echo "ok $n - $what"
    else
        echo "not ok $n - $what"
        sed 's/^/# /' "$work/out" | head -n 30
        failed=1
    fi
}

compile_alone() { # HEADER COMPILER LANGUAGE STANDARD
    echo "#include <privateim/$1>" > "$work/alone.src"
    "$2" -x "$3" -std="$4" -pedantic -Wall -Wextra -Werror -I"$include" -c "$work/alone.src" -o "$work/alone.o"
}

table() { # LANGUAGE COMPILER STANDARD > table
    /usr/bin/python3 "$here/make_table.py" "$include" > "$work/table.src" &&
        "$2" -x "$1" -std="$3" -Wall -Werror -I"$include" "$work/table.src" -o "$work/table" && "$work/table"
}

same_table() {
    table "$@" > "$work/now.txt" && diff -u "$here/offsets.txt" "$work/now.txt"
}

# Does the comparison see a field that has moved?
sees_a_move() {
    mkdir -p "$work/moved/privateim"
    cp "$include"/privateim/*.h "$work/moved/privateim/" || return 1
    sed -i 's/^    int64_t a, b; /    int64_t b, a; /' "$work/moved/privateim/storage.h"
    ! cmp -s "$include/privateim/storage.h" "$work/moved/privateim/storage.h" &&
        ! (include=$work/moved && same_table c cc c99)
}

if [[ ${2:-} == --update ]]; then
    table c cc c99 > "$work/new.txt" && cp "$work/new.txt" "$here/offsets.txt"
    exit
fi
for header in "$include"/privateim/*.h; do
    name=$(basename "$header")
    tap "privateim/$name alone as C99" compile_alone "$name" cc c c99
    tap "privateim/$name alone as C++11" compile_alone "$name" c++ c++ c++11
done
tap "every struct and constant is where it was, C" same_table c cc c99
tap "every struct and constant is where it was, C++" same_table c++ c++ c++11
tap "a field that moves is seen" sees_a_move
echo "1..$n"
exit "$failed"
