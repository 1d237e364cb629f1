bin_PROGRAMS += privateim-plugin-test
privateim_plugin_test_SOURCES = \
	tests/conformance/suite.c tests/conformance/suite.h \
	tests/conformance/check_crash.c \
	tests/conformance/check_list.c \
	tests/conformance/check_log.c \
	tests/conformance/check_log_read.c \
	tests/conformance/check_race.c \
	tests/conformance/check_random.c \
	tests/conformance/check_records.c \
	tests/conformance/check_store.c \
	tests/conformance/main.c
privateim_plugin_test_LDADD = plugins/storage-memory/libstorage_memory.a core/libplugin.a core/libutil.a

# A plugin with one fault, chosen by an option: proof that each check can fail.
check_LTLIBRARIES += tests/conformance/faulty.la
tests_conformance_faulty_la_SOURCES = tests/conformance/faulty.c
tests_conformance_faulty_la_CFLAGS = $(plugin_cflags)
tests_conformance_faulty_la_LDFLAGS = $(plugin_ldflags) -rpath $(abs_builddir)/tests/conformance
EXTRA_DIST += tests/conformance/test_memory.sh tests/conformance/test_sqlite.sh tests/conformance/test_faults.sh
