//! Functions: those of the text, and those that are built in.

use std::{fmt, rc::Rc, sync::Arc};

use skywatch_flux::{self as syntax, Span};

use crate::{Call, Error, Value, scope::Scope};

/// Something that can be called.
#[derive(Debug)]
pub enum Function {
    /// Written in the text, or in a package's own text.
    Closure {
        /// What it says.
        literal: Arc<syntax::Function>,
        /// The names around it.
        scope: Scope,
        /// Where it stands.
        span: Span,
    },
    /// Built in.
    Builtin(&'static Builtin),
}

/// A function that is built in.
pub struct Builtin {
    /// `range`
    pub name: &'static str,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// What it does. Arguments are there or not as `parameters` say; their types are its own to see to, which the
    /// takers of [`Call`] do.
    pub run: fn(&mut Call<'_, '_>) -> Result<Value, Error>,
}

/// What a built-in function takes.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether it has to be given.
    pub need: Need,
}

/// Whether an argument has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// By name.
    Required,
    /// By name, or not at all.
    Optional,
    /// Through the arrow, or by name.
    Piped,
}

/// It has to be given.
pub(crate) const fn required(name: &'static str) -> Parameter {
    Parameter { name, need: Need::Required }
}

/// It may be left out.
pub(crate) const fn optional(name: &'static str) -> Parameter {
    Parameter { name, need: Need::Optional }
}

/// It comes through the arrow.
pub(crate) const fn piped(name: &'static str) -> Parameter {
    Parameter { name, need: Need::Piped }
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builtin").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Function {
    /// A closure as a value.
    pub fn closure(literal: Arc<syntax::Function>, scope: Scope, span: Span) -> Value {
        Value::Function(Rc::new(Self::Closure { literal, scope, span }))
    }

    /// The names of its parameters.
    pub fn parameter_names(&self) -> Vec<&str> {
        match self {
            Self::Closure { literal, .. } => {
                literal.parameters.iter().map(|parameter| &*parameter.name).collect()
            }
            Self::Builtin(builtin) => builtin.parameters.iter().map(|parameter| parameter.name).collect(),
        }
    }

    /// The parameter that takes what comes through the arrow.
    pub fn piped_parameter(&self) -> Option<&str> {
        match self {
            Self::Closure { literal, .. } => {
                let piped = literal.parameters.iter().find(|parameter| parameter.is_piped);
                piped.map(|parameter| &*parameter.name)
            }
            Self::Builtin(builtin) => {
                let piped = builtin.parameters.iter().find(|parameter| parameter.need == Need::Piped);
                piped.map(|parameter| parameter.name)
            }
        }
    }

    /// The built-in function of that name, if it is that one.
    pub fn is_builtin(&self, name: &str) -> bool {
        matches!(self, Self::Builtin(builtin) if builtin.name == name)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) => ...", self.parameter_names().join(", "))
    }
}
