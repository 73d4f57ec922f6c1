#pragma once

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

/// A slow peer: calls `step` every five milliseconds until the destructor.
class Drip {
 public:
  template <class Step>
  explicit Drip(Step step)
      : thread_([this, step = std::move(step)]() mutable {
          while (!stop_) {
            step();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the drip itself
          }
        }) {}
  ~Drip() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};
