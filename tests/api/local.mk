# The C sample client is a test program too: tests/api/test_clients.py runs it.
check_PROGRAMS += examples/client
examples_client_SOURCES = examples/client.c examples/ws.h
examples_client_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
examples_client_LDADD = $(JANSSON_LIBS)
EXTRA_DIST += examples/README.md examples/client.py examples/client.mjs
EXTRA_DIST += tests/api/pim.py tests/api/wsclient.py tests/api/test_clients.py tests/api/test_ctl.py tests/api/test_tls.py tests/api/test_flood.py tests/api/test_restore.py
EXTRA_DIST += tests/browser/webdriver.py tests/browser/test_chat.py
EXTRA_DIST += tests/api/test_autobahn.py tests/api/autobahn/__init__.py tests/api/autobahn/case.py \
	tests/api/autobahn/section1.py tests/api/autobahn/section2.py tests/api/autobahn/section3.py \
	tests/api/autobahn/section4.py tests/api/autobahn/section5.py tests/api/autobahn/section6.py \
	tests/api/autobahn/section7.py tests/api/autobahn/section9.py tests/api/autobahn/section10.py
EXTRA_DIST += tests/api/test_http_server.py
EXTRA_DIST += tests/api/test_http_framing.py tests/api/test_http_limits.py tests/api/test_http_routes.py
EXTRA_DIST += tests/api/chatlib.py tests/api/test_old.py
EXTRA_DIST += tests/api/test_limits.py tests/api/test_chat_rules.py
EXTRA_DIST += tests/api/test_sync.py
EXTRA_DIST += tests/api/autobahn_suite.py
EXTRA_DIST += tests/api/test_upkeep.py
