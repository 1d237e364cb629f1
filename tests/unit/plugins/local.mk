unit_tests += tests/unit/plugins/test_auth
tests_unit_plugins_test_auth_SOURCES = tests/unit/plugins/test_auth.c
tests_unit_plugins_test_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -DBUILD_DIR='"$(abs_builddir)"'
tests_unit_plugins_test_auth_LDADD = core/libplugin.a core/libutil.a $(CMOCKA_LIBS) -lcrypto
EXTRA_tests_unit_plugins_test_auth_DEPENDENCIES = plugins/auth/auth.la
