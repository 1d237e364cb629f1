noinst_LIBRARIES += core/libwire.a
core_libwire_a_SOURCES = \
	core/wire/reader.c core/wire/reader.h \
	core/wire/writer.c core/wire/writer.h
