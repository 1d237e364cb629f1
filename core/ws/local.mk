noinst_LIBRARIES += core/libws.a
core_libws_a_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(SSL_CFLAGS) $(JANSSON_CFLAGS)
core_libws_a_SOURCES = \
	core/ws/chat.c core/ws/chat.h \
	core/ws/conn.c core/ws/conn.h \
	core/ws/fanout.c core/ws/fanout.h \
	core/ws/frame.c core/ws/frame.h \
	core/ws/handshake.c core/ws/handshake.h \
	core/ws/mails.h \
	core/ws/old.c core/ws/old.h \
	core/ws/worker.c \
	core/ws/ws.c core/ws/ws.h
