# Each test area lists its own programs.
include tests/unit/local.mk
include tests/conformance/local.mk
include tests/fuzz/local.mk
include tests/fault/local.mk
include tests/bench/local.mk
include tests/api/local.mk
include tests/abi/local.mk
include tests/security/local.mk
