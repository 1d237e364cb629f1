/* Checks of records: get and apply. */
#include "suite.h"

static void
records_basic(void)
{
    struct side s;
    struct text rows = {0};
    char bytes[4] = {0, (char)0xff, 'x', 0};
    struct pim_cell cells[] = {SET(P_ID, V_INT(9)), SET(P_EMAIL, V_TEXT("nine@x")), SET(P_NOTE, V_TEXT("")),
                               SET(P_DATA, V_BYTES(bytes, 4)), SET(P_AGE, V_INT(INT64_MIN))};
    struct pim_cell changes[] = {SET(P_NAME, V_TEXT("Z")), SET(P_NOTE, V_NULL), SET(P_AGE, V_INT(INT64_MAX))};
    struct pim_val keys[] = {V_INT(9), V_INT(77), V_INT(1), V_INT(9)}, mail[] = {V_TEXT("one@x")};
    struct pim_write insert = WRITE(PIM_W_INSERT, K_PERSON, P_BY_ID, .cells = cells, .n_cells = CONF_COUNT(cells));
    struct pim_write update = WRITE(PIM_W_UPDATE, K_PERSON, P_BY_ID, .key = keys, .n_key = 1, .cells = changes,
                                    .n_cells = CONF_COUNT(changes));
    struct pim_write erase = WRITE(PIM_W_DELETE, K_PERSON, P_BY_EMAIL, .key = mail, .n_key = 1);

    conf_open(&s, conf_schema(1));
    CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_ID, keys, 1, 1, COL(P_ID), &rows), PIM_NOT_FOUND);
    CHECK_RC(conf_person(&s, 1, "one@x", "Ann", 31), PIM_OK);
    CHECK_RC(conf_apply(&s, &insert, 1, NULL, NULL), PIM_OK);
    CHECK_RC(conf_person(&s, 1, "other@x", "Bob", 5), PIM_EXISTS);
    CHECK_RC(conf_person(&s, 2, "one@x", "Bob", 5), PIM_EXISTS);
    /* many keys: a row for each that is there, in the keys' order, with the key's number; values in column order */
    CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_ID, keys, 4, 1, COL(P_COLS - 1) - 1, &rows), PIM_OK);
    CHECK(rows.p != NULL);
    if (strcmp(rows.p, "0: 9 tnine@x/6 t/0 -9223372036854775808 t/0 b\\00\\ffx\\00/4 0\n"
                       "2: 1 tone@x/5 tAnn/3 31 null b/0 0\n"
                       "3: 9 tnine@x/6 t/0 -9223372036854775808 t/0 b\\00\\ffx\\00/4 0\n") != 0)
        conf_fail("get gave other rows:\n%s", rows.p);
    conf_clear(&rows);
    CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_EMAIL, mail, 1, 1, COL(P_AGE) | COL(P_ID), &rows), PIM_OK);
    CHECK(strcmp(rows.p, "0: 1 31\n") == 0);
    conf_clear(&rows);
    /* a change is there for the next reader */
    CHECK_RC(conf_apply(&s, &update, 1, NULL, NULL), PIM_OK);
    CHECK_INT(update.matched, 1);
    CHECK_RC(conf_apply(&s, &update, 1, NULL, NULL), PIM_OK);
    CHECK_INT(update.matched, 1); /* unchanged is matched, not missing */
    CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_ID, keys, 1, 1, COL(P_NAME) | COL(P_NOTE) | COL(P_AGE), &rows), PIM_OK);
    CHECK(strcmp(rows.p, "0: tZ/1 9223372036854775807 null\n") == 0);
    conf_clear(&rows);
    erase.returning = COL(P_AGE);
    CHECK_RC(conf_apply(&s, &erase, 1, NULL, &rows), PIM_OK);
    CHECK_INT(erase.matched, 1);
    CHECK(rows.p != NULL && strcmp(rows.p, "0: 31\n") == 0);
    conf_clear(&rows);
    CHECK_RC(conf_apply(&s, &erase, 1, NULL, NULL), PIM_OK); /* nothing to take away is no reason to stop */
    CHECK_INT(erase.matched, 0);
    CHECK_RC(erase.result, PIM_NOT_FOUND);
    CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_EMAIL, mail, 1, 1, COL(P_ID), &rows), PIM_NOT_FOUND);
    CHECK_RC(conf_person(&s, 1, "one@x", "Ann", 31), PIM_OK); /* its keys are free again */
    CHECK_RC(conf_get(&s, s.r, 4711, 0, keys, 1, 1, 1, &rows), PIM_ERR_INVALID);
    conf_reopen(&s, conf_schema(1));
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 2);
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &keys[2], 1, P_AGE), 31);
    conf_close(&s);
}

