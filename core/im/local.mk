noinst_LIBRARIES += core/libim.a
core_libim_a_SOURCES = \
	core/im/frame.c core/im/frame.h \
	core/im/message.c core/im/message.h \
	core/im/outbox.h core/im/types.h
