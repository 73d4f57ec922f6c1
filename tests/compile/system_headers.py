"""Checks that no system header gets in plug's way, and vice versa, in either order of inclusion.

Compares the macros of every header in /usr/include with every identifier in plug's headers: only a
macro could change the meaning of plug. If one matches, compiles the header together with plug to
see whether it does harm. Compiles the most important headers with plug in any case, before and
after it.

Usage: system_headers.py INCLUDE_DIRECTORY macros     the comparison
       system_headers.py INCLUDE_DIRECTORY COMPILER   the compilations with one compiler
Prints each problem. The status is then 1; it is 77 if the compiler is missing.
"""

import functools
import pathlib
import re
import shutil
import subprocess
import sys

INCLUDE = pathlib.Path(sys.argv[1]).resolve()
COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]
CONFIGURATIONS = [(f"-std={std}", opt) for std in ("c++20", "gnu++20") for opt in ("-O0", "-O2")]
# Pairs that contain each standard and each optimisation once.
DIAGONALS = (CONFIGURATIONS[0], CONFIGURATIONS[3]), (CONFIGURATIONS[1], CONFIGURATIONS[2])
FOLDERS = ["", "sys", "net", "netinet", "arpa", "linux", "asm", "asm-generic", "rpc", "rdma",
           "bluetooth"]

# Compiled with plug whatever their macros are; a header that the machine lacks is left out.
IMPORTANT = """
    bluetooth/bluetooth.h bluetooth/hci.h bluetooth/l2cap.h bluetooth/rfcomm.h bluetooth/sco.h
    arpa/ftp.h arpa/inet.h arpa/nameser.h arpa/telnet.h assert.h curses.h errno.h fcntl.h grp.h
    ifaddrs.h limits.h math.h net/ethernet.h net/if.h net/if_arp.h net/route.h netdb.h
    netinet/icmp6.h netinet/if_ether.h netinet/in.h netinet/ip.h netinet/ip6.h netinet/ip_icmp.h
    netinet/tcp.h netinet/udp.h openssl/ssl.h poll.h pthread.h pwd.h resolv.h
    sched.h semaphore.h signal.h stdio.h stdlib.h string.h sys/epoll.h sys/eventfd.h sys/ioctl.h
    sys/mman.h sys/param.h sys/poll.h sys/prctl.h sys/resource.h sys/select.h sys/sendfile.h
    sys/signalfd.h sys/socket.h sys/stat.h sys/syscall.h sys/sysmacros.h sys/time.h sys/timerfd.h
    sys/types.h sys/uio.h sys/un.h sys/wait.h syslog.h termios.h time.h unistd.h wchar.h zlib.h
    linux/can.h linux/can/bcm.h linux/can/isotp.h linux/can/j1939.h linux/can/raw.h
    linux/errqueue.h linux/filter.h linux/if_alg.h linux/if_packet.h linux/net_tstamp.h linux/netlink.h
    linux/qrtr.h linux/rds.h linux/rtnetlink.h linux/sctp.h linux/sockios.h linux/tipc.h linux/tls.h
    linux/vm_sockets.h
""".split()