static void
apply_all_or_nothing(void)
{
    struct side s;
    struct pim_val k1 = V_INT(1), k5 = V_INT(5), k9 = V_INT(9);
    struct pim_cell older = SET(P_AGE, V_INT(99)), five[] = {SET(P_ID, k5), SET(P_EMAIL, V_TEXT("five@x"))},
                    clash[] = {SET(P_ID, V_INT(6)), SET(P_EMAIL, V_TEXT("two@x"))};
    struct pim_cond is31 = COND(P_AGE, PIM_EQ, V_INT(31)), is30 = COND(P_AGE, PIM_EQ, V_INT(30));
    struct pim_write update = WRITE(PIM_W_UPDATE, K_PERSON, 0, .key = &k1, .n_key = 1, .cells = &older, .n_cells = 1);
    struct pim_write insert = WRITE(PIM_W_INSERT, K_PERSON, 0, .cells = five, .n_cells = 2);
    struct pim_write erase = WRITE(PIM_W_DELETE, K_PERSON, 0, .key = &k1, .n_key = 1);
    const struct {
        const char *what;
        struct pim_write last;
        int rc;
    } cases[] = {
        {"a unique key that is taken", WRITE(PIM_W_INSERT, K_PERSON, 0, .cells = clash, .n_cells = 2), PIM_EXISTS},
        {"a guard on a row that is not there",
         WRITE(PIM_W_GUARD, K_PERSON, 0, .key = &k9, .n_key = 1, .flags = PIM_W_MUST_EXIST), PIM_NOT_FOUND},
        {"a guard on a row that is there",
         WRITE(PIM_W_GUARD, K_PERSON, 0, .key = &k5, .n_key = 1, .flags = PIM_W_MUST_NOT_EXIST), PIM_EXISTS},
        {"a condition that does not hold after an earlier step",
         WRITE(PIM_W_GUARD, K_PERSON, 0, .key = &k5, .n_key = 1, .conds = &is31, .n_conds = 1), PIM_REFUSED},
        {"an update whose condition does not hold",
         WRITE(PIM_W_UPDATE, K_PERSON, 0, .key = &k5, .n_key = 1, .cells = &older, .n_cells = 1, .conds = &is30,
               .n_conds = 1),
         PIM_REFUSED},
        {"an update that must find its row",
         WRITE(PIM_W_UPDATE, K_PERSON, 0, .key = &k9, .n_key = 1, .cells = &older, .n_cells = 1,
               .flags = PIM_W_MUST_EXIST),
         PIM_NOT_FOUND},
        {"a step that is wrong", WRITE(77, K_PERSON, 0, .key = &k9, .n_key = 1), PIM_ERR_INVALID},
    };

    conf_open(&s, conf_schema(1));
    CHECK_RC(conf_person(&s, 1, "one@x", "Ann", 31), PIM_OK);
    CHECK_RC(conf_person(&s, 2, "two@x", "Bob", 32), PIM_OK);
    for (size_t i = 0; i < CONF_COUNT(cases); i++) {
        struct pim_write list[] = {update, insert, erase, cases[i].last};
        struct text rows = {0};
        uint32_t failed = 99;
        int rc = conf_apply(&s, list, 4, &failed, NULL);

        if (rc != cases[i].rc || failed != 3)
            conf_fail("%s: answered %s at step %u, not %s at step 3", cases[i].what, conf_rc_name(rc), failed,
                      conf_rc_name(cases[i].rc));
        CHECK_RC(list[3].result, cases[i].rc);
        conf_get(&s, s.r, K_PERSON, 0, (struct pim_val[]){k1, V_INT(2), k5}, 3, 1, COL(P_ID) | COL(P_AGE), &rows);
        if (rows.p == NULL || strcmp(rows.p, "0: 1 31\n1: 2 32\n") != 0)
            conf_fail("%s stopped the list, but steps before it are there:\n%s", cases[i].what, rows.p ? rows.p : "");
        conf_clear(&rows);
    }
    {
        struct pim_write list[] = {update, insert, erase};

        CHECK_RC(conf_apply(&s, list, 3, NULL, NULL), PIM_OK); /* and all of it where nothing stops */
        CHECK_INT(conf_count(&s, s.r, K_PERSON), 2);
        CHECK_INT(conf_number(&s, s.r, K_PERSON, &k5, 1, P_AGE), 7); /* the column's default */
    }
    conf_close(&s);
}

