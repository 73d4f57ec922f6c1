// Runs many fibers at once and prints how much resident memory the process needs: while they wait,
// and after they have ended. Fails if they need more than MIB, or if the memory is not given back.
//
// Usage: many_fibers FIBERS MIB

#include <plug/fiber.hpp>

#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double resident_mib() {
  long all = 0;
  long pages = 0;
  std::ifstream("/proc/self/statm") >> all >> pages;
  return static_cast<double>(pages) * 4096 / (1 << 20);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "Usage: %s FIBERS MIB\n", arguments[0]);
    return 2;
  }
  const long fibers = std::atol(arguments[1]);
  const double most = std::atof(arguments[2]);
  const double before = resident_mib();
  double alive = 0;
  long ended = 0;
  namespace fiber = plug::fiber;
  fiber::run([&] {
    const Clock::time_point start = Clock::now();
    std::vector<fiber::Task<void>> tasks;
    for (long i = 0; i < fibers; ++i) {
      tasks.push_back(fiber::spawn([&] {
        try {
          fiber::sleep(std::nullopt);
        } catch (const plug::CancelledError&) {
          ++ended;
        }
      }));
    }
    fiber::yield();
    alive = resident_mib();
    const double started = seconds_since(start);
    for (auto& task : tasks) task.cancel();
    for (auto& task : tasks) task.join();
    std::printf("%ld fibers started in %.2f s, all ended after %.2f s\n", fibers, started,
                seconds_since(start));
  });
  // Makes malloc() return the memory that it keeps for later.
  ::malloc_trim(0);
  const double after = resident_mib();
  std::printf("resident: %.0f MiB before, %.0f MiB alive (%.1f KiB each), %.0f MiB afterwards\n",
              before, alive, (alive - before) * 1024 / static_cast<double>(fibers), after);
  const bool right = ended == fibers && alive <= most && after <= before + 4;
  if (!right) std::printf("more than %.0f MiB, or not given back\n", most);
  return right ? 0 : 1;
}
