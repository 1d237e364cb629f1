# --- http ---
http_test_libs = core/libhttp.a core/libim.a core/libdata.a core/libconf.a core/libnet.a core/libutil.a $(INIH_LIBS) \
	$(EVHTP_LIBS) $(EVENT_LIBS) $(SSL_LIBS) $(JANSSON_LIBS) -lpthread
unit_tests += tests/unit/http/test_framing
tests_unit_http_test_framing_SOURCES = tests/unit/http/test_framing.c
tests_unit_http_test_framing_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_framing_LDADD = core/libhttp.a core/libutil.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/http/standin
tests_unit_http_standin_SOURCES = tests/unit/http/standin.c
tests_unit_http_standin_CPPFLAGS = $(AM_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_http_standin_LDADD = $(http_test_libs)
unit_tests += tests/unit/http/test_proxy
tests_unit_http_test_proxy_SOURCES = tests/unit/http/test_proxy.c
tests_unit_http_test_proxy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_proxy_LDADD = core/libhttp.a core/libwire.a core/libim.a core/libdata.a core/libconf.a core/libnet.a \
	core/libutil.a $(EVHTP_LIBS) $(EVENT_LIBS) $(SSL_LIBS) $(JANSSON_LIBS) $(INIH_LIBS) $(CMOCKA_LIBS) -lpthread
