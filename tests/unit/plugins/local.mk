unit_tests += tests/unit/plugins/test_auth
tests_unit_plugins_test_auth_SOURCES = tests/unit/plugins/test_auth.c
tests_unit_plugins_test_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -DBUILD_DIR='"$(abs_builddir)"'
tests_unit_plugins_test_auth_LDADD = core/libplugin.a core/libutil.a $(CMOCKA_LIBS) -lcrypto
EXTRA_tests_unit_plugins_test_auth_DEPENDENCIES = plugins/auth/auth.la
unit_tests += tests/unit/plugins/test_storage_sqlite
tests_unit_plugins_test_storage_sqlite_SOURCES = tests/unit/plugins/test_storage_sqlite.c $(storage_sqlite_sources)
tests_unit_plugins_test_storage_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_plugins_test_storage_sqlite_LDADD = $(SQLITE_LIBS) $(CMOCKA_LIBS)