static void
upsert_revives(void)
{
    struct side s;
    struct text rows = {0};
    struct pim_val mail = V_TEXT("a@x"), k10 = V_INT(10);
    struct pim_cell first[] = {SET(P_ID, k10), SET(P_EMAIL, mail), SET(P_NAME, V_TEXT("Old")), SET(P_GONE, V_INT(1)),
                               SET(P_AGE, V_INT(40))};
    struct pim_cell again[] = {SET(P_ID, V_INT(11)), SET(P_EMAIL, mail), SET(P_NAME, V_TEXT("New")),
                               SET(P_GONE, V_INT(0)), SET(P_AGE, V_INT(1))};
    struct pim_cond gone = COND(P_GONE, PIM_EQ, V_INT(1));
    struct pim_write make =
        WRITE(PIM_W_UPSERT, K_PERSON, P_BY_EMAIL, .cells = first, .n_cells = 5, .returning = COL(P_ID));
    struct pim_write revive =
        WRITE(PIM_W_UPSERT, K_PERSON, P_BY_EMAIL, .key = &mail, .n_key = 1, .cells = again, .n_cells = 5,
              .on_dup = COL(P_NAME) | COL(P_GONE), .returning = COL(P_ID) | COL(P_AGE), .conds = &gone, .n_conds = 1);
    struct pim_write keep =
        WRITE(PIM_W_UPSERT, K_PERSON, P_BY_EMAIL, .cells = again, .n_cells = 5, .returning = COL(P_ID));

    conf_open(&s, conf_schema(1));
    CHECK_RC(conf_apply(&s, &make, 1, NULL, &rows), PIM_OK);
    CHECK(rows.p != NULL && strcmp(rows.p, "0: 10\n") == 0);
    CHECK_INT(make.matched, 0);
    conf_clear(&rows);
    CHECK_RC(conf_apply(&s, &revive, 1, NULL, &rows), PIM_OK);
    if (rows.p == NULL || strcmp(rows.p, "0: 10 40\n") != 0)
        conf_fail("the upsert did not return the id that exists: %s", rows.p ? rows.p : "nothing");
    CHECK_INT(revive.matched, 1);
    conf_clear(&rows);
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &k10, 1, P_GONE), 0);
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &k10, 1, P_AGE), 40); /* not in the mask */
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 1);
    CHECK_RC(conf_apply(&s, &revive, 1, NULL, NULL), PIM_REFUSED); /* it is not gone any more */
    CHECK_RC(conf_apply(&s, &keep, 1, NULL, &rows), PIM_OK);       /* nothing in the mask: only the id */
    CHECK(rows.p != NULL && strcmp(rows.p, "0: 10\n") == 0);
    conf_clear(&rows);
    conf_close(&s);
}

