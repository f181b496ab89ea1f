//! When to stop: Ctrl-C, `kill`, or a service manager's SIGTERM. A second one stops at once.

use std::io;

use crate::service_manager;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals to stop, heard from the moment this is made.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the first signal to stop, and arms the second: it ends the process like a crash, which loses
    /// nothing that was acknowledged.
    pub(crate) async fn requested(mut self) {
        self.one().await;
        service_manager::stopping();
        tokio::spawn(async move {
            self.one().await;
            insist();
        });
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[expect(clippy::exit, reason = "the user insists; there is nothing left to wait for")]
fn insist() {
    std::process::exit(130);
}

/// Waits for the first signal to stop.
pub(crate) async fn stop_requested() -> io::Result<()> {
    StopSignals::listen()?.requested().await;
    Ok(())
}
