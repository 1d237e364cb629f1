noinst_LIBRARIES += core/libhttp.a
core_libhttp_a_CPPFLAGS = $(AM_CPPFLAGS) $(EVHTP_CFLAGS) $(EVENT_CFLAGS) $(SSL_CFLAGS) $(JANSSON_CFLAGS)
core_libhttp_a_SOURCES = \
	core/http/api_account.c core/http/api_friend.c core/http/api_group.c core/http/api_message.c \
	core/http/api_session.c core/http/api_status.c \
	core/http/evhtp_adapter.c core/http/evhtp_adapter.h \
	core/http/framing.c core/http/framing.h \
	core/http/handover.c core/http/handover.h \
	core/http/http.c core/http/http.h core/http/http_priv.h \
	core/http/json_in.c core/http/json_in.h \
	core/http/limits.c core/http/limits.h \
	core/http/out.c core/http/out.h \
	core/http/proxy.c core/http/proxy.h \
	core/http/pages.c core/http/pages.h \
	core/http/reply.c core/http/reply.h \
	core/http/request.c core/http/request.h \
	core/http/router.c core/http/router.h \
	core/http/socket.c core/http/socket.h \
	core/http/task.c core/http/task.h \
	core/http/threads.c core/http/threads.h \
	core/http/tls.c core/http/tls.h
