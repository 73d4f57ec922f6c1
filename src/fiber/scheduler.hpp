#pragma once

// The scheduler of one thread's fibers: which one runs, which can run, and which wait until when.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/process_local.hpp"
#include "fiber/adaptive_spin.hpp"
#include "fiber/context.hpp"
#include "fiber/engine/engine.hpp"
#include "fiber/stack.hpp"
#include "fiber/stall_detector.hpp"
#include "wait/parker.hpp"

namespace plug::fiber {
struct RunOptions;
}

namespace plug::detail {

class FiberOutcome;

}  // namespace plug::detail

namespace plug::detail::fiber {
class FiberScheduler;

/// The function that a fiber runs.
class FiberMain {
 public:
  FiberMain() = default;
  FiberMain(const FiberMain&) = delete;
  FiberMain& operator=(const FiberMain&) = delete;

  /// Runs the function. If `refused` is set, the fiber must not begin, and this handles the
  /// refusal: still in a fiber, unless there is no memory for one or the scheduler has ended.
  virtual void run(std::exception_ptr refused) noexcept = 0;
  /// Releases this object. No other call follows, and the object may be gone afterwards.
  virtual void let_go() noexcept = 0;
  /// Returns the name for lists and reports, built in `room` if necessary. May run in a signal
  /// handler.
  virtual std::string_view name(std::span<char> room) const noexcept = 0;

 protected:
  ~FiberMain() = default;
};

/// A time limit for a part of a fiber's work. A fiber that waits longer is cancelled.
struct FiberLimit {
  explicit FiberLimit(Deadline last) noexcept : until(last) {}

  /// Returns the time until which the fiber may wait.
  Deadline moment() const noexcept { return failed.load() ? Deadline::immediate() : until; }
  bool is_over() const noexcept { return base::remaining(moment()) == 0; }

  const Deadline until;
  std::atomic<bool> failed{false};  // the limit ends now; set by any thread
  FiberLimit* outer = nullptr;
  bool reached = false;    // the fiber has been told
  bool overruled = false;  // the fiber has been told for a reason outside this part
  bool cancelled = false;  // that reason is that the fiber has been cancelled
};

/// A fiber, for as long as anything refers to it. Only its scheduler's thread uses it, except where
/// a comment says otherwise.
class FiberCore : public std::enable_shared_from_this<FiberCore> {
 public:
  /// The maker of the fiber owns `main`.
  FiberCore(std::shared_ptr<FiberScheduler> scheduler, FiberMain* main) noexcept
      : owner(std::move(scheduler)), main_(main) {}
  FiberCore(const FiberCore&) = delete;
  FiberCore& operator=(const FiberCore&) = delete;

  const std::shared_ptr<FiberScheduler> owner;

  /// Returns the name of the call that the fiber waits in, or null if it does not wait.
  const char* where() const noexcept { return where_; }
  const Stack& stack() const noexcept { return stack_; }
  bool ended() const noexcept { return state_ == State::ended; }
  /// Returns null once the fiber has let go of it.
  const FiberMain* main() const noexcept { return main_; }
  /// Returns an empty name if the fiber has none or has ended.
  using Room = std::array<char, 160>;
  std::string_view name(Room& room) const noexcept {
    return main_ == nullptr ? std::string_view() : main_->name(room);
  }

 private:
  friend class FiberScheduler;

  enum class State : std::uint8_t { unborn, runnable, running, parked, ended };
  static constexpr std::uint32_t kNoTimer = static_cast<std::uint32_t>(-1);

