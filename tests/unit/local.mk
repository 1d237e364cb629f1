# Each folder lists its own tests.
if HAVE_CMOCKA
include tests/unit/util/local.mk
include tests/unit/wire/local.mk
include tests/unit/conf/local.mk
include tests/unit/net/local.mk
include tests/unit/plugin/local.mk
include tests/unit/ctl/local.mk
include tests/unit/data/local.mk
include tests/unit/im/local.mk
include tests/unit/http/local.mk
include tests/unit/ws/local.mk
include tests/unit/plugins/local.mk
endif
