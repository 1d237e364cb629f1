check_PROGRAMS += tests/fault/hammer
tests_fault_hammer_SOURCES = tests/fault/hammer.c
tests_fault_hammer_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fault_hammer_LDADD = $(JANSSON_LIBS) -lpthread
EXTRA_DIST += tests/fault/faultlib.py tests/fault/judge.py tests/fault/test_judge.py tests/fault/test_kill.py
# A preload library; -rpath makes libtool build the shared form.
check_LTLIBRARIES += tests/fault/powerloss.la
tests_fault_powerloss_la_SOURCES = tests/fault/powerloss.c
tests_fault_powerloss_la_CFLAGS = $(PIM_CFLAGS) -U_FORTIFY_SOURCE
tests_fault_powerloss_la_LDFLAGS = $(PIM_LDFLAGS) -module -avoid-version -shared -rpath $(plugindir)
tests_fault_powerloss_la_LIBADD = -ldl -lpthread
EXTRA_DIST += tests/fault/power.py tests/fault/test_power.py tests/fault/test_disk.py tests/fault/test_clock.py tests/fault/test_change.py
EXTRA_DIST += tests/fault/load_run.py
