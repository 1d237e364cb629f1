docs/man/privateimd.8: docs/man/privateimd.8.in Makefile
	$(substitute) $(srcdir)/docs/man/privateimd.8.in > $@
docs/man/privateimctl.1: docs/man/privateimctl.1.in Makefile
	$(substitute) $(srcdir)/docs/man/privateimctl.1.in > $@
docs/man/privateim-plugin-test.1: docs/man/privateim-plugin-test.1.in Makefile
	$(substitute) $(srcdir)/docs/man/privateim-plugin-test.1.in > $@
docs/man/privateim.conf.5: docs/man/privateim.conf.5.in tools/conf-doc$(EXEEXT) Makefile
	$(AM_V_at)$(MKDIR_P) docs/man && tools/conf-doc$(EXEEXT) man > $@.options
	$(substitute) -e '/^@OPTIONS[@]$$/{r $@.options' -e 'd}' $(srcdir)/docs/man/privateim.conf.5.in > $@
	$(AM_V_at)rm -f $@.options
EXTRA_DIST += docs/architecture.md docs/threads.md docs/protocol.md docs/http.md docs/performance.md docs/page.png docs/decisions
man_MANS = docs/man/privateimd.8 docs/man/privateimctl.1 docs/man/privateim-plugin-test.1 docs/man/privateim.conf.5
EXTRA_DIST += docs/man/privateimd.8.in docs/man/privateimctl.1.in docs/man/privateim-plugin-test.1.in docs/man/privateim.conf.5.in
CLEANFILES += $(man_MANS)
