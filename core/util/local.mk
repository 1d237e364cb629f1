noinst_LIBRARIES += core/libutil.a
core_libutil_a_SOURCES = \
	core/util/buf.c core/util/buf.h \
	core/util/clock.c core/util/clock.h \
	core/util/err.c core/util/err.h \
	core/util/failpoint.c core/util/failpoint.h \
	core/util/id.c core/util/id.h \
	core/util/log.c core/util/log.h \
	core/util/map.c core/util/map.h \
	core/util/mem.c core/util/mem.h \
	core/util/rand.c core/util/rand.h \
	core/util/siphash.c core/util/siphash.h \
	core/util/utf8.c core/util/utf8.h