static void
positions_only_rise(void)
{
    static const int64_t marks[] = {5, 3, 9, 9, 1, 8, 12, 0, -4, 11};
    struct side s;
    int64_t highest = 0, sum = 0;
    struct pim_val key[] = {V_INT(3), V_TEXT("phone")};

    conf_open(&s, conf_schema(1));
    for (size_t i = 0; i < CONF_COUNT(marks); i++) {
        struct pim_cell cells[] = {SET(L_USER, key[0]),
                                   SET(L_DEVICE, key[1]),
                                   {.col = L_SEQ, .verb = PIM_MAX, .val = V_INT(marks[i])},
                                   {.col = L_ORD, .verb = PIM_ADD, .val = V_INT(marks[i])}};
        struct pim_write write = WRITE(PIM_W_UPSERT, K_PLACE, 0, .cells = cells, .n_cells = 4,
                                       .on_dup = COL(L_SEQ) | COL(L_ORD), .returning = COL(L_SEQ));
        struct text rows = {0};
        char want[40];

        highest = marks[i] > highest ? marks[i] : highest;
        sum += marks[i];
        CHECK_RC(conf_apply(&s, &write, 1, NULL, &rows), PIM_OK);
        snprintf(want, sizeof want, "0: %lld\n", (long long)highest);
        if (rows.p == NULL || strcmp(rows.p, want) != 0)
            conf_fail("after the mark %lld the position is %s, not %lld", (long long)marks[i],
                      rows.p ? rows.p : "nothing", (long long)highest);
        conf_clear(&rows);
        CHECK_INT(conf_number(&s, s.r, K_PLACE, key, 2, L_SEQ), highest);
        CHECK_INT(conf_number(&s, s.r, K_PLACE, key, 2, L_ORD), sum);
    }
    conf_close(&s);
}

static void
groups(void)
{
    struct side s;
    struct pim_val k1 = V_INT(1), k3 = V_INT(3);
    struct text rows = {0};

    conf_open(&s, conf_schema(1));
    if ((s.info.caps & PIM_CAP_GROUP) == 0) {
        conf_close(&s);
        conf_skip("the plugin has no groups");
    }
    CHECK_RC(s.ops->group_begin(s.w, &conf_call, &conf_err), PIM_OK);
    CHECK_RC(conf_person(&s, 1, "one@x", "A", 1), PIM_OK);
    CHECK_RC(conf_person(&s, 2, "one@x", "B", 2), PIM_EXISTS); /* each keeps its own result */
    CHECK_RC(conf_person(&s, 3, "three@x", "C", 3), PIM_OK);
    CHECK_INT(conf_number(&s, s.w, K_PERSON, &k1, 1, P_AGE), 1); /* its own connection sees it */
    CHECK_RC(conf_get(&s, s.r, K_PERSON, 0, &k1, 1, 1, COL(P_ID), &rows), PIM_NOT_FOUND); /* others do not, yet */
    CHECK_RC(s.ops->group_end(s.w, &conf_call, &conf_err), PIM_OK);
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 2);
    CHECK_INT(conf_number(&s, s.r, K_PERSON, &k3, 1, P_AGE), 3);
    /* a connection that is closed within a group leaves nothing of it */
    CHECK_RC(s.ops->group_begin(s.w, &conf_call, &conf_err), PIM_OK);
    CHECK_RC(conf_person(&s, 4, "four@x", "D", 4), PIM_OK);
    s.ops->conn_close(&s.w);
    CHECK_RC(conf_conn(&s, PIM_CALL_WRITER, &s.w), PIM_OK);
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 2);
    CHECK_RC(conf_person(&s, 4, "four@x", "D", 4), PIM_OK);
    conf_reopen(&s, conf_schema(1));
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 3);
    conf_close(&s);
}

