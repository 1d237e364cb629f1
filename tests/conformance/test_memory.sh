#!/bin/bash
# test_memory.sh BUILD_DIR: storage-memory against its own model: with a name, so that what it holds outlives a close.
exec "$1/privateim-plugin-test" "$1/plugins/storage-memory/.libs/storage-memory.so" store=%d/x
