//! When to stop: Ctrl-C, `kill`, or a service manager's SIGTERM. A second one stops at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first signal to stop, and arms the second: it ends the process like a crash, which loses
/// nothing that was acknowledged.
pub(crate) async fn stop_requested() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        #[expect(clippy::exit, reason = "the user insists; there is nothing left to wait for")]
        std::process::exit(130);
    });
    Ok(())
}
