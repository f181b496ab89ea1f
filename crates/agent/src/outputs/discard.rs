//! `discard`: takes everything and keeps nothing; to see what inputs cost by themselves.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::output::{Batch, Output, OutputFuture, WriteOutcome};

/// The output.
#[derive(Debug)]
struct Discard;

pub(crate) fn build(_: &mut Section, _: &Context) -> Result<Box<dyn Output>, ConfigError> {
    Ok(Box::new(Discard))
}

impl Output for Discard {
    fn write(&mut self, _: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async { WriteOutcome::Stored })
    }
}
