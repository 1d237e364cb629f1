# Paths in installed files: configure's own substitution would leave ${prefix} in them.
substitute = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@pimconfdir[@]|$(pimconfdir)|g' \
	-e 's|@statedir[@]|$(localstatedir)/lib/privateim|g' -e 's|@runstatedir[@]|$(runstatedir)|g' \
	-e 's|@plugindir[@]|$(plugindir)|g' -e 's|@webdir[@]|$(webdir)|g' -e 's|@VERSION[@]|$(VERSION)|g'

etc/privateim.conf: tools/conf-doc$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) etc && tools/conf-doc$(EXEEXT) sample > $@.tmp && mv $@.tmp $@
etc/systemd/privateim.service: etc/systemd/privateim.service.in Makefile
	$(substitute) $(srcdir)/etc/systemd/privateim.service.in > $@
etc/sysusers.d/privateim.conf: etc/sysusers.d/privateim.conf.in Makefile
	$(substitute) $(srcdir)/etc/sysusers.d/privateim.conf.in > $@
etc/tmpfiles.d/privateim.conf: etc/tmpfiles.d/privateim.conf.in Makefile
	$(substitute) $(srcdir)/etc/tmpfiles.d/privateim.conf.in > $@

etc_built = etc/privateim.conf etc/systemd/privateim.service etc/sysusers.d/privateim.conf etc/tmpfiles.d/privateim.conf
etc_sources = etc/systemd/privateim.service.in etc/sysusers.d/privateim.conf.in etc/tmpfiles.d/privateim.conf.in
EXTRA_DIST += $(etc_sources)
CLEANFILES += $(etc_built)
systemdsystemunit_DATA = etc/systemd/privateim.service
sysusers_DATA = etc/sysusers.d/privateim.conf
tmpfiles_DATA = etc/tmpfiles.d/privateim.conf
noinst_DATA += etc/privateim.conf

# The operator's file is never written over.
install-data-local: etc/privateim.conf
	$(MKDIR_P) "$(DESTDIR)$(pimconfdir)"
	test -e "$(DESTDIR)$(pimconfdir)/privateim.conf" || \
		$(INSTALL) -m 640 etc/privateim.conf "$(DESTDIR)$(pimconfdir)/privateim.conf"
uninstall-local:
	cmp -s etc/privateim.conf "$(DESTDIR)$(pimconfdir)/privateim.conf" && \
		rm -f "$(DESTDIR)$(pimconfdir)/privateim.conf" || true
# Nobody links against a plugin: libtool's .la files stay at home.
install-data-hook:
	for la in $(plugin_LTLIBRARIES); do rm -f "$(DESTDIR)$(plugindir)/$${la##*/}"; done
uninstall-hook:
	for la in $(plugin_LTLIBRARIES:.la=.so); do rm -f "$(DESTDIR)$(plugindir)/$${la##*/}"; done
