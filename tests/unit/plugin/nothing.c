/* A library that is no plugin. */
int pim_nothing(void);

int
pim_nothing(void)
{
    return 0;
}
