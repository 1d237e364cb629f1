#include "app/commands.h"

#include "im/presence.h"

#include <string.h>

static int
on_status(void *ctx, const struct pim_ctl_request *request, json_t *result, struct pim_err *err)
{
    struct pim_app *app = ctx;
    const struct pim_data_facts *facts = pim_data_facts(app->data);
    struct pim_msglog_stats log;
    uint64_t connections, users;

    (void)request;
    (void)err;
    pim_msglog_stats(pim_data_log(app->data), &log);
    pim_presence_count(app->im, &connections, &users);
    json_object_set_new(result, "connections", json_integer((json_int_t)connections));
    json_object_set_new(result, "users_online", json_integer((json_int_t)users));
    json_object_set_new(result, "messages_stored", json_integer((json_int_t)log.stored));
    json_object_set_new(result, "messages_waiting", json_integer((json_int_t)log.queued));
    json_object_set_new(result, "records_engine", json_string(facts->records.engine));
    json_object_set_new(result, "messages_engine", json_string(facts->messages.engine));
    return PIM_OK;
}

void
pim_app_commands_add(struct pim_ctl *ctl, struct pim_app *app)
{
    pim_ctl_status_add(ctl, on_status, app);
}
