"""Prints the name of each test in a unittest module, one a line: module.Class.method.

For a module that cannot be imported, prints the name of the module: running it shows the error.
"""

import sys
import unittest


def names(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from names(item)
        else:
            yield item.id()


def main(module):
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromName(module)
    for name in [module] if loader.errors else names(suite):
        print(name)


sys.path.insert(0, "")
main(sys.argv[1])
