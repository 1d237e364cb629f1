noinst_LIBRARIES += core/libctl.a
core_libctl_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
core_libctl_a_SOURCES = \
	core/ctl/builtin.c \
	core/ctl/ctl.c core/ctl/ctl.h core/ctl/ctl_priv.h
