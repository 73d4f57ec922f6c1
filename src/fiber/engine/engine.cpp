// Chooses the engine, and falls back from io_uring to epoll.

#include "fiber/engine/engine.hpp"

#include <plug/error.hpp>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace plug::detail::fiber {

namespace {

plug::fiber::Engine of_environment() {
  constexpr std::array<std::pair<std::string_view, plug::fiber::Engine>, 3> kNames{
      {{"auto", plug::fiber::Engine::auto_},
       {"epoll", plug::fiber::Engine::epoll},
       {"uring", plug::fiber::Engine::uring}}};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): changing the environment while threads run is an error
  const char* const value = std::getenv("PLUG_ENGINE");
  if (value == nullptr || *value == '\0') return plug::fiber::Engine::auto_;
  for (const auto& [name, engine] : kNames)
    if (name == value) return engine;
  throw ValueError("PLUG_ENGINE: '" + std::string(value) + "' is none of auto, epoll, uring");
}

}  // namespace

void throw_engine_error(long failed) {
  throw_if(base::error_from(failed), "the engine of fibers");
  std::abort();
}

std::unique_ptr<IoEngine> make_engine(FiberScheduler& scheduler, plug::fiber::Engine asked) {
  if (asked == plug::fiber::Engine::auto_) asked = of_environment();
  if (asked == plug::fiber::Engine::uring)
    if (auto engine = make_uring_engine(scheduler)) return engine;
  return make_epoll_engine(scheduler);
}

}  // namespace plug::detail::fiber
