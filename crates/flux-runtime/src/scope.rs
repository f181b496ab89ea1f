//! Names and what they stand for, from the innermost block outwards.
//!
//! A function holds the block around it, whose names hold the function: such blocks are remembered, and emptied when the
//! query ends ([`Scope::forget_all`]).

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
};

use rustc_hash::FxHashMap;

use crate::{Record, Value};

/// A block's names; clones are the same block.
#[derive(Clone, Default)]
pub struct Scope(Rc<Frame>);

#[derive(Default)]
struct Frame {
    names: RefCell<FxHashMap<Arc<str>, Value>>,
    around: Option<Scope>,
    /// Of the standard library's own text: places in it mean nothing to whoever wrote the query.
    is_library: bool,
    /// Blocks of the same query whose names hold functions.
    holding: Rc<RefCell<Vec<Weak<Frame>>>>,
    is_remembered: Cell<bool>,
}

/// From so many on, blocks that are gone are forgotten now and then.
const REMEMBERED_MIN: usize = 1024;

impl Scope {
    /// A block within this one.
    #[must_use]
    pub fn inner(&self) -> Self {
        self.around(self.0.is_library)
    }

    /// Names of the standard library, within this block.
    #[must_use]
    pub fn library(&self) -> Self {
        self.around(true)
    }

    /// Names of a query's text, within this block.
    #[must_use]
    pub fn text(&self) -> Self {
        self.around(false)
    }

    fn around(&self, is_library: bool) -> Self {
        let holding = Rc::clone(&self.0.holding);
        Self(Rc::new(Frame { around: Some(self.clone()), is_library, holding, ..Frame::default() }))
    }

    /// Whether it is of the standard library's own text.
    pub fn is_library(&self) -> bool {
        self.0.is_library
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.0.names.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.0.around.as_ref()?;
        }
    }

    /// Whether nothing else, such as a function within, still sees its names.
    pub(crate) fn is_unshared(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// Gives a name to a value, in this block.
    pub fn set(&self, name: Arc<str>, value: Value) {
        if !self.0.is_remembered.get() && may_hold_scope(&value) {
            self.0.is_remembered.set(true);
            let mut holding = self.0.holding.borrow_mut();
            // Blocks that are run for every row come and go.
            if holding.len() >= REMEMBERED_MIN && holding.len().is_power_of_two() {
                holding.retain(|frame| frame.strong_count() > 0);
            }
            holding.push(Rc::downgrade(&self.0));
        }
        self.0.names.borrow_mut().insert(name, value);
    }
}

impl Scope {
    /// Empties every block of the query whose names hold functions: they would hold each other for ever.
    pub(crate) fn forget_all(&self) {
        let holding = std::mem::take(&mut *self.0.holding.borrow_mut());
        let blocks = holding.iter().filter_map(Weak::upgrade);
        // All are emptied before anything goes: however long the chain of those that hold each other, none of them
        // takes another with it.
        let names: Vec<_> = blocks.map(|frame| std::mem::take(&mut *frame.names.borrow_mut())).collect();
        drop(names);
    }

    /// Empties a block that has ended, unless what it has left behind may still look at its names.
    pub(crate) fn leave(&self, left: &Value) {
        if self.0.is_remembered.get() && !may_hold_scope(left) {
            let names = std::mem::take(&mut *self.0.names.borrow_mut());
            drop(names);
        }
    }
}

/// Whether something in a value may be a function, or hold one.
fn may_hold_scope(value: &Value) -> bool {
    match value {
        Value::Function(_) | Value::Stream(_) | Value::Dictionary(_) => true,
        Value::Array(values) => values.iter().any(may_hold_scope),
        Value::Record(Record::Members(members)) => members.iter().any(|(_, value)| may_hold_scope(value)),
        _ => false,
    }
}

impl std::fmt::Debug for Scope {
    /// Its names only: a function's scope holds the function.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.0.names.borrow();
        f.debug_set().entries(names.keys()).finish()
    }
}
