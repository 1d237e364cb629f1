check_PROGRAMS += tests/fault/hammer
tests_fault_hammer_SOURCES = tests/fault/hammer.c
tests_fault_hammer_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fault_hammer_LDADD = $(JANSSON_LIBS) -lpthread
EXTRA_DIST += tests/fault/faultlib.py tests/fault/judge.py tests/fault/test_judge.py tests/fault/test_kill.py
