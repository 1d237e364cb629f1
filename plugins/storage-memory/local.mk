plugin_LTLIBRARIES += plugins/storage-memory/storage-memory.la
storage_memory_sources = \
	plugins/storage-memory/mem_apply.c \
	plugins/storage-memory/mem_log.c \
	plugins/storage-memory/mem_plugin.c plugins/storage-memory/mem_priv.h \
	plugins/storage-memory/mem_records.c \
	plugins/storage-memory/mem_table.c
plugins_storage_memory_storage_memory_la_SOURCES = $(storage_memory_sources)
plugins_storage_memory_storage_memory_la_CFLAGS = $(plugin_cflags)
plugins_storage_memory_storage_memory_la_LDFLAGS = $(plugin_ldflags)

# The same code for programs that hold it as a model or test the host with it.
noinst_LIBRARIES += plugins/storage-memory/libstorage_memory.a
plugins_storage_memory_libstorage_memory_a_SOURCES = $(storage_memory_sources)
plugins_storage_memory_libstorage_memory_a_CFLAGS = $(AM_CFLAGS)
