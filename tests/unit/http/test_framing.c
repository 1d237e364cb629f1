#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/framing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pim_http_limits limits = {.head_bytes = 512, .headers = 8, .uri_bytes = 64, .body_bytes = 32};

#define LINE "GET /x HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

struct probe {
    const char *what, *bytes;
    size_t len; /* 0: a C string */
    int status; /* 0: good */
};

#define GOOD(what, bytes) {what, bytes, sizeof bytes - 1, 0}
#define BAD(what, status, bytes) {what, bytes, sizeof bytes - 1, status}

static const struct probe probes[] = {
    GOOD("a plain request", LINE HOST "\r\n"),
    GOOD("an empty line before it", "\r\n" LINE HOST "\r\n"),
    GOOD("HTTP/1.0 without a Host", "GET / HTTP/1.0\r\n\r\n"),
    GOOD("the absolute form", "GET http://a/x HTTP/1.1\r\n" HOST "\r\n"),
    GOOD("the asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
    GOOD("no white space after the colon", LINE "Host:a\r\n\r\n"),
    GOOD("white space around a value", LINE "Host: \t a \t\r\n\r\n"),
    GOOD("an empty value", LINE HOST "X:\r\n\r\n"),
    GOOD("bytes above ASCII in a value", LINE HOST "X: \xc3\xa9\r\n\r\n"),
    GOOD("a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"),
    GOOD("an empty body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
    GOOD("an IPv6 host", LINE "Host: [::1]:80\r\n\r\n"),
    BAD("no Host", 400, LINE "\r\n"),
    BAD("two Hosts", 400, LINE HOST HOST "\r\n"),
    BAD("two equal Hosts in one field", 400, LINE "Host: a, a\r\n\r\n"),
    BAD("an empty Host", 400, LINE "Host:\r\n\r\n"),
    BAD("a Host with a path", 400, LINE "Host: a/b\r\n\r\n"),
    BAD("a Host with a user", 400, LINE "Host: u@b\r\n\r\n"),
    BAD("Content-Length and Transfer-Encoding", 400, LINE HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("the other way round", 400, LINE HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
    BAD("two Content-Lengths", 400, LINE HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),
    BAD("two equal Content-Lengths", 400, LINE HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
    BAD("a list as Content-Length", 400, LINE HOST "Content-Length: 3, 3\r\n\r\n"),
    BAD("a sign", 400, LINE HOST "Content-Length: +3\r\n\r\n"),
    BAD("a negative length", 400, LINE HOST "Content-Length: -3\r\n\r\n"),
    BAD("a hexadecimal length", 400, LINE HOST "Content-Length: 0x3\r\n\r\n"),
    BAD("an empty length", 400, LINE HOST "Content-Length: \r\n\r\n"),
    BAD("a length with white space in it", 400, LINE HOST "Content-Length: 3 4\r\n\r\n"),
    BAD("a length beyond 64 bits", 400, LINE HOST "Content-Length: 99999999999999999999\r\n\r\n"),
    BAD("an unknown coding", 400, LINE HOST "Transfer-Encoding: xchunked\r\n\r\n"),
    BAD("a list of codings", 400, LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    BAD("a coding twice", 400, LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("identity", 400, LINE HOST "Transfer-Encoding: identity\r\n\r\n"),
    BAD("a coding in HTTP/1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("a chunked body", 411, LINE HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
    BAD("a chunk size that wraps", 411, LINE HOST "Transfer-Encoding: Chunked\r\n\r\n10000000000000005\r\n"),
    BAD("a space before the colon", 400, LINE HOST "Foo : bar\r\n\r\n"),
    BAD("a space before the colon of a coding", 400, LINE HOST "Transfer-Encoding : chunked\r\n\r\n"),
    BAD("a tab before the colon", 400, LINE HOST "Foo\t: bar\r\n\r\n"),
    BAD("a space in a name", 400, LINE HOST "Fo o: bar\r\n\r\n"),
    BAD("an empty name", 400, LINE HOST ": bar\r\n\r\n"),
    BAD("a line without a colon", 400, LINE HOST "Foo\r\n\r\n"),
    BAD("a name outside ASCII", 400, LINE HOST "F\xc3\xa9: bar\r\n\r\n"),
    BAD("an obsolete fold", 400, LINE HOST "Foo: a\r\n b\r\n\r\n"),
    BAD("a fold as the first header", 400, LINE " Host: a\r\n\r\n"),
    BAD("NUL in a value", 400, LINE "Host: a\0b\r\n\r\n"),
    BAD("NUL in a name", 400, LINE HOST "F\0o: b\r\n\r\n"),
    BAD("NUL in the target", 400, "GET /a\0b HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a control character in a value", 400, LINE HOST "Foo: a\x01\r\n\r\n"),
    BAD("DEL in a value", 400, LINE HOST "Foo: a\x7f\r\n\r\n"),
    BAD("a bare CR in a value", 400, LINE HOST "Foo: a\rb\r\n\r\n"),
    BAD("a bare LF after the request line", 400, "GET / HTTP/1.1\n" HOST "\r\n"),
    BAD("a bare LF after a header", 400, LINE "Host: a\n\r\n"),
    BAD("a bare LF at the end", 400, LINE HOST "\n"),
    BAD("a bare LF before the request", 400, "\n" LINE HOST "\r\n"),
    BAD("many empty lines", 400, "\r\n\r\n\r\n" LINE HOST "\r\n"),
    BAD("HTTP/9.9", 505, "GET / HTTP/9.9\r\n" HOST "\r\n"),
    BAD("HTTP/2.0", 505, "GET / HTTP/2.0\r\n" HOST "\r\n"),
    BAD("HTTP/1.10", 400, "GET / HTTP/1.10\r\n" HOST "\r\n"),
    BAD("http in lower case", 400, "GET / http/1.1\r\n" HOST "\r\n"),
    BAD("no version", 400, "GET /\r\n\r\n"),
    BAD("two spaces", 400, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
    BAD("two spaces before the version", 400, "GET /  HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a tab in the request line", 400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a space after the version", 400, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
    BAD("a space before the method", 400, " GET / HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a method that is none", 400, "GE(T / HTTP/1.1\r\n" HOST "\r\n"),
    BAD("an unknown method", 501, "BREW / HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a method in lower case", 501, "get / HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a long method", 501, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n"),
    BAD("TRACE", 405, "TRACE / HTTP/1.1\r\n" HOST "\r\n"),
    BAD("CONNECT", 405, "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a target without a slash", 400, "GET x HTTP/1.1\r\n" HOST "\r\n"),
    BAD("the asterisk with GET", 400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
    BAD("an absolute form of another scheme", 400, "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"),
    BAD("an absolute form without a host", 400, "GET http:/// HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a fragment", 400, "GET /#x HTTP/1.1\r\n" HOST "\r\n"),
    BAD("bytes above ASCII in the target", 400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"),
    BAD("an expectation that nobody knows", 417, LINE HOST "Expect: 200-maybe\r\n\r\n"),
    BAD("a body over the limit", 413, LINE HOST "Content-Length: 33\r\n\r\n"),
    BAD("a TLS greeting", 400, "\x16\x03\x01\x02\x00\x01"),
};

/* Feed in pieces of that size. @return the bytes taken */
static size_t
feed(struct pim_http_framing *framing, const char *bytes, size_t len, size_t piece)
{
    size_t at = 0;

    while (at < len && framing->state != PIM_HTTP_COMPLETE && framing->state != PIM_HTTP_BROKEN)
        at += pim_http_framing_feed(framing, bytes + at, len - at < piece ? len - at : piece);
    return at;
}

static void
every_probe_gets_its_verdict_however_it_is_cut(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 7, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            struct pim_http_framing framing;

            pim_http_framing_init(&framing, &limits);
            feed(&framing, probes[i].bytes, probes[i].len, pieces[k]);
            if (probes[i].status == 0 ? framing.state != PIM_HTTP_COMPLETE
                                      : framing.state != PIM_HTTP_BROKEN || framing.status != probes[i].status)
                fail_msg("%s, pieces of %zu: state %d, status %d", probes[i].what, pieces[k], framing.state, framing.status);
            pim_http_framing_fini(&framing);
        }
    }
}

static void
broken_by(int status, const char *head, const char *filler, int times)
{
    struct pim_http_framing framing;
    char *bytes = calloc(1, strlen(head) + strlen(filler) * (size_t)times + 8);

    strcpy(bytes, head);
    for (int i = 0; i < times; i++)
        strcat(bytes, filler);
    pim_http_framing_init(&framing, &limits);
    feed(&framing, bytes, strlen(bytes), 100);
    assert_int_equal(framing.state, PIM_HTTP_BROKEN);
    assert_int_equal(framing.status, status);
    assert_true(framing.head.len <= limits.head_bytes);
    pim_http_framing_fini(&framing);
    free(bytes);
}

static void
sizes_are_bounded(void **state)
{
    (void)state;
    broken_by(414, "GET /", "a", 64);
    broken_by(431, LINE HOST "X: ", "a", 512);
    broken_by(431, LINE HOST, "a", 512);
    broken_by(431, LINE HOST "X:", " ", 5000);
    broken_by(431, LINE HOST, "X: a\r\n", 8);
}

static void
a_request_is_taken_apart(void **state)
{
    static const char bytes[] = "PUT /a?b=c HTTP/1.1\r\nHost: h\r\nX-One:  two words \r\nContent-Length: 4\r\n"
                                "Connection: x, CLOSE\r\n\r\nbodyGET /next";
    struct pim_http_framing framing;
    size_t used;

    (void)state;
    pim_http_framing_init(&framing, &limits);
    used = feed(&framing, bytes, sizeof bytes - 1, 1000);
    assert_int_equal(framing.state, PIM_HTTP_COMPLETE);
    assert_string_equal(bytes + used, "GET /next");
    assert_int_equal(framing.method, PIM_HTTP_PUT);
    assert_int_equal(framing.target.len, 6);
    assert_memory_equal(framing.head.data + framing.target.at, "/a?b=c", 6);
    assert_int_equal(framing.n_headers, 4);
    assert_int_equal(framing.headers[1].value.len, 9);
    assert_memory_equal(framing.head.data + framing.headers[1].value.at, "two words", 9);
    assert_int_equal(framing.body.len, 4);
    assert_memory_equal(framing.body.data, "body", 4);
    assert_false(pim_http_framing_keeps_alive(&framing));

    pim_http_framing_reset(&framing);
    feed(&framing, LINE HOST "\r\n", strlen(LINE HOST "\r\n"), 5);
    assert_int_equal(framing.state, PIM_HTTP_COMPLETE);
    assert_int_equal(framing.n_headers, 1);
    assert_true(pim_http_framing_keeps_alive(&framing));
    pim_http_framing_fini(&framing);
}

static void
tokens_are_found_in_lists(void **state)
{
    (void)state;
    assert_true(pim_http_list_has("close", 5, "close"));
    assert_true(pim_http_list_has("a , CloSe", 9, "close"));
    assert_false(pim_http_list_has("closed", 6, "close"));
    assert_false(pim_http_list_has("not close", 9, "close"));
    assert_false(pim_http_list_has("", 0, "close"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_probe_gets_its_verdict_however_it_is_cut),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(tokens_are_found_in_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
