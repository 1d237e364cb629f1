unit_tests += tests/unit/conf/test_conf
tests_unit_conf_test_conf_SOURCES = tests/unit/conf/test_conf.c
tests_unit_conf_test_conf_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_conf_test_conf_LDADD = core/libconf.a core/libutil.a $(INIH_LIBS) $(CMOCKA_LIBS)
