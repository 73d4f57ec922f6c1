// Tests the number of processors that are available.

#include <plug/plug.hpp>
#include <plug/server/group.hpp>

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/stat.h>

#include <cstddef>
#include <fstream>
#include <string>

#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/temporary_directory.hpp"
#include "sys/processors.hpp"

namespace plug {
namespace {

using detail::sys::processors_of_quota;

/// Restricts this process to one processor.
bool bind_to_one() {
  cpu_set_t all;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return false;
  std::size_t first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

TEST(Processors, AreThoseThatTheProcessMayRunOn) {
  EXPECT_EQ(run_in_child([] {
              if (!bind_to_one()) return 1;
              const ServerGroup<TCPServer> servers(0, {"127.0.0.1", 0}, &echo);
              return servers.size() == 1 ? 0 : 2;
            }),
            0);
  EXPECT_EQ(run_in_child([] {
              if (!bind_to_one()) return 1;
              return detail::sys::usable_processors() == 1 ? 0 : 2;
            }),
            0);
}

/// A tree of cgroups.
class Groups {
 public:
  void write(const std::string& path, const std::string& text) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      mkdir((root_ / path.substr(0, slash)).c_str(), 0700);
    std::ofstream(root_ / path) << text << "\n";
  }
  std::size_t quota(const std::string& of_process) const {
    return processors_of_quota(of_process, root_.path());
  }

 private:
  TemporaryDirectory root_;
};

TEST(QuotaOfProcessors, IsTheLeastOfTheGroupAndThoseAboveItRoundedUp) {
  Groups groups;
  EXPECT_EQ(groups.quota("0::/a/b\n"), 0U);
  groups.write("a/b/cpu.max", "max 100000");
  EXPECT_EQ(groups.quota("0::/a/b\n"), 0U);
  groups.write("a/cpu.max", "350000 100000");
  EXPECT_EQ(groups.quota("0::/a/b\n"), 4U);
  groups.write("a/b/cpu.max", "50000 100000");
  EXPECT_EQ(groups.quota("0::/a/b\n"), 1U);
  groups.write("a/b/cpu.max", "200000 100000");
  EXPECT_EQ(groups.quota("0::/a/b\n"), 2U);
  groups.write("a/b/cpu.max", "800000 100000");
  EXPECT_EQ(groups.quota("0::/a/b\n"), 4U);
  EXPECT_EQ(groups.quota("0::/\n"), 0U);
}

TEST(QuotaOfProcessors, IsSeenAtTheRootOfAContainer) {
  Groups groups;
  groups.write("cpu.max", "150000 100000");
  EXPECT_EQ(groups.quota("0::/\n"), 2U);
  EXPECT_EQ(groups.quota("0::/what/is/not/mounted\n"), 2U);
}

TEST(QuotaOfProcessors, IsThatOfVersionOneToo) {
  for (const std::string controllers : {"cpu", "cpu,cpuacct"}) {
    Groups groups;
    groups.write(controllers + "/docker/x/cpu.cfs_quota_us", "250000");
    groups.write(controllers + "/docker/x/cpu.cfs_period_us", "100000");
    groups.write(controllers + "/cpu.cfs_quota_us", "-1");
    groups.write(controllers + "/cpu.cfs_period_us", "100000");
    const std::string line = "4:" + controllers + ":/docker/x\n";
    EXPECT_EQ(groups.quota("5:cpuset:/docker/x\n" + line + "0::/\n"), 3U);
    EXPECT_EQ(groups.quota("5:cpuset:/docker/x\n"), 0U);
  }
}

TEST(QuotaOfProcessors, IsNoneWhereTheFilesSayNothing) {
  Groups groups;
  for (const std::string text : {"", "x", "1", "1 0", "0 100000", "-5 100000", "max"}) {
    groups.write("cpu.max", text);
    EXPECT_EQ(groups.quota("0::/\n"), 0U) << text;
  }
  EXPECT_EQ(groups.quota(""), 0U);
  EXPECT_EQ(groups.quota("nothing known"), 0U);
}

}  // namespace
}  // namespace plug
