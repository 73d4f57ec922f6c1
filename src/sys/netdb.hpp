#pragma once

// The system's name services. libidn2 encodes names that are not ASCII for the domain name system;
// it is loaded for the first such name. Without it they fail with EAI_IDN_ENCODE.

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

/// Returns the same query for a host that must be numeric, which needs no name server.
AddressQuery numeric(AddressQuery query);

// Each error is of gai_category(), herror_category() or the system's category.

std::error_code getaddrinfo(const AddressQuery& query, std::vector<AddrInfo>& answers);
/// `address` is in the kernel's form.
std::error_code getnameinfo(BytesView address, int flags, std::string& host, std::string& service);
/// Finds the IPv4 addresses of a name.
std::error_code gethostbyname(const std::string& name, HostEntry& entry);
/// Finds the names of an IPv4 or IPv6 address in the kernel's form.
std::error_code gethostbyaddr(BytesView address, HostEntry& entry);

/// Return the number, or -1 if the name is unknown. A null protocol means any.
int getservbyname(const std::string& service, const char* protocol);
int getprotobyname(const std::string& protocol);
/// Returns an empty string if the port, in host byte order, is unknown.
std::string getservbyport(int port, const char* protocol);

/// Return 0 or -errno.
long gethostname(std::string& name);
long sethostname(const std::string& name) noexcept;
long if_nameindex(std::vector<std::pair<int, std::string>>& interfaces);
long if_indextoname(unsigned index, std::string& name);

}  // namespace plug::detail::sys
