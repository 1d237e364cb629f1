#!/usr/bin/python3
"""make_table.py INCLUDE_DIR: a C program on standard output that prints, for each public struct and field in
privateim/*.h, "struct size" and "struct.field offset size", and each constant "NAME value"."""

import glob
import os
import re
import sys


def structs(text):
    """(name, body) of each struct that is defined at the top level."""
    for found in re.finditer(r"^struct (\w+) \{", text, re.M):
        depth, at = 1, found.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        yield found.group(1), text[found.end():at - 1]


def fields(body):
    """The names of a struct's fields, in order."""
    body = re.sub(r"\b(union|struct)\s*\{[^{}]*\}", "int", body)
    for declaration in body.split(";"):
        pointer = re.search(r"\(\*(\w+)\)\s*\(", declaration)
        if pointer:
            yield pointer.group(1)
        elif declaration.strip():
            for one in declaration.split(","):
                yield re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", one).group(1)


def constants(text):
    for found in re.finditer(r"enum \{([^}]*)\}", text):
        for one in found.group(1).split(","):
            if one.strip():
                yield one.split("=")[0].strip()
    yield from re.findall(r"^#define (PIM_\w+(?:_MAJOR|_MINOR|_MAGIC|MAGIC))\s", text, re.M)


def main():
    names = sorted(glob.glob(os.path.join(sys.argv[1], "privateim", "*.h")))
    print("#include <stdio.h>")
    for name in names:
        print("#include <privateim/%s>" % os.path.basename(name))
    print("int main(void)\n{")
    for name in names:
        with open(name, encoding="utf-8") as source:
            text = re.sub(r"/\*.*?\*/", "", source.read(), flags=re.S)
        for struct, body in structs(text):
            print('    printf("%s %%zu\\n", sizeof(struct %s));' % (struct, struct))
            for field in fields(body):
                print('    printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));'
                      % (struct, field, struct, field, struct, field))
        for constant in constants(text):
            print('    printf("%s %%lld\\n", (long long)%s);' % (constant, constant))
    print("    return 0;\n}")


main()
