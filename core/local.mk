sbin_PROGRAMS += privateimd
privateimd_SOURCES = core/main.c
privateimd_LDADD = core/libdata.a core/libws.a core/libwire.a core/libim.a core/libnet.a core/libutil.a