static void
four_byte_text(void)
{
    static const char five[] = "\xf0\x9f\x98\x80\xf0\x9f\x91\xbb\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf0\xa0\x80\x80";
    static const char six[] = "\xf0\x9f\x98\x80\xf0\x9f\x91\xbb\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf0\xa0\x80\x80x";
    static const char *const wrong[] = {"\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80", "\xff", "\xf4\x90\x80\x80"};
    struct side s;
    struct text rows = {0}, want = {0};
    struct pim_val mail = V_TEXT("\xf0\x9f\x92\x8c@x");

    conf_open(&s, conf_schema(1));
    CHECK_RC(conf_person(&s, 1, mail.u.p, five, 1), PIM_OK); /* max_chars counts characters, not bytes */
    CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_EMAIL, &mail, 1, 1, COL(P_EMAIL) | COL(P_NAME), &rows), PIM_OK);
    conf_on_row(&want, 0, (struct pim_val[]){mail, V_TEXT(five)}, 2);
    CHECK(rows.n == want.n && memcmp(rows.p, want.p, rows.n) == 0);
    CHECK_RC(conf_person(&s, 2, "two@x", six, 1), PIM_ERR_INVALID);
    for (size_t i = 0; i < CONF_COUNT(wrong); i++)
        CHECK_RC(conf_person(&s, 3, "three@x", wrong[i], 1), PIM_ERR_INVALID);
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 1);
    conf_clear(&rows);
    conf_clear(&want);
    conf_close(&s);
}

static void
bytewise_text(void)
{
    /* in the order of bytes; each is a key of its own */
    static const char *const names[] = {"",
                                        " ",
                                        "A",
                                        "a",
                                        "a ",
                                        "a  ",
                                        "b",
                                        "\xc3\x84",
                                        "\xc3\xa4",
                                        "\xe1\xba\xa0",
                                        "\xef\xbf\xbd",
                                        "\xf0\x9f\x98\x80"};
    struct side s;
    struct text rows = {0}, want = {0};
    struct pim_query query = {.kind = K_PERSON, .index = P_BY_EMAIL, .cols = COL(P_EMAIL)};

    conf_open(&s, conf_schema(1));
    for (size_t i = 0; i < CONF_COUNT(names); i++) {
        size_t at = (i * 7 + 3) % CONF_COUNT(names);
        int rc = conf_person(&s, (int64_t)at + 1, names[at], "n", 1);

        if (rc != PIM_OK)
            conf_fail("the text \"%s\" is taken for another one: %s", names[at], conf_rc_name(rc));
    }
    for (size_t i = 0; i < CONF_COUNT(names); i++) {
        struct pim_val key = V_TEXT(names[i]);
        struct text one = {0};
        char id[20];

        snprintf(id, sizeof id, "0: %zu\n", i + 1);
        CHECK_RC(conf_get(&s, s.r, K_PERSON, P_BY_EMAIL, &key, 1, 1, COL(P_ID), &one), PIM_OK);
        if (strcmp(one.p, id) != 0)
            conf_fail("the key \"%s\" finds row %s", names[i], one.p);
        conf_clear(&one);
        conf_on_row(&want, (uint32_t)i, &key, 1);
    }
    CHECK_RC(conf_list(&s, s.r, &query, &rows), PIM_OK);
    conf_same(&rows, &want, "the order of texts");
    conf_clear(&rows);
    conf_clear(&want);
    conf_close(&s);
}

