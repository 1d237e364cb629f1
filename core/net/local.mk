noinst_LIBRARIES += core/libnet.a
core_libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
core_libnet_a_SOURCES = \
	core/net/mailbox.c core/net/mailbox.h \
	core/net/upgrade.h \
	core/net/worker.c core/net/worker.h
