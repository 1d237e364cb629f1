plugin_LTLIBRARIES += plugins/auth/auth.la
plugins_auth_auth_la_SOURCES = \
	plugins/auth/auth.c plugins/auth/auth_priv.h \
	plugins/auth/password.c plugins/auth/secret.c plugins/auth/token.c \
	plugins/auth/token_parse.c plugins/auth/token_parse.h
plugins_auth_auth_la_CFLAGS = $(plugin_cflags) $(JWT_CFLAGS) $(JANSSON_CFLAGS) $(ARGON2_CFLAGS) $(SSL_CFLAGS)
plugins_auth_auth_la_LDFLAGS = $(plugin_ldflags)
plugins_auth_auth_la_LIBADD = $(JWT_LIBS) $(JANSSON_LIBS) $(ARGON2_LIBS) -lcrypto
