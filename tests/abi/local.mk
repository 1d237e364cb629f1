EXTRA_DIST += tests/abi/test_headers.sh tests/abi/make_table.py tests/abi/offsets.txt