# Code that a user may write after including each of these headers.
USE = """
using namespace plug;
int use() {
  Socket sock(AF::INET, SOCK::STREAM | SOCK::CLOEXEC, IPPROTO::TCP);
  sock.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1);
  sock.setsockopt(IPPROTO::TCP, TCP::NODELAY, true);
  sock.setsockopt(IPPROTO::IP_, IP_::TTL, 4);
  sock.setsockopt(IPPROTO::IPV6, IPV6::V6ONLY, 1);
  sock.setsockopt(SOL::CAN_RAW_, CAN::RAW_FD_FRAMES, 1);
  Socket(AF::PACKET, SOCK::RAW).setsockopt(SOL::PACKET, PACKET::ADD_MEMBERSHIP, "x");
  Socket(AF::BLUETOOTH, SOCK::SEQPACKET, BTPROTO::L2CAP).setsockopt(SOL::BLUETOOTH, BT::SECURITY, 1);
  Socket(AF::NETLINK, SOCK::RAW, NETLINK::ROUTE).setsockopt(SOL::ALG, ALG::SET_KEY, "key");
  sock.shutdown(SHUT::WR);
  sock.connect({"localhost", htons_(1) + ntohs_(2)});
  sock.sendall("x", MSG::DONTWAIT | MSG::EOR_);
  DefaultSelector selector;
  selector.register_(sock, EVENT::READ | EVENT::WRITE, 1);
  Epoll(-1, EPOLL::CLOEXEC).register_(sock, EPOLL::ERR_ | EPOLL::ET);
  Poll().register_(sock, POLL::ERR_ | POLL::MSG);
  (void)select({sock}, {0}, {selector}, PIPE_BUF_ / 1000.0);
  const auto answers = plug::getaddrinfo("localhost", "http", AF::UNSPEC, SOCK{}, 0, AI::PASSIVE);
  return hton(std::uint16_t{1}) + static_cast<int>(answers.size()) + SOMAXCONN_ +
         static_cast<int>(EAI::NONAME) + static_cast<int>(INADDR::ANY) + sock.fileno();
}
"""


def compile_text(compiler, text, *options):
    command = [compiler, f"-I{INCLUDE}", "-x", "c++", *options, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, errors="replace")


def include_all(headers):
    return "".join(f"#include <{header}>\n" for header in headers)


def plug_headers():
    return [f"plug/{path.name}" for path in sorted((INCLUDE / "plug").glob("*.hpp"))]


@functools.cache
def search_path():
    """Returns the folders in which the compiler looks for C headers."""
    output = compile_text(COMPILERS[0], "", "-E", "-v").stderr
    listed = output.split("search starts here:")[-1].split("End of search list")[0]
    folders = [pathlib.Path(line.strip()) for line in listed.splitlines()]
    return [path for path in folders if re.match(r"/usr/include(/[\w]+-linux-\w+)?$", str(path))]


def system_headers():
    found = set()
    for root in search_path():
        for folder in FOLDERS:
            for path in (root / folder).glob("*.h"):
                found.add(str(path.relative_to(root)))
        for path in (root / "linux").rglob("*.h"):
            found.add(str(path.relative_to(root)))
    return sorted(found)


def identifiers():
    """Returns all identifiers of plug's headers, and those of them that a parenthesis follows."""
    every, called = set(), set()
    for header in plug_headers():
        text = (INCLUDE / header).read_text()
        text = re.sub(r'//[^\n]*|/\*.*?\*/|^\s*#[^\n]*|"(\\.|[^"\\])*"', " ", text, flags=re.S | re.M)
        for name, parenthesis in re.findall(r"([A-Za-z_]\w*)(\s*\()?", text):
            every.add(name)
            if parenthesis:
                called.add(name)
    return every, called


def macros(text, *options):
    """Returns the names of the macros that are defined at the end of the text."""
    output = compile_text(COMPILERS[0], text, "-E", "-dM", *options).stdout
    return set(re.findall(r"^#define (\w+)", output, re.M))


unfinished = []  # headers that the preprocessor cannot finish


def definitions(headers, *options):
    """Returns each macro that any of the headers defines, with the lines that define it.

    One translation unit includes them all: -dD reports each definition where it stands. A header
    that the preprocessor cannot finish is read separately.
    """
    defined = {}

    def collect(names):
        result = compile_text(COMPILERS[0], include_all(names), "-E", "-dD", *options)
        lines = re.findall(r"^#define ((\w+).*)", result.stdout, re.M)
        return lines, result.stderr

    rest = [header for header in headers if header not in unfinished]
    while True:
        lines, complaints = collect(rest)
        fatal = complaints.find("fatal error")
        if fatal < 0:
            break
        line = int(re.findall(r"<stdin>:(\d+)", complaints[:fatal])[-1])
        unfinished.append(rest.pop(line - 1))
    for header in unfinished:
        lines += collect([header])[0]
    for definition, name in lines:
        defined.setdefault(name, set()).add(definition)
    return defined


