#include <iostream>
#include <plug/plug.hpp>
#include <string>
#include <thread>

namespace {

/// Sends texts through a queue to another thread. Returns the sum of their sizes, or -1 if a wait
/// that has nothing to wait for does not end.
long sum_in_another_thread() {
  plug::Queue<std::string> texts(1);
  plug::Event done;
  plug::Mutex mutex;
  long sum = 0;
  std::thread adding([&] {
    while (const auto text = texts.next()) {
      const std::scoped_lock lock(mutex);
      sum += static_cast<long>(text->size());
    }
    done.set();
  });
  for (int i = 0; i < 100; ++i) texts.put("text");
  texts.shutdown();
  done.wait();
  adding.join();
  plug::Semaphore none(0);
  return none.acquire(0.001) ? -1 : sum;
}

}  // namespace

int main() {
  auto [near, far] = plug::socketpair();
  near.sendall("hello from outside");
  far.sendall(far.recv(1024));
  const std::string echoed = near.recv(1024);
  std::cout << echoed << '\n';
  return echoed == "hello from outside" && sum_in_another_thread() == 400 ? 0 : 1;
}