  // The members that every wait uses come first, in few cache lines, because the system calls
  // between two waits evict everything from the nearest cache.
  State state_ = State::unborn;
  bool permit_ = false;     // woken while it was not parked
  bool cancelled_ = false;  // cancelled, and not told yet
  bool timed_out_ = false;
  bool refused_ = false;      // ends without having begun
  bool ending_told_ = false;  // told that the main fiber has ended
  wait::OnCancel shield_ = wait::OnCancel::tell;
  // Guarded by the scheduler's mutex.
  bool remote_listed_ = false;
  bool remote_cancel_ = false;
  bool stopped_ = false;       // a stop has been requested
  FiberCore* next_ = nullptr;  // the next runnable fiber
  const char* where_ = nullptr;
  const void* uses_ = nullptr;   // used right after the wait: to be prefetched
  FiberLimit* limit_ = nullptr;  // the innermost
  Deadline deadline_ = Deadline::none();
  std::uint32_t timer_ = kNoTimer;  // index in the heap of timers
  std::uint32_t index_ = 0;         // index among the scheduler's fibers
  Context context_;
  Stack stack_;
  FiberMain* main_;
  // Guarded by the scheduler's mutex too.
  std::shared_ptr<FiberCore> remote_;        // the next fiber that another thread has posted
  std::stop_source stop_{std::nostopstate};  // made on the first request for a token
};

/// Lives as long as any of its fibers is referred to, by any thread.
class FiberScheduler final : public wait::Parker,
                             public std::enable_shared_from_this<FiberScheduler> {
 public:
  struct Options {
    std::size_t stack_size;
    plug::fiber::Engine engine = plug::fiber::Engine::auto_;
    /// For tests: runs runnable fibers in a pseudo-random order.
    std::optional<std::uint64_t> seed = std::nullopt;
    StackGuard guard = StackGuard::mark;
    /// Reports fibers that run longer without waiting, unless it is zero.
    std::chrono::nanoseconds stall_threshold{0};
    StallDetector::Report on_stall = nullptr;
    /// How long to poll for events, at most, before sleeping.
    std::chrono::nanoseconds busy_poll{0};
  };

  /// Must be called on the thread that will run it. Throws as make_engine() does.
  explicit FiberScheduler(const Options& options);
  ~FiberScheduler();

  /// Returns the scheduler whose fibers the calling thread runs, or null if it runs none.
  static FiberScheduler* here() noexcept {
    return static_cast<FiberScheduler*>(wait::thread_fibers.parker);
  }
  /// Returns, in a forked child, the fiber that has forked, or null if none has.
  static const FiberCore* forked() noexcept { return wait::thread_fibers.forked; }

  /// Returns true if this belongs to the process that this one was forked from.
  bool is_of_parent() const noexcept { return fork_guard_.is_of_parent(); }

  // --- called outside its fibers ---

  /// Runs `main` and all other fibers until none is left. Returns 0, or -errno of the engine. In
  /// the child of a fiber that has forked, returns when that fiber has ended.
  long run(FiberCore& main);

  // --- called on its thread ---

  /// Makes a fiber, which must be started or dropped.
  std::shared_ptr<FiberCore> make(FiberMain& main);
  /// Starts a fiber. Throws std::bad_alloc, and drops the fiber in that case.
  void start(const std::shared_ptr<FiberCore>& fiber);
  /// Starts a fiber that runs a Main, constructed on top of the fiber's stack from its FiberCore
  /// and the arguments. Main::let_go() destroys the object. Throws std::bad_alloc.
  template <class Main, class... Arguments>
  void start(Arguments&&... arguments) {
    static_assert(std::is_nothrow_constructible_v<Main, FiberCore&, Arguments...>);
    const auto fiber = std::make_shared<FiberCore>(shared_from_this(), nullptr);
    equip(*fiber);
    fiber->main_ = ::new (fiber->stack_.take_top(sizeof(Main)))
        Main(*fiber, std::forward<Arguments>(arguments)...);
    begin(fiber);
  }
  static void drop(FiberCore& fiber) noexcept;

  // --- called in its fibers ---

  void uses(const void* what) noexcept { current_->uses_ = what; }
  const FiberCore* current_or_null() const noexcept { return current_; }

  enum class WakeReason : std::uint8_t { event, deadline, cancel };
  /// Suspends the fiber until it is woken. Spurious wakeups occur: the caller checks its condition.
  /// `where` is the name that lists show.
  WakeReason park(Deadline deadline, const char* where,
                  wait::OnCancel on_cancel = wait::OnCancel::tell) noexcept {
    FiberCore& fiber = *current_;
    if (!deadline.is_none() || fiber.limit_ != nullptr || fiber.permit_ || fiber.cancelled_)
        [[unlikely]]
      return park_until(deadline, where, on_cancel);
    fiber.where_ = where;
    fiber.state_ = FiberCore::State::parked;
    fiber.context_.switch_to(context_);
    fiber.permit_ = false;
    if (fiber.cancelled_ && on_cancel != wait::OnCancel::ignore) [[unlikely]]
      return end_park(on_cancel);
    return WakeReason::event;
  }
  long suspend(Deadline deadline, const char* where, wait::OnCancel on_cancel) noexcept override;
  /// Lets the other runnable fibers run. Returns false if the fiber is cancelled.
  bool yield() noexcept;
  /// Returns true if a cancellation or a limit that has passed is pending. This delivers it, unless
  /// a Shield keeps it pending. Returns false behind OnCancel::ignore.
  bool take_cancel() noexcept;
  /// See Shield.
  wait::OnCancel exchange_shield(wait::OnCancel shield) noexcept {
    const wait::OnCancel before = std::exchange(current_->shield_, shield);
    leave_interrupt();
    return before;
  }
  /// Returns true in the main fiber if a signal has come and the interrupt hook is to be asked.
  bool is_interrupted() const noexcept {
    return interrupted_ && current_ == main_ && current_->shield_ != wait::OnCancel::ignore;
  }
  /// Returns the same, and true only once.
  bool take_interrupt() noexcept { return is_interrupted() && std::exchange(interrupted_, false); }
  /// Makes the next wait ask the hook, after a wait that a signal has woken and that has not asked.
  void leave_interrupt() noexcept {
    if (is_interrupted()) current_->permit_ = true;
  }
  /// Returns the answer of the interrupt hook, or an earlier one that could not be delivered: 0, or
  /// a value below kStopped to end the wait. May throw. Behind OnCancel::keep the next wait gets
  /// the same answer.
  long ask_hook();
  /// Makes ask_hook() return or throw this in the next wait of the main fiber.
  void keep_answer(long stop, std::exception_ptr thrown) noexcept;
  /// Limits the current fiber's time until it leaves the limit. Limits are nested: the last one is
  /// left first.
  void enter(FiberLimit& limit) noexcept { limit.outer = std::exchange(current_->limit_, &limit); }
  void leave(FiberLimit& limit) noexcept { current_->limit_ = limit.outer; }
  /// Returns true if this limit alone, and no outer one, is why the fiber has been told to end.
  /// Must be called before the fiber leaves the limit.
  bool ended_by(FiberLimit& limit) noexcept;
  /// Delivers the current fiber's cancellation once more.
  void tell_again() noexcept { current_->cancelled_ = true; }
  /// Returns the current fiber's stop token. Throws std::bad_alloc.
  std::stop_token stop_token();

  // --- called on any thread ---

  /// Starts a fiber that make() has made, on this scheduler's thread. Returns false, and drops the
  /// fiber, if the main fiber has ended. If it ends before the fiber begins, the fiber is refused.
  bool hand_over(const std::shared_ptr<FiberCore>& fiber) noexcept;
  /// Returns a number for the name of a fiber, from 1.
  std::uint32_t next_number() noexcept {
    return last_number_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  void wake(FiberCore& fiber) noexcept override;
  /// Cancels a fiber. Runs the callbacks of its stop token, which may do anything: the caller must
  /// hold no lock, and must be in a fiber if it is on a scheduler's thread.
  void cancel(FiberCore& fiber) noexcept;

  /// Returns all fibers. Must be called on its thread.
  const std::deque<std::shared_ptr<FiberCore>>& fibers() const noexcept { return fibers_; }
  IoEngine& engine() const noexcept { return *engine_; }
  const char* engine_name() const noexcept { return engine_->name(); }
  const StackPool& stacks() const noexcept { return stacks_; }

 private:
  static constexpr std::size_t kFirstRoom = 16;  // fibers

  WakeReason park_until(Deadline deadline, const char* where, wait::OnCancel on_cancel) noexcept;
  WakeReason end_park(wait::OnCancel on_cancel) noexcept;
  static void main_of_current() noexcept;
  void end_others() noexcept;
  void let_go_of_main(FiberCore& fiber) noexcept;
  static void leave_in_child() noexcept;
  void abandon() noexcept;
  static Deadline nearest_limit(const FiberCore& fiber) noexcept;
  static void tell_of_cancel(FiberCore& fiber) noexcept;
  static void tell_of_limit(FiberCore& fiber) noexcept;
  void request_stop(FiberCore& fiber) noexcept;
  void cancel_here(FiberCore& fiber) noexcept;
  long ask_as_current() override { return take_interrupt() ? ask_hook() : 0; }
  void leave_to_next_wait() noexcept override { leave_interrupt(); }
  void let_others_run() noexcept override;
  void make_runnable(FiberCore& fiber) noexcept;
  FiberCore& take_runnable() noexcept;
  void resume(FiberCore& fiber) noexcept;
  static void expect(const FiberCore& fiber) noexcept;
  static bool explain_fault(const void* address) noexcept;
  void bury(FiberCore& fiber) noexcept;
  void equip(FiberCore& fiber);
  void begin(const std::shared_ptr<FiberCore>& fiber) noexcept;
  void admit(const std::shared_ptr<FiberCore>& fiber) noexcept;
  static std::exception_ptr refusal(const FiberCore& fiber) noexcept;
  static void refuse(FiberCore& fiber, std::exception_ptr why) noexcept;
  void post(FiberCore& fiber, bool cancel) noexcept;
  void list_posted(FiberCore& fiber) noexcept;
  void take_posted() noexcept;
  void wake_here(FiberCore& fiber) noexcept;
  void interrupt() noexcept;
  Deadline next_moment() noexcept;
  [[gnu::noinline]] Deadline next_moment_of_fake_clock() noexcept;

  void add_timer(FiberCore& fiber) noexcept;
  void remove_timer(FiberCore& fiber) noexcept;
  void place_timer(std::size_t index, FiberCore* fiber) noexcept;
  void sift_timer(std::size_t index) noexcept;
  void fire_timers() noexcept;

  static const int registered_;

  const base::ForkGuard fork_guard_;
  StackPool stacks_;
  std::unique_ptr<IoEngine> engine_;
  std::unique_ptr<StallDetector> watch_;
  AdaptiveSpin patience_;
  Context::Announced announced_;
  Context context_{announced_};  // the thread's own
  FiberCore* main_ = nullptr;
  bool ending_ = false;  // the main fiber has ended and cancels the others
  long kept_stop_ = 0;   // an answer of the interrupt hook, or an exception, not delivered yet
  std::exception_ptr kept_thrown_;
  std::deque<std::shared_ptr<FiberCore>> fibers_;
  FiberCore* first_ = nullptr;  // the queue of runnable fibers
  FiberCore* last_ = nullptr;
  std::size_t runnable_ = 0;
  std::vector<FiberCore*> timers_;  // a heap, the earliest first, with room for every fiber
  std::optional<std::mt19937_64> order_;
  std::atomic<std::uint32_t> last_number_{0};

  std::mutex mutex_;
  bool over_ = false;                  // no fiber is left
  bool accepting_ = true;              // fibers may be handed over
  std::shared_ptr<FiberCore> posted_;  // the last fiber that another thread has posted
};

// The parts of fiber::run().

/// Throws RuntimeError in a fiber, ValueError for an excessive stack size, and as FiberScheduler
/// does.
std::shared_ptr<FiberScheduler> make_scheduler(const plug::fiber::RunOptions& options);
std::shared_ptr<FiberCore> start_main(FiberScheduler& scheduler,
                                      const std::shared_ptr<FiberOutcome>& main);
/// Runs the scheduler until no fiber is left, and throws its errors. A stop request cancels `main`.
void run_main(FiberScheduler& scheduler, FiberCore& main, const plug::fiber::RunOptions& options);

/// Returns the calling fiber's scheduler. Throws RuntimeError, naming the call, outside a fiber.
FiberScheduler& scheduler_here(std::string_view call);

}  // namespace plug::detail::fiber
