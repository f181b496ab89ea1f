//! A binary heap that leaves equal items in the very order in which Go's `container/heap` leaves them.
//!
//! InfluxDB merges series through that heap, and the order of rows with equal times shows in its answers. To give
//! the same answers, this heap makes the same comparisons and swaps.

/// The heap; `less` decides what comes first.
#[derive(Debug)]
pub(crate) struct GoHeap<T, L> {
    items: Vec<T>,
    less: L,
}

impl<T, L: Fn(&T, &T) -> bool> GoHeap<T, L> {
    /// As `heap.Init`.
    pub(crate) fn new(items: Vec<T>, less: L) -> Self {
        let mut heap = Self { items, less };
        let len = heap.items.len();
        for index in (0..len / 2).rev() {
            heap.down(index, len);
        }
        heap
    }

    /// As `heap.Pop`.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.items.len().checked_sub(1)?;
        self.items.swap(0, last);
        self.down(0, last);
        self.items.pop()
    }

    /// As `heap.Push`.
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
        let mut child = self.items.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !(self.less)(&self.items[child], &self.items[parent]) {
                break;
            }
            self.items.swap(parent, child);
            child = parent;
        }
    }

    fn down(&mut self, start: usize, len: usize) {
        let mut parent = start;
        loop {
            let left = 2 * parent + 1;
            if left >= len {
                break;
            }
            let right = left + 1;
            let child =
                if right < len && (self.less)(&self.items[right], &self.items[left]) { right } else { left };
            if !(self.less)(&self.items[child], &self.items[parent]) {
                break;
            }
            self.items.swap(parent, child);
            parent = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_items_come_first_then_from_the_back() {
        let mut heap = GoHeap::new(vec!["a", "b", "c", "d", "f", "g"], |_, _| false);
        let order: Vec<_> = std::iter::from_fn(|| heap.pop()).collect();
        assert_eq!(order, ["a", "g", "f", "d", "c", "b"]);
    }

    proptest! {
        #[test]
        fn pops_ascend(first in proptest::collection::vec(0u8..20, 0..40), pushed in proptest::collection::vec(0u8..20, 0..40)) {
            let mut heap = GoHeap::new(first.clone(), |a, b| a < b);
            pushed.iter().for_each(|item| heap.push(*item));
            let popped: Vec<_> = std::iter::from_fn(|| heap.pop()).collect();
            let mut sorted: Vec<_> = first.into_iter().chain(pushed).collect();
            sorted.sort_unstable();
            prop_assert_eq!(popped, sorted);
        }
    }
}
