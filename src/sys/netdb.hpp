#pragma once

// The system's name services. Names that are not ASCII are encoded for the domain name system by
// libidn2, which is loaded when the first of them comes; without it they are EAI_IDN_ENCODE.

#include <plug/bytes.hpp>
#include <plug/resolve.hpp>

#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace plug::detail::sys {

inline constexpr int kEaiNoName = -2;
const char* eai_text(int number) noexcept;
const char* h_errno_text(int number) noexcept;

/// The arguments of getaddrinfo(3).
struct AddressQuery {
  std::optional<std::string> host;
  std::optional<std::string> service;
  int family = 0;
  int type = 0;
  int proto = 0;
  int flags = 0;
};

/// The same query of a host that has to be a number, which never asks anybody.
AddressQuery numeric(AddressQuery query);

// Each error is of gai_category(), herror_category() or the system's.

std::error_code getaddrinfo(const AddressQuery& query, std::vector<AddrInfo>& answers);
/// `address` is in the kernel's form.
std::error_code getnameinfo(BytesView address, int flags, std::string& host, std::string& service);
/// The IPv4 addresses of a name.
std::error_code gethostbyname(const std::string& name, HostEntry& entry);
/// The names of an IPv4 or IPv6 address in the kernel's form.
std::error_code gethostbyaddr(BytesView address, HostEntry& entry);

/// The number, or -1 when it is not known. Null pointers mean any protocol.
int getservbyname(const std::string& service, const char* protocol);
int getprotobyname(const std::string& protocol);
/// Empty when it is not known. The port is in host byte order.
std::string getservbyport(int port, const char* protocol);

/// -errno, or 0.
long gethostname(std::string& name);
long sethostname(const std::string& name) noexcept;
long if_nameindex(std::vector<std::pair<int, std::string>>& interfaces);
long if_indextoname(unsigned index, std::string& name);

}  // namespace plug::detail::sys