static void
record_limits(void)
{
    struct side s;
    uint64_t max;
    char *big, mail[121], pk[481];
    struct text rows = {0}, want = {0};
    struct pim_val k1 = V_INT(1);
    struct pim_cell cells[] = {SET(P_ID, k1), SET(P_EMAIL, V_TEXT("one@x")), SET(P_DATA, V_NULL)};
    struct pim_write insert = WRITE(PIM_W_INSERT, K_PERSON, 0, .cells = cells, .n_cells = 3);
    uint32_t failed;
    int rc;

    conf_open(&s, conf_schema(1));
    max = s.info.value_bytes_max;
    CHECK(max >= 65536);
    max = max < (64u << 20) ? max : 64u << 20;
    big = malloc(max + 1);
    CHECK(big != NULL);
    for (uint64_t i = 0; i <= max; i++)
        big[i] = (char)(i * 31 >> 3);
    /* the largest value there is, to the byte */
    cells[2].val = V_BYTES(big, (uint32_t)max);
    CHECK_RC(conf_apply(&s, &insert, 1, NULL, NULL), PIM_OK);
    CHECK_RC(conf_get(&s, s.r, K_PERSON, 0, &k1, 1, 1, COL(P_DATA), &rows), PIM_OK);
    conf_on_row(&want, 0, &cells[2].val, 1);
    CHECK(rows.n == want.n && memcmp(rows.p, want.p, rows.n) == 0);
    conf_clear(&rows);
    conf_clear(&want);
    if (max == s.info.value_bytes_max) {
        cells[0].val = V_INT(2);
        cells[1].val = V_TEXT("two@x");
        cells[2].val = V_BYTES(big, (uint32_t)max + 1);
        rc = conf_apply(&s, &insert, 1, &failed, NULL);
        if (rc != PIM_ERR_TOO_LARGE && rc != PIM_ERR_INVALID)
            conf_fail("one byte more than value_bytes_max: %s", conf_rc_name(rc));
        CHECK_INT(conf_count(&s, s.r, K_PERSON), 1);
    }
    free(big);
    /* the largest key: as many characters as its column has, four bytes each */
    for (int i = 0; i < 120; i++)
        memcpy(pk + 4L * i, "\xf0\x9f\x98\x80", 4);
    pk[480] = '\0';
    CHECK_RC(conf_person(&s, INT64_MAX, pk, "n", 3), PIM_OK);
    memset(mail, 'x', 120);
    mail[120] = '\0';
    CHECK_RC(conf_person(&s, INT64_MIN, mail, "n", 4), PIM_OK);
    CHECK_RC(
        conf_get(&s, s.r, K_PERSON, P_BY_EMAIL, (struct pim_val[]){V_TEXT(pk), V_TEXT(mail)}, 2, 1, COL(P_ID), &rows),
        PIM_OK);
    CHECK(strcmp(rows.p, "0: 9223372036854775807\n1: -9223372036854775808\n") == 0);
    conf_clear(&rows);
    conf_close(&s);
}

static void
one_wrong_value(void)
{
    struct side s;
    struct pim_cell wrong_type[] = {SET(P_ID, V_TEXT("1")), SET(P_EMAIL, V_TEXT("a@x"))},
                    null[] = {SET(P_ID, V_INT(1)), SET(P_EMAIL, V_NULL)},
                    no_col[] = {SET(P_ID, V_INT(1)), SET(40, V_INT(1))},
                    nul[] = {SET(P_ID, V_INT(1)),
                             SET(P_EMAIL, ((struct pim_val){.type = PIM_TEXT, .len = 3, .u.p = "a\0b"}))};
    struct pim_cell *const cases[] = {wrong_type, null, no_col, nul};

    conf_open(&s, conf_schema(1));
    for (size_t i = 0; i < CONF_COUNT(cases); i++) {
        struct pim_write write = WRITE(PIM_W_INSERT, K_PERSON, 0, .cells = cases[i], .n_cells = 2);
        int rc = conf_apply(&s, &write, 1, NULL, NULL);

        if (rc != PIM_ERR_INVALID)
            conf_fail("wrong value %zu: %s", i, conf_rc_name(rc));
    }
    CHECK_INT(conf_count(&s, s.r, K_PERSON), 0);
    CHECK_RC(conf_person(&s, 1, "a@x", "n", 1), PIM_OK); /* the connection is as good as before */
    conf_close(&s);
}

const struct check conf_record_checks[] = {
    {"records basic", PIM_ROLE_RECORDS, records_basic},
    {"apply is all or nothing", PIM_ROLE_RECORDS, apply_all_or_nothing},
    {"upsert revives and returns the id that exists", PIM_ROLE_RECORDS, upsert_revives},
    {"positions only rise", PIM_ROLE_RECORDS, positions_only_rise},
    {"groups", PIM_ROLE_RECORDS, groups},
    {"4-byte UTF-8", PIM_ROLE_RECORDS, four_byte_text},
    {"bytewise text", PIM_ROLE_RECORDS, bytewise_text},
    {"a wrong value is refused", PIM_ROLE_RECORDS, one_wrong_value},
    {"limits: largest value and key", PIM_ROLE_RECORDS, record_limits},
    {0},
};
