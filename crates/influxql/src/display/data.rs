//! Statements that remove stored data.

use std::fmt::{self, Display, Formatter};

use super::{quote_ident, write_from, write_where};
use crate::ast::{Delete, DropMeasurement, DropSeries, DropShard};

impl Display for Delete {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("DELETE")?;
        write_from(f, &self.from)?;
        write_where(f, self.condition.as_ref())
    }
}

impl Display for DropSeries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("DROP SERIES")?;
        write_from(f, &self.from)?;
        write_where(f, self.condition.as_ref())
    }
}

impl Display for DropMeasurement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP MEASUREMENT {}", quote_ident(&self.name))
    }
}

impl Display for DropShard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP SHARD {}", self.id)
    }
}
