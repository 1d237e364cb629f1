EXTRA_DIST += tests/security/seclib.py tests/security/test_routes.py tests/security/test_answers.py tests/security/test_holes.py
