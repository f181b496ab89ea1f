//! Graphite's plaintext protocol, `name value [seconds]`, and the templates that make measurements, tags and fields
//! of its dotted names. Pure.
//!
//! ```text
//! template           [filter] parts [tag=value,tag=value]
//! filter             servers.*.cpu     beginning of the names it is for; * stands for any one part
//! parts              .host.measurement.field*
//!   measurement      this part is the measurement; several are joined by the separator
//!   measurement*     and all parts after it
//!   field, field*    the same for the field
//!   (empty)          is passed over
//!   anything else    is a tag of that name
//! ```
//!
//! The filter that fits a name best is the one that names the most of its parts; a part that is named beats `*`. A
//! name without a filter takes the template without one, or is the measurement as it stands.

mod line;
mod template;

pub use line::{LineError, Parser};
pub use template::{Template, TemplateError};
