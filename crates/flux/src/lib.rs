//! Flux: text -> syntax tree -> text. Pure: no I/O, no clock.
//!
//! [`parse`] reads a file; [`check`] finds what is wrong with it before anything runs: names that nothing defines.
//! What functions do is the runtime's business; what the text says, places of errors included, is decided here.

mod ast;
mod check;
mod display;
mod duration;
mod error;
mod lex;
mod operator;
mod parse;
mod regex;
mod time;

pub use ast::{
    Argument, Assignment, BinaryOperator, Block, Call, Expression, File, Function, FunctionBody, Import,
    Kind, LogicalOperator, Member, Parameter, Position, Property, Span, Statement, StringPart, UnaryOperator,
};
pub use check::{Names, check};
pub use duration::{Duration, DurationError};
pub use error::ParseError;
pub use parse::parse;
pub use regex::{RegexError, compile as compile_regex};
pub use time::{format_time, parse_time};
