//! Something made of files, made anew when they change.

use std::{
    error::Error,
    fs,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;

use crate::TlsError;

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The value made of the files as they are now, or were when they could last be used.
pub(crate) struct Reloaded<T> {
    files: Vec<PathBuf>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: T,
    seen: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl<T: Clone> Reloaded<T> {
    /// Makes the value.
    pub(crate) fn load(
        files: Vec<PathBuf>,
        make: impl FnOnce() -> Result<T, TlsError>,
    ) -> Result<Self, TlsError> {
        // Looked at before they are read: what changes in between is read once more than needed, never missed.
        let seen = stamps(&files);
        let value = make()?;
        Ok(Self { files, state: Mutex::new(State { value, seen, looked: Instant::now() }) })
    }

    /// The value; `make` is called if the files have changed.
    pub(crate) fn current(&self, make: impl FnOnce() -> Result<T, TlsError>) -> T {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            let now = stamps(&self.files);
            if now != state.seen {
                state.seen = now;
                match make() {
                    Ok(value) => state.value = value,
                    Err(error) => {
                        let error = with_causes(&error);
                        tracing::error!(error, "the new certificate cannot be used; the old one stays");
                    }
                }
            }
        }
        state.value.clone()
    }
}

/// When the files were last written.
fn stamps(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    files.iter().map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok()).collect()
}

fn with_causes(error: &TlsError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
