"""The cases of the Autobahn suite that concern a server without compression, as tables of our own."""

from . import section1, section2, section3, section4, section5, section6, section7, section9, section10

COUNTS = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1}


def all_cases():
    """Every case, in order; complains when the tables are not whole."""
    found = {}
    for number, module in zip(COUNTS, (section1, section2, section3, section4, section5, section6, section7, section9,
                                       section10)):
        found[number] = list(module.cases())
        assert len(found[number]) == COUNTS[number], "section %d has %d cases" % (number, len(found[number]))
    return [case for section in found.values() for case in section]
