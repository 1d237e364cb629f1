noinst_PROGRAMS += tests/bench/append_sqlite
tests_bench_append_sqlite_SOURCES = tests/bench/append_sqlite.c
tests_bench_append_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_append_sqlite_LDADD = plugins/storage-sqlite/libstorage_sqlite.a $(SQLITE_LIBS)
noinst_PROGRAMS += tests/bench/load tests/bench/bare tests/bench/seed tests/bench/get
tests_bench_load_SOURCES = tests/bench/load.c
tests_bench_load_CPPFLAGS = $(AM_CPPFLAGS) $(SSL_CFLAGS)
tests_bench_load_LDADD = $(SSL_LIBS)
tests_bench_bare_SOURCES = tests/bench/bare.c
tests_bench_bare_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
tests_bench_bare_LDADD = $(SQLITE_LIBS) -lpthread
tests_bench_seed_SOURCES = tests/bench/seed.c
tests_bench_seed_LDADD = core/libdata.a core/libplugin.a core/libnet.a core/libutil.a $(EVENT_LIBS) -ldl -lpthread
tests_bench_get_SOURCES = tests/bench/get.c
tests_bench_get_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
tests_bench_get_LDADD = core/libdata.a core/libplugin.a core/libnet.a core/libutil.a $(EVENT_LIBS) $(SQLITE_LIBS) -ldl -lpthread
EXTRA_DIST += tests/bench/bench.py

# The table, and all that was measured as bench.json; BENCH=--quick for a short look.
bench: all
	python3 $(srcdir)/tests/bench/bench.py --json bench.json $(BENCH) .
.PHONY: bench
