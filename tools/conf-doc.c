/* Writes from the table of options: the sample file, or the options section of privateim.conf(5). Runs in the build. */
#include "conf/conf.h"

#include <string.h>

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sample") == 0)
        pim_conf_print_sample(stdout);
    else if (argc == 2 && strcmp(argv[1], "man") == 0)
        pim_conf_print_man(stdout);
    else
        return 2;
    return fflush(stdout) == 0 ? 0 : 1;
}
