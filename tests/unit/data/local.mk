unit_tests += tests/unit/data/test_clock_guard
tests_unit_data_test_clock_guard_SOURCES = tests/unit/data/test_clock_guard.c
tests_unit_data_test_clock_guard_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_data_test_clock_guard_LDADD = core/libdata.a core/libutil.a $(CMOCKA_LIBS)
log_test_libs = core/libdata.a plugins/storage-memory/libstorage_memory.a core/libnet.a core/libutil.a \
	$(EVENT_LIBS) $(CMOCKA_LIBS) -lpthread
unit_tests += tests/unit/data/test_msglog_ids
tests_unit_data_test_msglog_ids_SOURCES = tests/unit/data/test_msglog_ids.c tests/unit/data/log_fixture.h
tests_unit_data_test_msglog_ids_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_data_test_msglog_ids_LDADD = $(log_test_libs)
unit_tests += tests/unit/data/test_msglog_outcome
tests_unit_data_test_msglog_outcome_SOURCES = tests/unit/data/test_msglog_outcome.c tests/unit/data/log_fixture.h
tests_unit_data_test_msglog_outcome_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_data_test_msglog_outcome_LDADD = $(log_test_libs)
