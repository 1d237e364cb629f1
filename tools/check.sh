#!/bin/bash
# What ./check does: builds, runs test programs area by area, counts, says which failed and why.
#
# A test program prints TAP, or nothing that looks like it: then its exit status is its one result. Programs are found by
# their names: tests/AREA/test_*.py and tests/AREA/test_*.sh get the build directory; unit tests are the Makefile's.
# Exit status 77: it cannot run here; that is said at the end and counts for nothing. PIM_CHECK_ALL=1: everything longer.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/tools/packages.sh"
. "$root/tools/build.sh"

all_areas=(lint abi unit install conformance api security fault browser fuzz asan tsan)
build=$root/build-check
logs=$build/logs
everything=${PIM_CHECK_ALL:-} # not empty: make check-all
if [[ -n $everything ]]; then
    : "${PIM_FUZZ_S:=300}" "${PIM_TEST_TIMEOUT_S:=14400}" "${PIM_FAULT_ROUNDS:=200}" "${PIM_FAULT_IMAGES:=1000}"
    export PIM_FAULT_ROUNDS PIM_FAULT_IMAGES
fi
fuzz_s=${PIM_FUZZ_S:-20}
program_timeout_s=${PIM_TEST_TIMEOUT_S:-900}
passed=0 failed=0 not_run=()

if [[ ${1:-} == --list ]]; then
    echo "${all_areas[*]}"
    exit 0
