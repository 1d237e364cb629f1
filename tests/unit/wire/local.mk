unit_tests += tests/unit/wire/test_reader tests/unit/wire/test_writer
tests_unit_wire_test_reader_SOURCES = tests/unit/wire/test_reader.c
tests_unit_wire_test_reader_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_wire_test_reader_LDADD = core/libwire.a core/libutil.a $(CMOCKA_LIBS)
tests_unit_wire_test_writer_SOURCES = tests/unit/wire/test_writer.c
tests_unit_wire_test_writer_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_wire_test_writer_LDADD = core/libwire.a core/libim.a core/libutil.a $(CMOCKA_LIBS) $(JANSSON_LIBS)
