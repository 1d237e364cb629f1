noinst_PROGRAMS += tests/bench/append_sqlite
tests_bench_append_sqlite_SOURCES = tests/bench/append_sqlite.c $(storage_sqlite_sources)
tests_bench_append_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_append_sqlite_LDADD = $(SQLITE_LIBS)
