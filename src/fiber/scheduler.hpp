#pragma once

// The fibers of one thread: which of them runs, which can, and which wait until when.

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

#include "engine/engine.hpp"
#include "fiber/busy.hpp"
#include "fiber/context.hpp"
#include "fiber/patience.hpp"
#include "fiber/stack.hpp"
#include "wait/deadline.hpp"

namespace plug::fiber {
struct RunOptions;
}

namespace plug::detail {

class FiberOutcome;
class Scheduler;

/// What a fiber does.
class FiberMain {
 public:
  FiberMain() = default;
  FiberMain(const FiberMain&) = delete;
  FiberMain& operator=(const FiberMain&) = delete;

  /// All of it; or, when the fiber does not begin, what is done about that: in a fiber all the
  /// same, unless there is no memory for one or there are none any more.
  virtual void run(std::exception_ptr refused) noexcept = 0;
  /// The last that is asked of it: it may be gone then.
  virtual void let_go() noexcept = 0;
  /// For lists and reports, made in `room` if it has to be made. In a signal handler too.
  virtual std::string_view name(std::span<char> room) const noexcept = 0;

 protected:
  ~FiberMain() = default;
};

/// How long a fiber may take for a part of what it does. One that waits longer is told to end.
struct FiberLimit {
  explicit FiberLimit(Deadline last) noexcept : until(last) {}

  /// Until when it may wait.
  Deadline moment() const noexcept { return failed.load() ? Deadline::immediate() : until; }
  bool is_over() const noexcept { return moment().remaining() == 0; }

  const Deadline until;
  std::atomic<bool> failed{false};  // it is over before; set by any thread
  FiberLimit* outer = nullptr;
  bool reached = false;    // the fiber has been told
  bool overruled = false;  // it has been told for a reason outside of this part
  bool cancelled = false;  // since it has been cancelled
};

/// A fiber, for as long as something refers to it. Its scheduler's thread alone uses it, but for
/// what says otherwise.
class FiberCore : public std::enable_shared_from_this<FiberCore> {
 public:
  /// `main` is of those that make it.
  FiberCore(std::shared_ptr<Scheduler> scheduler, FiberMain* main) noexcept
      : owner(std::move(scheduler)), main_(main) {}
  FiberCore(const FiberCore&) = delete;
  FiberCore& operator=(const FiberCore&) = delete;

  const std::shared_ptr<Scheduler> owner;

  /// Where it waits; null when it does not.
  const char* where() const noexcept { return where_; }
  const Stack& stack() const noexcept { return stack_; }
  bool ended() const noexcept { return state_ == State::ended; }
  /// Null once it has let go of it.
  const FiberMain* main() const noexcept { return main_; }
  /// Empty when it has none, and once it has ended.
  using Room = std::array<char, 160>;
  std::string_view name(Room& room) const noexcept {
    return main_ == nullptr ? std::string_view() : main_->name(room);
  }

 private:
  friend class Scheduler;

  enum class State : std::uint8_t { unborn, runnable, running, parked, ended };
  static constexpr std::uint32_t kNoTimer = static_cast<std::uint32_t>(-1);

  // What each wait uses comes first, in few lines of the processor's caches: the calls of the
  // system in between leave nothing in the nearest.
  State state_ = State::unborn;
  bool permit_ = false;     // woken while it was not parked
  bool cancelled_ = false;  // asked to end, and not told so yet
  bool timed_out_ = false;
  bool refused_ = false;      // it ends without having begun
  bool ending_told_ = false;  // that the main fiber has ended
  OnCancel shield_ = OnCancel::tell;
  // Guarded by the scheduler's mutex.
  bool remote_listed_ = false;
  bool remote_cancel_ = false;
  bool stopped_ = false;       // asked to end, ever
  FiberCore* next_ = nullptr;  // of those that can run
  const char* where_ = nullptr;
  const void* uses_ = nullptr;   // where it waits, and goes on
  FiberLimit* limit_ = nullptr;  // the innermost
  Deadline deadline_ = Deadline::none();
  std::uint32_t timer_ = kNoTimer;  // its place in the heap of timers
  std::uint32_t index_ = 0;         // its place among the scheduler's fibers
  Context context_;
  Stack stack_;
  FiberMain* main_;
  // Guarded by the scheduler's mutex too.
  std::shared_ptr<FiberCore> remote_;        // the next of those that other threads have posted
  std::stop_source stop_{std::nostopstate};  // made when somebody wants to know
};

/// It lives as long as one of its fibers is referred to, by whatever thread.
class Scheduler final : public std::enable_shared_from_this<Scheduler> {
 public:
  struct Options {
    std::size_t stack_size;
    fiber::Engine engine = fiber::Engine::auto_;
    /// Has those that can run do so in an order of its own, for tests.
    std::optional<std::uint64_t> seed = std::nullopt;
    StackGuard guard = StackGuard::mark;
    /// Has fibers reported that run for longer, unless it is zero.
    std::chrono::nanoseconds busy_limit{0};
    BusyWatch::Report on_busy = nullptr;
    /// How long to look for events, at most, before sleeping.
    std::chrono::nanoseconds busy_poll{0};
  };

