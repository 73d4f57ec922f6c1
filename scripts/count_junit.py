"""Counts a JUnit file that ctest wrote.

Prints "passed failed skipped" as numbers, then the name of each failed test with the end of what
it printed, indented. ctest calls a test that it could not start "notrun", as it calls a skipped
one; here it has failed.
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
