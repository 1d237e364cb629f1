bin_PROGRAMS += privateimctl
privateimctl_SOURCES = tools/privateimctl.c
privateimctl_CPPFLAGS = $(AM_CPPFLAGS) -include config.h $(JANSSON_CFLAGS)
privateimctl_LDADD = core/libutil.a $(JANSSON_LIBS)

noinst_PROGRAMS += tools/conf-doc
tools_conf_doc_SOURCES = tools/conf-doc.c
tools_conf_doc_LDADD = core/libconf.a core/libutil.a $(INIH_LIBS)

EXTRA_DIST += tools/build.sh tools/check.sh tools/lint-layers tools/lint.sh tools/packages.sh tools/run.sh \
	tools/test_install.sh
