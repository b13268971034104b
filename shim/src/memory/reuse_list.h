// Freed ranges of one size that wait to be allocated again, each behind the fence of its last use.
//
// Cost: the usual allocation after a free on the same stream is two pops; streams are few, so they are a flat list.
// Not thread-safe. `passed` may record an event, so it is asked only when nothing else serves.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "streams/streams.h"

namespace loretoken {

template <class T>
class ReuseList {
 public:
  // Freed in stream order: at once usable for `ticket.slot`, elsewhere once the ticket has passed.
  void put(T item, const Ticket& ticket) {
    for (auto& [slot, items] : by_slot_) {
      if (slot == ticket.slot) {
        items.push_back({std::move(item), ticket.seq});
        ++size_;
        return;
      }
    }
    by_slot_.push_back({ticket.slot, {{std::move(item), ticket.seq}}});
    ++size_;
  }

  // Freed at once: usable once the fence has passed.
  void put(T item, Fence fence) {
    if (fence.empty()) {
      ready_.push_back(std::move(item));
    } else {
      fenced_.push_back({std::move(item), std::move(fence)});
    }
    ++size_;
  }

  // An item that may be used by work queued on `slot` from now on (nullptr: by anyone). `usable(item)` may refuse one.
  template <class Passed, class Usable>
  bool take(StreamSlot* slot, Passed&& passed, Usable&& usable, T* out) {
    if (size_ == 0) return false;
    for (auto& [owner, items] : by_slot_) {
      if (owner == slot && !items.empty() && usable(items.back().first)) return give(items, true, out);
    }
    if (!ready_.empty() && usable(ready_.back())) {
      *out = std::move(ready_.back());
      ready_.pop_back();
      --size_;
      return true;
    }
    if (!fenced_.empty() && usable(fenced_.front().first) && done(fenced_.front().second, passed)) {
      return give(fenced_, false, out);
    }
    for (auto& [owner, items] : by_slot_) {
      if (owner == slot || items.empty() || !usable(items.front().first)) continue;
      if (done({{owner, items.front().second}}, passed)) return give(items, false, out);
    }
    return false;
  }

  // Moves every item whose fence has passed to `each`. Oldest first; stops in each list at the first that has not.
  template <class Passed, class Each>
  void drain(Passed&& passed, Each&& each) {
    for (T& item : ready_) each(std::move(item));
    size_ -= ready_.size();
    ready_.clear();
    T item;
    while (!fenced_.empty() && done(fenced_.front().second, passed)) {
      give(fenced_, false, &item);
      each(std::move(item));
    }
    for (auto& [owner, items] : by_slot_) {
      while (!items.empty() && done({{owner, items.front().second}}, passed)) {
        give(items, false, &item);
        each(std::move(item));
      }
    }
  }

  // Adds what must pass before everything here is free for everyone.
  void add_fences(Fence* fence) const {
    for (const auto& [item, tickets] : fenced_) fence->insert(fence->end(), tickets.begin(), tickets.end());
    for (const auto& [owner, items] : by_slot_) {
      if (!items.empty()) fence->push_back({owner, items.back().second});
    }
  }

  size_t size() const { return size_; }

 private:
  template <class Passed>
  static bool done(const Fence& fence, Passed& passed) {
#ifdef LORETOKEN_MUTATE_STREAM_SAFE_FREE
    static_cast<void>(fence);
    static_cast<void>(passed);
    return true;
#else
    return passed(fence);
#endif
  }

  template <class List>
  bool give(List& items, bool newest, T* out) {
    *out = std::move(newest ? items.back().first : items.front().first);
    newest ? items.pop_back() : items.pop_front();
    --size_;
    return true;
  }

  std::vector<T> ready_;
  std::deque<std::pair<T, Fence>> fenced_;
  std::vector<std::pair<StreamSlot*, std::deque<std::pair<T, uint64_t>>>> by_slot_;
  size_t size_ = 0;
};

}  // namespace loretoken
