//! What a processor says about metrics it cannot treat: once loudly, then only where someone listens.

use tracing::{debug, warn};

/// Complains about one kind of trouble.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    made: bool,
}

impl Complaint {
    /// The first is a warning, the others are for debugging.
    pub(super) fn about(&mut self, processor: &str, text: &str) {
        if self.made {
            debug!("processors.{processor}: {text}");
        } else {
            warn!("processors.{processor}: {text} (further ones are logged at debug level)");
            self.made = true;
        }
    }
}
