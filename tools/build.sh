# build_tree DIR [configure's arguments]: build out of tree. To be sourced; $root is the source directory.

build_tree() {
    local dir=$1 log
    shift
    mkdir -p "$dir"
    log=$dir/build.log
    if ! (
        set -e
        # others must not be able to write the plugins, or the server will not load them
        umask 022
        if [[ ! -x $root/configure || $root/configure.ac -nt $root/configure ]]; then
            "$root/autogen.sh"
        fi
        cd "$dir"
        if [[ ! -f Makefile || "$(cat configure.args 2> /dev/null)" != "$*" ]]; then
            "$(realpath --relative-to=. "$root")/configure" "$@"
            echo "$*" > configure.args
        fi
        make -j"$(nproc)" ${build_targets:-all}
    ) > "$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "The build failed; all of it is in $log" >&2
        return 1
    fi
}
