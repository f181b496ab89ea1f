//! A call of a built-in function: what it was given, typed.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use skywatch_flux::{Duration, Span};

use crate::{
    Context, Error, Kind, Nest, Ordered, Pattern, Record, Stream, Tables, Value,
    context::Location,
    function::{Function, Need},
};

/// What a built-in function was given, and the query it runs in.
pub struct Call<'a, 'q> {
    /// The query.
    pub context: &'a mut Context<'q>,
    /// The function's name.
    pub name: &'static str,
    /// Where it was called.
    pub span: Span,
    arguments: Vec<(Arc<str>, Value)>,
}

impl<'a, 'q> Call<'a, 'q> {
    /// Arguments are checked against the parameters: those that are missing, those that nobody takes.
    pub(crate) fn new(
        context: &'a mut Context<'q>,
        builtin: &'static crate::function::Builtin,
        span: Span,
        arguments: Vec<(Arc<str>, Value)>,
    ) -> Result<Self, Error> {
        let name = builtin.name;
        for (argument, _) in &arguments {
            if !builtin.parameters.iter().any(|parameter| *parameter.name == **argument) {
                let known: Vec<&str> = builtin.parameters.iter().map(|parameter| parameter.name).collect();
                let text = format!("{name}: unexpected argument {argument}; it takes {}", known.join(", "));
                return Err(Error::at(span, text));
            }
        }
        for parameter in builtin.parameters {
            let given = arguments.iter().any(|(argument, _)| **argument == *parameter.name);
            if !given && parameter.need != Need::Optional {
                let text = match parameter.need {
                    Need::Piped => format!(
                        "{name}: missing required pipe argument {}: nothing is piped into it",
                        parameter.name
                    ),
                    _ => format!("{name}: missing required keyword argument \"{}\"", parameter.name),
                };
                return Err(Error::at(span, text));
            }
        }
        Ok(Self { context, name, span, arguments })
    }

    /// Something is wrong with the call.
    pub fn error(&self, message: impl AsRef<str>) -> Error {
        Error::at(self.span, format!("{}: {}", self.name, message.as_ref()))
    }

