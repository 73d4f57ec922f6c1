#pragma once

// Linked lists whose links are members of their elements.

#include <utility>

#pragma GCC visibility push(default)

namespace plug::detail {

template <class T>
class IntrusiveList;

/// The links of an element of an IntrusiveList<T>, as a base of T.
template <class T>
class ListNode {
 private:
  friend class IntrusiveList<T>;

  T* next_ = nullptr;
  T* previous_ = nullptr;
};

/// A doubly linked list of elements that lie elsewhere. It allocates nothing, and is as large as a
/// pointer. An element is in one list at most, and must not move or end while it is there.
template <class T>
class IntrusiveList {
 public:
  class Iterator {
   public:
    explicit Iterator(T* at) noexcept : at_(at) {}
    T& operator*() const noexcept { return *at_; }
    Iterator& operator++() noexcept {
      at_ = next(*at_);
      return *this;
    }
    bool operator==(const Iterator&) const noexcept = default;

   private:
    T* at_;
  };

  bool empty() const noexcept { return first_ == nullptr; }
  /// Returns null if the list is empty.
  T* first() const noexcept { return first_; }
  /// Returns the element after this one, or null.
  static T* next(const T& element) noexcept { return links(element).next_; }

  Iterator begin() const noexcept { return Iterator(first_); }
  Iterator end() const noexcept { return Iterator(nullptr); }

  void push_front(T& element) noexcept {
    push(element);
    first_ = &element;
  }

  void push_back(T& element) noexcept {
    push(element);
    links(*links(element).previous_).next_ = &element;
    links(element).next_ = nullptr;
    if (first_ == nullptr) first_ = &element;
  }

  /// Removes an element of this list.
  void remove(T& element) noexcept {
    T* const next = links(element).next_;
    T* const previous = links(element).previous_;
    if (&element == first_) {
      first_ = next;
      if (next != nullptr) links(*next).previous_ = previous;
    } else {
      links(*previous).next_ = next;
      links(next != nullptr ? *next : *first_).previous_ = previous;
    }
  }

  /// Removes and returns the first element; null if there is none.
  T* pop_front() noexcept {
    T* const element = first_;
    if (element != nullptr) remove(*element);
    return element;
  }

  /// Forgets the elements, which must not be removed afterwards.
  void clear() noexcept { first_ = nullptr; }

 private:
  static ListNode<T>& links(T& element) noexcept { return element; }
  static const ListNode<T>& links(const T& element) noexcept { return element; }

  /// Links the element between the last and the first one. `previous_` of the first one is the
  /// last one, whose `next_` is null.
  void push(T& element) noexcept {
    links(element).next_ = first_;
    if (first_ == nullptr)
      links(element).previous_ = &element;
    else
      links(element).previous_ = std::exchange(links(*first_).previous_, &element);
  }

  T* first_ = nullptr;
};

}  // namespace plug::detail

#pragma GCC visibility pop
