#!/bin/bash
# What `make lint` does: layers, cppcheck, clang-tidy.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build}
. "$root/tools/packages.sh"
need_packages "${lint_packages[@]}"
cd "$root" || exit 1
status=0

/usr/bin/python3 tools/lint-layers . || status=1

defines=(-D_GNU_SOURCE -DPIM_PLUGINDIR='"/p"' -DPIM_WEBDIR='"/w"' -DPIM_CONFDIR='"/c"' -DPIM_RUNSTATEDIR='"/r"'
    -DPIM_STATEDIR='"/s"' -DHAVE_CONFIG_H)
includes=(-Iinclude -Icore "-I$build")
mapfile -t sources < <(find core plugins tools -name '*.c' | sort)

# cppcheck reads no system headers: the loops that are macros are told to it
queue_h=$(echo '#include <sys/queue.h>' | gcc -E -M -x c - | tr ' ' '\n' | grep 'sys/queue.h$')
defines+=('-Djson_object_foreach(o,k,v)=for (;;)' '-Djson_array_foreach(a,i,v)=for (;;)' "--include=$queue_h")
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress='*:/usr/*' --suppress=preprocessorErrorDirective -j "$(nproc)" "${defines[@]}" "${includes[@]}" "${sources[@]}" || status=1

printf '%s\0' "${sources[@]}" | xargs -0 -n 8 -P "$(nproc)" sh -c '
    root=$1; build=$2; shift 2
    clang-tidy --quiet --warnings-as-errors="*" "$@" -- -std=gnu17 -D_GNU_SOURCE -DPIM_PLUGINDIR="\"/p\"" -DPIM_WEBDIR="\"/w\"" \
        -DPIM_CONFDIR="\"/c\"" -DPIM_RUNSTATEDIR="\"/r\"" -DPIM_STATEDIR="\"/s\"" -include config.h -Iinclude -Icore \
        -I"$build" $(pkg-config --cflags libevent evhtp jansson inih libjwt) 2> /dev/null
' sh "$root" "$build" || status=1
exit $status
