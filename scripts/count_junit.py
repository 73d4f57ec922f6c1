"""Counts a JUnit file that ctest wrote.

Prints "passed failed skipped" as numbers, then the name of each failed test, one a line. ctest
calls a test that it could not start "notrun", as it calls a skipped one; here it has failed.
"""

import sys
import xml.etree.ElementTree


def outcome(case):
    if case.get("status") == "run":
        return "passed"
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("message", "").startswith("SKIP_"):
        return "skipped"
    return "failed"


def main(path):
    outcomes = {"passed": [], "failed": [], "skipped": []}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        outcomes[outcome(case)].append(case.get("name"))
    print(*(len(names) for names in outcomes.values()))
    for name in outcomes["failed"]:
        print(name)


main(sys.argv[1])