fi
areas=("$@")
[[ $# -gt 0 ]] || areas=("${all_areas[@]}")

wants() {
    local area
    for area in "${areas[@]}"; do
        [[ $area != "$1" ]] || return 0
    done
    return 1
}

# program NAME COMMAND...: run it, count its results.
program() {
    local name=$1 log ok not_ok status begin=$SECONDS
    shift
    log=$logs/${name//\//_}.log
    timeout -k 10 "$program_timeout_s" "$@" > "$log" 2>&1 < /dev/null
    status=$?
    ok=$(grep -cE '^ok( |$)' "$log")
    not_ok=$(grep -cE '^not ok( |$)' "$log")
    # It ended badly without a word, or has no TAP at all.
    if [[ $status != 0 && $status != 77 && $not_ok == 0 ]]; then
        not_ok=1
    elif [[ $status == 0 && $((ok + not_ok)) == 0 ]]; then
        ok=1
    fi
    if [[ $status == 77 ]]; then # it says that it cannot run here: neither passed nor failed
        not_run+=("$name: $(grep -m 1 '^NOT RUN' "$log" || echo 'NOT RUN')")
        echo "NOT RUN $name"
        return 0
    fi
    passed=$((passed + ok))
    failed=$((failed + not_ok))
    if [[ $not_ok == 0 ]]; then
        echo "ok      $name ($ok, $((SECONDS - begin)) s)"
        return 0
    fi
    echo "FAILED  $name ($ok passed, $not_ok failed, status $status, $((SECONDS - begin)) s)"
    if grep -qE '^not ok( |$)' "$log"; then
        grep -E -A 8 '^not ok( |$)' "$log" | head -n 60 | sed 's/^/        /'
    fi
    tail -n 25 "$log" | sed 's/^/        /'
    echo "        all of it: $log"
    return 1
}

# A build that fails is a failed test of its own.
build_or_count() {
    local name=$1
    shift
    echo "building $name"
    if build_tree "$@"; then
        return 0
    fi
    failed=$((failed + 1))
    return 1
}

units_run() { # DIR PREFIX [WRAPPER...]
    local dir=$1 prefix=$2 test
    shift 2
    if ! make -s -C "$dir" -j"$(nproc)" check-programs > "$logs/$prefix-programs.log" 2>&1; then
        tail -n 40 "$logs/$prefix-programs.log"
        echo "FAILED  building $prefix tests"
        failed=$((failed + 1))
        return
    fi
    for test in $(make -s -C "$dir" unit-list); do
        CMOCKA_MESSAGE_OUTPUT=TAP program "$prefix/${test#tests/unit/}" "$@" "$dir/$test"
    done
}

scripts_run() { # AREA DIR PREFIX [WRAPPER...]
    local area=$1 dir=$2 prefix=$3 script
    shift 3
    for script in "$root/tests/$area"/test_*.py; do
        [[ ! -e $script ]] || program "$prefix/$(basename "$script")" "$@" /usr/bin/python3 "$script" "$dir"
    done
    for script in "$root/tests/$area"/test_*.sh; do
        [[ ! -e $script ]] || program "$prefix/$(basename "$script")" "$@" /bin/bash "$script" "$dir"
    done
}

begin=$SECONDS
need_packages "${build_packages[@]}" "${test_packages[@]}"
mkdir -p "$logs"

if wants lint; then
    program lint/layers /usr/bin/python3 "$root/tools/lint-layers" "$root"
fi

plain=(abi unit install conformance api security fault browser)
for area in "${plain[@]}"; do
    if wants "$area"; then
        build_or_count server "$build/plain" --enable-failpoints --enable-test-echo || areas=()
        break
    fi
done
if wants unit; then
    units_run "$build/plain" unit
fi
if wants install; then
    program install/test_install.sh /bin/bash "$root/tools/test_install.sh" "$build/plain"
fi
if wants conformance || wants api || wants security || wants fault || wants browser; then
    make -s -C "$build/plain" -j"$(nproc)" check-programs > "$logs/programs.log" 2>&1
fi
for area in abi conformance api security fault browser; do
    if wants "$area"; then
        scripts_run "$area" "$build/plain" "$area"
    fi
done
if [[ -n $everything ]] && wants api; then
    program api/autobahn_suite.py /usr/bin/python3 "$root/tests/api/autobahn_suite.py" "$build/plain"
fi

if wants fuzz && build_or_count "fuzz targets" "$build/fuzz" CC=clang --enable-fuzz \
    --enable-sanitizer=address,undefined,fuzzer-no-link; then
    for target in "$build"/fuzz/tests/fuzz/fuzz_*; do
        [[ -f $target && -x $target ]] || continue
        name=$(basename "$target")
        found=$build/fuzz/found/$name
        mkdir -p "$found"
        corpus=()
        [[ ! -d $root/tests/fuzz/corpus/${name#fuzz_} ]] || corpus=("$root/tests/fuzz/corpus/${name#fuzz_}")
        program "fuzz/$name" "$target" -max_total_time="$fuzz_s" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="$logs/" "$found" "${corpus[@]}"
    done
fi

if wants asan && build_or_count "with AddressSanitizer" "$build/asan" --enable-failpoints --enable-test-echo \
    --enable-sanitizer=address,undefined; then
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
    units_run "$build/asan" asan
    scripts_run api "$build/asan" asan-api
    scripts_run security "$build/asan" asan-security
    if [[ -n $everything ]]; then
        PIM_FAULT_ROUNDS=20 program asan-fault/test_kill.py /usr/bin/python3 "$root/tests/fault/test_kill.py" "$build/asan"
    fi
    unset ASAN_OPTIONS UBSAN_OPTIONS
fi

if wants tsan && build_or_count "with ThreadSanitizer" "$build/tsan" --enable-failpoints --enable-test-echo \
    --enable-sanitizer=thread; then
    export TSAN_OPTIONS=halt_on_error=1:exitcode=66:second_deadlock_stack=1
    # its shadow memory does not stand kernels that spread mappings widely
    wrapper=()
    ! setarch -R true 2> /dev/null || wrapper=(setarch -R)
    units_run "$build/tsan" tsan "${wrapper[@]}" # builds hammer as well
    program tsan-fault/load_run.py "${wrapper[@]}" /usr/bin/python3 "$root/tests/fault/load_run.py" "$build/tsan"
    if [[ -n $everything ]]; then
        scripts_run api "$build/tsan" tsan-api "${wrapper[@]}"
        PIM_FAULT_ROUNDS=5 program tsan-fault/test_kill.py "${wrapper[@]}" /usr/bin/python3 "$root/tests/fault/test_kill.py" \
            "$build/tsan"
    fi
    unset TSAN_OPTIONS
fi

for name in "${not_run[@]}"; do
    echo "*** $name ***"
done
echo "$(((SECONDS - begin) / 60)) min $(((SECONDS - begin) % 60)) s"
echo "$passed passed, $failed failed"
[[ $failed == 0 && $passed -gt 0 ]]
