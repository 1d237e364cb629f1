EXTRA_DIST += tests/fuzz/corpus
# A libFuzzer target brings its own main; all of the tree is instrumented when configured with
# --enable-fuzz --enable-sanitizer=address,undefined,fuzzer-no-link and clang.
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
if FUZZ
noinst_PROGRAMS += tests/fuzz/fuzz_config tests/fuzz/fuzz_token
noinst_PROGRAMS += tests/fuzz/fuzz_message tests/fuzz/fuzz_frame
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_LDADD = core/libconf.a core/libutil.a $(INIH_LIBS)
tests_fuzz_fuzz_config_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_token_SOURCES = tests/fuzz/fuzz_token.c \
	plugins/auth/token_parse.c plugins/auth/token_parse.h
tests_fuzz_fuzz_token_LDFLAGS = $(fuzz_ldflags)
noinst_PROGRAMS += tests/fuzz/fuzz_http
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c
tests_fuzz_fuzz_http_LDADD = core/libhttp.a core/libutil.a
tests_fuzz_fuzz_http_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_message_SOURCES = tests/fuzz/fuzz_message.c
tests_fuzz_fuzz_message_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_message_LDADD = core/libwire.a core/libutil.a $(JANSSON_LIBS)
tests_fuzz_fuzz_message_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c
tests_fuzz_fuzz_frame_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(SSL_CFLAGS)
tests_fuzz_fuzz_frame_LDADD = core/libws.a core/libim.a core/libutil.a $(EVENT_LIBS) $(SSL_LIBS)
tests_fuzz_fuzz_frame_LDFLAGS = $(fuzz_ldflags)
endif
