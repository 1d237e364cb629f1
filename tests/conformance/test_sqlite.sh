#!/bin/bash
# test_sqlite.sh BUILD_DIR: the conformance program on storage-sqlite; with small caches too, where heads are written and
# forgotten all the time; and in one place that is wiped before each check.
set -u
program=$1/privateim-plugin-test
plugin=$1/plugins/storage-sqlite/.libs/storage-sqlite.so
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
status=0
"$program" "$plugin" path=%d/x.db || status=1
"$program" "$plugin" path=%d/x.db heads_max=100 scan_rows=10 checkpoint_pages=10 reader_cache_mb=1 writer_cache_mb=1 || status=1
"$program" "$plugin" path="$dir/x.db" || status=1
"$program" "$plugin" --role messages path=%d/x.db || status=1
exit $status
