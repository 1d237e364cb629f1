noinst_LIBRARIES += core/libconf.a
core_libconf_a_CPPFLAGS = $(AM_CPPFLAGS) $(INIH_CFLAGS)
core_libconf_a_SOURCES = \
	core/conf/address.c core/conf/args.c \
	core/conf/conf.c core/conf/conf.h core/conf/conf_priv.h \
	core/conf/options.c core/conf/print.c core/conf/value.c
