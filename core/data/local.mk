noinst_LIBRARIES += core/libdata.a
core_libdata_a_SOURCES = \
	core/data/clock_guard.c core/data/clock_guard.h \
	core/data/data.c core/data/data.h core/data/pool.h \
	core/data/msglog.c core/data/msglog.h core/data/msglog_priv.h \
	core/data/msglog_conv.c core/data/msglog_number.c core/data/msglog_read.c core/data/msglog_settle.c \
	core/data/rec.c core/data/rec.h \
	core/data/schema.c core/data/schema.h \
	core/data/wait.c core/data/wait.h
