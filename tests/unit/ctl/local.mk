unit_tests += tests/unit/ctl/test_ctl
tests_unit_ctl_test_ctl_SOURCES = tests/unit/ctl/test_ctl.c
tests_unit_ctl_test_ctl_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) \
	-DCTL_PROGRAM='"$(abs_builddir)/privateimctl"'
tests_unit_ctl_test_ctl_LDADD = core/libctl.a core/libplugin.a core/libutil.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
EXTRA_tests_unit_ctl_test_ctl_DEPENDENCIES = privateimctl
