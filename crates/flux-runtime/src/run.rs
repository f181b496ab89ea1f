//! A text is run: its statements in order, then the tables of its results.

use std::sync::Arc;

use skywatch_flux::{File, ParseError, Span, Statement};

use crate::{
    Context, Error, MemoryAccount, Storage, Stream, Table, Value,
    context::Location,
    evaluate::{apply, assign, evaluate},
    functions::why_unavailable,
    memory::Memory,
    packages::{Known, Packages, import_name},
    scope::Scope,
};

/// A query.
pub struct Request<'a> {
    /// Its text.
    pub text: &'a str,
    /// What `now()` is, unless the text says otherwise: nanoseconds since 1970.
    pub now_ns: i64,
    /// Names that the text may use, such as `params`, and what they stand for.
    pub names: Vec<(Arc<str>, Value)>,
    /// Grants memory.
    pub memory: Box<dyn MemoryAccount>,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("now_ns", &self.now_ns).finish_non_exhaustive()
    }
}

/// Takes results: all tables of one, then those of the next.
pub trait Results {
    /// A table of the result of that name. An error ends the query.
    fn table(&mut self, result: &str, table: &Table) -> Result<(), Error>;

    /// The result of that name, which may have had no tables, is complete.
    fn end(&mut self, result: &str) -> Result<(), Error>;
}

/// What is wrong with a text that can be seen before it runs.
pub fn analyze(text: &str) -> Result<(), Error> {
    parsed(text, &[]).map(drop)
}

fn parsed(text: &str, given: &[(Arc<str>, Value)]) -> Result<File, Error> {
    let file = skywatch_flux::parse(text)?;
    for import in &file.imports {
        if let Some(message) = why_unavailable(&import.path) {
            return Err(ParseError { span: import.span, message }.into());
        }
    }
    skywatch_flux::check(&file, &Known { given })?;
    Ok(file)
}

/// Runs a text. Blocks as its storage does.
pub fn run(request: Request<'_>, storage: &dyn Storage, results: &mut dyn Results) -> Result<(), Error> {
    let file = parsed(request.text, &request.names)?;
    let mut context = Context::new(storage, request.now_ns, Memory::new(request.memory));
    let context = &mut context;
    let universe = Packages::universe(context)?;
    let scope = universe.text();
    for (name, value) in request.names {
        set_option(context, &scope, None, &name, value, Span::default())?;
    }
    for import in &file.imports {
        match Packages::import(context, &import.path)? {
            Some(package) => scope.set(import_name(import), package.into()),
            None => {
                return Err(Error::at(import.span, format!("invalid import path {}", import.path)));
            }
        }
    }
    for statement in &file.statements {
        run_statement(context, &scope, statement)?;
    }
    let streams = context.take_results();
    if streams.is_empty() {
        let text = "this Flux script returns no streaming data. Consider adding a \"yield\" or invoking streaming \
                    functions directly, without performing an assignment";
        return Err(Error::at(Span::default(), text));
    }
    for (name, stream) in streams {
        let tables = stream.tables(context)?;
        // What nobody else wants goes before the next result is made.
        drop(stream);
        for table in tables.iter() {
            results.table(&name, table)?;
        }
        results.end(&name)?;
    }
    Ok(())
}

fn run_statement(context: &mut Context<'_>, scope: &Scope, statement: &Statement) -> Result<(), Error> {
    match statement {
        Statement::Assign(assignment) => assign(context, scope, assignment),
        Statement::Option { package, assignment } => {
            let value = evaluate(context, scope, &assignment.value)?;
            set_option(context, scope, package.as_deref(), &assignment.name, value, assignment.span)
        }
        Statement::Expression(expression) => {
            if let Value::Stream(stream) = evaluate(context, scope, expression)? {
                context.add_result(stream, expression.span)?;
            }
            Ok(())
        }
        Statement::Return(value) => Err(Error::at(value.span, "return stands only within functions")),
        Statement::Foreign { word, span } => {
            Err(Error::at(*span, format!("{word} stands only in the standard library's own text")))
        }
    }
}

/// Options that mean something here; others are names like any.
fn set_option(
    context: &mut Context<'_>,
    scope: &Scope,
    package: Option<&str>,
    name: &Arc<str>,
    value: Value,
    span: Span,
) -> Result<(), Error> {
    if let Some(package) = package {
        return Err(Error::at(span, format!("{package} has no option {name}")));
    }
    match (&**name, &value) {
        ("now", Value::Function(function)) => match apply(context, function, Vec::new(), span)? {
            Value::Time(now) => context.set_now(now),
            other => {
                let text = format!("option now has to give a time, not a {}", other.kind().name());
                return Err(Error::at(span, text));
            }
        },
        ("location", Value::Record(record)) => {
            context.location = Location::of_record(record)
                .map_err(|text| Error::at(span, format!("option location: {text}")))?;
        }
        _ => {}
    }
    scope.set(Arc::clone(name), value);
    Ok(())
}

impl Context<'_> {
    /// A stream that stands by itself in the text is a result, unless `yield` has named it.
    fn add_result(&mut self, stream: Stream, span: Span) -> Result<(), Error> {
        if self.results.iter().any(|(_, known)| known.is(&stream)) {
            return Ok(());
        }
        self.name_result("_result".into(), stream, span)
    }

    /// Makes a stream a result.
    pub(crate) fn name_result(&mut self, name: Arc<str>, stream: Stream, span: Span) -> Result<(), Error> {
        if self.results.iter().any(|(known, _)| *known == name) {
            let text = format!("tried to produce more than one result with the name \"{name}\"");
            return Err(Error::at(span, text));
        }
        self.results.push((name, stream));
        Ok(())
    }

    fn take_results(&mut self) -> Vec<(Arc<str>, Stream)> {
        std::mem::take(&mut self.results)
    }
}
