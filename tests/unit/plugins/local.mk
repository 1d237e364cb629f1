unit_tests += tests/unit/plugins/test_storage_sqlite
tests_unit_plugins_test_storage_sqlite_SOURCES = tests/unit/plugins/test_storage_sqlite.c tests/unit/plugins/sqlite_fixture.h
tests_unit_plugins_test_storage_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_plugins_test_storage_sqlite_LDADD = plugins/storage-sqlite/libstorage_sqlite.a $(SQLITE_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/plugins/test_storage_sqlite_records
tests_unit_plugins_test_storage_sqlite_records_SOURCES = tests/unit/plugins/test_storage_sqlite_records.c tests/unit/plugins/sqlite_fixture.h
tests_unit_plugins_test_storage_sqlite_records_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_plugins_test_storage_sqlite_records_LDADD = plugins/storage-sqlite/libstorage_sqlite.a $(SQLITE_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/plugins/test_storage_sqlite_crash
tests_unit_plugins_test_storage_sqlite_crash_SOURCES = tests/unit/plugins/test_storage_sqlite_crash.c tests/unit/plugins/sqlite_fixture.h
tests_unit_plugins_test_storage_sqlite_crash_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_plugins_test_storage_sqlite_crash_LDADD = plugins/storage-sqlite/libstorage_sqlite.a $(SQLITE_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/plugins/test_storage_sqlite_disk
tests_unit_plugins_test_storage_sqlite_disk_SOURCES = tests/unit/plugins/test_storage_sqlite_disk.c tests/unit/plugins/sqlite_fixture.h
tests_unit_plugins_test_storage_sqlite_disk_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_plugins_test_storage_sqlite_disk_LDADD = plugins/storage-sqlite/libstorage_sqlite.a $(SQLITE_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/plugins/test_auth
tests_unit_plugins_test_auth_SOURCES = tests/unit/plugins/test_auth.c
tests_unit_plugins_test_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -DBUILD_DIR='"$(abs_builddir)"'
tests_unit_plugins_test_auth_LDADD = core/libplugin.a core/libutil.a $(CMOCKA_LIBS) -lcrypto
EXTRA_tests_unit_plugins_test_auth_DEPENDENCIES = plugins/auth/auth.la
unit_tests += tests/unit/plugins/test_token_parse
tests_unit_plugins_test_token_parse_SOURCES = tests/unit/plugins/test_token_parse.c \
	plugins/auth/token_parse.c plugins/auth/token_parse.h
tests_unit_plugins_test_token_parse_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_plugins_test_token_parse_LDADD = $(CMOCKA_LIBS)
