// The linked list of plug's waiters, requests, threads and connections.

#include <plug/detail/intrusive_list.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <list>
#include <random>
#include <vector>

namespace plug {
namespace {

struct Element : detail::ListNode<Element> {
  explicit Element(int its_number) : number(its_number) {}
  int number;
};
using List = detail::IntrusiveList<Element>;

std::vector<int> numbers_of(const List& list) {
  std::vector<int> numbers;
  for (const Element& element : list) numbers.push_back(element.number);
  return numbers;
}

std::vector<int> taken_from(List& list) {
  std::vector<int> numbers;
  while (const Element* const element = list.pop_front()) numbers.push_back(element->number);
  return numbers;
}

using testing::ElementsAre;
using testing::IsEmpty;

class AnIntrusiveList : public testing::Test {
 protected:
  Element one{1}, two{2}, three{3};
  List list;
};

TEST_F(AnIntrusiveList, IsEmptyAtFirst) {
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.first(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
  EXPECT_THAT(numbers_of(list), IsEmpty());
}

TEST_F(AnIntrusiveList, IsAsLargeAsAPointer) { EXPECT_EQ(sizeof list, sizeof(void*)); }

TEST_F(AnIntrusiveList, HasTheElementsInOrder) {
  list.push_back(two);
  list.push_back(three);
  list.push_front(one);
  EXPECT_FALSE(list.empty());
  EXPECT_EQ(list.first(), &one);
  EXPECT_EQ(List::next(one), &two);
  EXPECT_EQ(List::next(three), nullptr);
  EXPECT_THAT(numbers_of(list), ElementsAre(1, 2, 3));
}

TEST_F(AnIntrusiveList, GivesTheFirstElementsFirst) {
  for (Element* const element : {&one, &two, &three}) list.push_back(*element);
  EXPECT_THAT(taken_from(list), ElementsAre(1, 2, 3));
  EXPECT_TRUE(list.empty());
}

TEST_F(AnIntrusiveList, TakesAnElementAgainOnceItIsRemoved) {
  list.push_back(one);
  list.remove(one);
  EXPECT_TRUE(list.empty());
  list.push_back(two);
  list.push_back(one);
  EXPECT_THAT(numbers_of(list), ElementsAre(2, 1));
}

TEST_F(AnIntrusiveList, LosesTheFirstTheMiddleOrTheLastElement) {
  const std::array all{&one, &two, &three};
  for (Element* const removed : all) {
    for (Element* const element : all) list.push_back(*element);
    list.remove(*removed);
    Element four{4};
    list.push_back(four);
    std::vector<int> expected;
    for (const Element* const element : all)
      if (element != removed) expected.push_back(element->number);
    expected.push_back(4);
    EXPECT_EQ(taken_from(list), expected);
  }
}

TEST_F(AnIntrusiveList, MovesItsElementsToAnother) {
  list.push_back(one);
  list.push_back(two);
  List other;
  std::swap(list, other);
  EXPECT_TRUE(list.empty());
  other.push_back(three);
  EXPECT_THAT(taken_from(other), ElementsAre(1, 2, 3));
}

TEST_F(AnIntrusiveList, ForgetsItsElements) {
  list.push_back(one);
  list.push_back(two);
  list.clear();
  EXPECT_TRUE(list.empty());
  list.push_back(one);
  EXPECT_THAT(numbers_of(list), ElementsAre(1));
}

TEST_F(AnIntrusiveList, DoesTheSameAsAStandardList) {
  std::mt19937 random(1);
  std::vector<Element> elements;
  for (int i = 0; i < 8; ++i) elements.emplace_back(i);
  std::list<int> expected;
  for (int round = 0; round < 10'000; ++round) {
    Element& element = elements[random() % elements.size()];
    const auto at = std::find(expected.begin(), expected.end(), element.number);
    if (at != expected.end()) {
      expected.erase(at);
      list.remove(element);
    } else if (random() % 2 == 0) {
      expected.push_back(element.number);
      list.push_back(element);
    } else {
      expected.push_front(element.number);
      list.push_front(element);
    }
    const std::vector<int> numbers = numbers_of(list);
    ASSERT_TRUE(std::equal(numbers.begin(), numbers.end(), expected.begin(), expected.end()));
  }
}

}  // namespace
}  // namespace plug