  /// By the thread that will run it. Throws as make_engine() does.
  explicit Scheduler(const Options& options);
  ~Scheduler();

  /// The one whose fibers the calling thread runs; null when it runs none.
  static Scheduler* here() noexcept { return here_; }
  /// The fiber that was forked, in the child; null when none was.
  static const FiberCore* forked() noexcept { return forked_; }

  /// Whether this is of the process that this one was forked from, where it runs or does not.
  bool is_of_parent() const noexcept { return generation_ != sys::fork_generation(); }

  // --- from outside of its fibers ---

  /// Runs fibers until none is left, the first of which is `main`. Gives errors of the engine
  /// (-errno). In the child of a fiber that forks it returns when that one has ended.
  long run(FiberCore& main);

  // --- from its thread ---

  /// A fiber that has not been started; it must be, or dropped.
  std::shared_ptr<FiberCore> make(FiberMain& main);
  /// Throws std::bad_alloc, and the fiber is dropped.
  void start(const std::shared_ptr<FiberCore>& fiber);
  /// Starts a fiber whose main is a Main, made of its FiberCore and the arguments on top of its
  /// stack: it ends itself where it is told to let go. Throws std::bad_alloc.
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

  // --- from its fibers ---

  FiberCore& current() const noexcept { return *current_; }
  void uses(const void* what) noexcept { current_->uses_ = what; }
  const FiberCore* current_or_null() const noexcept { return current_; }

  enum class Woken : std::uint8_t { by_someone, by_the_clock, by_cancel };
  /// Waits until the fiber is woken, for which there need not be a reason: the caller looks whether
  /// there is. `where` is what lists say.
  Woken park(Deadline deadline, const char* where, OnCancel on_cancel = OnCancel::tell) noexcept {
    FiberCore& fiber = *current_;
    if (!deadline.is_none() || fiber.limit_ != nullptr || fiber.permit_ || fiber.cancelled_)
        [[unlikely]]
      return park_until(deadline, where, on_cancel);
    fiber.where_ = where;
    fiber.state_ = FiberCore::State::parked;
    fiber.context_.switch_to(context_);
    fiber.permit_ = false;
    if (fiber.cancelled_ && on_cancel != OnCancel::ignore) [[unlikely]]
      return end_park(on_cancel);
    return Woken::by_someone;
  }
  /// Lets the others run that can. False when the fiber is told to end.
  bool yield() noexcept;
  /// Whether there is a reason to tell the fiber to end that it has not been told of: it has been
  /// now, unless it is shielded.
  bool take_cancel() noexcept;
  /// See Shield.
  OnCancel exchange_shield(OnCancel shield) noexcept {
    const OnCancel before = std::exchange(current_->shield_, shield);
    leave_interrupt();
    return before;
  }
  /// Whether a signal has come and the interrupt hook is to be asked, in the main fiber.
  bool is_interrupted() const noexcept {
    return interrupted_ && current_ == main_ && current_->shield_ != OnCancel::ignore;
  }
  /// The same, true once.
  bool take_interrupt() noexcept { return is_interrupted() && std::exchange(interrupted_, false); }
  /// After a wait that a signal has woken and that has not asked the hook: has the next one do so.
  void leave_interrupt() noexcept {
    if (is_interrupted()) current_->permit_ = true;
  }
  /// What the interrupt hook says, or has said before where nobody could be told: 0, or below
  /// kStopped to end the wait. May throw. Behind a shield the next wait is told the same.
  long ask_hook();
  /// Has ask_hook() say this in the next wait of the main fiber, or throw it.
  void keep_answer(long stop, std::exception_ptr thrown) noexcept;
  /// Limits the time of what the current fiber does until it leaves the limit again: the last
  /// first.
  void enter(FiberLimit& limit) noexcept { limit.outer = std::exchange(current_->limit_, &limit); }
  void leave(FiberLimit& limit) noexcept { current_->limit_ = limit.outer; }
  /// Whether the limit, and nothing outside of it, is why the fiber, which is about to leave it,
  /// has been told to end.
  bool ended_by(FiberLimit& limit) noexcept;
  /// Has the current fiber told of its being cancelled once more.
  void tell_again() noexcept { current_->cancelled_ = true; }
  /// The current fiber's. Throws std::bad_alloc.
  std::stop_token stop_token();
  /// Called after what may have gone on without waiting: lets others run now and then, so that
  /// nobody starves.
  void did_not_wait() noexcept {
    if (++hot_ >= kMostHot) let_others_run();
  }

