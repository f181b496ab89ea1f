//! Line protocol: the text in which points arrive.
//!
//! ```text
//! measurement[,tag=value...] field=value[,field=value...] [timestamp]\n
//! ```
//!
//! [`parse`] reads a whole body into a [`PointBatch`]: fields, names and keys point into the body wherever they
//! stand there as they are. Lines of the usual shape take a short path (`fast.rs`); whatever is unusual about a
//! line (escapes, odd spacing, any error) sends it to `careful.rs`, which alone decides what is refused and in
//! which words. The two agree on every line the first accepts; a property test and a fuzzer hold them to it.
//!
//! # What is accepted
//! As InfluxDB 1.8 does, compared with a real 1.6.7 line by line:
//! - A line ends at a line feed outside a quoted string; blank lines and those that begin with `#` are skipped;
//!   space, tab and NUL may precede a line's parts.
//! - In names and tag values a `,`, `=` or space is escaped when the byte before it is a backslash; every other
//!   backslash is itself. In measurements and field keys `\"` means `"`. In strings `\"` and `\\` are escapes.
//! - Values: `1`, `-1.5e-3`, `.5` (float), `1i`, `1u`, `"text"` with line feeds as they are, and
//!   `t T true True TRUE f F false False FALSE`. NaN, infinities and numbers out of range are refused.
//! - Of a field that occurs twice in a line the last value counts.
//! - A point without timestamp gets the time of arrival, cut to the precision.
//!
//! # Where Skywatch differs from InfluxDB, and why
//! - Where lines end: a comment ends with its line, whatever quotes are in it, and whitespace before a line
//!   changes nothing. InfluxDB may take following lines into such a comment, and may end an indented line
//!   inside a string.
//! - A carriage return before the line feed is dropped (InfluxDB: `invalid number`, `bad timestamp`).
//! - `u` values are always on (InfluxDB 1.x: a build option).
//! - Text after a closing quote (`v="a"b`) is refused as `invalid field format`; InfluxDB stores `a"`, which
//!   nobody wrote.
//! - An escape in a field key is judged as in a tag key, by the one byte before; InfluxDB pairs backslashes
//!   there in one place and not in another, so that `a\\=1,b=2` stores a field called `a\=1,b`, and `a\\ b=1`
//!   is refused. Here the first is refused and the second is the field `a\ b`.
//! - A field that occurs twice with two types: the last counts; InfluxDB refuses the request.
//! - A line that is wrong in two ways may be refused for the first of them where InfluxDB names the second.
//! - Lines that are not UTF-8 are refused; InfluxDB stores them and answers with other bytes.

pub use crate::value::FieldRef;
pub use batch::{FieldValues, Fields, PointBatch, PointRef, PushError, ShapeRef};
pub use error::{GoNumberProblem, LineError, Reason};
pub use parse::{MAX_LINE_ERRORS, ParseOptions, parse, parse_exactly};
pub use precision::Precision;

mod batch;
mod careful;
mod error;
mod fast;
mod lines;
mod number;
mod parse;
mod precision;
