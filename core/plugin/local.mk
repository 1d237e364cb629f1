noinst_LIBRARIES += core/libplugin.a
core_libplugin_a_SOURCES = \
	core/plugin/host.c core/plugin/host_priv.h \
	core/plugin/loader.c core/plugin/loader.h \
	core/plugin/url.c core/plugin/url.h

# Says to a program of this tree where its pages are; see pim_plugin_tree_find.
build-tree: Makefile
	$(AM_V_GEN)cd $(top_srcdir) && pwd > $(abs_top_builddir)/build-tree
noinst_DATA = build-tree
CLEANFILES += build-tree
