unit_tests += tests/unit/im/test_account tests/unit/im/test_friend
tests_unit_im_test_account_SOURCES = tests/unit/im/test_account.c
tests_unit_im_test_account_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_im_test_account_LDADD = core/libim.a core/libdata.a core/libnet.a core/libutil.a $(CMOCKA_LIBS) $(EVENT_LIBS)
tests_unit_im_test_friend_SOURCES = tests/unit/im/test_friend.c
tests_unit_im_test_friend_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_im_test_friend_LDADD = core/libim.a core/libdata.a core/libnet.a core/libutil.a $(CMOCKA_LIBS) $(EVENT_LIBS)