    /// An argument, if it was given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.arguments.iter().find(|(argument, _)| **argument == *name).map(|(_, value)| value)
    }

    /// An argument that has to be given; null if it was not, which the check of the call rules out.
    pub fn value(&self, name: &str) -> Value {
        self.get(name).cloned().unwrap_or(Value::Null)
    }

    fn wrong(&self, name: &str, wanted: &str, got: &Value) -> Error {
        self.error(format!(
            "keyword argument \"{name}\" should be of kind {wanted}, but got {}",
            got.kind().name()
        ))
    }

    fn taken<T>(
        &self,
        name: &str,
        kind: Kind,
        take: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match take(value) {
                Some(taken) => Ok(Some(taken)),
                None => Err(self.wrong(name, kind.name(), value)),
            },
        }
    }

    fn need<T>(&self, name: &str, taken: Option<T>) -> Result<T, Error> {
        taken.ok_or_else(|| self.error(format!("missing required keyword argument \"{name}\"")))
    }

    /// A text, if given.
    pub fn opt_string(&self, name: &str) -> Result<Option<Arc<str>>, Error> {
        self.taken(name, Kind::String, |value| match value {
            Value::String(text) => Some(Arc::clone(text)),
            _ => None,
        })
    }

    /// A text.
    pub fn string(&self, name: &str) -> Result<Arc<str>, Error> {
        let taken = self.opt_string(name)?;
        self.need(name, taken)
    }

    /// A text, or the default.
    pub fn string_or(&self, name: &str, default: &str) -> Result<Arc<str>, Error> {
        Ok(self.opt_string(name)?.unwrap_or_else(|| Arc::from(default)))
    }

    /// An integer, if given.
    pub fn opt_int(&self, name: &str) -> Result<Option<i64>, Error> {
        self.taken(name, Kind::Int, |value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        })
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Result<i64, Error> {
        let taken = self.opt_int(name)?;
        self.need(name, taken)
    }

    /// An unsigned integer.
    pub fn uint(&self, name: &str) -> Result<u64, Error> {
        let taken = self.taken(name, Kind::Uint, |value| match value {
            Value::Uint(value) => Some(*value),
            _ => None,
        })?;
        self.need(name, taken)
    }

    /// A floating-point number, if given.
    pub fn opt_float(&self, name: &str) -> Result<Option<f64>, Error> {
        self.taken(name, Kind::Float, |value| match value {
            Value::Float(value) => Some(*value),
            _ => None,
        })
    }

    /// A floating-point number.
    pub fn float(&self, name: &str) -> Result<f64, Error> {
        let taken = self.opt_float(name)?;
        self.need(name, taken)
    }

    /// True or false, or the default.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, Error> {
        let taken = self.taken(name, Kind::Bool, |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })?;
        Ok(taken.unwrap_or(default))
    }

    /// A duration, if given.
    pub fn opt_duration(&self, name: &str) -> Result<Option<Duration>, Error> {
        self.taken(name, Kind::Duration, |value| match value {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        })
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Result<Duration, Error> {
        let taken = self.opt_duration(name)?;
        self.need(name, taken)
    }

    /// A point in time, if given: a time, or a duration from `now()`.
    pub fn opt_time(&self, name: &str) -> Result<Option<i64>, Error> {
        let now = self.context.now_ns();
        match self.get(name) {
            None => Ok(None),
            Some(Value::Time(time)) => Ok(Some(*time)),
            // As in Flux's `range`: whole numbers are seconds.
            Some(Value::Int(seconds)) => match seconds.checked_mul(1_000_000_000) {
                Some(time) => Ok(Some(time)),
                None => Err(self.error(format!("time {seconds} s is out of range"))),
            },
            Some(Value::Duration(duration)) => match duration.add_to(now) {
                Some(time) => Ok(Some(time)),
                None => Err(self.error(format!("{duration} from now is out of range"))),
            },
            Some(other) => Err(self.wrong(name, "time", other)),
        }
    }

    /// A function, if given.
    pub fn opt_function(&self, name: &str) -> Result<Option<Rc<Function>>, Error> {
        self.taken(name, Kind::Function, |value| match value {
            Value::Function(function) => Some(Rc::clone(function)),
            _ => None,
        })
    }

    /// A function.
    pub fn function(&self, name: &str) -> Result<Rc<Function>, Error> {
        let taken = self.opt_function(name)?;
        self.need(name, taken)
    }

    /// A record, if given.
    pub fn opt_record(&self, name: &str) -> Result<Option<Record>, Error> {
        self.taken(name, Kind::Record, |value| match value {
            Value::Record(record) => Some(record.clone()),
            _ => None,
        })
    }

    /// A record.
    pub fn record(&self, name: &str) -> Result<Record, Error> {
        let taken = self.opt_record(name)?;
        self.need(name, taken)
    }

    /// An array, if given.
    pub fn opt_array(&self, name: &str) -> Result<Option<Rc<Nest<Vec<Value>>>>, Error> {
        self.taken(name, Kind::Array, |value| match value {
            Value::Array(values) => Some(Rc::clone(values)),
            _ => None,
        })
    }

    /// An array.
    pub fn array(&self, name: &str) -> Result<Rc<Nest<Vec<Value>>>, Error> {
        let taken = self.opt_array(name)?;
        self.need(name, taken)
    }

    /// An array of texts, if given.
    pub fn opt_strings(&self, name: &str) -> Result<Option<Vec<Arc<str>>>, Error> {
        let Some(values) = self.opt_array(name)? else { return Ok(None) };
        let mut texts = Vec::with_capacity(values.len());
        for value in values.iter() {
            match value {
                Value::String(text) => texts.push(Arc::clone(text)),
                other => return Err(self.wrong(name, "array of string", other)),
            }
        }
        Ok(Some(texts))
    }

    /// An array of texts.
    pub fn strings(&self, name: &str) -> Result<Vec<Arc<str>>, Error> {
        let taken = self.opt_strings(name)?;
        self.need(name, taken)
    }

    /// A regular expression.
    pub fn regex(&self, name: &str) -> Result<Rc<Pattern>, Error> {
        let taken = self.taken(name, Kind::Regex, |value| match value {
            Value::Regex(regex) => Some(Rc::clone(regex)),
            _ => None,
        })?;
        self.need(name, taken)
    }

    /// A dictionary.
    pub fn dictionary(&self, name: &str) -> Result<Rc<Nest<BTreeMap<Ordered, Value>>>, Error> {
        let taken = self.taken(name, Kind::Dictionary, |value| match value {
            Value::Dictionary(entries) => Some(Rc::clone(entries)),
            _ => None,
        })?;
        self.need(name, taken)
    }

    /// A location; `option location` if none is given.
    pub(crate) fn location(&self, name: &str) -> Result<Location, Error> {
        match self.opt_record(name)? {
            Some(record) => Location::of_record(&record).map_err(|text| self.error(text)),
            None => Ok(self.context.location.clone()),
        }
    }

    /// A stream.
    pub fn stream(&self, name: &str) -> Result<Stream, Error> {
        let taken = self.taken(name, Kind::Stream, |value| match value {
            Value::Stream(stream) => Some(stream.clone()),
            _ => None,
        })?;
        self.need(name, taken)
    }

    /// The stream that is made of `tables`, the argument that comes through the arrow, table by table: `each` makes
    /// none, one or several of one. Afterwards no two may have one key.
    pub fn each_table(
        &self,
        each: impl Fn(&mut Context<'_>, &crate::Table, &mut Tables) -> Result<(), Error> + 'static,
    ) -> Result<Value, Error> {
        let input = self.stream("tables")?;
        Ok(Value::Stream(Stream::step(self.name, self.span, vec![input], move |context, inputs| {
            let mut made = Tables::new();
            for table in inputs.iter().flat_map(|tables| tables.iter()) {
                context.check()?;
                each(context, table, &mut made)?;
            }
            Ok(made)
        })))
    }

    /// The stream that is made of all tables of `tables` together.
    pub fn all_tables(
        &self,
        all: impl Fn(&mut Context<'_>, &[crate::Table]) -> Result<Tables, Error> + 'static,
    ) -> Result<Value, Error> {
        let input = self.stream("tables")?;
        Ok(Value::Stream(Stream::step(self.name, self.span, vec![input], move |context, inputs| {
            all(context, inputs.first().map_or(&[], |tables| tables.as_slice()))
        })))
    }
}

impl std::fmt::Debug for Call<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}
