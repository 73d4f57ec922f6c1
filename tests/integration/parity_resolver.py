"""The operations of parity_resolver_test.cpp and dns_test.cpp on Python's socket module."""

import socket

from parity import bare, number


def addresses(host, port, *hints):
    answers = socket.getaddrinfo(
        None if host == "None" else host,
        None if port == "None" else number(port[1:]) if port[0] == "#" else port,
        *map(number, hints),
    )
    return " ".join(f"({int(a)}, {int(b)}, {c}, '{d}', {e})" for a, b, c, d, e in answers)


def host_entry(look_up, name):
    try:
        return str(look_up(name))
    except socket.herror:
        # Python reports the thread's h_errno, which its calls do not set.
        return "herror"


def nameinfo(flags, host, port, *rest):
    return str(socket.getnameinfo((host, number(port), *map(number, rest)), number(flags)))


def server(family, host, port, backlog, reuse_port, dualstack):
    family = number(family)
    try:
        sock = socket.create_server(
            (host, number(port)),
            family=family,
            backlog=number(backlog),
            reuse_port=reuse_port == "True",
            dualstack_ipv6=dualstack == "True",
        )
    except OSError as error:
        # Python appends a text to the error, and turns a gaierror into an OSError. plug keeps the
        # class and appends the address after a colon, as it always does.
        text = str(error.strerror).split(" (while attempting to bind")[0]
        failed = socket.gaierror if (error.errno or 0) < 0 else OSError
        raise failed(error.errno, text) from None
    with sock:
        options = [socket.SO_ACCEPTCONN, socket.SO_REUSEADDR, socket.SO_REUSEPORT]
        text = "".join(str(sock.getsockopt(socket.SOL_SOCKET, option)) for option in options)
        if family == socket.AF_INET6:
            text += str(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
        return bare(sock, str(sock.getsockname())) + " " + text


def server_in_use(family, host):
    with socket.create_server((host, 0), family=number(family)) as first:
        return server(family, host, str(first.getsockname()[1]), "1", "False", "False")


def connection(family, host, state, target, source_host, source_port, all_errors):
    with socket.socket(number(family)) as other:
        other.bind((host, 0))
        if state == "listening":
            other.listen()
        address = (target, other.getsockname()[1])
        source = None if source_host == "None" else (source_host, number(source_port))
        try:
            sock = socket.create_connection(address, 20, source, all_errors=all_errors == "True")
        except ExceptionGroup as group:
            return " ".join(["group", *(str(error.errno or 0) for error in group.exceptions)])
        with sock:
            return bare(other, str(sock.getpeername())) + f" {sock.gettimeout()}"


def close(descriptor):
    socket.close(number(descriptor))
    return "closed"


OPERATIONS = {
    "getaddrinfo": addresses,
    "getaddrinfo in time": addresses,
    "getnameinfo": nameinfo,
    "getfqdn": socket.getfqdn,
    "gethostbyname": socket.gethostbyname,
    "gethostbyname_ex": lambda name: host_entry(socket.gethostbyname_ex, name),
    "gethostbyaddr": lambda name: host_entry(socket.gethostbyaddr, name),
    "getprotobyname": lambda name: str(socket.getprotobyname(name)),
    "getservbyport": lambda port, *protocol: socket.getservbyport(number(port), *protocol),
    "if_nameindex": lambda: str(socket.if_nameindex()),
    "if_nametoindex": lambda name: str(socket.if_nametoindex(name)),
    "if_indextoname": lambda index: socket.if_indextoname(number(index)),
    "has_dualstack_ipv6": lambda: str(socket.has_dualstack_ipv6()),
    "create_server": server,
    "create_server in use": server_in_use,
    "create_connection": connection,
    "dup": lambda descriptor: str(socket.dup(number(descriptor))),
    "close": close,
}