def name_of(definition):
    return re.match(r"\w+", definition)[0]


def compiles(text, *options):
    return compile_text(COMPILERS[0], text, "-fsyntax-only", "-w", *options).returncode == 0


def culprits(macro_definitions, *options):
    """Returns the macros that break plug's headers but not those of the C++ library."""
    library = set()
    for header in plug_headers():
        library |= set(re.findall(r"#include <(\w+)>", (INCLUDE / header).read_text()))
    rest, found = set(macro_definitions), set()
    while True:
        # A header may include another one that only newer libraries have.
        text = "".join(f"#if __has_include(<{name}>)\n#include <{name}>\n#endif\n" for name in sorted(library))
        for definition in sorted(rest):
            text += f"#undef {name_of(definition)}\n#define {definition}\n"
        text += include_all(plug_headers())
        result = compile_text(COMPILERS[0], text, "-fsyntax-only", "-w", *options)
        if result.returncode == 0:
            return found
        # "note: in expansion of macro 'name'"
        named = set(re.findall(r"macro .(\w+)", result.stderr))
        guilty = {each for each in rest if name_of(each) in named}
        if not guilty:
            sys.exit("no macro is named:\n" + result.stderr)
        rest -= guilty
        found |= guilty


def sources_that_break(name, headers, *options):
    """Returns the headers that define a macro of this name, compile as C++, and break plug."""
    pattern = re.compile(rf"^[ \t]*#[ \t]*define[ \t]+{name}\b", re.M)
    return [
        header
        for header in headers
        for root in search_path()
        if (root / header).is_file()
        and pattern.search((root / header).read_text(errors="replace"))
        and compiles(include_all([header]), *options)
        and not compiles(include_all([header, "plug/plug.hpp"]), *options)
    ]


def check_macros(headers, *options):
    every, called = identifiers()
    baseline = macros(include_all(plug_headers()), *options)
    defined = definitions(headers, *options)
    matching = [
        definition
        for name, lines in defined.items()
        if name not in baseline
        for definition in lines
        if name in (called if definition.startswith(name + "(") else every)
    ]
    problems = []
    for name in sorted({name_of(definition) for definition in culprits(matching, *options)}):
        if sources := sources_that_break(name, headers, *options):
            problems.append(f"{name}, a macro of {sources}, breaks plug ({' '.join(options)})")
    return len(defined), problems


def check_order(compiler, standard, optimisation, first):
    there = [name for name in IMPORTANT if any((root / name).is_file() for root in search_path())]
    parts = [include_all(there), include_all(["plug/plug.hpp"])]
    text = "".join(parts if first == "system" else reversed(parts)) + USE
    result = compile_text(
        compiler, text, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", standard, optimisation
    )
    if result.returncode == 0:
        return []
    where = f"{compiler} {standard} {optimisation}, {first} first"
    return [f"the most important headers ({where}):\n{result.stderr[:4000]}"]


def check_own_macros():
    """Returns the macros that plug's headers define, which is an error."""
    problems = []
    for header in plug_headers():
        text = (INCLUDE / header).read_text()
        problems += [f"{header}: {line}" for line in re.findall(r"^[ \t]*#[ \t]*define.*", text, re.M)]
    return problems


def every_macro():
    headers = system_headers()
    problems = check_own_macros()
    counts = []
    for options in DIAGONALS[0]:
        count, found = check_macros(headers, *options)
        counts.append(count)
        problems += found
    if len(headers) < 300 or min(counts) < 5000:
        problems.append(f"only {len(headers)} headers with {min(counts)} macros were found")
    return problems


def every_order(compiler):
    return [
        problem
        for options in DIAGONALS[compiler != COMPILERS[0]]
        for first in ("system", "plug")
        for problem in check_order(compiler, *options, first)
    ]


def main():
    part = sys.argv[2]
    if part != "macros" and part not in COMPILERS:
        return 77
    problems = every_macro() if part == "macros" else every_order(part)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
