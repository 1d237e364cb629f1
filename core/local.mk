sbin_PROGRAMS += privateimd
privateimd_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(SYSTEMD_CFLAGS)
privateimd_SOURCES = core/main.c \
	core/app/commands.c core/app/commands.h \
	core/app/metrics.c core/app/metrics.h \
	core/app/settings.c core/app/settings.h \
	core/app/stores.c core/app/stores.h
privateimd_LDADD = core/libhttp.a core/libws.a core/libwire.a core/libim.a core/libctl.a core/libdata.a core/libplugin.a \
	core/libconf.a core/libnet.a core/libutil.a \
	$(EVHTP_LIBS) $(EVENT_LIBS) $(SSL_LIBS) $(JANSSON_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS) -ldl -lpthread
