/* Any file: read or refused with a sentence that fits; what was read can be written and read again. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[PIM_CONF_WHY_BYTES] = "";
    struct pim_conf conf, again;
    char *text = NULL;
    size_t text_len = 0;
    FILE *out;

    pim_conf_init(&conf);
    if (pim_conf_load_text(&conf, "fuzz.conf", (const char *)data, size, why) != PIM_OK) {
        if (strncmp(why, "fuzz.conf:", 10) != 0 || strlen(why) < 12)
            abort(); /* every refusal says where and why */
        pim_conf_fini(&conf);
        return 0;
    }
    out = open_memstream(&text, &text_len);
    pim_conf_print(&conf, out);
    fclose(out);
    pim_conf_init(&again);
    /* a masked password, or text that holds " ;", does not come back as it was; all else must */
    if (memmem(data, size, "://", 3) == NULL &&
        pim_conf_load_text(&again, "again.conf", text, text_len, why) != PIM_OK) {
        fprintf(stderr, "%s\n%s", why, text);
        abort();
    }
    pim_conf_fini(&again);
    pim_conf_fini(&conf);
    free(text);
    return 0;
}
