plugin_LTLIBRARIES += plugins/storage-sqlite/storage-sqlite.la
storage_sqlite_sources = \
	plugins/storage-sqlite/sqlite_append.c \
	plugins/storage-sqlite/sqlite_apply.c \
	plugins/storage-sqlite/sqlite_backup.c \
	plugins/storage-sqlite/sqlite_check.c \
	plugins/storage-sqlite/sqlite_conn.c \
	plugins/storage-sqlite/sqlite_failpoint.c plugins/storage-sqlite/sqlite_failpoint.h \
	plugins/storage-sqlite/sqlite_head.c \
	plugins/storage-sqlite/sqlite_plugin.c plugins/storage-sqlite/sqlite_priv.h \
	plugins/storage-sqlite/sqlite_read.c \
	plugins/storage-sqlite/sqlite_records.c \
	plugins/storage-sqlite/sqlite_schema.c \
	plugins/storage-sqlite/sqlite_stmt.c \
	plugins/storage-sqlite/sqlite_store.c \
	plugins/storage-sqlite/sqlite_trim.c \
	plugins/storage-sqlite/sqlite_walk.c
plugins_storage_sqlite_storage_sqlite_la_SOURCES = $(storage_sqlite_sources)
plugins_storage_sqlite_storage_sqlite_la_CFLAGS = $(plugin_cflags) $(SQLITE_CFLAGS)
plugins_storage_sqlite_storage_sqlite_la_LDFLAGS = $(plugin_ldflags)
plugins_storage_sqlite_storage_sqlite_la_LIBADD = $(SQLITE_LIBS)

# The same code for the tests and the bench, which call it without a dlopen.
noinst_LIBRARIES += plugins/storage-sqlite/libstorage_sqlite.a
plugins_storage_sqlite_libstorage_sqlite_a_SOURCES = $(storage_sqlite_sources)
plugins_storage_sqlite_libstorage_sqlite_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
