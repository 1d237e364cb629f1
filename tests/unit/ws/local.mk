unit_tests += tests/unit/ws/test_frame tests/unit/ws/test_handshake
tests_unit_ws_test_frame_SOURCES = tests/unit/ws/test_frame.c
tests_unit_ws_test_frame_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_ws_test_frame_LDADD = core/libws.a core/libutil.a $(CMOCKA_LIBS)
tests_unit_ws_test_handshake_SOURCES = tests/unit/ws/test_handshake.c
tests_unit_ws_test_handshake_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_ws_test_handshake_LDADD = core/libws.a core/libutil.a $(CMOCKA_LIBS) $(SSL_LIBS)
