"""Counts the results in a JUnit file of ctest.

Prints the numbers "passed failed skipped", then for each failed test its name and the end of its
output, indented. ctest reports a test that it could not start as "notrun", like a skipped one; here
it counts as failed.
"""

import sys
import xml.etree.ElementTree

SHOWN_LINES = 40
SHOWN_COLUMNS = 200


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
        outcomes[outcome(case)].append(case)
    print(*(len(cases) for cases in outcomes.values()))
    for case in outcomes["failed"]:
        print(case.get("name"))
        for line in (case.findtext("system-out") or "").strip().splitlines()[-SHOWN_LINES:]:
            print("   ", line[:SHOWN_COLUMNS])


main(sys.argv[1])
