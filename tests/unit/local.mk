if HAVE_CMOCKA
unit_tests += tests/unit/conf/test_conf
tests_unit_conf_test_conf_SOURCES = tests/unit/conf/test_conf.c
tests_unit_conf_test_conf_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_conf_test_conf_LDADD = core/libconf.a core/libutil.a $(INIH_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/plugin/test_loader
tests_unit_plugin_test_loader_SOURCES = tests/unit/plugin/test_loader.c
tests_unit_plugin_test_loader_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	-DFAKE_PLUGIN='"$(abs_builddir)/tests/unit/plugin/.libs/fake.so"' \
	-DOTHER_LIBRARY='"$(abs_builddir)/tests/unit/plugin/.libs/nothing.so"'
tests_unit_plugin_test_loader_LDADD = core/libplugin.a core/libutil.a $(CMOCKA_LIBS)
EXTRA_tests_unit_plugin_test_loader_DEPENDENCIES = tests/unit/plugin/fake.la tests/unit/plugin/nothing.la
# Libraries that only the loader's test loads; -rpath makes libtool build the shared form.
check_LTLIBRARIES = tests/unit/plugin/fake.la tests/unit/plugin/nothing.la
tests_unit_plugin_fake_la_SOURCES = tests/unit/plugin/fake.c
tests_unit_plugin_fake_la_CFLAGS = $(plugin_cflags)
tests_unit_plugin_fake_la_LDFLAGS = $(plugin_ldflags) -rpath $(plugindir)
tests_unit_plugin_nothing_la_SOURCES = tests/unit/plugin/nothing.c
tests_unit_plugin_nothing_la_CFLAGS = $(plugin_cflags)
tests_unit_plugin_nothing_la_LDFLAGS = $(PIM_LDFLAGS) -module -avoid-version -shared -rpath $(plugindir)
unit_tests += tests/unit/plugins/test_auth
tests_unit_plugins_test_auth_SOURCES = tests/unit/plugins/test_auth.c
tests_unit_plugins_test_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -DBUILD_DIR='"$(abs_builddir)"'
tests_unit_plugins_test_auth_LDADD = core/libplugin.a core/libutil.a $(CMOCKA_LIBS) -lcrypto
EXTRA_tests_unit_plugins_test_auth_DEPENDENCIES = plugins/auth/auth.la
unit_tests += tests/unit/ctl/test_ctl
tests_unit_ctl_test_ctl_SOURCES = tests/unit/ctl/test_ctl.c
tests_unit_ctl_test_ctl_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) \
	-DCTL_PROGRAM='"$(abs_builddir)/privateimctl"'
tests_unit_ctl_test_ctl_LDADD = core/libctl.a core/libplugin.a core/libutil.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
EXTRA_tests_unit_ctl_test_ctl_DEPENDENCIES = privateimctl
endif
