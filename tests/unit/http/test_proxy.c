/* X-Forwarded-For is believed from trusted proxies alone, and only as far as they reach. */
#include "http/proxy.h"
#include "util/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const nets[] = {"10.0.0.0/8", "::1"};

static const struct {
    const char *what, *peer, *header, *want;
} cases[] = {
    {"nobody is named", "10.0.0.1", NULL, "10.0.0.1"},
    {"a client behind one proxy", "10.0.0.1", "192.0.2.7", "192.0.2.7"},
    {"the peer is not trusted", "192.0.2.1", "192.0.2.7", "192.0.2.1"},
    {"two proxies", "10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"},
    {"what a client made up stands left of it", "10.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7"},
    {"no address", "10.0.0.1", "unknown", "10.0.0.1"},
    {"hearsay behind no address", "10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"},
    {"spaces and tabs", "10.0.0.1", " \t192.0.2.7\t ", "192.0.2.7"},
    {"an empty entry", "10.0.0.1", "192.0.2.7,", "10.0.0.1"},
    {"IPv6", "::1", "2001:db8::5", "2001:db8::5"},
    {"only proxies", "10.0.0.1", "10.0.0.9", "10.0.0.9"},
};

static void
the_client_is_the_last_one_who_is_no_proxy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pim_http_request request = {0};
        struct pim_http_header header;
        char head[256];

        snprintf(request.address, sizeof request.address, "%s", cases[i].peer);
        if (cases[i].header != NULL) {
            int len = snprintf(head, sizeof head, "X-Forwarded-For:%s", cases[i].header);

            pim_buf_init(&request.head, sizeof head);
            assert_int_equal(pim_buf_add(&request.head, head, (size_t)len), PIM_OK);
            header = (struct pim_http_header){.name = {0, 15}, .value = {16, (uint32_t)len - 16}};
            request.headers = &header;
            request.n_headers = 1;
        }
        pim_http_proxy_resolve(&request, nets, 2);
        if (strcmp(request.address, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].what, request.address);
        pim_buf_fini(&request.head);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_client_is_the_last_one_who_is_no_proxy)};

    return cmocka_run_group_tests_name("http/proxy", tests, NULL, NULL);
}