  // --- from any thread ---

  /// Has a fiber that make() has made started here. False, and the fiber is dropped, when the main
  /// fiber has ended; when it ends before the fiber begins, that is refused.
  bool hand_over(const std::shared_ptr<FiberCore>& fiber) noexcept;
  void wake(FiberCore& fiber) noexcept;
  /// Calls what users have registered with its stop token, which may do anything: not to be called
  /// with a lock held, nor by a scheduler's thread outside of its fibers.
  void cancel(FiberCore& fiber) noexcept;

  /// All fibers, from its thread.
  const std::deque<std::shared_ptr<FiberCore>>& fibers() const noexcept { return fibers_; }
  Engine& engine() const noexcept { return *engine_; }
  const char* engine_name() const noexcept { return engine_->name(); }
  const StackPool& stacks() const noexcept { return stacks_; }

 private:
  static constexpr int kMostHot = 16;
  static constexpr std::size_t kFirstRoom = 16;  // fibers

  Woken park_until(Deadline deadline, const char* where, OnCancel on_cancel) noexcept;
  Woken end_park(OnCancel on_cancel) noexcept;
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
  void let_others_run() noexcept;
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

  void add_timer(FiberCore& fiber) noexcept;
  void remove_timer(FiberCore& fiber) noexcept;
  void place_timer(std::size_t place, FiberCore* fiber) noexcept;
  void sift_timer(std::size_t place) noexcept;
  void fire_timers() noexcept;

  static thread_local Scheduler* here_;
  static thread_local const FiberCore* forked_;
  static const int registered_;

  const std::uint32_t generation_ = sys::fork_generation();
  StackPool stacks_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<BusyWatch> watch_;
  Patience patience_;
  Context::Announced announced_;
  Context context_{announced_};  // of the thread
  FiberCore* current_ = nullptr;
  FiberCore* main_ = nullptr;
  bool ending_ = false;  // the main fiber has ended, but for telling the others
  bool interrupted_ = false;
  long kept_stop_ = 0;  // what the interrupt hook has said, or thrown, and nobody has been told
  std::exception_ptr kept_thrown_;
  int hot_ = 0;
  std::deque<std::shared_ptr<FiberCore>> fibers_;
  FiberCore* first_ = nullptr;  // of those that can run
  FiberCore* last_ = nullptr;
  std::size_t runnable_ = 0;
  std::vector<FiberCore*> timers_;  // a heap, the earliest first, with room for every fiber
  std::optional<std::mt19937_64> order_;

  std::mutex mutex_;
  bool over_ = false;                  // no fiber is left
  bool accepting_ = true;              // of those that are handed over
  std::shared_ptr<FiberCore> posted_;  // the last that another thread has woken or handed over
};

// What fiber::run() does, in its parts.

/// Throws RuntimeError in a fiber; as Scheduler does.
std::shared_ptr<Scheduler> make_scheduler(const fiber::RunOptions& options);
std::shared_ptr<FiberCore> start_main(Scheduler& scheduler,
                                      const std::shared_ptr<FiberOutcome>& main);
/// Scheduler::run(), whose errors are thrown, until a stop is requested.
void run_main(Scheduler& scheduler, FiberCore& main, const fiber::RunOptions& options);

/// Throws RuntimeError, naming the call, where there is none.
Scheduler& scheduler_here(std::string_view call);

}  // namespace plug::detail
