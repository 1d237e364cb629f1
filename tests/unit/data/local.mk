unit_tests += tests/unit/data/test_clock_guard
tests_unit_data_test_clock_guard_SOURCES = tests/unit/data/test_clock_guard.c
tests_unit_data_test_clock_guard_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_data_test_clock_guard_LDADD = core/libdata.a core/libutil.a $(CMOCKA_LIBS)
