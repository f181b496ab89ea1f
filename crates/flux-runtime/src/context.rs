//! A query while it runs: its clock, what it reads from, what it may take, and where it is in the text.

use std::{rc::Rc, sync::Arc};

use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use skywatch_flux::{Duration, Span};

use crate::{
    Error, Pattern, Record, Storage, Stream, Value,
    memory::{Charge, Memory},
    packages::Packages,
};

/// Expressions within expressions, calls within calls.
const DEPTH_MAX: u32 = 200;

/// A query while it runs.
pub struct Context<'a> {
    storage: &'a dyn Storage,
    now_ns: i64,
    begun_ns: i64,
    memory: Memory,
    pub(crate) packages: Packages,
    pub(crate) location: Location,
    pub(crate) results: Vec<(Arc<str>, Stream)>,
    patterns: FxHashMap<Arc<str>, Rc<Pattern>>,
    kept: Vec<Charge>,
    span: Span,
    function: &'static str,
    /// The call in the text, while functions of the library's own text run.
    library_call: Option<Span>,
    depth: u32,
    steps: u32,
}

/// Where windows begin, besides the epoch: `option location`.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// Whose midnight counts.
    pub zone: TimeZone,
    /// Moves it further.
    pub offset: Duration,
}

impl Default for Location {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, offset: Duration::default() }
    }
}

impl Location {
    /// What `timezone.location` and `timezone.fixed` make: a zone, and an offset if it has one.
    pub(crate) fn of_record(record: &Record) -> Result<Self, String> {
        let Some(Value::String(zone)) = record.get("zone") else {
            return Err("a location is a record with a zone".to_owned());
        };
        let offset = match record.get("offset") {
            Some(Value::Duration(offset)) => offset,
            Some(Value::Null) | None => Duration::default(),
            Some(other) => {
                return Err(format!("the offset of a location is a duration, not a {}", other.kind().name()));
            }
        };
        let zone = TimeZone::get(&zone).map_err(|_| format!("unknown time zone {zone}"))?;
        Ok(Self { zone, offset })
    }
}

/// Who called: to be given back to [`Context::leave`].
#[derive(Debug)]
pub(crate) struct Caller(Span, &'static str);

impl<'a> Context<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, now_ns: i64, memory: Memory) -> Self {
        Self {
            storage,
            now_ns,
            begun_ns: now_ns,
            memory,
            packages: Packages::default(),
            location: Location::default(),
            results: Vec::new(),
            patterns: FxHashMap::default(),
            kept: Vec::new(),
            span: Span::default(),
            function: "",
            library_call: None,
            depth: 0,
            steps: 0,
        }
    }

    /// What the query reads from.
    pub fn storage(&self) -> &'a dyn Storage {
        self.storage
    }

    /// `now()` as the query began.
    pub const fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// The clock as the query began, whatever the text says that `now()` is.
    pub(crate) const fn begun_ns(&self) -> i64 {
        self.begun_ns
    }

    pub(crate) const fn set_now(&mut self, now_ns: i64) {
        self.now_ns = now_ns;
    }

    pub(crate) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A regular expression; those of one text are compiled once, for functions meet them row by row.
    pub(crate) fn pattern(&mut self, text: &Arc<str>) -> Result<Rc<Pattern>, String> {
        const KEPT_MAX: usize = 256;
        if let Some(known) = self.patterns.get(text) {
            return Ok(Rc::clone(known));
        }
        let pattern = Rc::new(Pattern::new(text)?);
        if self.patterns.len() < KEPT_MAX {
            self.patterns.insert(Arc::clone(text), Rc::clone(&pattern));
        }
        Ok(pattern)
    }

    /// Holds memory that is about to be filled, before it is: for steps that make much of little.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Charge, Error> {
        self.memory.charge(bytes as u64)
    }

    /// The same until the query ends: for values that are no tables, whose end nobody sees. Small ones are not counted.
    pub(crate) fn keep(&mut self, bytes: usize) -> Result<(), Error> {
        const UNCOUNTED_BYTES: usize = 64 << 10;
        if bytes > UNCOUNTED_BYTES {
            let charge = self.hold(bytes)?;
            self.kept.push(charge);
        }
        Ok(())
    }

    /// Fails once the query has to stop. Cheap enough for every row.
    pub fn check(&mut self) -> Result<(), Error> {
        const EVERY: u32 = 256;
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(EVERY) { self.storage.check().map_err(Error::Stopped) } else { Ok(()) }
    }

    /// What goes wrong from here on went wrong in the function `name`, called at `span`.
    pub(crate) const fn enter(&mut self, span: Span, name: &'static str) -> Caller {
        let caller = Caller(self.span, self.function);
        self.span = span;
        self.function = name;
        caller
    }

    pub(crate) const fn leave(&mut self, Caller(span, function): Caller) {
        self.span = span;
        self.function = function;
    }

    /// Runs a function's body. Where that is of the standard library's own text, what goes wrong in calls from there
    /// went wrong at `span`.
    pub(crate) fn within<T>(
        &mut self,
        is_library: bool,
        span: Span,
        run: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let around = self.library_call;
        self.library_call = if is_library { around.or(Some(span)) } else { None };
        let outcome = self.deeper(span, run);
        self.library_call = around;
        outcome
    }

    /// Where the text calls what is called at `span`, which may be of the library's own text.
    pub(crate) fn place(&self, span: Span) -> Span {
        self.library_call.unwrap_or(span)
    }

    /// One level deeper; an error beyond a depth that no sensible text reaches.
    pub(crate) fn deeper<T>(
        &mut self,
        span: Span,
        run: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth >= DEPTH_MAX {
            let text = format!("calls and expressions are nested more than {DEPTH_MAX} deep");
            return Err(Error::at(span, text));
        }
        self.depth += 1;
        let outcome = run(self);
        self.depth -= 1;
        outcome
    }

    /// Something went wrong in the function that runs.
    pub fn error(&self, message: impl AsRef<str>) -> Error {
        let message = message.as_ref();
        if self.function.is_empty() {
            Error::at(self.span, message)
        } else {
            Error::at(self.span, format!("{}: {message}", self.function))
        }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("now_ns", &self.now_ns)
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}
