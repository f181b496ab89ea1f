//! The memory of one query: counted table by table, and bounded by whoever runs it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::Error;

/// Grants memory to a query.
pub trait MemoryAccount {
    /// The query now holds that many bytes in all; why it may not, if it grew.
    fn hold(&mut self, bytes: u64) -> Result<(), NoMemory>;
}

/// Why a query gets no more memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMemory {
    /// In words.
    pub message: String,
    /// Whether there will never be as much.
    pub is_hopeless: bool,
}

/// What a query holds. Clones count together.
#[derive(Clone)]
pub(crate) struct Memory(Rc<Inner>);

struct Inner {
    held: Cell<u64>,
    account: RefCell<Box<dyn MemoryAccount>>,
}

/// Bytes that are held until this is dropped.
pub(crate) struct Charge {
    bytes: u64,
    memory: Memory,
}

impl Memory {
    pub(crate) fn new(account: Box<dyn MemoryAccount>) -> Self {
        Self(Rc::new(Inner { held: Cell::new(0), account: RefCell::new(account) }))
    }

    /// Holds bytes more.
    pub(crate) fn charge(&self, bytes: u64) -> Result<Charge, Error> {
        let held = self.0.held.get().saturating_add(bytes);
        self.0.account.borrow_mut().hold(held).map_err(Error::Memory)?;
        self.0.held.set(held);
        Ok(Charge { bytes, memory: self.clone() })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let held = self.memory.0.held.get().saturating_sub(self.bytes);
        self.memory.0.held.set(held);
        // Less is never refused.
        let _less = self.memory.0.account.borrow_mut().hold(held);
    }
}
