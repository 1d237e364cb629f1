bin_PROGRAMS += privateimctl
privateimctl_SOURCES = tools/privateimctl.c
privateimctl_CPPFLAGS = $(AM_CPPFLAGS) -include config.h $(JANSSON_CFLAGS)
privateimctl_LDADD = $(JANSSON_LIBS)
