unit_tests += tests/unit/net/test_mailbox
tests_unit_net_test_mailbox_SOURCES = tests/unit/net/test_mailbox.c
tests_unit_net_test_mailbox_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(EVENT_CFLAGS)
tests_unit_net_test_mailbox_LDADD = core/libnet.a core/libutil.a $(CMOCKA_LIBS) $(EVENT_LIBS) -lpthread
