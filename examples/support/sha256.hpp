#pragma once

#include <plug/bytes.hpp>

#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace lesson {

/// Computes the SHA-256 of bytes that arrive in pieces. Throws std::runtime_error if OpenSSL fails.
class Sha256 {
 public:
  Sha256();

  void update(plug::BytesView piece);

  /// Returns 64 hexadecimal digits in lower case. Do not call update() after it.
  std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace lesson
