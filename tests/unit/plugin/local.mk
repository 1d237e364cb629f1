unit_tests += tests/unit/plugin/test_loader
tests_unit_plugin_test_loader_SOURCES = tests/unit/plugin/test_loader.c
tests_unit_plugin_test_loader_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	-DFAKE_PLUGIN='"$(abs_builddir)/tests/unit/plugin/.libs/fake.so"' \
	-DOTHER_LIBRARY='"$(abs_builddir)/tests/unit/plugin/.libs/nothing.so"'
tests_unit_plugin_test_loader_LDADD = core/libplugin.a core/libutil.a $(CMOCKA_LIBS)
EXTRA_tests_unit_plugin_test_loader_DEPENDENCIES = tests/unit/plugin/fake.la tests/unit/plugin/nothing.la
# Libraries that only the loader's test loads; -rpath makes libtool build the shared form.
check_LTLIBRARIES += tests/unit/plugin/fake.la tests/unit/plugin/nothing.la
tests_unit_plugin_fake_la_SOURCES = tests/unit/plugin/fake.c
tests_unit_plugin_fake_la_CFLAGS = $(plugin_cflags)
tests_unit_plugin_fake_la_LDFLAGS = $(plugin_ldflags) -rpath $(plugindir)
tests_unit_plugin_nothing_la_SOURCES = tests/unit/plugin/nothing.c
tests_unit_plugin_nothing_la_CFLAGS = $(plugin_cflags)
tests_unit_plugin_nothing_la_LDFLAGS = $(PIM_LDFLAGS) -module -avoid-version -shared -rpath $(plugindir)
