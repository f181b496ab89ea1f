//! Streams of tables: what is to be done, done when somebody wants the tables.
//!
//! A function of streams makes a step that holds its inputs, not tables. So a name that nobody uses costs nothing, and
//! a read grows by what follows it (`read`), as long as the storage can do that itself.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    rc::Rc,
};

use skywatch_flux::Span;

use crate::{
    Context, Error, Tables,
    memory::Charge,
    read::{GroupedRead, Read},
};

/// A stream; clones are the same, and their tables are made once.
#[derive(Clone)]
pub struct Stream(Rc<Node>);

struct Node {
    plan: Plan,
    /// What `range` said last about the time of its tables, which a table's own columns may no longer tell.
    range: Cell<Option<(i64, i64)>>,
    made: OnceCell<Result<Made, Error>>,
    /// The read of which these tables are the groups, if they are nothing more.
    grouped: OnceCell<GroupedRead>,
    /// Steps before it, one after the other.
    depth: u32,
}

/// Steps one after the other: each waits, on the stack, for those before it.
const DEPTH_MAX: u32 = 1000;

struct Made {
    tables: Rc<Tables>,
    _charge: Charge,
}

/// How a step makes its tables from those of its inputs.
type Step = dyn Fn(&mut Context<'_>, Vec<Rc<Tables>>) -> Result<Tables, Error>;

enum Plan {
    /// Comes from the storage.
    Read(Box<Read>),
    /// Is made of other streams.
    Step { name: &'static str, span: Span, inputs: RefCell<Vec<Stream>>, run: Box<Step> },
}

impl Stream {
    /// What the storage is asked for.
    pub(crate) fn read(read: Read) -> Self {
        Self::of(Plan::Read(Box::new(read)))
    }

    /// Tables that are there.
    pub fn ready(tables: Tables) -> Self {
        let tables = RefCell::new(Some(tables));
        Self::step("", Span::default(), Vec::new(), move |_, _| Ok(tables.take().unwrap_or_default()))
    }

    /// Made of `inputs` by the function `name`, which was called at `span`.
    pub fn step(
        name: &'static str,
        span: Span,
        inputs: Vec<Self>,
        run: impl Fn(&mut Context<'_>, Vec<Rc<Tables>>) -> Result<Tables, Error> + 'static,
    ) -> Self {
        if inputs.iter().any(|input| input.0.depth >= DEPTH_MAX) {
            let text = format!("{name}: more than {DEPTH_MAX} steps stand one after the other");
            let run: Box<Step> = Box::new(move |_, _| Err(Error::at(span, text.clone())));
            return Self::of(Plan::Step { name, span, inputs: RefCell::default(), run });
        }
        Self::of(Plan::Step { name, span, inputs: RefCell::new(inputs), run: Box::new(run) })
    }

    fn of(plan: Plan) -> Self {
        let depth = match &plan {
            Plan::Read(_) => 0,
            Plan::Step { inputs, .. } => {
                inputs.borrow().iter().map(|input| input.0.depth + 1).max().unwrap_or(0)
            }
        };
        let range = match &plan {
            Plan::Read(read) => read.range,
            Plan::Step { inputs, .. } => inputs
                .borrow()
                .iter()
                .filter_map(Self::range)
                .reduce(|left, right| (left.0.min(right.0), left.1.max(right.1))),
        };
        Self(Rc::new(Node {
            plan,
            range: Cell::new(range),
            made: OnceCell::new(),
            grouped: OnceCell::new(),
            depth,
        }))
    }

    /// The time that its tables are of, first nanosecond and first after the last, if `range` was called: where
    /// windows begin and end.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        self.0.range.get()
    }

    /// The same with another range, for a stream just made.
    pub(crate) fn with_range(self, range: Option<(i64, i64)>) -> Self {
        self.0.range.set(range);
        self
    }

    /// Says of which read its tables are the groups, for a stream just made.
    pub(crate) fn with_grouped(self, grouped: Option<GroupedRead>) -> Self {
        if let Some(grouped) = grouped {
            self.0.grouped.get_or_init(|| grouped);
        }
        self
    }

    /// The read of which its tables are the groups, if they are nothing more.
    pub(crate) fn as_grouped(&self) -> Option<&GroupedRead> {
        self.0.grouped.get()
    }

    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// What the storage is asked for, if this is nothing more.
    pub(crate) fn as_read(&self) -> Option<&Read> {
        match &self.0.plan {
            Plan::Read(read) => Some(read),
            Plan::Step { .. } => None,
        }
    }

    /// Its tables, by key.
    pub fn tables(&self, context: &mut Context<'_>) -> Result<Rc<Tables>, Error> {
        if let Some(made) = self.0.made.get() {
            return made.as_ref().map(|made| Rc::clone(&made.tables)).map_err(Clone::clone);
        }
        let made = self.make(context);
        let made = self.0.made.get_or_init(|| made);
        made.as_ref().map(|made| Rc::clone(&made.tables)).map_err(Clone::clone)
    }

    fn make(&self, context: &mut Context<'_>) -> Result<Made, Error> {
        context.check()?;
        let tables = match &self.0.plan {
            Plan::Read(read) => read.run(context)?,
            Plan::Step { name, span, inputs, run } => {
                // Inputs are let go of with the tables that nobody else wants.
                let inputs = std::mem::take(&mut *inputs.borrow_mut());
                let mut given = Vec::with_capacity(inputs.len());
                for input in &inputs {
                    given.push(input.tables(context)?);
                }
                let caller = context.enter(*span, name);
                let outcome = run(context, given);
                context.leave(caller);
                outcome?
            }
        };
        let bytes = tables.iter().map(crate::Table::size_bytes).sum::<usize>();
        let charge = context.memory().charge(bytes as u64)?;
        Ok(Made { tables: Rc::new(tables), _charge: charge })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.plan {
            Plan::Read(read) => read.fmt(f),
            Plan::Step { name, inputs, .. } => {
                f.debug_struct("Step").field("name", name).field("inputs", &inputs.borrow()).finish()
            }
        }
    }
}
