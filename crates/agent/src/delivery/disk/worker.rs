//! The thread that owns a buffer's files: requests in, answers out.
//!
//! The requester has one append and one load under way at most, and acknowledges once for every write, so that the
//! channels hold a few messages and need no bounds of their own.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::load::Loaded;
use super::store::{Appended, DiskBuffer};
use crate::metric::Metric;

/// What the files are asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum DiskRequest {
    /// Put these at the end. Answered with [`DiskAnswer::Appended`].
    Append(Vec<Arc<Metric>>),
    /// Read on. Answered with [`DiskAnswer::Loaded`].
    Load {
        /// The number to go on from.
        from: u64,
        /// About how many.
        most: usize,
    },
    /// Everything before this number is done with.
    Acknowledge(u64),
}

/// What the files answer.
#[derive(Debug, Clone, PartialEq)]
pub enum DiskAnswer {
    /// To [`DiskRequest::Append`].
    Appended(Appended),
    /// To [`DiskRequest::Load`], or why not.
    Loaded(Result<Loaded, String>),
    /// Something the user should know.
    Told(String),
}

/// A buffer with its thread. The thread ends, and the buffer's lock is given up, soon after this is dropped.
#[derive(Debug)]
pub(crate) struct DiskWorker {
    requests: Option<Sender<DiskRequest>>,
    answers: UnboundedReceiver<DiskAnswer>,
}

impl DiskWorker {
    /// Starts the thread.
    pub(crate) fn start(buffer: DiskBuffer) -> io::Result<Self> {
        let (requests, received) = channel();
        let (answer, answers) = unbounded_channel();
        std::thread::Builder::new()
            .name("disk-buffer".to_owned())
            .spawn(move || serve(buffer, &received, &answer))?;
        Ok(Self { requests: Some(requests), answers })
    }

    /// Passes a request on.
    pub(crate) fn request(&self, request: DiskRequest) {
        if let Some(requests) = &self.requests
            && requests.send(request).is_err()
        {
            tracing::error!("a disk buffer's thread has ended");
        }
    }

    /// The next answer; never, if there is none to come.
    pub(crate) async fn answer(&mut self) -> DiskAnswer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => pending().await,
        }
    }

    /// Lets the thread finish what it was asked for, and waits for it.
    pub(crate) async fn close(mut self) {
        self.requests = None;
        while self.answers.recv().await.is_some() {}
    }
}

fn serve(mut buffer: DiskBuffer, requests: &Receiver<DiskRequest>, answers: &UnboundedSender<DiskAnswer>) {
    while let Ok(request) = requests.recv() {
        let answer = match request {
            DiskRequest::Append(metrics) => DiskAnswer::Appended(buffer.append(&metrics)),
            DiskRequest::Load { from, most } => {
                DiskAnswer::Loaded(buffer.load(from, most).map_err(|error| error.to_string()))
            }
            DiskRequest::Acknowledge(number) => match buffer.acknowledge(number) {
                Ok(()) => continue,
                Err(error) => DiskAnswer::Told(format!("the buffer on disk: {error}")),
            },
        };
        // Nobody listens any longer while the last acknowledgements are noted.
        answers.send(answer).ok();
    }
}
